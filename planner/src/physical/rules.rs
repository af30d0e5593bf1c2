//! The rules for physical plans: DataFusion's, with what keeps them right.

use crate::join_order::with_decided_joins;
use crate::physical::bounds_pushdown::with_safe_bounds;
use crate::physical::ordered_limits::OrderedLimits;
use crate::physical::padded_constants::PaddedConstants;
use crate::physical::pushdown::guarded;
use datafusion::common::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::ExecutionPlan;
use std::sync::Arc;

type Rule = Arc<dyn PhysicalOptimizerRule + Send + Sync>;

/// Rules that make plans faster, and fail over some: what they put in an operator's place has columns of other
/// names.
const DISPENSABLE: [&str; 1] = ["aggregate_statistics"];

/// All rules, in their order.
pub(crate) fn physical_rules() -> Vec<Rule> {
    let mut rules: Vec<Rule> = vec![Arc::new(PaddedConstants), Arc::new(OrderedLimits)];
    for rule in PhysicalOptimizer::new().rules {
        rules.push(match DISPENSABLE.contains(&rule.name()) {
            true => Arc::new(Dispensable(rule)),
            false => guarded(with_decided_joins(with_safe_bounds(rule))),
        });
    }
    rules
}

/// A rule that leaves alone the plans over which it fails.
#[derive(Debug)]
struct Dispensable(Rule);

impl PhysicalOptimizerRule for Dispensable {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let optimised = self.0.optimize(Arc::clone(&plan), config);
        Ok(optimised.unwrap_or_else(|error| {
            tracing::debug!(%error, rule = self.name(), "a plan is left as it was");
            plan
        }))
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
    use datafusion::arrow::datatypes::Schema;
    use datafusion::common::internal_err;
    use datafusion::physical_plan::empty::EmptyExec;

    #[derive(Debug)]
    struct Failing;

    impl PhysicalOptimizerRule for Failing {
        fn optimize(
            &self,
            _: Arc<dyn ExecutionPlan>,
            _: &ConfigOptions,
        ) -> Result<Arc<dyn ExecutionPlan>> {
            internal_err!("names differ")
        }

        fn name(&self) -> &str {
            DISPENSABLE[0]
        }

        fn schema_check(&self) -> bool {
            true
        }
    }

    #[test]
    fn a_rule_that_is_not_needed_may_fail() {
        let plan: Arc<dyn ExecutionPlan> = Arc::new(EmptyExec::new(Arc::new(Schema::empty())));
        let rule = Dispensable(Arc::new(Failing));
        let kept = rule.optimize(Arc::clone(&plan), &ConfigOptions::default());
        assert!(Arc::ptr_eq(&kept.unwrap(), &plan));
        let shown = format!("{:?}", physical_rules());
        assert!(shown.contains("Dispensable(AggregateStatistics"), "{shown}");
    }
}
