//! Proves, before anything runs, that a distributed plan returns what the same plan returns in one
//! process.
//!
//! DataFusion proves that each operator's required distribution and ordering hold across the
//! partitions of one process. A stage of several tasks runs several such processes side by side, each
//! with a part of the rows, and there the proof no longer holds: a `Single` aggregate that sees half
//! of the rows in each of two tasks is right for DataFusion and wrong for the user. This check walks
//! every stage and derives how the rows of each operator are spread over the tasks
//! ([`Placement`]); an operator whose requirement does not hold across all of them is a
//! [`Violation`]. What the check does not understand is a violation, too.
//!
//! It changes nothing: [`NarrowedStages`] and `distribute` turn violations into a plan that passes.

mod boundaries;
mod choices;
mod fingerprint;
mod limits;
mod narrowing;
mod operators;
mod ordering;
mod requirements;
#[cfg(test)]
mod tests;

pub use fingerprint::Fingerprint;
pub use narrowing::NarrowedStages;

use datafusion::physical_plan::ExecutionPlan;
use datafusion_distributed::NetworkBoundaryExt;
use operators::{Operator, Placement};
use std::fmt;
use std::sync::Arc;

/// The number that violations in the head stage carry; the library numbers its stages from one.
pub const HEAD_STAGE: usize = 0;

/// Which promise of the single-process plan is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// An operator wants all rows in one partition and every task has only a part of them.
    SinglePartition,
    /// An operator wants equal keys in one partition and they may be in several tasks.
    KeyPartitioned,
    /// A join's two sides do not meet: partitions of the same number hold different keys.
    CoPartitioned,
    /// A join emits rows of its replicated side, and every task would emit them.
    ReplicatedSide,
    /// A union of rows that every task has with rows that are spread over the tasks.
    MixedUnion,
    /// Every task sends the same rows up, so that they arrive several times.
    DuplicatedRows,
    /// Each task applies a limit by itself, and nothing above makes one of the many.
    Limit,
    /// Each task would decide by itself (a limit, a random number) about rows that all must share.
    DivergingChoice,
    /// An order that something relies on does not survive the way from where it was made.
    Ordering,
    /// The two ends of an exchange disagree on partitions or tasks.
    Boundary,
    /// A scan has not one share per task.
    LeafShares,
    /// Within one task, DataFusion's own requirements do not hold.
    WithinTask,
    /// An operator that the check does not know, or not in this place.
    UnknownOperator,
}

/// One broken promise, and what has to run as one task to mend it.
#[derive(Clone, Debug)]
pub struct Violation {
    /// The stage's number; [`HEAD_STAGE`] for the head.
    pub stage: usize,
    /// How many tasks the stage has.
    pub tasks: usize,
    /// The operator, in DataFusion's one-line form.
    pub operator: String,
    /// The broken promise.
    pub rule: Rule,
    /// What was required and what was found.
    pub detail: String,
    /// The operators that have to run in one task; see [`NarrowedStages`].
    pub culprit: Fingerprint,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} in stage {} of {} tasks at {}: {}",
            self.rule, self.stage, self.tasks, self.operator, self.detail
        )
    }
}

/// Checks a plan from the distributed planner (a `DistributedExec`), or one that was not distributed.
///
/// # Errors
/// Every violation found, in the order of the walk. A plan without violations returns in any number
/// of tasks what it returns in one process.
pub fn check(plan: &Arc<dyn ExecutionPlan>) -> Result<(), Vec<Violation>> {
    let head = Scope {
        stage: HEAD_STAGE,
        tasks: 1,
        root: Arc::clone(plan),
    };
    let mut walk = Walk::default();
    walk.visit(plan, &head);
    ordering::check_promise(plan, &head, &mut walk);
    if walk.violations.is_empty() {
        Ok(())
    } else {
        Err(walk.violations)
    }
}

/// The stage that an operator belongs to.
#[derive(Clone)]
struct Scope {
    stage: usize,
    tasks: usize,
    root: Arc<dyn ExecutionPlan>,
}

/// An operator on the way from the plan's root to where the walk is.
struct Ancestor {
    node: Arc<dyn ExecutionPlan>,
    tasks: usize,
}

/// A walk from the root down, across boundaries.
#[derive(Default)]
struct Walk {
    violations: Vec<Violation>,
    ancestors: Vec<Ancestor>,
}

impl Walk {
    /// Checks `node` and all below it; says how its rows are spread over the tasks of its stage.
    fn visit(&mut self, node: &Arc<dyn ExecutionPlan>, scope: &Scope) -> Placement {
        if node.is_network_boundary() {
            return boundaries::check(self, node, scope);
        }
        self.ancestors.push(Ancestor {
            node: Arc::clone(node),
            tasks: scope.tasks,
        });
        let inputs: Vec<Placement> = node
            .children()
            .into_iter()
            .map(|child| self.visit(child, scope))
            .collect();
        self.ancestors.pop();

        requirements::check_within_task(self, node, scope);
        ordering::check_requirements(self, node, scope);
        let operator = Operator::of(node);
        operators::check_support(self, &operator, node, scope);
        if scope.tasks == 1 {
            return Placement::Replicated;
        }
        requirements::check_across_tasks(self, &operator, node, &inputs, scope);
        choices::check(self, &operator, node, &inputs, scope);
        limits::check(self, node, &inputs, scope);
        operators::placement(&operator, node, &inputs)
    }

    /// Notes a violation that running the stage of `scope` as one task mends.
    fn report(&mut self, rule: Rule, node: &Arc<dyn ExecutionPlan>, scope: &Scope, detail: String) {
        let culprit = Fingerprint::of_stage(&scope.root);
        self.report_culprit(rule, node, scope, detail, culprit);
    }

    /// Notes a violation that running all of `culprit` as one task mends.
    fn report_culprit(
        &mut self,
        rule: Rule,
        node: &Arc<dyn ExecutionPlan>,
        scope: &Scope,
        detail: String,
        culprit: Fingerprint,
    ) {
        self.violations.push(Violation {
            stage: scope.stage,
            tasks: scope.tasks,
            operator: operators::one_line(node),
            rule,
            detail,
            culprit,
        });
    }
}
