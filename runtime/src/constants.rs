//! An operator that forgets which of its columns are constant.
//!
//! DataFusion takes a column for constant that is so on one side of an outer join, although the join puts
//! NULLs into it: `a LEFT JOIN (SELECT * FROM b WHERE k = 1)` has a `k` that is 1 or NULL. Groups by it come
//! out once per batch then, windows begin anew, and it is left out of ORDER BY. GROUPING SETS do the same to
//! their keys. Below such an operator, this one lets nothing be known of constants; the rows are passed on
//! as they are.
//!
//! It stands above unions of different constants, too (`SELECT 'a', id … UNION ALL SELECT 'b', id …`): each
//! partition has one of them, so that it is left out of the sort that an ORDER BY needs. With a LIMIT, all
//! partitions share the bound below which rows are not looked at, and of that sort's keys alone it is none.
//! And it stands below a union's inputs where a column is constant in some of them alone: the union would not
//! see that they are sorted.
//!
//! It goes to the executors with the plan, because they look at the properties of operators again.

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Statistics, internal_datafusion_err};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::filter_pushdown::{
    ChildPushdownResult, FilterDescription, FilterPushdownPhase, FilterPushdownPropagation,
};
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
};
use datafusion_proto::physical_plan::{PhysicalExtensionCodec, PhysicalProtoConverterExtension};
use std::fmt;
use std::sync::Arc;

/// Passes its input's rows on, of whose columns none is known to be constant.
#[derive(Debug)]
pub struct ForgetConstantsExec {
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl ForgetConstantsExec {
    /// Forgets the constants of `input`.
    pub fn new(input: Arc<dyn ExecutionPlan>) -> Self {
        let known = input.equivalence_properties();
        let orderings = known.oeq_class().clone();
        let schema = input.schema();
        let rest = EquivalenceProperties::new_with_orderings(schema, orderings);
        let properties = input.properties().as_ref().clone();
        Self {
            properties: Arc::new(properties.with_eq_properties(rest)),
            input,
        }
    }
}

impl DisplayAs for ForgetConstantsExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "ForgetConstantsExec")
    }
}

impl ExecutionPlan for ForgetConstantsExec {
    fn name(&self) -> &str {
        "ForgetConstantsExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    /// It does, but a sort must not be pushed below, where it is taken for done without the constants.
    fn maintains_input_order(&self) -> Vec<bool> {
        vec![false]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
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
            Some(input) if children.is_empty() => Ok(Arc::new(Self::new(input))),
            _ => Err(one_input()),
        }
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        self.input.execute(partition, context)
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(partition)]
    }

    fn statistics_from_inputs(
        &self,
        inputs: &[Arc<Statistics>],
        _: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        inputs.first().cloned().ok_or_else(one_input)
    }

    fn supports_limit_pushdown(&self) -> bool {
        true
    }

    fn gather_filters_for_pushdown(
        &self,
        _: FilterPushdownPhase,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        _: &ConfigOptions,
    ) -> Result<FilterDescription> {
        FilterDescription::from_children(filters, &self.children())
    }

    fn handle_child_pushdown_result(
        &self,
        _: FilterPushdownPhase,
        result: ChildPushdownResult,
        _: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        Ok(FilterPushdownPropagation::if_all(result))
    }
}

fn one_input() -> datafusion::error::DataFusionError {
    internal_datafusion_err!("ForgetConstantsExec has one input")
}

/// Encodes and decodes [`ForgetConstantsExec`].
#[derive(Clone, Copy, Debug, Default)]
pub struct ForgetConstantsCodec;

impl PhysicalExtensionCodec for ForgetConstantsCodec {
    fn try_decode(
        &self,
        _: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        _: &TaskContext,
        _: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match inputs {
            [input] => Ok(Arc::new(ForgetConstantsExec::new(Arc::clone(input)))),
            _ => Err(one_input()),
        }
    }

    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        _: &mut Vec<u8>,
        _: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        match node.is::<ForgetConstantsExec>() {
            true => Ok(()),
            false => Err(internal_datafusion_err!("{} cannot be sent", node.name())),
        }
    }
}
