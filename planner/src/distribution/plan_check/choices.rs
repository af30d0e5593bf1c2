//! Choices that must not be made once per task: where every task has all rows, all of them must come
//! to the same result, or the stage's tasks work on different data.

use super::operators::{Operator, Placement};
use super::{Rule, Scope, Walk, limits};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::physical_expr_common::physical_expr::is_volatile;
use datafusion::physical_plan::ExecutionPlan;
use std::sync::Arc;

/// Refuses limits, window functions and volatile expressions over rows that every task has: rows
/// arrive in another order in each task, so each would choose, number or draw differently.
pub(super) fn check(
    walk: &mut Walk,
    operator: &Operator,
    node: &Arc<dyn ExecutionPlan>,
    inputs: &[Placement],
    scope: &Scope,
) {
    let whole = inputs.iter().all(|input| *input == Placement::Replicated);
    if !whole || *operator == Operator::SplitLeaf {
        return;
    }
    let what = if limits::has_limit(node) {
        "a limit"
    } else if *operator == Operator::Window {
        "a window function"
    } else if has_volatile_expression(node) {
        "a volatile expression"
    } else {
        return;
    };
    let detail = format!("{what} over rows that every task has may come out differently in each");
    walk.report(Rule::DivergingChoice, node, scope, detail);
}

/// Errors of the visit count as volatile: what cannot be looked at is not vouched for.
fn has_volatile_expression(node: &Arc<dyn ExecutionPlan>) -> bool {
    let mut volatile = false;
    let visited = node.apply_expressions(&mut |expression| {
        volatile |= is_volatile(expression);
        Ok(TreeNodeRecursion::Continue)
    });
    volatile || visited.is_err()
}
