//! Lets operators that make many rows of few give way to others.
//!
//! The base library has its scans give way: an operator that reads nothing for minutes, because it combines
//! what it has read long before, never does. Nothing else ran on its thread then, and nobody could cancel
//! it. So every join that multiplies its inputs gives way after some batches.

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::joins::{CrossJoinExec, NestedLoopJoinExec};
use std::sync::Arc;

/// Puts an operator that gives way above every join without keys.
pub(crate) fn cooperate(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_up(|node| {
        let multiplies = node.is::<CrossJoinExec>() || node.is::<NestedLoopJoinExec>();
        Ok(match multiplies {
            true => Transformed::yes(Arc::new(CooperativeExec::new(node)) as _),
            false => Transformed::no(node),
        })
    })
    .data()
}
