//! Has physical joins follow what was decided of them: which side is built, and whether on every node.
//!
//! An [`Estimated`] node of a logical plan becomes an operator that passes its input on and knows how many rows
//! that is taken to have. DataFusion's choice of sides is asked for the joins that have not been decided on, one
//! by one, with those estimates; then the operators go.

use crate::statistics::{Build, Estimated};
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::config::ConfigOptions;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Statistics, internal_err};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{LogicalPlan, UserDefinedLogicalNode};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, PartitionMode,
};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use datafusion::physical_planner::{ExtensionPlanner, PhysicalPlanner};
use std::fmt;
use std::sync::Arc;

type Rule = Arc<dyn PhysicalOptimizerRule + Send + Sync>;

/// The rule that chooses the sides of joins.
const JOIN_SELECTION: &str = "join_selection";

/// The rule that chooses the sides of joins, for those that have not been decided on; other rules as they are.
pub fn with_decided_joins(rule: Rule) -> Rule {
    match rule.name() {
        JOIN_SELECTION => Arc::new(DecidedJoins(rule)),
        _ => rule,
    }
}

/// Makes the operators of estimates.
pub struct EstimatePlanner;

#[async_trait]
impl ExtensionPlanner for EstimatePlanner {
    async fn plan_extension(
        &self,
        _planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _logical_inputs: &[&LogicalPlan],
        physical_inputs: &[Arc<dyn ExecutionPlan>],
        _session: &dyn Session,
        _planning_context: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let Some(estimated) = node.as_any().downcast_ref::<Estimated>() else {
            return Ok(None);
        };
        match physical_inputs {
            [input] => Ok(Some(Arc::new(EstimatedExec {
                input: Arc::clone(input),
                rows: estimated.rows(),
                row_bytes: estimated.row_bytes(),
                build: estimated.build(),
            }))),
            _ => internal_err!("an estimate has one input"),
        }
    }
}

/// Passes its input on while a plan is made, and says how many rows it is taken to have.
#[derive(Debug)]
struct EstimatedExec {
    input: Arc<dyn ExecutionPlan>,
    rows: f64,
    row_bytes: f64,
    build: Option<Build>,
}

impl DisplayAs for EstimatedExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "EstimatedExec: rows={:.0}", self.rows)
    }
}

impl ExecutionPlan for EstimatedExec {
    fn name(&self) -> &str {
        "EstimatedExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
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
            Some(input) if children.is_empty() => Ok(Arc::new(Self {
                input,
                rows: self.rows,
                row_bytes: self.row_bytes,
                build: self.build,
            })),
            _ => internal_err!("an estimate has one input"),
        }
    }

    fn statistics_from_inputs(
        &self,
        _inputs: &[Arc<Statistics>],
        _args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        let mut statistics = Statistics::new_unknown(&self.schema());
        statistics.num_rows = Precision::Inexact(self.rows as usize);
        statistics.total_byte_size = Precision::Inexact((self.rows * self.row_bytes) as usize);
        Ok(Arc::new(statistics))
    }

    fn execute(&self, _: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        internal_err!("an estimate is gone before a plan is run")
    }
}

/// Stands in the place of a join's input while its sides are chosen.
#[derive(Debug)]
struct Input {
    plan: Arc<dyn ExecutionPlan>,
    statistics: Arc<Statistics>,
}

impl Input {
    fn new(plan: Arc<dyn ExecutionPlan>) -> Result<Self> {
        let statistics =
            StatisticsContext::new().compute(plan.as_ref(), &StatisticsArgs::default())?;
        Ok(Self { plan, statistics })
    }
}

impl DisplayAs for Input {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "Input")
    }
}

impl ExecutionPlan for Input {
    fn name(&self) -> &str {
        "Input"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.plan.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn statistics_from_inputs(
        &self,
        _inputs: &[Arc<Statistics>],
        _args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        Ok(Arc::clone(&self.statistics))
    }

    fn execute(&self, _: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        internal_err!("an input was hidden when its plan was run")
    }
}

#[derive(Debug)]
struct DecidedJoins(Rule);

impl PhysicalOptimizerRule for DecidedJoins {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut found = false;
        plan.apply(|node| {
            found = node.is::<EstimatedExec>();
            Ok(match found {
                true => TreeNodeRecursion::Stop,
                false => TreeNodeRecursion::Continue,
            })
        })?;
        if !found {
            return self.0.optimize(plan, config);
        }
        let chosen = plan.transform_up(|node| self.choose(node, config))?;
        let without = |node: Arc<dyn ExecutionPlan>| {
            let estimated = node.downcast_ref::<EstimatedExec>();
            Ok(
                match estimated.map(|estimated| Arc::clone(&estimated.input)) {
                    Some(input) => Transformed::yes(input),
                    None => Transformed::no(node),
                },
            )
        };
        chosen.data.transform_up(without).data()
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
}

impl DecidedJoins {
    /// The join as it was decided on, or as the rule chooses; everything else as it is.
    fn choose(
        &self,
        node: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
        let join = node.downcast_ref::<HashJoinExec>();
        if let Some(join) = join
            && let Some(build) = decided(join.left())
        {
            let mode = match build {
                Build::Broadcast => PartitionMode::CollectLeft,
                Build::Partitioned => PartitionMode::Partitioned,
            };
            // With one partition there is nothing that could be divided.
            let mode = match join.partition_mode() {
                PartitionMode::CollectLeft => PartitionMode::CollectLeft,
                _ => mode,
            };
            let decided = join.builder().with_partition_mode(mode).build()?;
            return Ok(Transformed::yes(Arc::new(decided)));
        }
        let is_join =
            join.is_some() || node.is::<CrossJoinExec>() || node.is::<NestedLoopJoinExec>();
        if !is_join {
            return Ok(Transformed::no(node));
        }
        let inputs = node.children().into_iter();
        let inputs = inputs.map(|input| Ok(Arc::new(Input::new(Arc::clone(input))?) as _));
        let inputs = inputs.collect::<Result<Vec<_>>>()?;
        let hidden = replace_children_if_necessary(node, inputs)?;
        let chosen = self.0.optimize(hidden, config)?;
        let shown = chosen.transform_up(|node| {
            let input = node.downcast_ref::<Input>();
            Ok(match input.map(|input| Arc::clone(&input.plan)) {
                Some(plan) => Transformed::yes(plan),
                None => Transformed::no(node),
            })
        })?;
        Ok(Transformed::yes(shown.data))
    }
}

/// How an input is built, where that was decided.
fn decided(input: &Arc<dyn ExecutionPlan>) -> Option<Build> {
    if let Some(estimated) = input.downcast_ref::<EstimatedExec>() {
        return estimated.build;
    }
    let projection = input.downcast_ref::<ProjectionExec>()?;
    decided(projection.input())
}
