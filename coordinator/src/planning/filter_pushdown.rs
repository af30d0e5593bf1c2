//! DataFusion's push-down of filters in physical plans, where it can be trusted.
//!
//! On its way down, a filter's columns are looked up by their names in the schema of every operator, and
//! the first one of the name is taken. Above a join of `t1` and `t2` that both have a `k`, a filter on the
//! one became a filter on the other: `t1 RIGHT JOIN t2 … WHERE t1.k = t1.k` returned rows whose `t1.k` is
//! NULL. So no filter passes an operator whose columns' names are not unique; it stays above it.

use datafusion::common::config::ConfigOptions;
use datafusion::common::internal_err;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

/// How the names of DataFusion's rules begin that push filters down.
const RULE_NAME: &str = "FilterPushdown";

/// A rule of DataFusion's; one that pushes filters down is kept from operators with ambiguous columns.
pub(super) fn guarded(
    rule: Arc<dyn PhysicalOptimizerRule + Send + Sync>,
) -> Arc<dyn PhysicalOptimizerRule + Send + Sync> {
    match rule.name().starts_with(RULE_NAME) {
        true => Arc::new(GuardedPushdown(rule)),
        false => rule,
    }
}

#[derive(Debug)]
struct GuardedPushdown(Arc<dyn PhysicalOptimizerRule + Send + Sync>);

impl PhysicalOptimizerRule for GuardedPushdown {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut is_ambiguous = false;
        let guarded = plan.transform_up(|node| {
            if has_unique_names(&node) {
                return Ok(Transformed::no(node));
            }
            is_ambiguous = true;
            Ok(Transformed::yes(Arc::new(FilterBarrier(node)) as _))
        })?;
        let pushed = self.0.optimize(guarded.data, config)?;
        if !is_ambiguous {
            return Ok(pushed);
        }
        let without = |node: Arc<dyn ExecutionPlan>| match node.downcast_ref::<FilterBarrier>() {
            Some(barrier) => Ok(Transformed::yes(Arc::clone(&barrier.0))),
            None => Ok(Transformed::no(node)),
        };
        pushed.transform_up(without).data()
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
}

fn has_unique_names(node: &Arc<dyn ExecutionPlan>) -> bool {
    let schema = node.schema();
    let mut names = HashSet::with_capacity(schema.fields().len());
    schema
        .fields()
        .iter()
        .all(|field| names.insert(field.name()))
}

/// Stands above an operator while filters are pushed down, and lets none pass: that is what an operator
/// does that says nothing of them.
#[derive(Debug)]
struct FilterBarrier(Arc<dyn ExecutionPlan>);

impl DisplayAs for FilterBarrier {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "FilterBarrier")
    }
}

impl ExecutionPlan for FilterBarrier {
    fn name(&self) -> &str {
        "FilterBarrier"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.0.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.0]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match children.pop() {
            Some(input) if children.is_empty() => Ok(Arc::new(Self(input))),
            _ => internal_err!("a barrier has one input"),
        }
    }

    fn execute(&self, _: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        internal_err!("a barrier is gone before a plan is run")
    }
}
