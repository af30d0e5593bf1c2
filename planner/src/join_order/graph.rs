//! Which relations may be joined with which: the edges of the region's hypergraph.

use super::conflicts::{Constraint, constraints};
use super::region::{Condition, JoinKind, Region, RegionColumn};
use super::relation_set::RelationSet;

/// A region with what follows from it.
pub struct JoinGraph<'r> {
    /// The region.
    pub region: &'r Region,
    /// By operator, when it may be applied.
    pub constraints: Vec<Constraint>,
    /// Columns that are equal to one another in every result.
    pub classes: Vec<EqualityClass>,
    /// The operators that are not part of a class.
    pub single: Vec<usize>,
    /// Whether inner conditions must be applied as they were written, since some rows are padded with NULLs.
    pub is_strict: bool,
    /// By relation, those that an edge joins with it alone.
    neighbours: Vec<RelationSet>,
    /// Edges with more than one relation at an end.
    hyperedges: Vec<(RelationSet, RelationSet)>,
}

/// Columns that inner equalities make equal.
pub struct EqualityClass {
    /// The columns, in order.
    pub columns: Vec<RegionColumn>,
    /// Their relations.
    pub relations: RelationSet,
}

/// What joins two sets of relations.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    /// What happens to rows without partner.
    pub kind: JoinKind,
    /// Whether the first set is the operator's right side.
    pub is_swapped: bool,
    /// Of each class that both sets have columns of, its number.
    pub classes: Vec<usize>,
    /// The operators that are not part of a class.
    pub operators: Vec<usize>,
}

impl<'r> JoinGraph<'r> {
    /// The graph of a region.
    pub fn new(region: &'r Region) -> Self {
        let is_strict = region.pads();
        let classes = match is_strict {
            true => Vec::new(),
            false => classes(region),
        };
        let in_class = |operator: usize| {
            let operator = &region.operators[operator];
            !is_strict
                && operator.kind == JoinKind::Inner
                && transitive(&operator.conditions).is_some()
        };
        // Without padding, an inner join without a condition says nothing.
        let says_nothing = |operator: usize| {
            let operator = &region.operators[operator];
            !is_strict && operator.kind == JoinKind::Inner && operator.conditions.is_empty()
        };
        let single = 0..region.operators.len();
        let single = single.filter(|number| !in_class(*number) && !says_nothing(*number));
        let mut graph = Self {
            region,
            constraints: constraints(&region.written, &region.operators),
            classes,
            single: single.collect(),
            is_strict,
            neighbours: vec![RelationSet::EMPTY; region.relations.len()],
            hyperedges: Vec::new(),
        };
        graph.add_edges();
        graph
    }

    fn add_edges(&mut self) {
        for class in &self.classes {
            for relation in class.relations.iter() {
                self.neighbours[relation] |= class.relations - RelationSet::single(relation);
            }
        }
        for number in self.single.clone() {
            let constraint = &self.constraints[number];
            let (left, right, needed) = (constraint.left, constraint.right, constraint.needed());
            self.add_edge(left, right);
            if self.is_free(number) && needed.len() > 2 {
                for one in needed.iter().map(RelationSet::single) {
                    self.add_edge(one, needed - one);
                }
            }
        }
        self.join_components();
    }

    /// Joins the parts that no condition joins, each as a whole with the others.
    fn join_components(&mut self) {
        let all = self.region.all();
        let mut rest = all;
        let mut components = Vec::new();
        while !rest.is_empty() {
            let component = self.component_of(rest.smallest());
            components.push(component);
            rest = rest - component;
        }
        for (index, component) in components.iter().enumerate() {
            for other in &components[index + 1..] {
                self.add_edge(*component, *other);
            }
        }
    }

    /// All relations that edges join with `start`, directly or not.
    fn component_of(&self, start: RelationSet) -> RelationSet {
        let mut found = start;
        loop {
            let before = found;
            for relation in before.iter() {
                found |= self.neighbours[relation];
            }
            for (left, right) in &self.hyperedges {
                if left.intersects(found) || right.intersects(found) {
                    found |= *left | *right;
                }
            }
            if found == before {
                return found;
            }
        }
    }

    fn add_edge(&mut self, left: RelationSet, right: RelationSet) {
        match (left.len(), right.len()) {
            (1, 1) => {
                for (one, other) in [(left, right), (right, left)] {
                    for relation in one.iter() {
                        self.neighbours[relation] |= other;
                    }
                }
            }
            _ => self.hyperedges.push((left, right)),
        }
    }

    /// Whether an operator is a condition that may be looked at wherever all that it reads is there.
    fn is_free(&self, number: usize) -> bool {
        let operator = &self.region.operators[number];
        !self.is_strict
            && operator.kind == JoinKind::Inner
            && operator.reads == self.constraints[number].needed()
    }

    /// Whether an edge joins the two.
    pub fn is_edge(&self, left: RelationSet, right: RelationSet) -> bool {
        let simple = left
            .iter()
            .any(|relation| self.neighbours[relation].intersects(right));
        simple
            || self.hyperedges.iter().any(|(one, other)| {
                one.is_subset_of(left) && other.is_subset_of(right)
                    || other.is_subset_of(left) && one.is_subset_of(right)
            })
    }

    /// Relations outside of `set` and `excluded` that edges lead to, one for each edge's end.
    pub fn neighbourhood(&self, set: RelationSet, excluded: RelationSet) -> RelationSet {
        let taken = set | excluded;
        let mut found = RelationSet::EMPTY;
        for relation in set.iter() {
            found |= self.neighbours[relation];
        }
        found = found - taken;
        for (left, right) in &self.hyperedges {
            for (from, to) in [(*left, *right), (*right, *left)] {
                // An end that has a neighbour already is reached through it.
                if from.is_subset_of(set) && !to.intersects(taken) && !to.intersects(found) {
                    found |= to.smallest();
                }
            }
        }
        found
    }

    /// What joins two sets that have no relation in common; `None` where nothing may.
    pub fn applied(&self, first: RelationSet, second: RelationSet) -> Option<Applied> {
        let joined = first | second;
        let mut applied = Applied {
            kind: JoinKind::Inner,
            is_swapped: false,
            classes: Vec::new(),
            operators: Vec::new(),
        };
        let mut is_other = false;
        for number in &self.single {
            let constraint = &self.constraints[*number];
            let needed = constraint.needed();
            let is_new = needed.is_subset_of(joined)
                && !needed.is_subset_of(first)
                && !needed.is_subset_of(second);
            if !is_new {
                continue;
            }
            let kind = self.region.operators[*number].kind;
            let straight =
                constraint.left.is_subset_of(first) && constraint.right.is_subset_of(second);
            let swapped =
                constraint.left.is_subset_of(second) && constraint.right.is_subset_of(first);
            if !(straight || swapped || self.is_free(*number)) || !constraint.admits(joined) {
                return None;
            }
            if kind != JoinKind::Inner {
                is_other = true;
                (applied.kind, applied.is_swapped) = (kind, !straight);
            }
            applied.operators.push(*number);
        }
        for (number, class) in self.classes.iter().enumerate() {
            if class.relations.intersects(first) && class.relations.intersects(second) {
                applied.classes.push(number);
            }
        }
        let count = applied.operators.len() + applied.classes.len();
        match is_other && count > 1 {
            true => None,
            false => Some(applied),
        }
    }

    /// Of a class, the columns of the relations of `set`.
    pub fn columns_of(&self, class: usize, set: RelationSet) -> impl Iterator<Item = RegionColumn> {
        let columns = self.classes[class].columns.iter().copied();
        columns.filter(move |column| set.contains(column.relation))
    }
}

/// The columns of an operator that is nothing but an equality that is transitive.
fn transitive(conditions: &[Condition]) -> Option<(RegionColumn, RegionColumn)> {
    match conditions {
        [
            Condition::Equal {
                left,
                right,
                is_transitive: true,
            },
        ] => Some((*left, *right)),
        _ => None,
    }
}

fn classes(region: &Region) -> Vec<EqualityClass> {
    let mut classes: Vec<Vec<RegionColumn>> = Vec::new();
    for operator in &region.operators {
        let equal = match operator.kind {
            JoinKind::Inner => transitive(&operator.conditions),
            _ => None,
        };
        let Some((left, right)) = equal else {
            continue;
        };
        let (with, without): (Vec<_>, Vec<_>) = classes
            .into_iter()
            .partition(|class| class.contains(&left) || class.contains(&right));
        let mut class: Vec<RegionColumn> = with.into_iter().flatten().collect();
        class.extend([left, right]);
        class.sort_unstable();
        class.dedup();
        classes = without;
        classes.push(class);
    }
    classes
        .into_iter()
        .map(|columns| EqualityClass {
            relations: columns.iter().map(|column| column.relation).collect(),
            columns,
        })
        .collect()
}
