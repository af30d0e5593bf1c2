//! What the coordinator learns of an attempt while it runs: how far its tasks are, what they moved and
//! used, and the first thing that went wrong.

use crate::metrics::EXCHANGE_BYTES_METRIC;
use parking_lot::Mutex;
use skep_protocol::QueryError;
use skep_protocol::proto::{TaskMetrics, TaskProgress};
use std::collections::{BTreeMap, HashMap};
use tokio_util::sync::CancellationToken;

/// Sums over the tasks of an attempt that have ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttemptStatistics {
    /// Tasks started.
    pub tasks_started: u32,
    /// Tasks that have reported their metrics.
    pub tasks_finished: u32,
    /// Bytes read from other nodes.
    pub exchange_bytes: u64,
    /// Bytes spilled to disk.
    pub spilled_bytes: u64,
    /// What the tasks have reported while they ran, by stage and task.
    progress: BTreeMap<(u32, u32), TaskProgress>,
    /// The query's peak memory on each node, in bytes.
    peak_memory_bytes: HashMap<String, u64>,
}

impl AttemptStatistics {
    /// How many tasks of a stage have nothing left to send.
    pub fn tasks_ended(&self, stage: u32) -> u32 {
        let tasks = self.progress.range((stage, 0)..=(stage, u32::MAX));
        tasks.filter(|(_, task)| task.output_ended).count() as u32
    }

    /// How many rows and bytes the scans have read.
    pub fn read(&self) -> (u64, u64) {
        let tasks = self.progress.values();
        tasks.fold((0, 0), |(rows, bytes), task| {
            (rows + task.read_rows, bytes + task.read_bytes)
        })
    }

    /// The sum over the nodes of the query's peak on each: an upper bound of its real peak.
    pub fn peak_memory_bytes(&self) -> u64 {
        self.peak_memory_bytes.values().sum()
    }
}

/// Watches one attempt. The transport tells it; the coordinator asks.
#[derive(Debug, Default)]
pub struct AttemptMonitor {
    statistics: Mutex<AttemptStatistics>,
    failure: Mutex<Option<QueryError>>,
    failed: CancellationToken,
}

impl AttemptMonitor {
    /// A task was started.
    pub fn task_started(&self) {
        self.statistics.lock().tasks_started += 1;
    }

    /// A task says how far it is.
    pub fn task_progress(&self, task: (u32, u32), progress: &TaskProgress) {
        let mut statistics = self.statistics.lock();
        statistics.progress.insert(task, progress.clone());
    }

    /// A task on `node` has ended with `metrics`.
    pub fn task_finished(&self, node: &str, metrics: &TaskMetrics) {
        let mut statistics = self.statistics.lock();
        statistics.tasks_finished += 1;
        for metric in metrics
            .operators
            .iter()
            .flat_map(|operator| &operator.metrics)
        {
            if metric.name == EXCHANGE_BYTES_METRIC {
                statistics.exchange_bytes += metric.value;
            } else if metric.kind == "spilled_bytes" {
                statistics.spilled_bytes += metric.value;
            }
        }
        let peak = statistics
            .peak_memory_bytes
            .entry(node.to_owned())
            .or_default();
        *peak = (*peak).max(metrics.peak_memory_bytes);
    }

    /// A task failed. Only the first failure counts: the others follow from it.
    pub fn fail(&self, error: QueryError) {
        self.failure.lock().get_or_insert(error);
        self.failed.cancel();
    }

    /// Waits for the first failure.
    pub async fn failure(&self) -> QueryError {
        self.failed.cancelled().await;
        let failure = self.failure.lock().clone();
        failure.unwrap_or_else(|| QueryError::internal("an attempt failed for no known reason"))
    }

    /// The first failure, where there was one.
    pub fn failure_now(&self) -> Option<QueryError> {
        self.failure.lock().clone()
    }

    /// The sums so far.
    pub fn statistics(&self) -> AttemptStatistics {
        self.statistics.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skep_protocol::ErrorCode;
    use skep_protocol::proto::{Metric, OperatorMetrics};

    #[tokio::test]
    async fn the_first_failure_counts() {
        let monitor = AttemptMonitor::default();
        assert_eq!(monitor.failure_now(), None);
        monitor.fail(QueryError::new(ErrorCode::ExecutorLost, "first"));
        monitor.fail(QueryError::new(ErrorCode::Internal, "second"));
        assert_eq!(monitor.failure().await.message, "first");
    }

    #[test]
    fn progress_is_the_last_that_each_task_said() {
        let monitor = AttemptMonitor::default();
        let said = |read_rows, output_ended| TaskProgress {
            read_rows,
            read_bytes: read_rows * 8,
            output_ended,
            direct: None,
        };
        monitor.task_progress((1, 0), &said(5, false));
        monitor.task_progress((1, 1), &said(7, true));
        monitor.task_progress((2, 0), &said(1, true));
        monitor.task_progress((1, 0), &said(10, false));
        let statistics = monitor.statistics();
        assert_eq!(statistics.read(), (18, 144));
        let ended = [0, 1, 2].map(|stage| statistics.tasks_ended(stage));
        assert_eq!(ended, [0, 1, 1]);
    }

    #[test]
    fn metrics_add_up() {
        let metric = |name: &str, kind: &str, value| Metric {
            name: name.into(),
            kind: kind.into(),
            value,
            ..Default::default()
        };
        let operator = OperatorMetrics {
            metrics: vec![
                metric(EXCHANGE_BYTES_METRIC, "count", 10),
                metric("spilled_bytes", "spilled_bytes", 3),
            ],
        };
        let task = TaskMetrics {
            operators: vec![operator.clone(), operator],
            task: None,
            peak_memory_bytes: 7,
        };
        let monitor = AttemptMonitor::default();
        monitor.task_finished("a", &task);
        monitor.task_finished("a", &task);
        monitor.task_finished("b", &task);
        let statistics = monitor.statistics();
        assert_eq!(statistics.tasks_finished, 3);
        assert_eq!(
            (statistics.exchange_bytes, statistics.spilled_bytes),
            (60, 18)
        );
        assert_eq!(statistics.peak_memory_bytes(), 14);
    }
}
