//! The operator that writes.
//!
//! Decision: A write demands of its input that rows of one partition come together: each stream has one open file,
//! however many partitions there are.

use crate::report::report_schema;
use crate::spec::WriteSpec;
use crate::stream::{self, Destination};
use arrow::compute::SortOptions;
use datafusion::common::internal_datafusion_err;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{
    Distribution, EquivalenceProperties, LexRequirement, OrderingRequirements, Partitioning,
    PhysicalExpr, PhysicalSortRequirement,
};
use datafusion::physical_plan::execution_plan::EmissionType;
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties,
    InputDistributionRequirements, PlanProperties,
};
use std::fmt;
use std::sync::Arc;

/// Writes its input into files of a table; returns one row per file (see [`crate::WrittenFile`]). Rows
/// of one partition of the table have to come together, which is what it demands of its input.
#[derive(Debug)]
pub struct TableWriteExec {
    input: Arc<dyn ExecutionPlan>,
    spec: Arc<WriteSpec>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl TableWriteExec {
    /// Writes `input`, whose columns are those of the table in their order.
    pub fn new(input: Arc<dyn ExecutionPlan>, spec: Arc<WriteSpec>) -> Self {
        let partitions = input.output_partitioning().partition_count();
        let properties = PlanProperties::new(
            EquivalenceProperties::new(report_schema()),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            input.boundedness(),
        );
        Self {
            input,
            spec,
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }

    /// What is written.
    pub fn spec(&self) -> &Arc<WriteSpec> {
        &self.spec
    }

    fn column(&self, index: usize) -> Option<Arc<dyn PhysicalExpr>> {
        let schema = self.input.schema();
        let field = schema.fields().get(index)?;
        Some(Arc::new(Column::new(field.name(), index)))
    }

    /// The partition columns, where rows of different partitions may come.
    fn keys(&self) -> Vec<Arc<dyn PhysicalExpr>> {
        if self.spec.is_one_partition {
            return Vec::new();
        }
        let first = self.spec.columns.len();
        (first..first + self.spec.partition_columns.len())
            .filter_map(|index| self.column(index))
            .collect()
    }
}

impl DisplayAs for TableWriteExec {
    fn fmt_as(&self, _t: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(
            f,
            "TableWriteExec: directory={}/{}",
            self.spec.store_url.trim_end_matches('/'),
            self.spec.directory
        )?;
        if !self.spec.partition_columns.is_empty() {
            write!(
                f,
                ", partitioned_by=[{}]",
                self.spec.partition_columns.join(", ")
            )?;
        }
        Ok(())
    }
}

impl ExecutionPlan for TableWriteExec {
    fn name(&self) -> &str {
        "TableWriteExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        let keys = self.keys();
        InputDistributionRequirements::new(vec![match keys.is_empty() {
            _ if self.spec.is_one_file => Distribution::SinglePartition,
            true => Distribution::UnspecifiedDistribution,
            false => Distribution::KeyPartitioned(keys),
        }])
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        let ascending = SortOptions {
            descending: false,
            nulls_first: true,
        };
        let by_partition = self
            .keys()
            .into_iter()
            .map(|key| PhysicalSortRequirement::new(key, Some(ascending)));
        let within = self.spec.sort_columns.iter().filter_map(|sorted| {
            let options = SortOptions {
                descending: sorted.descending,
                nulls_first: !sorted.descending,
            };
            let column = self.column(sorted.index)?;
            Some(PhysicalSortRequirement::new(column, Some(options)))
        });
        let required = LexRequirement::new(by_partition.chain(within));
        vec![required.map(OrderingRequirements::new)]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        // The rows of one file are in the order in which they come.
        vec![self.spec.is_one_file]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        // More streams would only make more and smaller files.
        vec![false]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        for key in self.keys() {
            if f(&key)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match (children.pop(), children.is_empty()) {
            (Some(input), true) => Ok(Arc::new(Self::new(input, Arc::clone(&self.spec)))),
            _ => Err(internal_datafusion_err!("a write has one input")),
        }
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let destination = Destination::new(&self.spec, &context, &self.metrics, partition)?;
        let input = self.input.execute(partition, context)?;
        let reports = stream::write(input, destination);
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            report_schema(),
            reports,
        )))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}
