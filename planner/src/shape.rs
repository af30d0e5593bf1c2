//! What a plan consists of, as far as progress is measured by it.

use skep_exchange::monitor::AttemptStatistics;
use std::collections::BTreeMap;

/// What a plan consists of, as far as progress is measured by it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanShape {
    /// The stages that run on executors, with the tasks of each.
    pub stages: BTreeMap<u32, u32>,
    /// How many rows the scans will read at most; 0 where that is not known.
    pub input_rows: u64,
}

impl PlanShape {
    /// How many of its stages and of its tasks have ended.
    pub fn ended(&self, statistics: &AttemptStatistics) -> (u32, u32) {
        let ended = |stage: &u32| statistics.tasks_ended(*stage);
        let stages = self.stages.iter();
        let done = stages.filter(|(stage, tasks)| ended(stage) >= **tasks);
        (done.count() as u32, self.stages.keys().map(ended).sum())
    }
}
