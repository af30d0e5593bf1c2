//! Carries out what [`skep_scheduler::attempts`] decides about a query: waits for pauses and executors, tells
//! the list of executors on whom tasks fail, and makes what the next attempt is planned with.

use crate::cluster::{ClusterSnapshot, Members};
use crate::query::QueryHandle;
use skep_planner::PlanningContext;
use skep_protocol::{ErrorCode, QueryError};
use skep_scheduler::attempts::{Action, AttemptLimits, Attempts, Event};
use skep_scheduler::failure::Reason;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The attempts of one query, or of one of the parts of a statement that run one after the other.
pub(crate) struct QueryAttempts {
    attempts: Attempts,
    members: Arc<Members>,
    /// With what the first attempt was planned; all of them read the same snapshot of the catalog.
    context: PlanningContext,
    /// The executors of the current attempt.
    cluster: Arc<ClusterSnapshot>,
    executor_wait: Duration,
}

/// When a query has run for too long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    pub(crate) at: tokio::time::Instant,
    pub(crate) limit: Duration,
}

impl Deadline {
    /// What a query fails with that has run for too long.
    pub(crate) fn error(&self) -> QueryError {
        QueryError::new(
            ErrorCode::DeadlineExceeded,
            format!("the query ran longer than {} s", self.limit.as_secs()),
        )
    }
}

/// The bounds of a query's attempts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AttemptBounds {
    /// How many there may be.
    pub(crate) attempts_max: usize,
    /// When the query has run for too long.
    pub(crate) deadline: Option<Deadline>,
    /// How long an attempt waits for the first executor.
    pub(crate) executor_wait: Duration,
}

impl QueryAttempts {
    /// The first attempt of a query starts, planned with `context` on executors of `members`.
    pub(crate) fn start(
        members: &Arc<Members>,
        context: &PlanningContext,
        handle: &QueryHandle,
        bounds: AttemptBounds,
    ) -> Self {
        let limits = AttemptLimits {
            attempts_max: u32::try_from(bounds.attempts_max.max(1)).unwrap_or(u32::MAX),
            ..AttemptLimits::default()
        };
        let deadline = bounds.deadline.map(|deadline| deadline.at.into_std());
        let attempts = Self {
            attempts: Attempts::start(limits, deadline, Instant::now()),
            members: Arc::clone(members),
            context: context.clone(),
            cluster: members.snapshot(),
            executor_wait: bounds.executor_wait,
        };
        handle.show_attempts(attempts.attempts.records());
        attempts
    }

    /// The number of the current attempt, counted from 1.
    pub(crate) fn number(&self) -> u32 {
        self.attempts.current()
    }

    /// Something of the current attempt's result is about to leave; false where that is not allowed.
    pub(crate) fn release(&mut self) -> bool {
        let attempt = self.attempts.current();
        let action = self
            .attempts
            .apply(Event::Released { attempt }, Instant::now());
        action == Action::Go
    }

    /// The current attempt has run to its end.
    pub(crate) fn succeeded(&mut self, handle: &QueryHandle) {
        let (attempt, now) = (self.attempts.current(), Instant::now());
        self.attempts.apply(Event::Succeeded { attempt }, now);
        handle.show_attempts(self.attempts.records());
        self.members.query_succeeded(&self.cluster, now);
    }

    /// The current attempt has failed with `error`. Waits until another one may start, and returns what that
    /// one is planned with.
    ///
    /// # Errors
    /// Where there is no other one: with what the query has failed.
    pub(crate) async fn next(
        &mut self,
        error: QueryError,
        handle: &QueryHandle,
    ) -> Result<PlanningContext, QueryError> {
        let node = error.node.as_deref();
        let executor = node.and_then(|node| self.cluster.id_of(node));
        let executor = executor.map(str::to_owned);
        let event = Event::Failed {
            attempt: self.attempts.current(),
            error: error.clone(),
            executor: executor.clone(),
        };
        let action = self.attempts.apply(event, Instant::now());
        handle.show_attempts(self.attempts.records());
        if let Action::Pause { until } = action {
            tracing::info!(
                query_id = %handle.id(), attempt = self.number(), %error,
                "an attempt failed, the query is started again"
            );
            tokio::time::sleep_until(until.into()).await;
        }
        self.blame(executor.as_deref(), &error);
        if let Action::Fail(error) = action {
            return Err(error);
        }
        let members = Arc::clone(&self.members);
        let is_gone = |id: &str| members.is_gone(id);
        let event = Event::PauseOver { is_gone: &is_gone };
        let action = self.attempts.apply(event, Instant::now());
        handle.show_attempts(self.attempts.records());
        let avoid = match action {
            Action::Start { avoid, .. } => avoid,
            Action::Fail(error) => return Err(error),
            _ => return Err(QueryError::internal("an attempt ended in no known way")),
        };
        let waiting = self.members.wait_for_active(self.executor_wait).await;
        let cluster = waiting.map_err(|none| {
            let text = format!("{}; {}", error.message, none.message);
            QueryError::new(ErrorCode::NoExecutors, text)
        })?;
        self.cluster = Arc::new(cluster.avoiding(avoid));
        Ok(PlanningContext {
            executors: self.cluster.for_planning(),
            monitor: Arc::default(),
            ..self.context.clone()
        })
    }

    /// A failure counts against the executor where it arose, if that lives.
    fn blame(&self, executor: Option<&str>, error: &QueryError) {
        let counts = Reason::of(error).is_some_and(Reason::counts_against_executor);
        if let Some(executor) = executor.filter(|id| counts && !self.members.is_gone(id)) {
            self.members.task_failed(executor, Instant::now());
        }
    }
}
