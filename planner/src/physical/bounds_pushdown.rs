//! What DataFusion's aggregates and windows let a scan leave out, where it can be trusted.
//!
//! - `min(a), max(b)` without groups lets scans leave out rows that are within the bounds that were found. The
//!   bounds are those of plain columns alone: a row that only `min(a * 2)` needs is left out. So is a row of a
//!   column that has no bound yet, because all of its values were NULL or did not pass a FILTER. Nor do bounds of
//!   files and pages speak of NaN, which is a maximum. So scans are told only where each row that has been left
//!   out is of no use to any aggregate.
//! - A LIMIT above a window becomes one of the window's input, which is as many rows larger as the window looks
//!   ahead. Where windows stand above one another, the largest of these numbers is taken, not their sum.

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::expressions::Column;
use datafusion::physical_plan::windows::BoundedWindowAggExec;
use std::sync::Arc;

/// The rule that pushes down filters whose values are found while a query runs.
const LATE_FILTERS: &str = "FilterPushdown(Post)";

/// The rule that pushes limits below windows.
const WINDOW_LIMITS: &str = "LimitPushPastWindows";

type Rule = Arc<dyn PhysicalOptimizerRule + Send + Sync>;

/// A rule of DataFusion's; one that would leave out rows that are needed does it only where they are not.
pub(crate) fn with_safe_bounds(rule: Rule) -> Rule {
    match rule.name() {
        LATE_FILTERS => Arc::new(SafeBounds(rule)),
        WINDOW_LIMITS => Arc::new(SafeLimits(rule)),
        _ => rule,
    }
}

/// Pushes no bounds of aggregates into scans where one of them is unsafe.
#[derive(Debug)]
struct SafeBounds(Rule);

impl PhysicalOptimizerRule for SafeBounds {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if !config.optimizer.enable_aggregate_dynamic_filter_pushdown || all_bounds_are_safe(&plan)?
        {
            return self.0.optimize(plan, config);
        }
        let mut config = config.clone();
        config.optimizer.enable_aggregate_dynamic_filter_pushdown = false;
        self.0.optimize(plan, &config)
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
}

fn all_bounds_are_safe(plan: &Arc<dyn ExecutionPlan>) -> Result<bool> {
    let mut are_safe = true;
    plan.apply(|node| {
        let aggregate = node.downcast_ref::<AggregateExec>();
        if aggregate.is_some_and(|aggregate| !has_safe_bounds(aggregate)) {
            are_safe = false;
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(are_safe)
}

/// Whether every row beyond no bound is one that no aggregate needs: there is one aggregate, or each has a
/// bound as soon as there is a row.
fn has_safe_bounds(aggregate: &AggregateExec) -> bool {
    if aggregate.dynamic_expressions_produced().is_empty() {
        return true;
    }
    let schema = aggregate.input_schema();
    let calls = aggregate.aggr_expr();
    let filters = aggregate.filter_expr();
    calls.iter().zip(filters).all(|(call, filter)| {
        let arguments = call.expressions();
        let [argument] = arguments.as_slice() else {
            return false;
        };
        let Ok(field) = argument.return_field(&schema) else {
            return false;
        };
        let has_bound = filter.is_none() && !field.is_nullable();
        argument.is::<Column>()
            && !field.data_type().is_floating()
            && (has_bound || calls.len() == 1)
    })
}

/// Pushes no limit below windows that stand above one another, where one looks ahead.
#[derive(Debug)]
struct SafeLimits(Rule);

impl PhysicalOptimizerRule for SafeLimits {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut windows = 0;
        plan.apply(|node| {
            windows += usize::from(node.is::<BoundedWindowAggExec>());
            Ok(TreeNodeRecursion::Continue)
        })?;
        match windows {
            0 | 1 => self.0.optimize(plan, config),
            _ => Ok(plan),
        }
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::datatypes::{DataType, Field, Schema};
    use datafusion::catalog::MemTable;
    use datafusion::execution::SessionStateBuilder;
    use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
    use datafusion::prelude::{SessionConfig, SessionContext};

    /// Whether the bounds of each aggregate in a statement are safe.
    async fn are_safe(aggregates: &str) -> bool {
        // As it is before DataFusion looks whether a scan takes bounds, which one of batches in memory does not.
        let state = SessionStateBuilder::new()
            .with_config(SessionConfig::new().with_target_partitions(2))
            .with_default_features()
            .with_physical_optimizer_rules(Vec::new())
            .build();
        let context = SessionContext::new_with_state(state);
        let schema = Arc::new(Schema::new(vec![
            Field::new("a", DataType::Int64, true),
            Field::new("b", DataType::Int64, true),
            Field::new("m", DataType::Int64, false),
            Field::new("n", DataType::Utf8, false),
            Field::new("f", DataType::Float64, true),
        ]));
        let table = MemTable::try_new(schema, vec![vec![], vec![]]).unwrap();
        context.register_table("t", Arc::new(table)).unwrap();
        let frame = context.sql(&format!("SELECT {aggregates} FROM t")).await;
        let (state, plan) = frame.unwrap().into_parts();
        let plan = state.optimize(&plan).unwrap();
        let plan = state.query_planner().create_physical_plan(&plan, &state);
        all_bounds_are_safe(&plan.await.unwrap()).unwrap()
    }

    #[tokio::test]
    async fn every_aggregate_must_have_a_bound() {
        for (aggregates, expected) in [
            ("min(a)", true),
            ("max(a) FILTER (WHERE b > 3)", true),
            ("min(m), max(n)", true),
            ("min(m), max(n), sum(a)", true),
            ("min(a * 2), min(b)", false),
            ("min(a), max(b)", false),
            ("min(m), max(n) FILTER (WHERE m > 3)", false),
            ("max(f)", false),
        ] {
            // `sum` has no bound, and then none is pushed.
            assert_eq!(are_safe(aggregates).await, expected, "{aggregates}");
        }
    }

    #[test]
    fn the_rules_are_called_what_they_were() {
        let wrapped = PhysicalOptimizer::new()
            .rules
            .into_iter()
            .map(with_safe_bounds);
        let shown = format!("{:?}", wrapped.collect::<Vec<_>>());
        for name in ["SafeBounds(", "SafeLimits("] {
            assert!(shown.contains(name), "{shown}");
        }
    }
}
