//! Joins that would wait for ever, with nobody to read what they wait for.
//!
//! A hash join that has read its smaller side tells the other one what to look for (a dynamic filter). Where
//! the smaller side is one for all partitions, each partition waits for all others to begin. Above it, a join
//! of partitions ends one early whose own smaller side is empty, and never begins to read the other: the rest
//! waits for ever. Such joins do without dynamic filters, unless the smaller side above has so many rows that
//! no partition of it is without any.

use datafusion::error::Result;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode, SortMergeJoinExec};
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use std::sync::Arc;

/// With how many rows, by estimate, a join's smaller side has some in each partition.
const ROWS_EVERYWHERE_MIN: usize = 100_000;

/// The plan without dynamic filters that may be waited for in vain.
pub(crate) fn without_waiting(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    written(plan, false)
}

/// `is_read_in_part`: whether some partitions may be left unread.
fn written(plan: Arc<dyn ExecutionPlan>, is_read_in_part: bool) -> Result<Arc<dyn ExecutionPlan>> {
    let children: Vec<_> = plan.children().into_iter().map(Arc::clone).collect();
    if children.is_empty() {
        return Ok(plan);
    }
    let mut new = Vec::with_capacity(children.len());
    for (place, child) in children.into_iter().enumerate() {
        let in_part = child_is_read_in_part(&plan, place, is_read_in_part);
        new.push(written(child, in_part)?);
    }
    let plan = replace_children_if_necessary(plan, new)?;
    let Some(join) = plan.downcast_ref::<HashJoinExec>() else {
        return Ok(plan);
    };
    let waits = *join.partition_mode() == PartitionMode::CollectLeft
        && !join.dynamic_expressions_produced().is_empty()
        && join.right().output_partitioning().partition_count() > 1;
    match waits && is_read_in_part {
        true => join.builder().reset_state().build_exec(),
        false => Ok(plan),
    }
}

fn child_is_read_in_part(
    plan: &Arc<dyn ExecutionPlan>,
    place: usize,
    is_read_in_part: bool,
) -> bool {
    // These read all partitions at once.
    if plan.downcast_ref::<RepartitionExec>().is_some()
        || plan.downcast_ref::<CoalescePartitionsExec>().is_some()
        || plan.downcast_ref::<SortPreservingMergeExec>().is_some()
    {
        return false;
    }
    if plan.downcast_ref::<SortMergeJoinExec>().is_some() {
        return true;
    }
    match plan.downcast_ref::<HashJoinExec>() {
        Some(join) if place == 1 && *join.partition_mode() == PartitionMode::Partitioned => {
            is_read_in_part || may_have_empty_partitions(join.left())
        }
        _ => is_read_in_part,
    }
}

fn may_have_empty_partitions(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let statistics = StatisticsContext::new().compute(plan.as_ref(), &StatisticsArgs::new());
    let rows = statistics
        .ok()
        .and_then(|known| known.num_rows.get_value().copied());
    rows.is_none_or(|rows| rows < ROWS_EVERYWHERE_MIN)
}
