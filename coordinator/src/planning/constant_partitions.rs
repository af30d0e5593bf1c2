//! Windows whose PARTITION BY holds a constant keep working when their input is on another node.
//!
//! A constant needs no sorting, so the planner sorts by the other keys alone and knows that the rows are
//! sorted by all. That a column is constant is forgotten where rows move between nodes, and the window,
//! which looks again, fails there. Sorting by the constant as well, before everything else, says it in a
//! way that is not forgotten, and changes the order of nothing.

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result;
use datafusion::physical_expr::{LexOrdering, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, InputOrderMode};
use std::sync::Arc;

/// Sorts the inputs of such windows by their constants.
pub(super) fn sort_by_constants(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_up(|node| {
        let Some(keys) = sorted_partition_keys(&node) else {
            return Ok(Transformed::no(node));
        };
        let [input] = node.children()[..] else {
            return Ok(Transformed::no(node));
        };
        let known = input.equivalence_properties();
        let constants = keys
            .into_iter()
            .filter(|key| known.is_expr_constant(key).is_some());
        let constants = constants.map(PhysicalSortExpr::new_default);
        let mut constants = constants.peekable();
        if constants.peek().is_none() {
            return Ok(Transformed::no(node));
        }
        let rest = input.output_ordering().into_iter().flatten().cloned();
        let Some(order) = LexOrdering::new(constants.chain(rest)) else {
            return Ok(Transformed::no(node));
        };
        let sorted = SortExec::new(order, Arc::clone(input)).with_preserve_partitioning(true);
        let node = replace_children_if_necessary(Arc::clone(&node), vec![Arc::new(sorted)])?;
        Ok(Transformed::yes(node))
    })
    .data()
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
