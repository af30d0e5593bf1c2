//! `DISTRIBUTE BY`: rows with equal values go to the same task.
//!
//! DataFusion's planner reads it and its physical planner refuses it; spreading by a hash is what it
//! asks for.

use datafusion::common::tree_node::Transformed;
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::logical_expr::{LogicalPlan, Partitioning, Repartition};
use datafusion::optimizer::AnalyzerRule;

/// Makes a hash of every DISTRIBUTE BY.
#[derive(Debug)]
pub struct DistributeByHash;

impl AnalyzerRule for DistributeByHash {
    fn analyze(&self, plan: LogicalPlan, config: &ConfigOptions) -> Result<LogicalPlan> {
        let partitions = config.execution.target_partitions;
        let hashed = plan.transform_up_with_subqueries(|node| {
            Ok(match node {
                LogicalPlan::Repartition(Repartition {
                    input,
                    partitioning_scheme: Partitioning::DistributeBy(keys),
                }) => Transformed::yes(LogicalPlan::Repartition(Repartition {
                    input,
                    partitioning_scheme: Partitioning::Hash(keys, partitions),
                })),
                other => Transformed::no(other),
            })
        })?;
        Ok(hashed.data)
    }

    fn name(&self) -> &str {
        "distribute_by_hash"
    }
}
