//! Limits in stages of several tasks.
//!
//! A task that applies a limit by itself yields up to that many rows, and all tasks together several
//! times as many. That is right only as a pre-selection: above, in one task and one partition, the
//! limit must be stated again, with nothing in between that changes which rows there are.

use super::operators::Placement;
use super::{Ancestor, Rule, Scope, Walk};
use crate::distribution::operators::operator_of;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::limit::GlobalLimitExec;
use datafusion::physical_plan::sorts::partial_sort::PartialSortExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use datafusion_distributed::{DistributedLeafExec, NetworkCoalesceExec};
use std::sync::Arc;

/// By what a limit chooses its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    /// The first by an order of that many sort keys.
    First(usize),
    /// Any rows.
    Any,
    /// Groups, of which a pre-selection may keep any superset of the final choice.
    Groups,
}

struct Limit {
    rows: usize,
    choice: Choice,
}

/// Whether the operator returns fewer rows than it could because it was told to.
pub(super) fn has_limit(node: &Arc<dyn ExecutionPlan>) -> bool {
    limit_of(node).is_some()
}

/// Refuses a limit over spread rows unless it is stated again above.
pub(super) fn check(
    walk: &mut Walk,
    node: &Arc<dyn ExecutionPlan>,
    inputs: &[Placement],
    scope: &Scope,
) {
    let whole = !inputs.is_empty() && inputs.iter().all(|input| *input == Placement::Replicated);
    let Some(limit) = limit_of(node) else {
        return;
    };
    if whole {
        return; // a diverging choice, which is refused as such
    }
    if node
        .downcast_ref::<GlobalLimitExec>()
        .is_some_and(|limit| limit.skip() > 0)
    {
        let detail = "every task would skip rows of its own".to_owned();
        walk.report(Rule::Limit, node, scope, detail);
    } else if !is_restated(node, &limit, &walk.ancestors) {
        let detail = format!(
            "the limit of {} rows per task is not stated again above",
            limit.rows
        );
        walk.report(Rule::Limit, node, scope, detail);
    }
}

fn limit_of(node: &Arc<dyn ExecutionPlan>) -> Option<Limit> {
    if let Some(leaf) = node.downcast_ref::<DistributedLeafExec>() {
        return limit_of(leaf.original());
    }
    if let Some(aggregate) = node.downcast_ref::<AggregateExec>() {
        return aggregate.limit_options().map(|options| Limit {
            rows: options.limit(),
            choice: Choice::Groups,
        });
    }
    if let Some(limit) = node.downcast_ref::<GlobalLimitExec>() {
        let rows = limit
            .fetch()
            .map_or(usize::MAX, |fetch| fetch.saturating_add(limit.skip()));
        let choice = choice_below(limit.input());
        return Some(Limit { rows, choice });
    }
    let rows = node.fetch()?;
    let choice = sort_keys(node).map_or_else(|| choice_of_input(node), Choice::First);
    Some(Limit { rows, choice })
}

/// How many sort keys the operator itself sorts or merges by.
fn sort_keys(node: &Arc<dyn ExecutionPlan>) -> Option<usize> {
    if let Some(sort) = node.downcast_ref::<SortExec>() {
        return Some(sort.expr().len());
    }
    if let Some(sort) = node.downcast_ref::<PartialSortExec>() {
        return Some(sort.expr().len());
    }
    node.downcast_ref::<SortPreservingMergeExec>()
        .map(|merge| merge.expr().len())
}

fn choice_of_input(node: &Arc<dyn ExecutionPlan>) -> Choice {
    match node.children().as_slice() {
        [input] => choice_below(input),
        _ => Choice::Any,
    }
}

/// A limit right above a sort takes the first rows of its order.
fn choice_below(input: &Arc<dyn ExecutionPlan>) -> Choice {
    if let Some(keys) = sort_keys(input) {
        return Choice::First(keys);
    }
    match input.children().as_slice() {
        [below] if keeps_rows(input) => choice_below(below),
        _ => Choice::Any,
    }
}

/// Whether an ancestor states the limit again, reached through operators that keep rows as they are.
fn is_restated(node: &Arc<dyn ExecutionPlan>, limit: &Limit, ancestors: &[Ancestor]) -> bool {
    let keys_known = node.output_ordering().map_or(0, |ordering| ordering.len());
    let mut order_kept = true;
    for ancestor in ancestors.iter().rev() {
        let above = &ancestor.node;
        let in_one_place =
            ancestor.tasks == 1 && above.output_partitioning().partition_count() == 1;
        if in_one_place && states_again(above, limit, keys_known, order_kept) {
            return true;
        }
        let passes = keeps_rows(above)
            || (limit.choice == Choice::Groups
                && (above.is::<AggregateExec>() || above.is::<SortExec>()));
        if !passes {
            return false;
        }
        order_kept &= keeps_order(above);
    }
    false
}

fn states_again(
    above: &Arc<dyn ExecutionPlan>,
    limit: &Limit,
    keys_known: usize,
    order_kept: bool,
) -> bool {
    let rows = match above.downcast_ref::<GlobalLimitExec>() {
        Some(global) => global
            .fetch()
            .map(|fetch| fetch.saturating_add(global.skip())),
        None => above.fetch(),
    };
    if rows.is_none_or(|rows| rows > limit.rows) {
        return false;
    }
    let merge_keys = sort_keys(above);
    match limit.choice {
        Choice::Groups => true,
        // The same order decides again: a merge by it, or a limit on rows still in it.
        Choice::First(keys) => match merge_keys {
            Some(merge_keys) => above.is::<SortPreservingMergeExec>() && merge_keys == keys,
            None => order_kept && keeps_order(above) && is_plain_limit(above),
        },
        Choice::Any => match merge_keys {
            Some(merge_keys) => above.is::<SortPreservingMergeExec>() && merge_keys <= keys_known,
            None => is_plain_limit(above),
        },
    }
}

/// A coalesce boundary hands partitions over as they are.
fn keeps_order(node: &Arc<dyn ExecutionPlan>) -> bool {
    node.is::<NetworkCoalesceExec>() || node.maintains_input_order().iter().all(|kept| *kept)
}

fn is_plain_limit(node: &Arc<dyn ExecutionPlan>) -> bool {
    operator_of(node.as_ref()).limits()
}

/// Operators that return the rows that they got, wherever they put them.
fn keeps_rows(node: &Arc<dyn ExecutionPlan>) -> bool {
    operator_of(node.as_ref()).keeps_rows()
        && node
            .downcast_ref::<GlobalLimitExec>()
            .is_none_or(|limit| limit.skip() == 0)
}
