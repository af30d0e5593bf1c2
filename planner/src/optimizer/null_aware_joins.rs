//! Refuses the joins of NOT IN that no operator carries out as they are meant.

use datafusion::common::plan_err;
use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

/// Refuses joins that are aware of NULLs and would be carried out by an operator that is not: the only one
/// that is has one key.
#[derive(Debug)]
pub struct NullAwareJoinsHaveOneKey;

impl OptimizerRule for NullAwareJoinsHaveOneKey {
    fn name(&self) -> &str {
        "null_aware_joins_have_one_key"
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        plan.apply_with_subqueries(|node| match node {
            LogicalPlan::Join(join) if join.null_aware && join.on.len() != 1 => {
                plan_err!("this NOT IN with NULLs is not supported: write NOT EXISTS")
            }
            _ => Ok(datafusion::common::tree_node::TreeNodeRecursion::Continue),
        })?;
        Ok(Transformed::no(plan))
    }
}
