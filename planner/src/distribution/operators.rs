//! What is known of every physical operator: the one table that the plan check, its limits and fingerprints, and the
//! placing of a plan's head read.
//!
//! An operator that is not in the table runs in a stage of one task only, where its semantics are DataFusion's own. A
//! test compares the table with the operators that the libraries and this project define, so that a new one is
//! thought about before it meets a query.

use datafusion::physical_plan::ExecutionPlan;

/// What kind of thing an operator does with rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
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
    /// A join, which says itself how it meets its inputs.
    Join,
    /// Several inputs, one after the other.
    Union,
    /// Several inputs with one partitioning, merged partition by partition.
    Interleave,
    /// Runs its inputs several times, or hands their values over in memory: its inputs must be in the same process.
    OneProcess,
    /// The library's own union, whose children run in some tasks only and whose map is private.
    Isolating,
    /// Wraps a whole plan.
    Root,
    /// Rows cross from one stage to the next.
    Boundary,
    /// Runs in one task only.
    Unknown,
}

/// What is known of an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Operator {
    /// Its name in plans.
    pub name: &'static str,
    /// What it does with rows.
    pub kind: Kind,
    traits: u8,
}

/// It returns the rows that it got, wherever it puts them, `OFFSET` excepted.
const KEEPS_ROWS: u8 = 1;
/// It may carry a limit that takes the first rows to come.
const LIMITS: u8 = 2;
/// It is so little work that the coordinator may do it.
const LIGHT: u8 = 4;
/// It acts on, or for, the coordinator, and is never sent.
const STAYS: u8 = 8;
/// Rebuilding a plan adds and removes it without a change of meaning.
const INCIDENTAL: u8 = 16;

impl Operator {
    /// Whether it returns the rows that it got; one with an `OFFSET` does not.
    pub(crate) fn keeps_rows(self) -> bool {
        self.traits & KEEPS_ROWS != 0
    }

    /// Whether it may carry a limit that takes the first rows to come.
    pub(crate) fn limits(self) -> bool {
        self.traits & LIMITS != 0
    }

    /// Whether it is so little work that the coordinator may do it.
    pub(crate) fn is_light(self) -> bool {
        self.traits & LIGHT != 0
    }

    /// Whether it acts on, or for, the coordinator, and is never sent.
    pub(crate) fn stays(self) -> bool {
        self.traits & STAYS != 0
    }

    /// Whether rebuilding a plan adds and removes it without a change of meaning.
    pub(crate) fn is_incidental(self) -> bool {
        self.traits & INCIDENTAL != 0
    }
}

const fn row(name: &'static str, kind: Kind, traits: u8) -> Operator {
    Operator { name, kind, traits }
}

/// Every operator, by name.
pub(crate) const OPERATORS: [Operator; 52] = [
    row("AggregateExec", Kind::PartitionWise, 0),
    row("AnalyzeExec", Kind::Root, STAYS),
    row("AsyncFuncExec", Kind::PartitionWise, 0),
    row("BoundedWindowAggExec", Kind::Window, 0),
    row("BroadcastExec", Kind::Regrouping, KEEPS_ROWS | INCIDENTAL),
    row("BufferExec", Kind::PartitionWise, KEEPS_ROWS),
    row("BulkScanExec", Kind::WholeLeaf, 0),
    row("ChildrenIsolatorUnionExec", Kind::Isolating, 0),
    row(
        "CoalesceBatchesExec",
        Kind::PartitionWise,
        KEEPS_ROWS | LIMITS | LIGHT,
    ),
    row(
        "CoalescePartitionsExec",
        Kind::Regrouping,
        KEEPS_ROWS | LIMITS | LIGHT | INCIDENTAL,
    ),
    row("CooperativeExec", Kind::PartitionWise, KEEPS_ROWS | LIGHT),
    row("CoordinatorRowsExec", Kind::Unknown, 0),
    row("CrossJoinExec", Kind::Join, 0),
    row("DataSinkExec", Kind::Root, STAYS),
    row("DataSourceExec", Kind::WholeLeaf, 0),
    row("DistributedAnalyzeExec", Kind::Root, STAYS),
    row("DistributedExec", Kind::Root, KEEPS_ROWS),
    row("DistributedLeafExec", Kind::SplitLeaf, 0),
    row("DmlResultExec", Kind::Unknown, STAYS),
    row("EmptyExec", Kind::WholeLeaf, 0),
    row("EstimatedExec", Kind::Unknown, 0),
    row("ExplainExec", Kind::Root, STAYS),
    row("FilterExec", Kind::PartitionWise, 0),
    row(
        "ForgetConstantsExec",
        Kind::PartitionWise,
        KEEPS_ROWS | LIGHT,
    ),
    row(
        "GlobalLimitExec",
        Kind::PartitionWise,
        KEEPS_ROWS | LIMITS | LIGHT,
    ),
    row("HashJoinExec", Kind::Join, 0),
    row("InterleaveExec", Kind::Interleave, 0),
    row("LazyMemoryExec", Kind::Unknown, 0),
    row(
        "LocalLimitExec",
        Kind::PartitionWise,
        KEEPS_ROWS | LIMITS | LIGHT | INCIDENTAL,
    ),
    row("NestedLoopJoinExec", Kind::Join, 0),
    row("NetworkBroadcastExec", Kind::Boundary, KEEPS_ROWS),
    row("NetworkCoalesceExec", Kind::Boundary, KEEPS_ROWS),
    row("NetworkShuffleExec", Kind::Boundary, KEEPS_ROWS),
    row("OutputRequirementExec", Kind::Root, KEEPS_ROWS),
    row("PartialSortExec", Kind::PartitionWise, 0),
    row("PartitionedTopKExec", Kind::PartitionWise, 0),
    row("PiecewiseMergeJoinExec", Kind::Unknown, 0),
    row("PlaceholderRowExec", Kind::WholeLeaf, 0),
    row("ProjectionExec", Kind::PartitionWise, KEEPS_ROWS | LIGHT),
    row("RecursiveQueryExec", Kind::OneProcess, STAYS),
    row("RepartitionExec", Kind::Regrouping, KEEPS_ROWS | INCIDENTAL),
    row("ScalarSubqueryExec", Kind::OneProcess, 0),
    row("SortExec", Kind::PartitionWise, 0),
    row("SortMergeJoinExec", Kind::Join, 0),
    row(
        "SortPreservingMergeExec",
        Kind::Regrouping,
        KEEPS_ROWS | LIGHT,
    ),
    row("StreamingTableExec", Kind::Unknown, 0),
    row("SymmetricHashJoinExec", Kind::Join, 0),
    row("TableWriteExec", Kind::PartitionWise, 0),
    row("UnionExec", Kind::Union, 0),
    row("UnnestExec", Kind::PartitionWise, 0),
    row("WindowAggExec", Kind::Window, 0),
    row("WorkTableExec", Kind::Unknown, 0),
];

/// What is known of `node`; nothing of an operator that is not in the table.
pub(crate) fn operator_of(node: &dyn ExecutionPlan) -> Operator {
    let name = bare_name(node.name());
    let known = OPERATORS.iter().find(|operator| operator.name == name);
    known.copied().unwrap_or(row("", Kind::Unknown, 0))
}

/// An operator's name without what some say in brackets about how they run: `SortExec(TopK)`.
pub(crate) fn bare_name(name: &str) -> &str {
    name.split_once('(').map_or(name, |(bare, _)| bare)
}
