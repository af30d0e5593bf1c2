//! All orders of a region, each pair of connected sets once.
//!
//! G. Moerkotte, T. Neumann: "Dynamic programming strikes back" (SIGMOD 2008), DPhyp.

use super::relation_set::RelationSet;
use super::search::Search;

/// How many steps of the enumeration are taken for each pair that may be looked at: most steps find none in
/// graphs of few edges with many relations at their ends.
const STEPS_PER_PAIR: usize = 8;

struct Enumeration<'s, 'g, 'r> {
    search: &'s mut Search<'g, 'r>,
    steps: usize,
}

/// Looks at all pairs; whether there were no more of them than the search allows.
pub fn enumerate(search: &mut Search<'_, '_>) -> bool {
    let mut enumeration = Enumeration { search, steps: 0 };
    let all = enumeration.search.graph().region.all();
    for relation in all.iter().rev() {
        let single = RelationSet::single(relation);
        let not_before = RelationSet::up_to(relation);
        enumeration.find_partners(single);
        enumeration.grow_first(single, not_before);
        if enumeration.is_exhausted() {
            return false;
        }
    }
    true
}

impl Enumeration<'_, '_, '_> {
    fn is_exhausted(&self) -> bool {
        self.search.is_exhausted() || self.steps > STEPS_PER_PAIR * super::search::PAIRS_MAX
    }

    fn neighbourhood(&mut self, set: RelationSet, excluded: RelationSet) -> RelationSet {
        self.steps += 1;
        self.search.graph().neighbourhood(set, excluded)
    }

    /// Makes `first` larger by its neighbours.
    fn grow_first(&mut self, first: RelationSet, excluded: RelationSet) {
        let neighbours = self.neighbourhood(first, excluded);
        for added in neighbours.subsets() {
            self.steps += 1;
            if self.is_exhausted() {
                return;
            }
            if self.search.is_known(first | added) {
                self.find_partners(first | added);
            }
        }
        for added in neighbours.subsets() {
            if self.is_exhausted() {
                return;
            }
            self.grow_first(first | added, excluded | neighbours);
        }
    }

    /// Finds the sets that `first` may be joined with, of relations after its first.
    fn find_partners(&mut self, first: RelationSet) {
        let smallest = first.smallest().iter().next().unwrap_or_default();
        let excluded = first | RelationSet::up_to(smallest);
        let neighbours = self.neighbourhood(first, excluded);
        for relation in neighbours.iter().rev() {
            let second = RelationSet::single(relation);
            if self.search.graph().is_edge(first, second) {
                self.search.consider(first, second);
            }
            let before = RelationSet::up_to(relation) & neighbours;
            self.grow_second(first, second, excluded | before);
        }
    }

    /// Makes `second` larger by its neighbours.
    fn grow_second(&mut self, first: RelationSet, second: RelationSet, excluded: RelationSet) {
        let neighbours = self.neighbourhood(second, excluded);
        for added in neighbours.subsets() {
            self.steps += 1;
            if self.is_exhausted() {
                return;
            }
            let grown = second | added;
            if self.search.is_known(grown) && self.search.graph().is_edge(first, grown) {
                self.search.consider(first, grown);
            }
        }
        for added in neighbours.subsets() {
            if self.is_exhausted() {
                return;
            }
            self.grow_second(first, second | added, excluded | neighbours);
        }
    }
}
