//! Fields of structs that are read next to the scans. DataFusion's rule for that puts them into columns of other names,
//! also within the computed keys of a join (`ON a.s.x = b.s.x + 1`), and the rules after it do not find these keys again.
//! It is not given plans with such joins.

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, ExpressionPlacement, Join, LogicalPlan};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use std::sync::Arc;

/// The rule.
pub(super) const EXTRACT_LEAVES: &str = "extract_leaf_expressions";

/// The rule, for plans that it can be trusted with.
#[derive(Debug)]
pub(super) struct SafeLeaves(pub Arc<dyn OptimizerRule + Send + Sync>);

impl OptimizerRule for SafeLeaves {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        match has_computed_key(&plan)? {
            true => Ok(Transformed::no(plan)),
            false => self.0.rewrite(plan, config),
        }
    }
}

/// Whether a join has a key that is computed from a field.
fn has_computed_key(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Join(Join { on, .. }) = node {
            for key in on.iter().flat_map(|(left, right)| [left, right]) {
                found |= is_computed(key)?;
            }
        }
        Ok(match found {
            true => TreeNodeRecursion::Stop,
            false => TreeNodeRecursion::Continue,
        })
    })?;
    Ok(found)
}

/// Whether an expression is not a field itself, and has one within.
fn is_computed(key: &Expr) -> Result<bool> {
    let is_leaf = |part: &Expr| part.placement() == ExpressionPlacement::MoveTowardsLeafNodes;
    Ok(!is_leaf(key) && key.exists(|part| Ok(is_leaf(part)))?)
}
