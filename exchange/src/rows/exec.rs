//! The leaf that reads rows from the coordinator.

use crate::channel::CoordinatorConnection;
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::{StreamExt, TryStreamExt};
use skep_protocol::QueryError;
use skep_protocol::proto::RowsTicket;
use skep_runtime::error::to_datafusion;
use std::fmt;
use std::sync::Arc;

/// Reads a share of rows that only the coordinator has. All partitions of all tasks that read with one
/// ticket get each row once between them.
#[derive(Clone, Debug)]
pub struct CoordinatorRowsExec {
    /// Of the rows as the coordinator sends them.
    rows_schema: SchemaRef,
    projection: Vec<usize>,
    ticket: RowsTicket,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl CoordinatorRowsExec {
    /// Reads with `ticket`, in so many partitions, the columns of `projection`.
    ///
    /// # Errors
    /// Where there is no such column.
    pub fn new(
        rows_schema: SchemaRef,
        projection: Vec<usize>,
        partitions: usize,
        ticket: RowsTicket,
    ) -> Result<Self> {
        let schema = Arc::new(rows_schema.project(&projection)?);
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(Self {
            rows_schema,
            projection,
            ticket,
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        })
    }

    pub(super) fn rows_schema(&self) -> &SchemaRef {
        &self.rows_schema
    }

    pub(super) fn projection(&self) -> &[usize] {
        &self.projection
    }

    pub(super) fn ticket(&self) -> &RowsTicket {
        &self.ticket
    }

    pub(super) fn partitions(&self) -> usize {
        self.properties.partitioning.partition_count()
    }
}

impl DisplayAs for CoordinatorRowsExec {
    fn fmt_as(&self, _t: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "CoordinatorRowsExec: partitions={}", self.partitions())
    }
}

impl ExecutionPlan for CoordinatorRowsExec {
    fn name(&self) -> &str {
        "CoordinatorRowsExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        _children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let coordinator = context
            .session_config()
            .get_extension::<CoordinatorConnection>()
            .ok_or_else(|| {
                to_datafusion(QueryError::internal(
                    "rows of a client are read by executors alone",
                ))
            })?;
        let ticket = self.ticket.clone();
        let batches = coordinator.read(ticket, partition, &self.metrics, &context)?;
        let projection = self.projection.clone();
        let batches = batches
            .and_then(move |batch| {
                std::future::ready(batch.project(&projection).map_err(Into::into))
            })
            .boxed();
        let schema = self.schema();
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}
