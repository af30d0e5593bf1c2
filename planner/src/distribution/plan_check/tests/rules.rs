//! Each rule where it fires and where it does not, on hand-built stages.

use super::super::{Rule, check};
use super::built::*;
use datafusion::common::{JoinType, NullEquality};
use datafusion::logical_expr::physical_planning_context::ScalarSubqueryResults;
use datafusion::physical_plan::aggregates::AggregateMode;
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode};
use datafusion::physical_plan::limit::{GlobalLimitExec, LocalLimitExec};
use datafusion::physical_plan::scalar_subquery::ScalarSubqueryExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion_distributed::{NetworkBoundary, NetworkShuffleExec, Stage};
use std::sync::Arc;

fn rules(plan: &Plan) -> Vec<Rule> {
    match check(plan) {
        Ok(()) => vec![],
        Err(violations) => violations.iter().map(|violation| violation.rule).collect(),
    }
}

fn join(left: Plan, right: Plan, join_type: JoinType, mode: PartitionMode) -> Plan {
    let on = vec![(key("a"), key("a"))];
    let nulls = NullEquality::NullEqualsNothing;
    Arc::new(
        HashJoinExec::try_new(left, right, on, None, &join_type, None, mode, nulls, false).unwrap(),
    )
}

fn merge(input: Plan, name: &str, fetch: Option<usize>) -> Plan {
    Arc::new(SortPreservingMergeExec::new(order(name), input).with_fetch(fetch))
}

fn limit(input: Plan, rows: usize) -> Plan {
    Arc::new(LocalLimitExec::new(input, rows))
}

#[test]
fn a_single_aggregate_needs_all_rows() {
    let split = aggregate(AggregateMode::Single, scan(2, 1), "a");
    assert_eq!(rules(&gathered(split, 2)), [Rule::SinglePartition]);
    let one_task = aggregate(AggregateMode::Single, scan(1, 1), "a");
    assert!(rules(&gathered(one_task, 1)).is_empty());
    let partial = aggregate(AggregateMode::Partial, scan(2, 1), "a");
    assert!(rules(&gathered(partial, 2)).is_empty());
}

#[test]
fn a_final_aggregate_needs_its_groups_together() {
    let shuffled = |by| shuffle(scan(3, 2), by, 3, 2, 4, 1);
    let right = aggregate(AggregateMode::FinalPartitioned, shuffled("a"), "a");
    assert!(rules(&gathered(right, 2)).is_empty());
    // One partition per task satisfies anything within a task.
    let by_another_key = shuffle(scan(3, 2), "b", 3, 2, 1, 1);
    let wrong = aggregate(AggregateMode::FinalPartitioned, by_another_key, "a");
    assert_eq!(rules(&gathered(wrong, 2)), [Rule::KeyPartitioned]);
    let within_task = aggregate(
        AggregateMode::FinalPartitioned,
        hash(scan(2, 2), "a", 4),
        "a",
    );
    assert_eq!(rules(&gathered(within_task, 2)), [Rule::KeyPartitioned]);
    let by_another_key = aggregate(AggregateMode::FinalPartitioned, shuffled("b"), "a");
    assert!(rules(&gathered(by_another_key, 2)).contains(&Rule::WithinTask));
}

#[test]
fn the_sides_of_a_partitioned_join_must_meet() {
    let side = |number| shuffle(scan(2, 2), "a", 2, 3, 4, number);
    for join_type in [JoinType::Inner, JoinType::Full, JoinType::LeftAnti] {
        let right = join(side(1), side(2), join_type, PartitionMode::Partitioned);
        assert!(rules(&gathered(right, 3)).is_empty(), "{join_type}");
    }
    let local = hash(scan(3, 2), "a", 4);
    let wrong = join(side(1), local, JoinType::Inner, PartitionMode::Partitioned);
    assert_eq!(rules(&gathered(wrong, 3)), [Rule::CoPartitioned]);
    // Partition 0 of the copy holds other keys than partition 0 of the second task's shuffle.
    let copied = hash(gather(broadcast(scan(2, 2), 2, 3, 3), None), "a", 4);
    let wrong = join(copied, side(2), JoinType::Inner, PartitionMode::Partitioned);
    assert_eq!(rules(&gathered(wrong, 3)), [Rule::CoPartitioned]);
}

#[test]
fn a_replicated_build_side_must_not_be_emitted() {
    let build = || gather(broadcast(scan(2, 2), 2, 3, 1), None);
    for (join_type, rule) in [
        (JoinType::Inner, None),
        (JoinType::Right, None),
        (JoinType::RightAnti, None),
        (JoinType::Left, Some(Rule::ReplicatedSide)),
        (JoinType::Full, Some(Rule::ReplicatedSide)),
        (JoinType::LeftSemi, Some(Rule::ReplicatedSide)),
        (JoinType::LeftAnti, Some(Rule::ReplicatedSide)),
        (JoinType::LeftMark, Some(Rule::ReplicatedSide)),
    ] {
        let joined = join(build(), scan(3, 2), join_type, PartitionMode::CollectLeft);
        assert_eq!(
            rules(&gathered(joined, 3)).first().copied(),
            rule,
            "{join_type}"
        );
    }
    let split = join(
        scan(3, 1),
        scan(3, 2),
        JoinType::Inner,
        PartitionMode::CollectLeft,
    );
    assert_eq!(rules(&gathered(split, 3)), [Rule::SinglePartition]);
}

#[test]
fn a_union_must_not_mix_copies_with_shares() {
    let union = |inputs| UnionExec::try_new(inputs).unwrap();
    let shares = union(vec![scan(2, 1), scan(2, 3)]);
    assert!(rules(&gathered(shares, 2)).is_empty());
    let mixed = union(vec![scan(2, 1), whole()]);
    assert_eq!(rules(&gathered(mixed, 2)), [Rule::MixedUnion]);
}

#[test]
fn copies_must_not_be_sent_twice() {
    let copies = gather(broadcast(scan(2, 2), 2, 3, 1), None);
    assert_eq!(rules(&gathered(copies, 3)), [Rule::DuplicatedRows]);
    let unsplit = shuffle(whole(), "a", 2, 2, 2, 1);
    let grouped = aggregate(AggregateMode::FinalPartitioned, unsplit, "a");
    assert_eq!(rules(&gathered(grouped, 2)), [Rule::DuplicatedRows]);
    assert!(rules(&gathered(whole(), 1)).is_empty());
}

#[test]
fn a_limit_per_task_must_be_stated_again() {
    let top = |fetch| root(gather(coalesce(limit(scan(2, 2), 5), 2, 1, 1), fetch));
    assert!(rules(&top(Some(5))).is_empty());
    assert!(rules(&top(Some(3))).is_empty());
    assert_eq!(rules(&top(Some(6))), [Rule::Limit]);
    assert_eq!(rules(&top(None)), [Rule::Limit]);
    // An operator in between chooses among the rows.
    let grouped = aggregate(
        AggregateMode::Single,
        gather(coalesce(limit(scan(2, 2), 5), 2, 1, 1), None),
        "a",
    );
    assert_eq!(rules(&root(limit(grouped, 5))), [Rule::Limit]);
}

#[test]
fn an_offset_counts_towards_the_limit() {
    let top = |skip, fetch| {
        let rows = gather(coalesce(limit(scan(2, 2), 5), 2, 1, 1), None);
        root(Arc::new(GlobalLimitExec::new(rows, skip, Some(fetch))))
    };
    assert!(rules(&top(2, 3)).is_empty());
    assert_eq!(rules(&top(3, 3)), [Rule::Limit]);
    let per_task = GlobalLimitExec::new(scan(2, 1), 2, Some(3));
    let found = rules(&root(gather(
        coalesce(Arc::new(per_task), 2, 1, 1),
        Some(3),
    )));
    assert!(found.contains(&Rule::Limit), "{found:?}");
}

#[test]
fn the_first_rows_must_be_chosen_by_the_same_order() {
    let first = || coalesce(sort(scan(2, 2), "a", Some(5)), 2, 1, 1);
    assert!(rules(&root(merge(first(), "a", Some(5)))).is_empty());
    // Any five of ten first rows are not the first five.
    assert_eq!(rules(&root(gather(first(), Some(5)))), [Rule::Limit]);
    // Of ten arbitrary rows, the first five by an order are not of five arbitrary rows.
    let arbitrary = coalesce(limit(scan(2, 2), 5), 2, 1, 1);
    let sorted = merge(sort(arbitrary, "a", None), "a", Some(5));
    assert_eq!(rules(&root(sorted)), [Rule::Limit]);
}

#[test]
fn tasks_must_not_choose_differently() {
    let build = |fetch| gather(broadcast(scan(2, 2), 2, 3, 1), fetch);
    let joined = |build| {
        join(
            build,
            scan(3, 2),
            JoinType::Inner,
            PartitionMode::CollectLeft,
        )
    };
    assert!(rules(&gathered(joined(build(None)), 3)).is_empty());
    assert_eq!(
        rules(&gathered(joined(build(Some(4))), 3)),
        [Rule::DivergingChoice]
    );
}

#[test]
fn an_order_does_not_survive_a_shuffle_from_several_tasks() {
    let sorted = |tasks| sort(scan(tasks, 1), "a", None);
    let through = |tasks| merge(shuffle(sorted(tasks), "b", tasks, 1, 3, 1), "a", None);
    // The order is lost for the merge, and for the reader of the plan.
    assert_eq!(rules(&root(through(2))), [Rule::Ordering, Rule::Ordering]);
    assert!(rules(&root(through(1))).is_empty());
    let coalesced = merge(coalesce(sorted(2), 2, 1, 1), "a", None);
    assert!(rules(&root(coalesced)).is_empty());
    let sorted_above = sort(shuffle(sorted(2), "b", 2, 1, 3, 1), "a", None);
    assert!(rules(&root(merge(sorted_above, "a", None))).is_empty());
}

#[test]
fn both_ends_of_an_exchange_count_alike() {
    let partial = || aggregate(AggregateMode::Partial, scan(2, 2), "a");
    let read = |consumers, believed| {
        let rows = shuffle(partial(), "a", 2, believed, 4, 1);
        gathered(
            aggregate(AggregateMode::FinalPartitioned, rows, "a"),
            consumers,
        )
    };
    assert!(rules(&read(3, 3)).is_empty());
    assert_eq!(rules(&read(3, 2)), [Rule::Boundary]);
    // The stage below ends in another hash than the one that the stage above believes in.
    let claimed = NetworkShuffleExec::try_new(hash(partial(), "a", 4), 2).unwrap();
    let Stage::Local(mut stage) = claimed.input_stage().clone() else {
        panic!("a new boundary has a local stage");
    };
    stage.plan = hash(partial(), "b", 8);
    stage.num = 1;
    let claimed: Plan = claimed.with_input_stage(Stage::Local(stage)).unwrap();
    let wrong = aggregate(AggregateMode::FinalPartitioned, claimed, "a");
    assert_eq!(rules(&gathered(wrong, 2)), [Rule::Boundary]);
}

#[test]
fn a_scan_has_one_share_per_task() {
    assert!(rules(&gathered(scan(2, 2), 2)).is_empty());
    assert_eq!(rules(&gathered(scan(3, 2), 2)), [Rule::LeafShares]);
    assert_eq!(rules(&gathered(scan(3, 2), 1)), [Rule::LeafShares]);
}

#[test]
fn operators_out_of_place_are_refused() {
    let with_values = |input: Plan| -> Plan {
        Arc::new(ScalarSubqueryExec::new(
            input,
            vec![],
            ScalarSubqueryResults::new(0),
        ))
    };
    let several = gathered(with_values(scan(2, 1)), 2);
    assert_eq!(rules(&several), [Rule::UnknownOperator]);
    assert!(rules(&gathered(with_values(scan(1, 1)), 1)).is_empty());
    let across_stages = root(with_values(gather(coalesce(scan(2, 1), 2, 1, 1), None)));
    assert_eq!(rules(&across_stages), [Rule::UnknownOperator]);
}

#[test]
fn violations_name_the_stage_and_the_operator() {
    let split = aggregate(AggregateMode::Single, scan(2, 1), "a");
    let violations = check(&gathered(split, 2)).unwrap_err();
    assert_eq!(violations.len(), 1);
    assert_eq!(violations[0].stage, 9);
    assert_eq!(violations[0].tasks, 2);
    assert!(
        violations[0]
            .operator
            .starts_with("AggregateExec: mode=Single")
    );
}
