//! Which orders of operators give the rows of the order that was written.
//!
//! G. Moerkotte, P. Fender, M. Eich: "On the correct and complete enumeration of the core search space"
//! (SIGMOD 2013), conflict detector C. Every operator gets the relations that must be there before it is
//! applied, and rules: if one of these relations is there, then so must be those. Both follow from three
//! properties of pairs of operators, associativity and left and right asscommutativity.

use super::region::{JoinKind, Operator, WrittenJoin};
use super::relation_set::RelationSet;

/// When an operator may be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Constraint {
    /// The relations that must be on its left.
    pub left: RelationSet,
    /// The relations that must be on its right.
    pub right: RelationSet,
    /// What else must be there.
    pub rules: Vec<Rule>,
}

/// If some of these relations are there, those must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// These.
    pub some_of: RelationSet,
    /// Those.
    pub all_of: RelationSet,
}

impl Constraint {
    /// All relations that it needs.
    pub fn needed(&self) -> RelationSet {
        self.left | self.right
    }

    /// Whether the rules admit it where `present` is joined.
    pub fn admits(&self, present: RelationSet) -> bool {
        self.rules
            .iter()
            .all(|rule| !rule.some_of.intersects(present) || rule.all_of.is_subset_of(present))
    }
}

/// The constraints of all operators.
pub fn constraints(written: &WrittenJoin, operators: &[Operator]) -> Vec<Constraint> {
    let nothing = Constraint {
        left: RelationSet::EMPTY,
        right: RelationSet::EMPTY,
        rules: Vec::new(),
    };
    let mut found = vec![nothing; operators.len()];
    let mut placed = Vec::new();
    place(written, operators, &mut placed, &mut found);
    found
}

/// An operator where it was written.
struct Placed {
    operator: usize,
    left: RelationSet,
    right: RelationSet,
}

/// Finds the constraints of the operators of `join`, and appends these to `placed` after those below it.
fn place(
    join: &WrittenJoin,
    operators: &[Operator],
    placed: &mut Vec<Placed>,
    found: &mut Vec<Constraint>,
) {
    let WrittenJoin::Join {
        operators: own,
        left,
        right,
    } = join
    else {
        return;
    };
    let start = placed.len();
    place(left, operators, placed, found);
    let middle = placed.len();
    place(right, operators, placed, found);
    let (below_left, below_right) = placed[start..].split_at(middle - start);
    let (left, right) = (left.relations(), right.relations());
    for number in own {
        let operator = &operators[*number];
        let mut rules = Vec::new();
        for below in below_left {
            left_rules(operator, &operators[below.operator], below, &mut rules);
        }
        for below in below_right {
            right_rules(operator, &operators[below.operator], below, &mut rules);
        }
        found[*number] = closed(operator.reads, left, right, rules);
    }
    placed.extend(own.iter().map(|operator| Placed {
        operator: *operator,
        left,
        right,
    }));
}

/// The rules of an operator that follow from one on its left side.
fn left_rules(operator: &Operator, below: &Operator, at: &Placed, rules: &mut Vec<Rule>) {
    if !is_associative(below, operator, at.right) {
        rules.push(rule(at.right, at.left, below.reads));
    }
    if !is_left_asscommutative(below, operator, at.left) {
        rules.push(rule(at.left, at.right, below.reads));
    }
}

/// The rules of an operator that follow from one on its right side.
fn right_rules(operator: &Operator, below: &Operator, at: &Placed, rules: &mut Vec<Rule>) {
    if !is_associative(operator, below, at.left) {
        rules.push(rule(at.left, at.right, below.reads));
    }
    if !is_right_asscommutative(operator, below, at.right) {
        rules.push(rule(at.right, at.left, below.reads));
    }
}

/// If some of `some_of` is there, what the operator in between reads of `other` must be there, too.
fn rule(some_of: RelationSet, other: RelationSet, reads: RelationSet) -> Rule {
    let read = other & reads;
    Rule {
        some_of,
        all_of: if read.is_empty() { other } else { read },
    }
}

/// What an operator needs: what it reads, something of both sides, and what rules demand that always apply.
fn closed(
    reads: RelationSet,
    left: RelationSet,
    right: RelationSet,
    rules: Vec<Rule>,
) -> Constraint {
    let side = |side: RelationSet| match reads.intersects(side) {
        true => reads & side,
        false => side,
    };
    let mut needed = side(left) | side(right);
    let mut rules = rules;
    loop {
        let before = needed;
        rules.retain(|rule| {
            if rule.some_of.intersects(needed) {
                needed |= rule.all_of;
            }
            !rule.all_of.is_subset_of(needed)
        });
        if needed == before {
            break;
        }
    }
    rules.dedup();
    Constraint {
        left: needed & left,
        right: needed & right,
        rules,
    }
}

/// Whether `(e1 a e2) b e3` is `e1 a (e2 b e3)`, where `b` reads `e2` and `e3`, and `middle` is `e2`.
fn is_associative(a: &Operator, b: &Operator, middle: RelationSet) -> bool {
    use JoinKind::{Anti, Full, Inner, Left, Mark, Semi};
    let rejects = |operator: &Operator| rejects(operator, middle);
    match (a.kind, b.kind) {
        (Inner, Inner | Semi | Anti | Mark | Left) => true,
        (Left | Full, Left) => rejects(b),
        (Full, Full) => rejects(a) && rejects(b),
        _ => false,
    }
}

/// Whether `(e1 a e2) b e3` is `(e1 b e3) a e2`, where `first` is `e1`.
fn is_left_asscommutative(a: &Operator, b: &Operator, first: RelationSet) -> bool {
    use JoinKind::{Anti, Full, Inner, Left, Mark, Semi};
    let rejects = |operator: &Operator| rejects(operator, first);
    match (a.kind, b.kind) {
        (Inner | Semi | Anti | Mark | Left, Inner | Semi | Anti | Mark | Left) => true,
        (Left, Full) => rejects(a),
        (Full, Left) => rejects(b),
        (Full, Full) => rejects(a) && rejects(b),
        _ => false,
    }
}

/// Whether `e1 a (e2 b e3)` is `e2 b (e1 a e3)`, where `last` is `e3`.
fn is_right_asscommutative(a: &Operator, b: &Operator, last: RelationSet) -> bool {
    match (a.kind, b.kind) {
        (JoinKind::Inner, JoinKind::Inner) => true,
        (JoinKind::Full, JoinKind::Full) => rejects(a, last) && rejects(b, last),
        _ => false,
    }
}

/// Whether an operator finds no partner for rows that have NULL in everything that it reads of `relations`.
fn rejects(operator: &Operator, relations: RelationSet) -> bool {
    operator.rejects_null.intersects(relations)
}
