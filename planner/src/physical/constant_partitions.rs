//! Windows keep working whose PARTITION BY holds a constant, or a column that is equal to another, when their
//! input is on another node.
//!
//! A constant needs no sorting, nor does a column beside one that is equal to it, so the planner sorts by the
//! other keys alone and knows that the rows are sorted by all. That a column is constant, or equal to
//! another, is forgotten where rows move between nodes, and the window, which looks again, fails there.
//! Sorting by the constant as well, before everything else, or by the equal column right behind the other,
//! says it in a way that is not forgotten, and changes the order of nothing.

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result;
use datafusion::physical_expr::{LexOrdering, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, InputOrderMode};
use std::sync::Arc;

/// Sorts the inputs of such windows by their constants.
pub(crate) fn sort_by_constants(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_up(|node| {
        let Some(keys) = sorted_partition_keys(&node) else {
            return Ok(Transformed::no(node));
        };
        let [input] = node.children()[..] else {
            return Ok(Transformed::no(node));
        };
        let Some(order) = complete_order(&keys, input) else {
            return Ok(Transformed::no(node));
        };
        let sorted = SortExec::new(order, Arc::clone(input)).with_preserve_partitioning(true);
        let node = replace_children_if_necessary(Arc::clone(&node), vec![Arc::new(sorted)])?;
        Ok(Transformed::yes(node))
    })
    .data()
}

/// The order of `input` with the keys that it leaves out because they are constant or equal to others, if there
/// are such.
fn complete_order(
    keys: &[Arc<dyn PhysicalExpr>],
    input: &Arc<dyn ExecutionPlan>,
) -> Option<LexOrdering> {
    let known = input.equivalence_properties();
    let same = |key: &Arc<dyn PhysicalExpr>| known.eq_group().normalize_expr(Arc::clone(key));
    let order = input.output_ordering().into_iter().flatten();
    let order: Vec<PhysicalSortExpr> = order.cloned().collect();
    let is_sorted = |key: &Arc<dyn PhysicalExpr>| order.iter().any(|sorted| sorted.expr.eq(key));
    let (constant, mut missing): (Vec<_>, Vec<_>) = keys
        .iter()
        .filter(|key| !is_sorted(key))
        .partition(|key| known.is_expr_constant(key).is_some());
    let before = missing.len();
    let constant = constant.into_iter().cloned();
    let mut complete: Vec<_> = constant.map(PhysicalSortExpr::new_default).collect();
    // Columns that stand for equal ones of PARTITION BY: what is sorted behind them would not seem to be.
    let mut replaced = Vec::new();
    for sorted in order.iter() {
        let (equal, others) = missing
            .into_iter()
            .partition(|key| same(key).eq(&same(&sorted.expr)));
        missing = others;
        let equal: Vec<&Arc<dyn PhysicalExpr>> = equal;
        let stands_for_others = !equal.is_empty() && !keys.iter().any(|key| sorted.expr.eq(key));
        let equal = equal.into_iter().cloned();
        complete.extend(equal.map(|key| PhysicalSortExpr::new(key, sorted.options)));
        match stands_for_others {
            true => replaced.push(sorted.clone()),
            false => complete.push(sorted.clone()),
        }
    }
    if complete.len() + replaced.len() == order.len() && missing.len() == before {
        return None;
    }
    LexOrdering::new(complete.into_iter().chain(replaced))
}

/// The PARTITION BY of a window that relies on sorted input.
fn sorted_partition_keys(node: &Arc<dyn ExecutionPlan>) -> Option<Vec<Arc<dyn PhysicalExpr>>> {
    let windows = match node.downcast_ref::<BoundedWindowAggExec>() {
        Some(window) if window.input_order_mode == InputOrderMode::Sorted => window.window_expr(),
        Some(_) => return None,
        None => node.downcast_ref::<WindowAggExec>()?.window_expr(),
    };
    Some(windows.first()?.partition_by().to_vec())
}
