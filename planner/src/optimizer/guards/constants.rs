//! Constants that have no value, where they need none: `CASE WHEN x > 0 THEN CAST('abc' AS INT) ELSE 1 END`.
//!
//! The optimizer computes casts of literals, and fails over one that has no value, even in a branch that is
//! never evaluated. There, the literal is hidden from it.

use super::call::{hidden, short_circuited};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{BinaryExpr, Case, Cast, Expr, LogicalPlan, Operator};

/// Hides the constants of a plan's own expressions that have no value and may need none.
pub(super) fn hide_constants(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let mut found = false;
    plan.apply_expressions(|expression| {
        found |= expression.exists(|part| Ok(has_no_value(part)))?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    if !found {
        return Ok(Transformed::no(plan));
    }
    let names = NamePreserver::new(&plan);
    plan.map_expressions(|expression| {
        let name = names.save(&expression);
        let changed = hide(expression, false)?;
        Ok(changed.update_data(|expression| name.restore(expression)))
    })
}

/// Whether it is the cast of a literal that cannot be cast.
fn has_no_value(expression: &Expr) -> bool {
    match expression {
        Expr::Cast(Cast { expr, field }) => match expr.as_ref() {
            Expr::Literal(value, _) => value.cast_to(field.data_type()).is_err(),
            _ => false,
        },
        _ => false,
    }
}

/// `expression`, which is `guarded` where it may not be evaluated.
fn hide(expression: Expr, guarded: bool) -> Result<Transformed<Expr>> {
    match expression {
        Expr::Cast(Cast { expr, field }) => {
            let cast = Expr::Cast(Cast { expr, field });
            match guarded && has_no_value(&cast) {
                true => cast.map_children(|literal| Ok(Transformed::yes(hidden(literal)))),
                false => cast.map_children(|part| hide(part, guarded)),
            }
        }
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: op @ (Operator::And | Operator::Or),
            right,
        }) => {
            let (left, right) = (hide(*left, guarded)?, hide(*right, true)?);
            let changed = left.transformed || right.transformed;
            let chain = BinaryExpr::new(Box::new(left.data), op, Box::new(right.data));
            Ok(Transformed::new(
                Expr::BinaryExpr(chain),
                changed,
                TreeNodeRecursion::Continue,
            ))
        }
        Expr::Case(case) => hide_in_case(case, guarded),
        Expr::ScalarFunction(mut call) => {
            let lazy = short_circuited(&call);
            let mut changed = false;
            let arguments = std::mem::take(&mut call.args).into_iter().zip(lazy);
            let arguments = arguments.map(|(argument, lazy)| {
                let argument = hide(argument, guarded || lazy)?;
                changed |= argument.transformed;
                Ok(argument.data)
            });
            call.args = arguments.collect::<Result<_>>()?;
            let call = Expr::ScalarFunction(call);
            Ok(Transformed::new(call, changed, TreeNodeRecursion::Continue))
        }
        other => other.map_children(|part| hide(part, guarded)),
    }
}

/// Only the first condition of a CASE is always evaluated.
fn hide_in_case(mut case: Case, guarded: bool) -> Result<Transformed<Expr>> {
    let mut changed = false;
    let mut hide_part = |part: Box<Expr>, guarded| -> Result<Box<Expr>> {
        let part = hide(*part, guarded)?;
        changed |= part.transformed;
        Ok(Box::new(part.data))
    };
    if let Some(base) = case.expr.take() {
        case.expr = Some(hide_part(base, guarded)?);
    }
    let mut branches = Vec::with_capacity(case.when_then_expr.len());
    for (index, (when, then)) in case.when_then_expr.into_iter().enumerate() {
        branches.push((
            hide_part(when, guarded || index > 0)?,
            hide_part(then, true)?,
        ));
    }
    case.when_then_expr = branches;
    if let Some(otherwise) = case.else_expr.take() {
        case.else_expr = Some(hide_part(otherwise, true)?);
    }
    let case = Expr::Case(case);
    Ok(Transformed::new(case, changed, TreeNodeRecursion::Continue))
}
