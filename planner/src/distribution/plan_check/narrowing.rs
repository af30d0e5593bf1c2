//! Tells the distributed planner which operators must run in one task.

use super::fingerprint::{Fingerprint, OperatorKey, key};
use async_trait::async_trait;
use datafusion::common::Result;
use datafusion_distributed::{
    DesiredTaskCountEvent, DesiredTaskCountEventResponse, DesiredTaskCountHandler,
};
use std::collections::HashSet;

/// The operators whose stages are to have one task, gathered from violations. A stage that holds one
/// of them is planned with one task.
///
/// It must be the first handler of its kind in a session: handlers are asked in order, and the first
/// answer counts.
#[derive(Clone, Debug, Default)]
pub struct NarrowedStages {
    operators: HashSet<OperatorKey>,
}

impl NarrowedStages {
    /// Adds a violation's culprit; false where all of it was known already.
    pub fn add(&mut self, culprit: &Fingerprint) -> bool {
        let before = self.operators.len();
        self.operators.extend(culprit.operators.iter().cloned());
        self.operators.len() > before
    }

    /// Whether nothing is narrowed.
    pub fn is_empty(&self) -> bool {
        self.operators.is_empty()
    }
}

#[async_trait]
impl DesiredTaskCountHandler for NarrowedStages {
    async fn handle(
        &self,
        event: DesiredTaskCountEvent<'_>,
    ) -> Option<Result<DesiredTaskCountEventResponse>> {
        let known = !self.is_empty() && self.operators.contains(&key(event.plan));
        known.then(|| Ok(DesiredTaskCountEventResponse::maximum(1)))
    }
}
