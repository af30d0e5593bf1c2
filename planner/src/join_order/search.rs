//! The best order of a region: what has been found for sets of relations, and how two of them are put together.

use super::cost::{Input, Machine, Method};
use super::estimate::{Side, joined_rows};
use super::graph::{Applied, JoinGraph};
use super::region::{JoinKind, WrittenJoin};
use super::relation_set::RelationSet;
use super::{dphyp, greedy};
use std::collections::HashMap;

/// How many pairs of sets are looked at before the order is made greedily: some milliseconds.
pub const PAIRS_MAX: usize = 4_000;

/// How much cheaper an order must be than the one that was written: estimates are no more exact than that.
const GAIN_MIN: f64 = 0.9;

/// The same where some relation's rows are a guess.
const GAIN_MIN_GUESSED: f64 = 0.5;

/// The order of a region.
#[derive(Clone, Debug)]
pub enum JoinTree {
    /// A relation, by its number.
    Relation(usize),
    /// A join.
    Join(Box<Joined>),
}

/// A join of the order.
#[derive(Clone, Debug)]
pub struct Joined {
    /// The operator's left side.
    pub left: JoinTree,
    /// Its right side.
    pub right: JoinTree,
    /// What joins them.
    pub applied: Applied,
    /// How.
    pub method: Method,
    /// How many rows come out of it, estimated.
    pub rows: f64,
    /// The bytes of each, estimated.
    pub row_bytes: f64,
}

impl JoinTree {
    /// The relations below it.
    pub fn relations(&self) -> RelationSet {
        match self {
            Self::Relation(relation) => RelationSet::single(*relation),
            Self::Join(joined) => joined.left.relations() | joined.right.relations(),
        }
    }
}

/// What is known of a set of relations.
#[derive(Clone, Copy, Debug)]
struct Best {
    rows: f64,
    row_bytes: f64,
    cost: f64,
    /// The operator's left and right side; nothing for a relation.
    split: Option<(RelationSet, RelationSet, Method)>,
}

impl Best {
    fn input(&self) -> Input {
        Input {
            rows: self.rows,
            row_bytes: self.row_bytes,
        }
    }
}

/// A search among the orders of a region.
pub struct Search<'g, 'r> {
    graph: &'g JoinGraph<'r>,
    machine: Machine,
    best: HashMap<RelationSet, Best>,
    pairs: usize,
}

/// The order of the graph's region: the best that was found, or the one that was written where that is about as
/// good.
pub fn best_order(graph: &JoinGraph<'_>, machine: Machine) -> Option<JoinTree> {
    let all = graph.region.all();
    let mut search = Search::new(graph, machine);
    if !dphyp::enumerate(&mut search) {
        search = Search::new(graph, machine);
        greedy::join(&mut search);
    }
    let written = written_order(graph, machine);
    let found = search.best.get(&all).map(|best| best.cost);
    let is_known = graph
        .region
        .relations
        .iter()
        .all(|relation| relation.is_known);
    let gain = if is_known { GAIN_MIN } else { GAIN_MIN_GUESSED };
    let kept = match (&written, found) {
        (Some(written), Some(found)) => found > written.best.get(&all)?.cost * gain,
        (Some(_), None) => true,
        (None, _) => false,
    };
    match written {
        Some(written) if kept => written.tree(all),
        _ => search.tree(all),
    }
}

/// The order as it was written, with the best side of each join built.
fn written_order<'g, 'r>(graph: &'g JoinGraph<'r>, machine: Machine) -> Option<Search<'g, 'r>> {
    let mut search = Search::new(graph, machine);
    search.follow(&graph.region.written)?;
    Some(search)
}

impl<'g, 'r> Search<'g, 'r> {
    fn new(graph: &'g JoinGraph<'r>, machine: Machine) -> Self {
        let relations = graph.region.relations.iter().enumerate();
        let best = relations.map(|(number, relation)| {
            let best = Best {
                rows: relation.rows.max(1.0),
                row_bytes: relation.row_bytes,
                cost: 0.0,
                split: None,
            };
            (RelationSet::single(number), best)
        });
        Self {
            graph,
            machine,
            best: best.collect(),
            pairs: 0,
        }
    }

    /// The graph that it is about.
    pub fn graph(&self) -> &'g JoinGraph<'r> {
        self.graph
    }

    /// Whether an order of these relations is known.
    pub fn is_known(&self, set: RelationSet) -> bool {
        self.best.contains_key(&set)
    }

    /// Looks at the join of two sets whose orders are known; whether there is one.
    pub fn consider(&mut self, first: RelationSet, second: RelationSet) -> bool {
        self.pairs += 1;
        let Some(candidate) = self.candidate(first, second) else {
            return false;
        };
        let joined = first | second;
        match self.best.get_mut(&joined) {
            // The same rows, however they are joined: the first estimate stands.
            Some(known) if candidate.cost < known.cost => {
                (known.cost, known.split) = (candidate.cost, candidate.split);
            }
            Some(_) => {}
            None => {
                self.best.insert(joined, candidate);
            }
        }
        true
    }

    /// Whether more pairs have been looked at than a query is worth.
    pub fn is_exhausted(&self) -> bool {
        self.pairs > PAIRS_MAX
    }

    /// The rows and the whole cost of the join of two sets.
    pub fn outlook(&self, first: RelationSet, second: RelationSet) -> Option<(f64, f64)> {
        let candidate = self.candidate(first, second)?;
        Some((candidate.rows, candidate.cost))
    }

    fn candidate(&self, first: RelationSet, second: RelationSet) -> Option<Best> {
        let applied = self.graph.applied(first, second)?;
        let (left, right) = match applied.is_swapped {
            true => (second, first),
            false => (first, second),
        };
        let (one, other) = (self.best.get(&left)?, self.best.get(&right)?);
        let side = |relations: RelationSet, best: &Best| Side {
            relations,
            rows: best.rows,
        };
        let known = self.best.get(&(first | second)).map(|known| known.rows);
        let rows = known.unwrap_or_else(|| {
            joined_rows(self.graph, &applied, side(left, one), side(right, other))
        });
        let row_bytes = match applied.kind {
            JoinKind::Semi | JoinKind::Anti => one.row_bytes,
            JoinKind::Mark => one.row_bytes + 1.0,
            JoinKind::Inner | JoinKind::Left | JoinKind::Full => one.row_bytes + other.row_bytes,
        };
        let output = Input { rows, row_bytes };
        let has_key = self.has_key(&applied);
        let inputs = (one.input(), other.input());
        let method = self.machine.cheapest(applied.kind, has_key, inputs, output);
        Some(Best {
            rows,
            row_bytes,
            cost: one.cost + other.cost + method.cost,
            split: Some((left, right, method)),
        })
    }

    fn has_key(&self, applied: &Applied) -> bool {
        use super::region::Condition::{Equal, EqualExpressions};
        let operators = &self.graph.region.operators;
        let is_key = |operator: &usize| {
            let mut conditions = operators[*operator].conditions.iter();
            conditions.any(|condition| matches!(condition, Equal { .. } | EqualExpressions))
        };
        !applied.classes.is_empty() || applied.operators.iter().any(is_key)
    }

    /// Joins as it was written.
    fn follow(&mut self, written: &WrittenJoin) -> Option<RelationSet> {
        match written {
            WrittenJoin::Relation(relation) => Some(RelationSet::single(*relation)),
            WrittenJoin::Join { left, right, .. } => {
                let left = self.follow(left)?;
                let right = self.follow(right)?;
                self.consider(left, right).then_some(left | right)
            }
        }
    }

    /// The order that was found for these relations.
    fn tree(&self, set: RelationSet) -> Option<JoinTree> {
        let best = self.best.get(&set)?;
        let Some((left, right, method)) = best.split else {
            return set.iter().next().map(JoinTree::Relation);
        };
        let applied = self.graph.applied(left, right)?;
        Some(JoinTree::Join(Box::new(Joined {
            left: self.tree(left)?,
            right: self.tree(right)?,
            applied,
            method,
            rows: best.rows,
            row_bytes: best.row_bytes,
        })))
    }
}
