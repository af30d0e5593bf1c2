//! Which plans may send their rows from executors straight to clients.
//!
//! Those whose head only gathers what the last stage sends, in any order. A head that merges sorted inputs,
//! cuts at a limit or computes anything has to see all rows, and so has the coordinator.

use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use datafusion_distributed::{DistributedExec, NetworkBoundary, NetworkCoalesceExec};
use skep_exchange::direct::{DirectAudience, DirectReaders};
use skep_protocol::QueryError;
use std::sync::Arc;

/// The readers of the output of the last stage of `plan`, where that is all of the result and somebody asks
/// for it.
pub(crate) fn readers(
    plan: &Arc<dyn ExecutionPlan>,
    audience: impl FnOnce() -> Result<Option<DirectAudience>, QueryError>,
) -> Result<Option<Arc<DirectReaders>>, QueryError> {
    let Some((stage, tasks)) = gathered_stage(plan) else {
        return Ok(None);
    };
    let readers = audience()?.map(|audience| DirectReaders::new(stage, tasks, audience));
    Ok(readers.map(Arc::new))
}

/// The number of the one stage whose rows the head gathers, and how many tasks it has.
fn gathered_stage(plan: &Arc<dyn ExecutionPlan>) -> Option<(usize, usize)> {
    let distributed = plan.downcast_ref::<DistributedExec>()?;
    let mut node = distributed.children().pop()?;
    while matches!(node.name(), "CoalescePartitionsExec" | "CooperativeExec") {
        if node.fetch().is_some() {
            return None;
        }
        node = node.children().pop()?;
    }
    let stage = node.downcast_ref::<NetworkCoalesceExec>()?.input_stage();
    // One stream keeps its order.
    let is_one = node.output_partitioning().partition_count() == 1;
    let is_ordered = node.output_ordering().is_some();
    (is_one || !is_ordered).then(|| (stage.num(), stage.task_count()))
}
