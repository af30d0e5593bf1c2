//! What is to be ordered: relations, and the operators that join them, as they were written.

use super::relation_set::RelationSet;
use crate::statistics::ColumnProfile;

/// Joins that belong together and may be carried out in another order.
#[derive(Clone, Debug)]
pub struct Region {
    /// What is joined.
    pub relations: Vec<Relation>,
    /// What joins it.
    pub operators: Vec<Operator>,
    /// The order in which it was written.
    pub written: WrittenJoin,
}

/// Something that is joined: a table with its filters, or what has an order of its own.
#[derive(Clone, Debug)]
pub struct Relation {
    /// How many rows it has, estimated.
    pub rows: f64,
    /// How many bytes a row of it has, estimated.
    pub row_bytes: f64,
    /// Whether the number of its rows follows from statistics, and is no guess.
    pub is_known: bool,
    /// Its columns.
    pub columns: Vec<ColumnProfile>,
}

/// A column of a relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RegionColumn {
    /// The number of the relation.
    pub relation: usize,
    /// The number of the column within it.
    pub column: usize,
}

/// What a join does with rows that have no partner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinKind {
    /// Drops them, on both sides.
    Inner,
    /// Keeps rows of the left side that have a partner, once.
    Semi,
    /// Keeps rows of the left side that have none.
    Anti,
    /// Keeps all rows of the left side, and says which have a partner.
    Mark,
    /// Keeps those of the left side.
    Left,
    /// Keeps those of both sides.
    Full,
}

impl JoinKind {
    /// Whether rows get NULLs that their relation does not have.
    pub fn pads(self) -> bool {
        matches!(self, Self::Left | Self::Full)
    }
}

/// One condition of a join, or all of a join that is not an inner one.
#[derive(Clone, Debug)]
pub struct Operator {
    /// What it does with rows without partner.
    pub kind: JoinKind,
    /// The relations whose columns it reads.
    pub reads: RelationSet,
    /// The relations of which it keeps no row (or finds no partner for any) that has NULL in all columns.
    pub rejects_null: RelationSet,
    /// What it compares; an inner join's operators have one condition each, or none.
    pub conditions: Vec<Condition>,
}

/// A condition, as far as it matters for estimates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Condition {
    /// Two columns of different relations are equal. With `is_transitive`, it means the same as any chain
    /// of such equalities between them.
    Equal {
        /// One column.
        left: RegionColumn,
        /// The other.
        right: RegionColumn,
        /// Whether the columns have one type, whose equality is transitive.
        is_transitive: bool,
    },
    /// Equality of things that are no columns: it can be looked up, but nothing is known of it.
    EqualExpressions,
    /// Anything else, which keeps this part of all pairs.
    Other {
        /// From 0 to 1.
        selectivity: f64,
    },
}

/// The order in which joins were written.
#[derive(Clone, Debug)]
pub enum WrittenJoin {
    /// A relation.
    Relation(usize),
    /// A join.
    Join {
        /// Its operators by number: one, or several inner ones.
        operators: Vec<usize>,
        /// What is on the left.
        left: Box<WrittenJoin>,
        /// What is on the right.
        right: Box<WrittenJoin>,
    },
}

impl WrittenJoin {
    /// The relations below it.
    pub fn relations(&self) -> RelationSet {
        match self {
            Self::Relation(relation) => RelationSet::single(*relation),
            Self::Join { left, right, .. } => left.relations() | right.relations(),
        }
    }
}

impl Region {
    /// All relations.
    pub fn all(&self) -> RelationSet {
        RelationSet::first(self.relations.len())
    }

    /// Whether some rows get NULLs in the place of missing partners.
    pub fn pads(&self) -> bool {
        self.operators.iter().any(|operator| operator.kind.pads())
    }
}
