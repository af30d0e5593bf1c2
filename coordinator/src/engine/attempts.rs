//! The attempts of queries, with the bounds that their sessions set.

use super::Coordinator;
use crate::attempts::{AttemptBounds, Deadline, QueryAttempts};
use crate::query::QueryHandle;
use skep_planner::PlanningContext;

impl Coordinator {
    /// The attempts of a query whose first one is planned with `context`.
    pub(super) fn attempts(
        &self,
        context: &PlanningContext,
        handle: &QueryHandle,
        deadline: Option<Deadline>,
    ) -> QueryAttempts {
        let attempts_max = context.session.settings.own().query_attempts_max;
        self.attempts_up_to(attempts_max, context, handle, deadline)
    }

    /// The same, with so many of them at most.
    pub(super) fn attempts_up_to(
        &self,
        attempts_max: usize,
        context: &PlanningContext,
        handle: &QueryHandle,
        deadline: Option<Deadline>,
    ) -> QueryAttempts {
        let bounds = AttemptBounds {
            attempts_max,
            deadline,
            executor_wait: self.config.executor_wait,
        };
        QueryAttempts::start(&self.members, context, handle, bounds)
    }
}
