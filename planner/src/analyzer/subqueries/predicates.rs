//! Conditions between a subquery and the row outside.

use super::scope::Scope;
use datafusion::common::Column;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::expr::Case;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, binary_expr};

/// A condition that says what a value of the subquery is: that of something outside.
pub(super) struct Equality {
    pub(super) inside: Expr,
    /// `=` or `IS NOT DISTINCT FROM`.
    pub(super) operator: Operator,
    pub(super) outside: Expr,
}

impl Equality {
    /// `predicate`, if it is one.
    pub(super) fn of(predicate: &Expr, scope: &Scope) -> Result<Option<Self>> {
        let Expr::BinaryExpr(BinaryExpr { left, op, right }) = predicate else {
            return Ok(None);
        };
        if !matches!(op, Operator::Eq | Operator::IsNotDistinctFrom) {
            return Ok(None);
        }
        for (inside, outside) in [(left, right), (right, left)] {
            let is_inside = !scope.is_named_by(inside)?
                && !inside.column_refs().is_empty()
                && !inside.is_volatile();
            let is_outside = scope.is_named_by(outside)?
                && outside.column_refs().is_empty()
                && !outside.is_volatile();
            if is_inside && is_outside {
                return Ok(Some(Self {
                    inside: inside.as_ref().clone(),
                    operator: *op,
                    outside: outside.as_ref().clone(),
                }));
            }
        }
        Ok(None)
    }

    /// The condition.
    pub(super) fn predicate(self) -> Expr {
        binary_expr(self.inside, self.operator, self.outside)
    }
}

/// `left IS NOT DISTINCT FROM right`.
pub(super) fn null_safe(left: Expr, right: Expr) -> Expr {
    binary_expr(left, Operator::IsNotDistinctFrom, right)
}

/// The first value whose condition is true, or else the last.
pub(super) fn case(conditions: Vec<(Expr, Expr)>, otherwise: Expr) -> Expr {
    let conditions = conditions.into_iter();
    let conditions = conditions.map(|(when, then)| (Box::new(when), Box::new(then)));
    Expr::Case(Case::new(
        None,
        conditions.collect(),
        Some(Box::new(otherwise)),
    ))
}

/// `expression` with other expressions in place of some columns.
pub(super) fn with_columns(
    expression: Expr,
    replacement: impl Fn(&Column) -> Option<Expr>,
) -> Result<Expr> {
    let written = expression.transform_up(|inner| {
        let new = match &inner {
            Expr::Column(column) => replacement(column),
            _ => None,
        };
        Ok(match new {
            Some(new) => Transformed::yes(new),
            None => Transformed::no(inner),
        })
    })?;
    Ok(written.data)
}
