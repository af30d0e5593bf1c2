//! Moves the work of a plan's head off the coordinator.
//!
//! The head of a distributed plan runs where the plan is executed, which is the coordinator; and a
//! plan that was not worth distributing is all head. A coordinator that scans, joins or sorts is no
//! longer there for others, so such a head becomes a stage of one task, and the coordinator only
//! reads what it sends. Heads that do no work, and plans without storage, stay.
//!
//! Decision: A plan with a recursive query stays on the coordinator: its working table cannot be sent.

use crate::distribution::operators::operator_of;
use crate::distribution::sendable::is_sendable;
use datafusion::catalog::memory::DataSourceExec;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::error::Result;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use datafusion_distributed::{
    DistributedExec, DistributedLeafExec, NetworkBoundary, NetworkBoundaryExt, NetworkCoalesceExec,
    Stage,
};
use skep_exchange::rows::CoordinatorRowsExec;
use skep_protocol::QueryError;
use skep_runtime::bulk_scan::BulkScanExec;
use skep_runtime::error::from_datafusion;
use std::sync::Arc;
use uuid::Uuid;

/// Returns `plan` with its head in a stage of one task where the head does real work; else `plan`.
/// The result is to be checked again.
///
/// # Errors
/// Only where a rebuilt operator refuses its own children, which is a defect.
pub fn place_head(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>, QueryError> {
    move_head(plan).map_err(|error| from_datafusion(&error))
}

fn move_head(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let head = match plan.downcast_ref::<DistributedExec>() {
        Some(distributed) => match distributed.children().as_slice() {
            [head] => Arc::clone(head),
            _ => return Ok(plan),
        },
        None => Arc::clone(&plan),
    };
    if must_stay(&head) || !(scans_storage(&head) || is_split_and_busy(&head)) {
        return Ok(plan);
    }
    let (query_id, stage) = next_stage(&head)?;
    let head = undivided(whole_leaves(head)?);
    let boundary = NetworkCoalesceExec::try_new(head, 1, 1)?;
    let Stage::Local(mut local) = boundary.input_stage().clone() else {
        return Ok(plan);
    };
    local.query_id = query_id;
    local.num = stage;
    let boundary: Arc<dyn ExecutionPlan> = boundary.with_input_stage(Stage::Local(local))?;
    Ok(Arc::new(
        DistributedExec::new(boundary).with_metrics_collection(true),
    ))
}

/// Statements about plans, writers, whose effects belong to the coordinator, recursion, whose working table
/// cannot be sent, and what would arrive changed.
fn must_stay(head: &Arc<dyn ExecutionPlan>) -> bool {
    any_in_stage(head, &mut |node| {
        !is_sendable(node) || operator_of(node.as_ref()).stays()
    })
}

/// Whether the head itself, or an undivided plan, reads files or what a client sends.
pub(crate) fn scans_storage(head: &Arc<dyn ExecutionPlan>) -> bool {
    any_in_stage(head, &mut |node| {
        let leaf = match node.downcast_ref::<DistributedLeafExec>() {
            Some(split) => split.original(),
            None => node,
        };
        leaf.is::<CoordinatorRowsExec>()
            || leaf.is::<BulkScanExec>()
            || leaf.downcast_ref::<DataSourceExec>().is_some_and(|scan| {
                scan.data_source()
                    .downcast_ref::<FileScanConfig>()
                    .is_some()
            })
    })
}

/// Whether the head, above other stages, does more than to gather their rows.
fn is_split_and_busy(head: &Arc<dyn ExecutionPlan>) -> bool {
    let split = head
        .exists(|node| Ok(node.is_network_boundary()))
        .unwrap_or(false);
    split
        && any_in_stage(head, &mut |node| {
            !node.is_network_boundary() && !operator_of(node.as_ref()).is_light()
        })
}

fn any_in_stage(
    node: &Arc<dyn ExecutionPlan>,
    found: &mut dyn FnMut(&Arc<dyn ExecutionPlan>) -> bool,
) -> bool {
    found(node)
        || (!node.is_network_boundary()
            && node
                .children()
                .into_iter()
                .any(|child| any_in_stage(child, found)))
}

/// The query's id as the stages carry it, and a stage number that none of them has.
fn next_stage(head: &Arc<dyn ExecutionPlan>) -> Result<(Uuid, usize)> {
    let mut query_id = None;
    let mut highest = 0;
    head.apply(|node| {
        if let Some(boundary) = node.as_network_boundary() {
            let stage = boundary.input_stage();
            query_id.get_or_insert_with(|| stage.query_id());
            highest = highest.max(stage.num());
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok((query_id.unwrap_or_else(Uuid::new_v4), highest + 1))
}

/// A leaf of the head may have been cut into shares although the head is one task; on the coordinator
/// it would read the whole leaf, but a task reads the share with its number.
fn whole_leaves(node: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let whole = node.transform_down(|node| {
        if node.is_network_boundary() {
            return Ok(Transformed::new(node, false, TreeNodeRecursion::Jump));
        }
        match node.downcast_ref::<DistributedLeafExec>() {
            Some(leaf) => Ok(Transformed::yes(Arc::clone(leaf.original()))),
            None => Ok(Transformed::no(node)),
        }
    })?;
    Ok(whole.data)
}

/// The coordinator reads one partition.
fn undivided(head: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
    if head.output_partitioning().partition_count() == 1 {
        head
    } else {
        Arc::new(CoalescePartitionsExec::new(head))
    }
}
