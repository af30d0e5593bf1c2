//! Sets of the relations of one region, as bits of a word.

use std::fmt;
use std::ops::{BitAnd, BitOr, BitOrAssign, Sub};

/// How many relations a region may have.
pub const RELATIONS_MAX: usize = 64;

/// A set of relations, each of which is known by its number.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RelationSet(u64);

impl RelationSet {
    /// No relation.
    pub const EMPTY: Self = Self(0);

    /// One relation.
    pub fn single(relation: usize) -> Self {
        Self(1 << relation)
    }

    /// The relations before `count`.
    pub fn first(count: usize) -> Self {
        match count {
            RELATIONS_MAX.. => Self(u64::MAX),
            _ => Self((1 << count) - 1),
        }
    }

    /// The relations up to and with `relation`.
    pub fn up_to(relation: usize) -> Self {
        Self::first(relation + 1)
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many there are.
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether all of them are in `other`.
    pub fn is_subset_of(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Whether some of them are in `other`.
    pub fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether `relation` is among them.
    pub fn contains(self, relation: usize) -> bool {
        self.0 & (1 << relation) != 0
    }

    /// The one with the smallest number, as a set.
    pub fn smallest(self) -> Self {
        Self(self.0 & self.0.wrapping_neg())
    }

    /// The numbers, in ascending order.
    pub fn iter(self) -> Relations {
        Relations(self.0)
    }

    /// Every subset that is not empty, each after its own subsets.
    pub fn subsets(self) -> Subsets {
        Subsets {
            all: self.0,
            last: 0,
        }
    }
}

impl BitOr for RelationSet {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for RelationSet {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl BitAnd for RelationSet {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl Sub for RelationSet {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl FromIterator<usize> for RelationSet {
    fn from_iter<I: IntoIterator<Item = usize>>(relations: I) -> Self {
        relations
            .into_iter()
            .fold(Self::EMPTY, |set, relation| set | Self::single(relation))
    }
}

impl fmt::Debug for RelationSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// The numbers of the relations of a set.
pub struct Relations(u64);

impl Iterator for Relations {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let relation = self.0.trailing_zeros();
        // The lowest bit goes; of none nothing is left.
        self.0 &= self.0.wrapping_sub(1);
        (relation < u64::BITS).then_some(relation as usize)
    }
}

impl DoubleEndedIterator for Relations {
    fn next_back(&mut self) -> Option<usize> {
        let relation = self.0.checked_ilog2()?;
        self.0 &= !(1 << relation);
        Some(relation as usize)
    }
}

/// Subsets by ascending bits.
pub struct Subsets {
    all: u64,
    last: u64,
}

impl Iterator for Subsets {
    type Item = RelationSet;

    fn next(&mut self) -> Option<RelationSet> {
        self.last = self.last.wrapping_sub(self.all) & self.all;
        (self.last != 0).then_some(RelationSet(self.last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_subset_comes_once_and_after_its_own() {
        let set: RelationSet = [1, 4, 63].into_iter().collect();
        let subsets: Vec<RelationSet> = set.subsets().collect();
        assert_eq!(subsets.len(), 7);
        for (index, subset) in subsets.iter().enumerate() {
            assert!(subset.is_subset_of(set));
            let later = &subsets[index + 1..];
            assert!(later.iter().all(|later| !later.is_subset_of(*subset)));
        }
        assert_eq!(RelationSet::EMPTY.subsets().count(), 0);
    }

    #[test]
    fn sets_are_what_they_say() {
        let set: RelationSet = [0, 3, 63].into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 3, 63]);
        assert_eq!(set.iter().rev().collect::<Vec<_>>(), [63, 3, 0]);
        assert_eq!(RelationSet::EMPTY.iter().next(), None);
        assert_eq!(set.smallest(), RelationSet::single(0));
        assert_eq!(set.len(), 3);
        assert_eq!(RelationSet::first(64).len(), 64);
        assert_eq!(RelationSet::up_to(63).len(), 64);
        assert_eq!(set - RelationSet::up_to(3), RelationSet::single(63));
        assert!(set.intersects(RelationSet::up_to(0)));
        assert!(!set.is_subset_of(RelationSet::up_to(62)));
    }
}
