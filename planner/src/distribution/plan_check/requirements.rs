//! Required distributions: within one task as DataFusion checks them, and across all tasks.

use super::operators::{Operator, Placement};
use super::{Rule, Scope, Walk};
use datafusion::common::JoinType;
use datafusion::physical_expr::{Distribution, Partitioning, PhysicalExpr};
use datafusion::physical_plan::{
    ChildSatisfactionOptions, ExecutionPlan, ExecutionPlanProperties, InputDistributionRequirements,
};
use std::sync::Arc;

/// What DataFusion itself demands of a plan that is about to run, for the part of it in this task.
pub(super) fn check_within_task(walk: &mut Walk, node: &Arc<dyn ExecutionPlan>, scope: &Scope) {
    let requirements = node.input_distribution_requirements();
    let options = ChildSatisfactionOptions::new().with_allow_subset(true);
    let children = node.children();
    for (index, child) in children.iter().enumerate() {
        let satisfied = requirements
            .child_satisfaction(index, child.as_ref(), options)
            .is_ok_and(|satisfaction| satisfaction.is_satisfied());
        if !satisfied {
            let detail = format!(
                "input {index} is {} and has to be {}",
                child.output_partitioning(),
                requirement_text(&requirements, index)
            );
            walk.report(Rule::WithinTask, node, scope, detail);
        }
    }
    let children: Vec<&dyn ExecutionPlan> = children.iter().map(|child| child.as_ref()).collect();
    let met = requirements
        .unsatisfied_co_partitioned_children(node.name(), &children)
        .is_ok_and(|unsatisfied| unsatisfied.is_empty());
    if !met {
        let detail = "the partitions of its inputs do not match".to_owned();
        walk.report(Rule::WithinTask, node, scope, detail);
    }
}

/// The same, across all tasks of a stage of several.
pub(super) fn check_across_tasks(
    walk: &mut Walk,
    operator: &Operator,
    node: &Arc<dyn ExecutionPlan>,
    inputs: &[Placement],
    scope: &Scope,
) {
    match operator {
        Operator::CoPartitioned { null_aware } => {
            check_co_partitioned(walk, node, inputs, scope, *null_aware);
            return;
        }
        Operator::Collecting { join, null_aware } => {
            check_probe(walk, node, inputs, scope, *join, *null_aware);
        }
        Operator::Union | Operator::Interleave => check_union(walk, node, inputs, scope),
        _ => {}
    }
    check_each_input(walk, node, inputs, scope);
}

fn check_each_input(
    walk: &mut Walk,
    node: &Arc<dyn ExecutionPlan>,
    inputs: &[Placement],
    scope: &Scope,
) {
    let requirements = node.input_distribution_requirements();
    for (index, (child, placement)) in node.children().into_iter().zip(inputs).enumerate() {
        let Some(required) = requirements.child_distribution(index) else {
            let detail = format!("no distribution is stated for input {index}");
            walk.report(Rule::UnknownOperator, node, scope, detail);
            continue;
        };
        let rule = match required {
            Distribution::UnspecifiedDistribution => continue,
            Distribution::SinglePartition => Rule::SinglePartition,
            _ => Rule::KeyPartitioned,
        };
        if !holds_across_tasks(child, *placement, required, scope.tasks, true) {
            let detail = format!(
                "input {index} is {placement:?} as {} and has to be {required}",
                child.output_partitioning()
            );
            walk.report(rule, node, scope, detail);
        }
    }
}

/// Both sides must be spread by the same rule, so that rows with equal keys meet.
fn check_co_partitioned(
    walk: &mut Walk,
    node: &Arc<dyn ExecutionPlan>,
    inputs: &[Placement],
    scope: &Scope,
    null_aware: bool,
) {
    if inputs.iter().all(|input| *input == Placement::Replicated) {
        return;
    }
    if null_aware {
        let detail = "whether there is a null at all has to be known in every task".to_owned();
        walk.report(Rule::CoPartitioned, node, scope, detail);
        return;
    }
    let requirements = node.input_distribution_requirements();
    let children = node.children();
    let each_holds = children
        .iter()
        .zip(inputs)
        .enumerate()
        .all(|(index, (child, placement))| {
            *placement == Placement::Partitioned
                && requirements
                    .child_distribution(index)
                    .is_some_and(|required| {
                        holds_across_tasks(child, *placement, required, scope.tasks, false)
                    })
        });
    if !each_holds || !same_layout(&children) {
        let sides: Vec<String> = children
            .iter()
            .zip(inputs)
            .map(|(child, placement)| format!("{placement:?} as {}", child.output_partitioning()))
            .collect();
        let detail = format!("its inputs are {}", sides.join(" and "));
        walk.report(Rule::CoPartitioned, node, scope, detail);
    }
}

/// Rows meet only where both sides hash values of the same types into the same number of partitions.
fn same_layout(children: &[&Arc<dyn ExecutionPlan>]) -> bool {
    let layouts: Vec<Option<_>> = children
        .iter()
        .map(|child| match child.output_partitioning() {
            Partitioning::Hash(keys, count) => {
                let schema = child.schema();
                let types: Option<Vec<_>> =
                    keys.iter().map(|key| key.data_type(&schema).ok()).collect();
                types.map(|types| (types, *count))
            }
            _ => None,
        })
        .collect();
    layouts.iter().all(Option::is_some) && layouts.windows(2).all(|pair| pair[0] == pair[1])
}

/// A join with a replicated build side decides for each probe row by itself; what it says about
/// build rows (that nothing matched them) each task would say anew.
fn check_probe(
    walk: &mut Walk,
    node: &Arc<dyn ExecutionPlan>,
    inputs: &[Placement],
    scope: &Scope,
    join: JoinType,
    null_aware: bool,
) {
    let probe_whole = inputs.get(1) == Some(&Placement::Replicated);
    let emits_probe_rows_only = matches!(
        join,
        JoinType::Inner
            | JoinType::Right
            | JoinType::RightSemi
            | JoinType::RightAnti
            | JoinType::RightMark
    );
    if !probe_whole && (null_aware || !emits_probe_rows_only) {
        let detail = format!("a {join} join emits rows of the side that every task has");
        walk.report(Rule::ReplicatedSide, node, scope, detail);
    }
}

fn check_union(
    walk: &mut Walk,
    node: &Arc<dyn ExecutionPlan>,
    inputs: &[Placement],
    scope: &Scope,
) {
    let replicated = inputs
        .iter()
        .filter(|input| **input == Placement::Replicated)
        .count();
    if replicated != 0 && replicated != inputs.len() {
        let detail = format!(
            "{replicated} of {} inputs are whole in every task",
            inputs.len()
        );
        walk.report(Rule::MixedUnion, node, scope, detail);
    }
}

/// Whether `child`'s rows, spread over `tasks` tasks as `placement` says, satisfy `required` when the
/// partitions of all tasks are looked at as one set.
fn holds_across_tasks(
    child: &Arc<dyn ExecutionPlan>,
    placement: Placement,
    required: &Distribution,
    tasks: usize,
    allow_subset: bool,
) -> bool {
    match placement {
        // Each task has all rows, so what holds within it holds.
        Placement::Replicated => true,
        Placement::Scattered => matches!(required, Distribution::UnspecifiedDistribution),
        Placement::Partitioned => match child.output_partitioning() {
            Partitioning::Hash(keys, count) => {
                let keys: Vec<Arc<dyn PhysicalExpr>> = keys.iter().map(Arc::clone).collect();
                Partitioning::Hash(keys, count * tasks)
                    .satisfaction(required, child.equivalence_properties(), allow_subset)
                    .is_satisfied()
            }
            _ => false,
        },
    }
}

fn requirement_text(requirements: &InputDistributionRequirements, index: usize) -> String {
    requirements
        .child_distribution(index)
        .map_or_else(|| "anything".to_owned(), ToString::to_string)
}
