//! How many streams a plan has: the windows of all that end on one node have to fit into its memory.

use datafusion::execution::SessionState;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use datafusion_distributed::{DistributedExt, NetworkBoundaryExt, NetworkCoalesceExec};
use skep_protocol::QueryError;
use skep_runtime::error::from_datafusion;
use skep_runtime::session::TaskSession;
use std::sync::Arc;

/// Has every task of `plan` know how many streams there are on its node.
///
/// # Errors
/// `Internal` where the session does not belong to a statement.
pub(crate) fn tell_tasks(
    plan: &Arc<dyn ExecutionPlan>,
    executors: usize,
    state: &mut SessionState,
) -> Result<(), QueryError> {
    let Some(session) = state.config().get_extension::<TaskSession>() else {
        return Ok(());
    };
    let mut streams = 0;
    count(plan, 1, executors.max(1), &mut streams);
    let session = TaskSession {
        node_streams: u32::try_from(streams).unwrap_or(u32::MAX),
        ..session.as_ref().clone()
    };
    state
        .set_distributed_passthrough_headers(session.to_headers()?)
        .map_err(|error| from_datafusion(&error))?;
    state.config_mut().set_extension(Arc::new(session));
    Ok(())
}

/// Adds the streams that `node`, and what is below it, has on the node that runs most of its tasks.
fn count(node: &Arc<dyn ExecutionPlan>, tasks: usize, executors: usize, streams: &mut usize) {
    let mut below = tasks;
    if let Some(boundary) = node.as_network_boundary() {
        below = boundary.input_stage().task_count();
        let partitions = node.output_partitioning().partition_count();
        let of_task = match node.is::<NetworkCoalesceExec>() {
            // Its partitions are those of the tasks that it reads.
            true => partitions,
            false => partitions.saturating_mul(below),
        };
        *streams = streams.saturating_add(of_task.saturating_mul(tasks.div_ceil(executors)));
    }
    for child in node.children() {
        count(child, below, executors, streams);
    }
}
