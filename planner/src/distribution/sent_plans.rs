//! Refuses plans that would arrive at executors other than they were sent, where a session asks for it.

use crate::session::SkepOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::execution::{SessionState, TaskContext};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion_distributed::{DistributedLeafExec, NetworkBoundaryExt, Stage};
use skep_exchange::round_trip::difference;
use skep_protocol::{ErrorCode, QueryError};
use skep_runtime::error::from_datafusion;
use std::sync::Arc;

/// Sends every stage of a plan to itself, where the session's `skep.verify_sent_plans` says so.
///
/// # Errors
/// `UnsafePlan` where something does not arrive.
pub(crate) fn verify(
    plan: &Arc<dyn ExecutionPlan>,
    state: &SessionState,
) -> Result<(), QueryError> {
    let options = state.config().options().extensions.get::<SkepOptions>();
    if !options.is_some_and(|options| options.verify_sent_plans) {
        return Ok(());
    }
    let context = TaskContext::from(state);
    let mut changed = None;
    let sent = Arc::clone(plan).transform_up(|node| {
        let Some(boundary) = node.as_network_boundary() else {
            return Ok(Transformed::no(node));
        };
        let Stage::Local(mut stage) = boundary.input_stage().clone() else {
            return Ok(Transformed::no(node));
        };
        // What cannot be sent at all fails where it is sent, with an error of its own.
        if let Ok(Some(found)) = difference(&first_task(&stage.plan)?, &context) {
            changed.get_or_insert((stage.num, found));
        }
        // What runs in another stage is not sent with this one.
        stage.plan = Arc::new(EmptyExec::new(stage.plan.schema()));
        Ok(Transformed::yes(
            boundary.with_input_stage(Stage::Local(stage))?,
        ))
    });
    sent.map_err(|error| from_datafusion(&error))?;
    match changed {
        None => Ok(()),
        Some((stage, difference)) => Err(QueryError::new(
            ErrorCode::UnsafePlan,
            format!("stage {stage} would arrive changed; {difference}"),
        )),
    }
}

/// What the first task of a stage is sent.
fn first_task(stage: &Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let first = Arc::clone(stage).transform_down(|node| {
        let share = node.downcast_ref::<DistributedLeafExec>();
        let share = share.and_then(|leaf| leaf.variants().first().map(Arc::clone));
        Ok(match share {
            Some(share) => Transformed::yes(share),
            None => Transformed::no(node),
        })
    })?;
    Ok(first.data)
}
