//! A panic in an operator is one typed error for its query, and nothing else.
//!
//! Streams are guarded where a task's output leaves the task, and below the one operator of the base
//! library that would take a panicked input for a finished one (`BroadcastExec`).

use crate::compact::compact;
use crate::error::to_datafusion;
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties,
    ReplaceChildrenOptions,
};
use futures::StreamExt;
use skep_protocol::{ErrorCode, QueryError};
use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// The name of the base library's operator that sends its input to all tasks of a stage.
const BROADCAST: &str = "BroadcastExec";

/// Runs `execute`, turning a panic into an error.
///
/// # Errors
/// `OPERATOR_PANIC`, or what `execute` returns.
pub fn guard_call<T>(execute: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(execute)).unwrap_or_else(|panic| Err(panic_error(panic.as_ref())))
}

/// The same stream, ending with an error where it would panic.
pub fn guard_stream(stream: SendableRecordBatchStream) -> SendableRecordBatchStream {
    let schema = stream.schema();
    let guarded = AssertUnwindSafe(stream)
        .catch_unwind()
        .map(|item| item.unwrap_or_else(|panic| Err(panic_error(panic.as_ref()))));
    Box::pin(RecordBatchStreamAdapter::new(schema, guarded))
}

fn panic_error(panic: &(dyn Any + Send)) -> datafusion::error::DataFusionError {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a message".to_owned());
    to_datafusion(QueryError::new(
        ErrorCode::Panic,
        format!("an operator panicked: {text}"),
    ))
}

/// Puts a guard below every broadcast of a task's plan.
///
/// # Errors
/// Those of rebuilding the plan.
pub fn guard_broadcasts(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let guarded = plan.transform_up(|node| {
        let input = match node.children().as_slice() {
            [input] if node.name() == BROADCAST => Arc::clone(input),
            _ => return Ok(Transformed::no(node)),
        };
        let input = PanicGuardExec::new(input);
        let node = node.replace_children(
            vec![Arc::new(input)],
            ReplaceChildrenOptions::new(ChildrenPropertiesMode::Keep),
        )?;
        Ok(Transformed::yes(node))
    })?;
    Ok(guarded.data)
}

/// Executes its inner node and turns a panic of its stream into an error. In every other respect it is
/// the inner node: the tree, the display and the statistics are as if it were not there.
pub struct PanicGuardExec {
    inner: Arc<dyn ExecutionPlan>,
}

impl PanicGuardExec {
    /// Guards `inner`.
    pub fn new(inner: Arc<dyn ExecutionPlan>) -> Self {
        Self { inner }
    }
}

impl fmt::Debug for PanicGuardExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PanicGuardExec({:?})", self.inner)
    }
}

impl DisplayAs for PanicGuardExec {
    fn fmt_as(&self, t: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        self.inner.fmt_as(t, f)
    }
}

impl ExecutionPlan for PanicGuardExec {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn schema(&self) -> SchemaRef {
        self.inner.schema()
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.inner.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.inner.children()
    }

    fn downcast_delegate(&self) -> Option<&dyn ExecutionPlan> {
        Some(self.inner.as_ref())
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.inner.apply_expressions(f)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let inner = Arc::clone(&self.inner).replace_children(
            children,
            ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute),
        )?;
        Ok(Arc::new(Self { inner }))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let stream = guard_call(|| self.inner.execute(partition, context)).map(guard_stream)?;
        // A broadcast keeps every batch until the last reader has it: none should keep more than its
        // own rows.
        let schema = stream.schema();
        let compacted = stream.map(|batch| batch.and_then(compact));
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, compacted)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        self.inner.metrics()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::from_datafusion;
    use arrow::datatypes::Schema;
    use futures::stream;

    #[tokio::test]
    async fn a_panicking_stream_ends_with_an_error() {
        let schema = Arc::new(Schema::empty());
        let panicking = stream::once(async { panic!("operator broke") });
        let stream = Box::pin(RecordBatchStreamAdapter::new(schema, panicking));
        let items: Vec<_> = guard_stream(stream).collect().await;
        assert_eq!(items.len(), 1);
        let error = from_datafusion(items[0].as_ref().unwrap_err());
        assert_eq!(error.code, ErrorCode::Panic);
        assert!(error.message.contains("operator broke"));
    }

    #[test]
    fn a_panicking_call_is_an_error() {
        let error = guard_call::<()>(|| panic!("broke")).unwrap_err();
        assert_eq!(from_datafusion(&error).code, ErrorCode::Panic);
    }
}
