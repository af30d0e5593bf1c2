//! Keeps the sort below a limit that the sort itself does not apply.
//!
//! DataFusion removes a sort that no operator above it requires, and a limit requires none. Where the limit is
//! part of the sort, the sort stays; `ORDER BY … OFFSET n` without a LIMIT is not, and lost its order: it left out
//! any n rows. [`OrderedLimits`] makes the order a requirement until the rules have run.

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result;
use datafusion::physical_expr::{Distribution, OrderingRequirements};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::output_requirements::OutputRequirementExec;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::limit::{GlobalLimitExec, LocalLimitExec};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use std::sync::Arc;

/// Has limits require the order of the sort below them. It belongs before the rules that remove sorts; the rule
/// that ends DataFusion's own requirements on the output ends this one, too.
#[derive(Debug)]
pub(crate) struct OrderedLimits;

impl PhysicalOptimizerRule for OrderedLimits {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(require_order).data()
    }

    fn name(&self) -> &str {
        "ordered_limits"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn require_order(limit: Arc<dyn ExecutionPlan>) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
    let distribution = if limit.is::<GlobalLimitExec>() {
        Distribution::SinglePartition
    } else if limit.is::<LocalLimitExec>() {
        Distribution::UnspecifiedDistribution
    } else {
        return Ok(Transformed::no(limit));
    };
    let (projections, input) = below_projections(&limit);
    let is_sort = input.is::<SortExec>() || input.is::<SortPreservingMergeExec>();
    let ordering = input.output_ordering().cloned();
    let (true, None, Some(ordering)) = (is_sort, input.fetch(), ordering) else {
        return Ok(Transformed::no(limit));
    };
    let requirement = Some(OrderingRequirements::from(ordering));
    let input = OutputRequirementExec::new(input, requirement, distribution, None);
    let limited = replace_children_if_necessary(limit, vec![Arc::new(input)])?;
    let mut projected = projections.into_iter().rev();
    let projected = projected.try_fold(limited, |input, projection| {
        replace_children_if_necessary(projection, vec![input])
    })?;
    Ok(Transformed::yes(projected))
}

/// The projections below a limit, from above, and what is below them: rows may be projected after the limit as
/// well, while the columns are there that the order needs.
fn below_projections(
    limit: &Arc<dyn ExecutionPlan>,
) -> (Vec<Arc<dyn ExecutionPlan>>, Arc<dyn ExecutionPlan>) {
    let mut projections = Vec::new();
    let mut below = limit;
    while let [input] = below.children().as_slice() {
        below = *input;
        match below.is::<ProjectionExec>() {
            true => projections.push(Arc::clone(below)),
            false => break,
        }
    }
    (projections, Arc::clone(below))
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{AsArray, Int64Array};
    use datafusion::arrow::datatypes::Int64Type;
    use datafusion::arrow::record_batch::RecordBatch;
    use datafusion::datasource::MemTable;
    use datafusion::execution::SessionStateBuilder;
    use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
    use datafusion::prelude::{SessionConfig, SessionContext};

    fn session(is_guarded: bool) -> SessionContext {
        let mut rules = PhysicalOptimizer::new().rules;
        if is_guarded {
            rules.insert(0, Arc::new(OrderedLimits));
        }
        let state = SessionStateBuilder::new()
            .with_default_features()
            .with_config(SessionConfig::new().with_target_partitions(2))
            .with_physical_optimizer_rules(rules)
            .build();
        let context = SessionContext::new_with_state(state);
        let batch = |ids: Vec<i64>| {
            let ids: Arc<Int64Array> = Arc::new(ids.into());
            RecordBatch::try_from_iter([("id", Arc::clone(&ids) as _), ("v", ids as _)]).unwrap()
        };
        let parts = vec![vec![batch(vec![5, 1])], vec![batch(vec![4, 2, 3])]];
        let table = MemTable::try_new(parts[0][0].schema(), parts).unwrap();
        context.register_table("t", Arc::new(table)).unwrap();
        context
    }

    async fn value(context: &SessionContext, sql: &str) -> i64 {
        let batches = context.sql(sql).await.unwrap().collect().await.unwrap();
        batches[0].column(0).as_primitive::<Int64Type>().value(0)
    }

    #[tokio::test]
    async fn an_offset_leaves_out_the_first_rows_of_the_order() {
        for (sql, expected) in [
            (
                "SELECT min(v) FROM (SELECT v FROM t ORDER BY id OFFSET 2)",
                3,
            ),
            (
                "SELECT max(id) FROM (SELECT id FROM t ORDER BY id DESC OFFSET 3)",
                2,
            ),
            (
                "SELECT sum(w) FROM (SELECT v + 1 AS w FROM t ORDER BY id OFFSET 4)",
                6,
            ),
            (
                "SELECT count(*) FROM (SELECT v FROM t ORDER BY id OFFSET 9)",
                0,
            ),
            (
                "SELECT sum(v) FROM (SELECT v FROM t ORDER BY id LIMIT 2 OFFSET 1)",
                5,
            ),
        ] {
            assert_eq!(value(&session(true), sql).await, expected, "{sql}");
        }
    }

    /// Shows that the rule is still needed.
    #[tokio::test]
    async fn without_the_rule_any_rows_are_left_out() {
        let sql = "SELECT min(v) FROM (SELECT v FROM t ORDER BY id OFFSET 2)";
        assert_ne!(value(&session(false), sql).await, 3);
    }

    #[tokio::test]
    async fn plans_without_such_a_limit_stay_as_they_are() {
        let context = session(true);
        for sql in [
            "SELECT id FROM t ORDER BY id LIMIT 2",
            "SELECT id FROM t LIMIT 2",
        ] {
            let frame = context.sql(sql).await.unwrap();
            let plan = frame.create_physical_plan().await.unwrap();
            let again = OrderedLimits.optimize(Arc::clone(&plan), &ConfigOptions::default());
            assert!(Arc::ptr_eq(&again.unwrap(), &plan), "{sql}");
        }
    }
}
