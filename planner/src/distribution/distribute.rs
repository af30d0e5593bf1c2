//! From a physical plan to a distributed plan that passes the plan check.
//!
//! The physical plan is made once. It is distributed and checked; stages that fail are narrowed to
//! one task and the same physical plan is distributed again. When that does not converge, or the
//! library fails, the plan runs undivided: in one process DataFusion's own proof holds.

use crate::distribution::place_head::scans_storage;
use crate::distribution::plan_check::{self, NarrowedStages, Violation};
use crate::distribution::sendable::all_sendable;
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::context::QueryPlanner;
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::ExecutionPlan;
use datafusion_distributed::{DistributedExt, SessionStateBuilderExt};
use skep_protocol::{ErrorCode, QueryError};
use std::sync::Arc;

/// How often a plan is distributed before it is left undivided.
const DISTRIBUTION_ROUNDS_MAX: usize = 8;

/// A plan that passed the check.
#[derive(Debug)]
pub struct Checked {
    /// A `DistributedExec`, or the physical plan itself where nothing in it is worth distributing.
    pub plan: Arc<dyn ExecutionPlan>,
    /// What was wrong with earlier rounds and has been mended; empty for nearly every plan.
    pub mended: Vec<Violation>,
}

/// Distributes `physical` over the workers that `base`'s worker resolver names.
///
/// `base` is a session without a distributed planner; its settings, resolver and leaf handlers are
/// used, its query planner is not. `physical` must have been planned without physical scalar
/// subqueries (`enable_physical_uncorrelated_scalar_subquery = false`), whose values do not cross
/// stages.
///
/// # Errors
/// `UNSAFE_PLAN` where not even the undivided plan passes the check.
pub async fn distribute_checked(
    physical: Arc<dyn ExecutionPlan>,
    base: &SessionState,
) -> Result<Checked, QueryError> {
    // Without files there is nothing to divide, nor need there be an executor.
    // What cannot be sent as it is runs here.
    let rounds = if scans_storage(&physical) && all_sendable(&physical) {
        DISTRIBUTION_ROUNDS_MAX
    } else {
        0
    };
    let mut narrowed = NarrowedStages::default();
    let mut mended = Vec::new();
    for _ in 0..rounds {
        let plan = match distribute(&physical, base, &narrowed).await {
            Ok(plan) => plan,
            Err(error) => {
                let error = error.strip_backtrace();
                tracing::warn!(%error, "a plan could not be distributed and runs undivided");
                break;
            }
        };
        let violations = match plan_check::check(&plan) {
            Ok(()) => return Ok(Checked { plan, mended }),
            Err(violations) => violations,
        };
        let mut grown = false;
        for violation in &violations {
            grown |= narrowed.add(&violation.culprit);
        }
        mended.extend(violations);
        if !grown {
            break;
        }
    }
    match plan_check::check(&physical) {
        Ok(()) => Ok(Checked {
            plan: physical,
            mended,
        }),
        Err(violations) => {
            let what: Vec<String> = violations.iter().map(ToString::to_string).collect();
            let message = format!("no safe plan was found: {}", what.join("; "));
            Err(QueryError::new(ErrorCode::UnsafePlan, message))
        }
    }
}

/// One round: what the library makes of `physical` when the stages of `narrowed` have one task.
pub(crate) async fn distribute(
    physical: &Arc<dyn ExecutionPlan>,
    base: &SessionState,
    narrowed: &NarrowedStages,
) -> Result<Arc<dyn ExecutionPlan>> {
    // Unions that isolate their children keep their map private, and stages that are cut while the
    // query runs have not been checked: both are off, whatever the session says.
    let session = SessionStateBuilder::new_from_existing(base.clone())
        .with_query_planner(Arc::new(Planned(Arc::clone(physical))))
        .with_distributed_planner()
        .with_distributed_children_isolator_unions(false)?
        .with_distributed_dynamic_task_count(false)?
        .with_distributed_desired_task_count_handler(narrowed.clone())
        .build();
    let nothing = LogicalPlanBuilder::empty(false).build()?;
    session
        .query_planner()
        .create_physical_plan(&nothing, &session)
        .await
}

/// Hands the distributed planner a physical plan that exists already.
#[derive(Debug)]
struct Planned(Arc<dyn ExecutionPlan>);

#[async_trait]
impl QueryPlanner for Planned {
    async fn create_physical_plan(
        &self,
        _logical: &LogicalPlan,
        _session: &dyn Session,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        Ok(Arc::clone(&self.0))
    }
}
