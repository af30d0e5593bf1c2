//! Exchanges: what crosses a boundary between two stages, and whether both ends count alike.

use super::operators::Placement;
use super::{Ancestor, Fingerprint, Rule, Scope, Walk};
use datafusion::physical_expr::Partitioning;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use datafusion_distributed::{
    BroadcastExec, NetworkBoundaryExt, NetworkBroadcastExec, NetworkCoalesceExec,
    NetworkShuffleExec, Stage,
};
use std::sync::Arc;

/// Checks a boundary and the stage below it; says how the rows arrive in the stage above.
pub(super) fn check(walk: &mut Walk, node: &Arc<dyn ExecutionPlan>, consumer: &Scope) -> Placement {
    let stage = node
        .as_network_boundary()
        .map(|boundary| boundary.input_stage());
    let Some(Stage::Local(stage)) = stage else {
        let detail = "its stage has already been sent away".to_owned();
        walk.report(Rule::Boundary, node, consumer, detail);
        return Placement::Scattered;
    };
    let producer = Scope {
        stage: stage.num,
        tasks: stage.tasks,
        root: Arc::clone(&stage.plan),
    };
    walk.ancestors.push(Ancestor {
        node: Arc::clone(node),
        tasks: consumer.tasks,
    });
    let produced = walk.visit(&stage.plan, &producer);
    walk.ancestors.pop();

    if producer.tasks > 1 && produced == Placement::Replicated {
        let detail = format!("each of {} tasks sends all rows", producer.tasks);
        walk.report(Rule::DuplicatedRows, &stage.plan, &producer, detail);
    }
    if let Err(detail) = check_counts(node, &producer, consumer.tasks) {
        let culprit =
            Fingerprint::of_stage(&producer.root).and(Fingerprint::of_stage(&consumer.root));
        walk.report_culprit(Rule::Boundary, node, consumer, detail, culprit);
    }
    if consumer.tasks == 1 || node.is::<NetworkBroadcastExec>() {
        Placement::Replicated
    } else if node.is::<NetworkShuffleExec>() {
        Placement::Partitioned
    } else {
        Placement::Scattered
    }
}

fn check_counts(
    node: &Arc<dyn ExecutionPlan>,
    producer: &Scope,
    consumer_tasks: usize,
) -> Result<(), String> {
    if producer.tasks == 0 {
        return Err("the stage below has no task".to_owned());
    }
    let read = node.output_partitioning().partition_count();
    let written = producer.root.output_partitioning().partition_count();
    let expected = if node.is::<NetworkShuffleExec>() {
        check_shuffle_head(node, producer)?;
        read * consumer_tasks
    } else if node.is::<NetworkBroadcastExec>() {
        check_broadcast_head(producer, consumer_tasks)?;
        read * consumer_tasks
    } else if node.is::<NetworkCoalesceExec>() {
        let producers_per_consumer = producer.tasks.div_ceil(consumer_tasks);
        if !read.is_multiple_of(producers_per_consumer) {
            return Err(format!(
                "{read} partitions for {producers_per_consumer} tasks each"
            ));
        }
        read / producers_per_consumer
    } else {
        return Err("a boundary of an unknown kind".to_owned());
    };
    if written == expected {
        Ok(())
    } else {
        Err(format!(
            "{written} partitions are written and {expected} are read"
        ))
    }
}

/// A shuffle is right when the stage below ends in the hash that the stage above believes in.
fn check_shuffle_head(node: &Arc<dyn ExecutionPlan>, producer: &Scope) -> Result<(), String> {
    let head = &producer.root;
    let reduced = head
        .downcast_ref::<AggregateExec>()
        .filter(|aggregate| *aggregate.mode() == AggregateMode::PartialReduce)
        .map(AggregateExec::input);
    if !reduced.unwrap_or(head).is::<RepartitionExec>() {
        return Err("the stage below does not end in a repartitioning".to_owned());
    }
    match (node.output_partitioning(), head.output_partitioning()) {
        (Partitioning::Hash(above, _), Partitioning::Hash(below, _)) if above == below => Ok(()),
        (above, below) => Err(format!("{below} is written and {above} is read")),
    }
}

fn check_broadcast_head(producer: &Scope, consumer_tasks: usize) -> Result<(), String> {
    match producer.root.downcast_ref::<BroadcastExec>() {
        Some(head) if head.consumer_task_count() == consumer_tasks => Ok(()),
        Some(head) => Err(format!(
            "{} copies are made for {consumer_tasks} tasks",
            head.consumer_task_count()
        )),
        None => Err("the stage below does not end in a broadcast".to_owned()),
    }
}
