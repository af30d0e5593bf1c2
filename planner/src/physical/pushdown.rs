//! What DataFusion pushes down in physical plans, where it can be trusted.
//!
//! - On its way down, a filter's columns are looked up by their names in the schema of every operator, and
//!   the first one of the name is taken. Above a join of `t1` and `t2` that both have a `k`, a filter on the
//!   one became a filter on the other: `t1 RIGHT JOIN t2 … WHERE t1.k = t1.k` returned rows whose `t1.k` is
//!   NULL. So no filter passes an operator whose columns' names are not unique; it stays above it.
//! - A projection that passes a sort-merge join with a filter leaves the filter as it is, with the places that
//!   columns had before: it looked at other columns then, or at none. So no projection passes such a join.
//! - What may fail is kept above the filters and joins that it stood above: see [`crate::optimizer::guards`].

use crate::optimizer::guards::barriers::{is_guarded_join, is_held_filter, is_held_projection};
use datafusion::common::config::ConfigOptions;
use datafusion::common::internal_err;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::joins::SortMergeJoinExec;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

/// How the names of DataFusion's rules begin that push filters down.
const FILTERS: &str = "FilterPushdown";

/// The rule that pushes projections down.
const PROJECTIONS: &str = "ProjectionPushdown";

type Rule = Arc<dyn PhysicalOptimizerRule + Send + Sync>;

/// A rule of DataFusion's; one that pushes something down is kept from operators that it must not pass.
pub(crate) fn guarded(rule: Rule) -> Rule {
    let stops: fn(&Arc<dyn ExecutionPlan>) -> Stop = match rule.name() {
        name if name.starts_with(FILTERS) => {
            |node| match has_ambiguous_names(node) || is_held_filter(node) {
                true => Stop::Above,
                false => Stop::Nowhere,
            }
        }
        PROJECTIONS => |node| match () {
            () if is_filtered_merge_join(node) => Stop::Above,
            () if is_held_projection(node) => Stop::Below,
            () if is_guarded_join(node) => Stop::Within,
            () => Stop::Nowhere,
        },
        _ => return rule,
    };
    Arc::new(GuardedPushdown { rule, stops })
}

/// Where nothing may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    Nowhere,
    /// From an operator's parent into it.
    Above,
    /// From the operator into its inputs.
    Below,
    /// From the operator itself into its inputs.
    Within,
}

#[derive(Debug)]
struct GuardedPushdown {
    rule: Rule,
    /// Whether something may pass an operator.
    stops: fn(&Arc<dyn ExecutionPlan>) -> Stop,
}

impl PhysicalOptimizerRule for GuardedPushdown {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut has_barriers = false;
        let guarded = plan.transform_up(|node| {
            let stop = (self.stops)(&node);
            has_barriers |= stop != Stop::Nowhere;
            Ok(match stop {
                Stop::Nowhere => Transformed::no(node),
                Stop::Above => Transformed::yes(Arc::new(Barrier(node)) as _),
                Stop::Within => Transformed::yes(Arc::new(Opaque(node)) as _),
                Stop::Below => {
                    let inputs = node.children().into_iter();
                    let inputs = inputs.map(|input| Arc::new(Barrier(Arc::clone(input))) as _);
                    let inputs = inputs.collect();
                    Transformed::yes(replace_children_if_necessary(node, inputs)?)
                }
            })
        })?;
        let pushed = self.rule.optimize(guarded.data, config)?;
        if !has_barriers {
            return Ok(pushed);
        }
        let without = |node: Arc<dyn ExecutionPlan>| {
            let barrier = node.downcast_ref::<Barrier>().map(|barrier| &barrier.0);
            let opaque = node.downcast_ref::<Opaque>().map(|opaque| &opaque.0);
            Ok(match barrier.or(opaque) {
                Some(inner) => Transformed::yes(Arc::clone(inner)),
                None => Transformed::no(node),
            })
        };
        pushed.transform_up(without).data()
    }

    fn name(&self) -> &str {
        self.rule.name()
    }

    fn schema_check(&self) -> bool {
        self.rule.schema_check()
    }
}

fn is_filtered_merge_join(node: &Arc<dyn ExecutionPlan>) -> bool {
    let join = node.downcast_ref::<SortMergeJoinExec>();
    join.is_some_and(|join| join.filter().is_some())
}

fn has_ambiguous_names(node: &Arc<dyn ExecutionPlan>) -> bool {
    let schema = node.schema();
    let mut names = HashSet::with_capacity(schema.fields().len());
    let mut fields = schema.fields().iter();
    !fields.all(|field| names.insert(field.name()))
}

/// Stands above an operator while something is pushed down, and lets nothing pass: that is what an operator
/// does that says nothing of it.
#[derive(Debug)]
struct Barrier(Arc<dyn ExecutionPlan>);

impl DisplayAs for Barrier {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "Barrier")
    }
}

impl ExecutionPlan for Barrier {
    fn name(&self) -> &str {
        "Barrier"
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

/// Stands in the place of an operator of which nothing may be taken out. Its inputs are looked at.
#[derive(Debug)]
struct Opaque(Arc<dyn ExecutionPlan>);

impl DisplayAs for Opaque {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "Opaque")
    }
}

impl ExecutionPlan for Opaque {
    fn name(&self) -> &str {
        "Opaque"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.0.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.0.children()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let inner = replace_children_if_necessary(Arc::clone(&self.0), children)?;
        Ok(Arc::new(Self(inner)))
    }

    fn execute(&self, _: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        internal_err!("an operator was hidden when its plan was run")
    }
}
