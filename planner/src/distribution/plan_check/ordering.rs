//! Orders that something relies on, followed from there down to where each is made.
//!
//! A shuffle or a broadcast from several tasks interleaves their rows, whatever the boundary claims
//! about their order. A merge or a window above would go wrong without noticing.

use super::{Fingerprint, Rule, Scope, Walk};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use datafusion_distributed::{
    NetworkBoundaryExt, NetworkBroadcastExec, NetworkCoalesceExec, NetworkShuffleExec,
};
use std::sync::Arc;

/// Where an order got lost.
struct Lost {
    detail: String,
    culprit: Fingerprint,
}

/// Checks what `node` requires of its inputs' orders, as claimed and as it is.
pub(super) fn check_requirements(walk: &mut Walk, node: &Arc<dyn ExecutionPlan>, scope: &Scope) {
    let required = node.required_input_ordering();
    for (index, (child, required)) in node.children().into_iter().zip(required).enumerate() {
        let Some(required) = required else {
            continue;
        };
        let claimed = child
            .equivalence_properties()
            .ordering_satisfy_requirement(required.into_single())
            .unwrap_or(false);
        if !claimed {
            let detail = format!("input {index} is not in the order that it has to be in");
            walk.report(Rule::WithinTask, node, scope, detail);
        } else if let Err(lost) = trace(child, &scope.root) {
            walk.report_culprit(Rule::Ordering, node, scope, lost.detail, lost.culprit);
        }
    }
}

/// Checks the order that the whole plan promises to its reader.
pub(super) fn check_promise(plan: &Arc<dyn ExecutionPlan>, head: &Scope, walk: &mut Walk) {
    if let Err(lost) = trace(plan, &head.root) {
        walk.report_culprit(Rule::Ordering, plan, head, lost.detail, lost.culprit);
    }
}

/// Follows the order that `node` claims to where it is made; `stage_root` is the stage's top.
fn trace(node: &Arc<dyn ExecutionPlan>, stage_root: &Arc<dyn ExecutionPlan>) -> Result<(), Lost> {
    if node.output_ordering().is_none() {
        return Ok(());
    }
    if node.is_network_boundary() {
        return trace_boundary(node, stage_root);
    }
    let transparent = node.name() == "DistributedExec";
    for (child, kept) in node
        .children()
        .into_iter()
        .zip(node.maintains_input_order())
    {
        if kept || transparent {
            trace(child, stage_root)?;
        }
    }
    Ok(())
}

fn trace_boundary(
    node: &Arc<dyn ExecutionPlan>,
    stage_root: &Arc<dyn ExecutionPlan>,
) -> Result<(), Lost> {
    let Some(stage) = node
        .as_network_boundary()
        .map(|boundary| boundary.input_stage())
    else {
        return Ok(());
    };
    let Some(producer) = stage.local_plan() else {
        return Ok(()); // refused where boundaries are checked
    };
    let interleaves = node.is::<NetworkShuffleExec>() || node.is::<NetworkBroadcastExec>();
    if stage.task_count() > 1 && interleaves {
        return Err(Lost {
            detail: format!(
                "the order is lost where {} reads {} tasks of stage {} at once",
                node.name(),
                stage.task_count(),
                stage.num()
            ),
            culprit: Fingerprint::of_stage(producer),
        });
    }
    let claimed = node.output_ordering().is_none_or(|ordering| {
        producer
            .equivalence_properties()
            .ordering_satisfy(ordering.iter().cloned())
            .unwrap_or(false)
    });
    if !claimed {
        return Err(Lost {
            detail: format!(
                "{} claims an order that stage {} has not",
                node.name(),
                stage.num()
            ),
            culprit: Fingerprint::of_stage(producer).and(Fingerprint::of_stage(stage_root)),
        });
    }
    debug_assert!(interleaves || node.is::<NetworkCoalesceExec>());
    trace(producer, producer)
}
