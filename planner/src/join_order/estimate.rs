//! How many rows a join has.
//!
//! Equalities are estimated from distinct values, several of one pair of relations as one key: a table of
//! a million rows has no more than a million combinations. What one side has beyond the bounds of the
//! other finds no partner. Other conditions are taken as independent, with less weight for each further
//! one (exponential backoff).

use super::graph::{Applied, JoinGraph};
use super::region::{Condition, JoinKind, RegionColumn};
use super::relation_set::RelationSet;
use crate::statistics::{ColumnProfile, EQUALITY_SELECTIVITY, backed_off};

/// The least part of its left side's rows that an anti join is taken to keep.
const ANTI_SELECTIVITY_MIN: f64 = 0.1;

/// One side of a join.
#[derive(Clone, Copy, Debug)]
pub struct Side {
    /// Its relations.
    pub relations: RelationSet,
    /// Its rows.
    pub rows: f64,
}

/// What one side has of the columns of a key.
#[derive(Clone, Copy)]
struct KeySide {
    /// Distinct combinations of values.
    distinct: f64,
    is_trusted: bool,
    /// The part of the rows that have no NULL.
    filled: f64,
}

/// How many rows the join of `left` and `right` has, in the order of the operator.
pub fn joined_rows(graph: &JoinGraph<'_>, applied: &Applied, left: Side, right: Side) -> f64 {
    let pairs = key_pairs(graph, applied, left.relations, right.relations);
    let mut others = Vec::new();
    for number in &applied.operators {
        for condition in &graph.region.operators[*number].conditions {
            match condition {
                Condition::Equal { .. } => {}
                Condition::EqualExpressions => others.push(EQUALITY_SELECTIVITY),
                Condition::Other { selectivity } => others.push(*selectivity),
            }
        }
    }
    let others = backed_off(&mut others);
    let key = Key::new(graph, &pairs);
    let inner = left.rows * right.rows * key.selectivity() * others;
    let matched = || key.matched(right.rows) * others.max(0.5);
    let rows = match applied.kind {
        JoinKind::Inner => inner,
        JoinKind::Left => inner.max(left.rows),
        JoinKind::Full => inner.max(left.rows).max(right.rows),
        JoinKind::Mark => left.rows,
        JoinKind::Semi => left.rows * matched(),
        JoinKind::Anti => left.rows * (1.0 - matched()).max(ANTI_SELECTIVITY_MIN),
    };
    rows.max(1.0)
}

/// The pairs of columns that are equal in a join, left and right.
fn key_pairs(
    graph: &JoinGraph<'_>,
    applied: &Applied,
    left: RelationSet,
    right: RelationSet,
) -> Vec<(RegionColumn, RegionColumn)> {
    let mut pairs = Vec::new();
    for class in &applied.classes {
        let one = narrowest(graph, *class, left);
        let other = narrowest(graph, *class, right);
        pairs.extend(one.zip(other));
    }
    for number in &applied.operators {
        for condition in &graph.region.operators[*number].conditions {
            if let Condition::Equal {
                left: one,
                right: other,
                ..
            } = condition
            {
                match left.contains(one.relation) {
                    true => pairs.push((*one, *other)),
                    false => pairs.push((*other, *one)),
                }
            }
        }
    }
    pairs
}

/// The column of a class with the fewest values within `set`, all of which the others have.
fn narrowest(graph: &JoinGraph<'_>, class: usize, set: RelationSet) -> Option<RegionColumn> {
    let distinct = |column: &RegionColumn| profile(graph, *column).distinct;
    graph
        .columns_of(class, set)
        .min_by(|left, right| distinct(left).total_cmp(&distinct(right)))
}

fn profile<'g>(graph: &'g JoinGraph<'_>, column: RegionColumn) -> &'g ColumnProfile {
    &graph.region.relations[column.relation].columns[column.column]
}

/// The equalities of one join as one key.
struct Key {
    left: KeySide,
    right: KeySide,
    columns: usize,
    /// The parts of both sides' rows that lie within the bounds of the other.
    overlap: (f64, f64),
}

impl Key {
    fn new(graph: &JoinGraph<'_>, pairs: &[(RegionColumn, RegionColumn)]) -> Self {
        let mut overlap = (1.0_f64, 1.0_f64);
        let mut lefts = Vec::new();
        let mut rights = Vec::new();
        for (left, right) in pairs {
            let (one, other) = (profile(graph, *left), profile(graph, *right));
            let (of_one, of_other) = one.overlap(other);
            overlap = (overlap.0.min(of_one), overlap.1.min(of_other));
            lefts.push((left.relation, one, of_one));
            rights.push((right.relation, other, of_other));
        }
        Self {
            left: key_side(graph, &lefts),
            right: key_side(graph, &rights),
            columns: pairs.len(),
            overlap,
        }
    }

    /// The part of all pairs of rows that have equal keys.
    fn selectivity(&self) -> f64 {
        if self.columns == 0 {
            return 1.0;
        }
        let filled = self.left.filled * self.right.filled;
        filled * self.overlap.0 * self.overlap.1 / self.domain()
    }

    /// How many keys there are. What is a bound from above alone is at most what the other side says: as
    /// a rule, the values of one side are among those of the other.
    fn domain(&self) -> f64 {
        let (left, right) = (self.left, self.right);
        let (least, most) = match left.distinct < right.distinct {
            true => (left, right),
            false => (right, left),
        };
        match most.is_trusted {
            true => most.distinct.max(1.0),
            false => least.distinct.max(1.0),
        }
    }

    /// The part of the left side's rows that have a partner among `rows` rows of the right side.
    fn matched(&self, rows: f64) -> f64 {
        if self.columns == 0 {
            return 1.0;
        }
        let found = drawn(
            self.right.distinct,
            rows * self.overlap.1 * self.right.filled,
        );
        let wanted = match self.left.is_trusted {
            true => self.left.distinct,
            false => self.left.distinct.min(self.right.distinct),
        };
        self.left.filled * self.overlap.0 * (found / wanted.max(1.0)).min(1.0)
    }
}

/// How many of `distinct` values are among `rows` rows.
fn drawn(distinct: f64, rows: f64) -> f64 {
    let distinct = distinct.max(1.0);
    distinct * (1.0 - (-rows / distinct).exp())
}

/// The columns of one side, with their relations and the part within the other side's bounds.
fn key_side(graph: &JoinGraph<'_>, columns: &[(usize, &ColumnProfile, f64)]) -> KeySide {
    let mut side = KeySide {
        distinct: 1.0,
        is_trusted: columns.len() == 1,
        filled: 1.0,
    };
    let mut seen = RelationSet::EMPTY;
    for (relation, _, _) in columns {
        if seen.contains(*relation) {
            continue;
        }
        seen |= RelationSet::single(*relation);
        let own = columns.iter().filter(|(other, ..)| other == relation);
        let mut combinations = 1.0;
        for (_, profile, overlap) in own {
            combinations *= (profile.distinct * overlap).max(1.0);
            side.is_trusted &= profile.is_trusted;
            side.filled *= 1.0 - profile.null_fraction;
        }
        let table_rows = columns
            .iter()
            .filter(|(other, ..)| other == relation)
            .map(|(_, profile, _)| profile.table_rows)
            .fold(f64::INFINITY, f64::min);
        let rows = table_rows.max(graph.region.relations[*relation].rows);
        side.distinct *= combinations.min(rows.max(1.0));
    }
    side
}
