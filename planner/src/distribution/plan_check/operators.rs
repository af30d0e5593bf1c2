//! How each operator spreads its rows over the tasks, decided from what the table of operators says and from the
//! operator itself.

use super::{Rule, Scope, Walk};
use crate::distribution::operators::{Kind, operator_of};
use datafusion::catalog::memory::DataSourceExec;
use datafusion::common::JoinType;
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::physical_expr::Partitioning;
use datafusion::physical_plan::joins::StreamJoinPartitionMode;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, PartitionMode, SortMergeJoinExec,
    SymmetricHashJoinExec,
};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, displayable};
use datafusion_distributed::{DistributedLeafExec, NetworkBoundaryExt};
use std::sync::Arc;

/// How the rows of an operator are spread over the tasks of its stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placement {
    /// Every task has all rows; so has the only task of a stage.
    Replicated,
    /// Every row is in exactly one task, and nothing is promised about which.
    Scattered,
    /// Every row is in exactly one task, and the operator's declared partitioning holds across the
    /// partitions of all tasks.
    Partitioned,
}

/// What kind of thing an operator does with rows, as far as the check cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    /// A scan with one share per task.
    SplitLeaf,
    /// A source that returns the same rows in every task.
    WholeLeaf,
    /// One input; each partition is worked on by itself, and rows stay in their partition.
    PartitionWise,
    /// One input; rows move between the partitions of one task.
    Regrouping,
    /// Window functions: as partition-wise, but ties are numbered as they arrive.
    Window,
    /// The left input is collected whole, the right one streams.
    Collecting { join: JoinType, null_aware: bool },
    /// Both inputs are worked on partition by partition.
    CoPartitioned { null_aware: bool },
    /// Several inputs, one after the other.
    Union,
    /// Several inputs with one partitioning, merged partition by partition.
    Interleave,
    /// Runs its inputs several times, or hands their values over in memory: its inputs must be in
    /// the same process.
    OneProcess,
    /// The library's own union, whose children run in some tasks only and whose map is private.
    Isolating,
    /// Wraps a whole plan.
    Root,
    /// Not in this table.
    Unknown,
}

impl Operator {
    /// Looks an operator up.
    pub(super) fn of(node: &Arc<dyn ExecutionPlan>) -> Self {
        if let Some(join) = node.downcast_ref::<HashJoinExec>() {
            return match join.partition_mode() {
                PartitionMode::CollectLeft => Self::Collecting {
                    join: *join.join_type(),
                    null_aware: join.null_aware,
                },
                PartitionMode::Partitioned => Self::CoPartitioned {
                    null_aware: join.null_aware,
                },
                PartitionMode::Auto => Self::Unknown,
            };
        }
        if let Some(join) = node.downcast_ref::<NestedLoopJoinExec>() {
            return Self::Collecting {
                join: *join.join_type(),
                null_aware: false,
            };
        }
        if node.is::<CrossJoinExec>() {
            return Self::Collecting {
                join: JoinType::Inner,
                null_aware: false,
            };
        }
        if node.is::<SortMergeJoinExec>() {
            return Self::CoPartitioned { null_aware: false };
        }
        if let Some(join) = node.downcast_ref::<SymmetricHashJoinExec>() {
            return match join.partition_mode() {
                StreamJoinPartitionMode::Partitioned => Self::CoPartitioned { null_aware: false },
                StreamJoinPartitionMode::SinglePartition => Self::Unknown,
            };
        }
        Self::of_kind(operator_of(node.as_ref()).kind)
    }

    fn of_kind(kind: Kind) -> Self {
        match kind {
            Kind::SplitLeaf => Self::SplitLeaf,
            Kind::WholeLeaf => Self::WholeLeaf,
            Kind::PartitionWise => Self::PartitionWise,
            Kind::Regrouping => Self::Regrouping,
            Kind::Window => Self::Window,
            Kind::Union => Self::Union,
            Kind::Interleave => Self::Interleave,
            Kind::OneProcess => Self::OneProcess,
            Kind::Isolating => Self::Isolating,
            Kind::Root => Self::Root,
            // Boundaries are met before they are looked up, joins have been told apart.
            Kind::Boundary | Kind::Join | Kind::Unknown => Self::Unknown,
        }
    }
}

/// Refuses operators where the check cannot vouch for them.
pub(super) fn check_support(
    walk: &mut Walk,
    operator: &Operator,
    node: &Arc<dyn ExecutionPlan>,
    scope: &Scope,
) {
    match operator {
        Operator::Isolating => {
            let detail = "which child runs in which task is not known".to_owned();
            walk.report(Rule::UnknownOperator, node, scope, detail);
        }
        Operator::OneProcess if holds_boundary(node) => {
            let detail = "its inputs are in other stages".to_owned();
            let culprit = super::Fingerprint::of_everything_below(node);
            walk.report_culprit(Rule::UnknownOperator, node, scope, detail, culprit);
        }
        Operator::Unknown | Operator::OneProcess | Operator::Root if scope.tasks > 1 => {
            let detail = "not known to be right in a stage of several tasks".to_owned();
            walk.report(Rule::UnknownOperator, node, scope, detail);
        }
        Operator::SplitLeaf => check_shares(walk, node, scope),
        _ => {}
    }
}

/// A task reads the share with its number, so there must be exactly as many shares as tasks. The
/// head runs where it was planned and reads the whole leaf.
fn check_shares(walk: &mut Walk, node: &Arc<dyn ExecutionPlan>, scope: &Scope) {
    let Some(leaf) = node.downcast_ref::<DistributedLeafExec>() else {
        return;
    };
    if leaf.variants().iter().any(cuts_whole_files) {
        let detail = "files that are read as a whole are cut into pieces".to_owned();
        walk.report(Rule::LeafShares, node, scope, detail);
    }
    let shares = leaf.variants().len();
    if scope.stage != super::HEAD_STAGE && shares != scope.tasks {
        let detail = format!("{shares} shares for {} tasks", scope.tasks);
        walk.report(Rule::LeafShares, node, scope, detail);
    }
}

/// Whether a scan reads pieces of files whose reader cannot tell where a piece begins: every piece would
/// be read as the whole file. The base library cuts files without asking.
fn cuts_whole_files(share: &Arc<dyn ExecutionPlan>) -> bool {
    let scan = share
        .downcast_ref::<DataSourceExec>()
        .and_then(|scan| scan.data_source().downcast_ref::<FileScanConfig>());
    scan.is_some_and(|config| {
        !config.file_source().supports_repartitioning()
            && config
                .file_groups
                .iter()
                .flat_map(|group| group.files())
                .any(|file| file.range.is_some())
    })
}

fn holds_boundary(node: &Arc<dyn ExecutionPlan>) -> bool {
    node.children()
        .into_iter()
        .any(|child| child.is_network_boundary() || holds_boundary(child))
}

/// How an operator in a stage of several tasks spreads its rows, given how its inputs do.
pub(super) fn placement(
    operator: &Operator,
    node: &Arc<dyn ExecutionPlan>,
    inputs: &[Placement],
) -> Placement {
    use Placement::{Partitioned, Replicated, Scattered};
    let all_replicated = inputs.iter().all(|input| *input == Replicated);
    match operator {
        Operator::WholeLeaf => Replicated,
        Operator::SplitLeaf => Scattered,
        _ if all_replicated && !inputs.is_empty() => Replicated,
        Operator::PartitionWise | Operator::Window => match inputs.first() {
            Some(Partitioned) => declared(node),
            _ => Scattered,
        },
        // The right side decides: the left one is in every task.
        Operator::Collecting { .. } => match inputs.get(1) {
            Some(Partitioned) => declared(node),
            _ => Scattered,
        },
        Operator::CoPartitioned { .. } | Operator::Interleave
            if inputs.iter().all(|input| *input == Partitioned) =>
        {
            declared(node)
        }
        _ => Scattered,
    }
}

/// An operator over partitioned rows keeps them partitioned as far as it says by what.
fn declared(node: &Arc<dyn ExecutionPlan>) -> Placement {
    match node.output_partitioning() {
        Partitioning::Hash(_, _) => Placement::Partitioned,
        _ => Placement::Scattered,
    }
}

/// DataFusion's one-line form of an operator.
pub(super) fn one_line(node: &Arc<dyn ExecutionPlan>) -> String {
    displayable(node.as_ref())
        .one_line()
        .to_string()
        .trim_end()
        .to_owned()
}
