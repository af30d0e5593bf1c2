//! What operators report about a run, reduced to what people ask first.

use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::{Metric, MetricValue};
use datafusion_distributed::{DISTRIBUTED_DATAFUSION_TASK_ID_LABEL, NetworkBoundaryExt};
use serde_json::{Value, json};
use skep_exchange::channel::EXCHANGE_BYTES_METRIC;
use skep_hive_text::REJECTED_LINES_METRIC;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What an operator, or a stage, did in one task or in all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Work {
    pub rows: Option<u64>,
    pub compute_ns: u64,
    pub exchanged_bytes: Option<u64>,
    pub spilled_bytes: u64,
    /// Lines of text files that were left out because they are no rows.
    pub rejected_lines: u64,
}

/// What an operator, or a stage, did in each task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Measured {
    pub all: Work,
    pub tasks: BTreeMap<usize, Work>,
}

/// The tasks that took longest and shortest, by computing time.
pub(super) struct Extremes<'a> {
    pub slowest: (usize, &'a Work),
    pub fastest: (usize, &'a Work),
}

impl Measured {
    /// Reads the metrics of `node`; `None` where it has reported nothing.
    pub(super) fn of(node: &Arc<dyn ExecutionPlan>) -> Option<Self> {
        let metrics = node.metrics()?;
        let exchange = node.is_network_boundary();
        let mut tasks: BTreeMap<usize, Work> = BTreeMap::new();
        for metric in metrics.iter() {
            tasks
                .entry(task_of(metric))
                .or_default()
                .add(metric.value(), exchange);
        }
        (!tasks.is_empty()).then(|| Self::over(tasks))
    }

    /// What all operators of a stage did together, task by task. The rows are those of its top.
    pub(super) fn total<'a>(operators: impl Iterator<Item = Option<&'a Self>>) -> Option<Self> {
        let mut tasks: BTreeMap<usize, Work> = BTreeMap::new();
        let measured = operators.enumerate();
        for (index, measured) in measured.filter_map(|(index, measured)| Some((index, measured?))) {
            for (task, work) in &measured.tasks {
                let sum = tasks.entry(*task).or_default();
                let rows = sum.rows;
                sum.include(work);
                sum.rows = if index == 0 { work.rows } else { rows };
            }
        }
        (!tasks.is_empty()).then(|| Self::over(tasks))
    }

    fn over(tasks: BTreeMap<usize, Work>) -> Self {
        let mut all = Work::default();
        for work in tasks.values() {
            all.include(work);
        }
        Self { all, tasks }
    }

    /// The slowest and the fastest task by computing time, where there are several.
    pub(super) fn extremes(&self) -> Option<Extremes<'_>> {
        if self.tasks.len() < 2 {
            return None;
        }
        let by_time = |(_, work): &(&usize, &Work)| work.compute_ns;
        let slowest = self.tasks.iter().max_by_key(by_time)?;
        let fastest = self.tasks.iter().min_by_key(by_time)?;
        Some(Extremes {
            slowest: (*slowest.0, slowest.1),
            fastest: (*fastest.0, fastest.1),
        })
    }

    /// Adds the numbers to an operator's or a stage's JSON object.
    pub(super) fn add_to(&self, object: &mut Value) {
        object["rows"] = json!(self.all.rows);
        object["elapsed_compute_ns"] = json!(self.all.compute_ns);
        object["bytes_exchanged"] = json!(self.all.exchanged_bytes);
        object["spilled_bytes"] = json!(self.all.spilled_bytes);
        if self.all.rejected_lines > 0 {
            object["rejected_lines"] = json!(self.all.rejected_lines);
        }
        if let Some(extremes) = self.extremes() {
            object["slowest_task"] = task_json(extremes.slowest);
            object["fastest_task"] = task_json(extremes.fastest);
        }
    }
}

fn task_json((task, work): (usize, &Work)) -> Value {
    json!({ "task": task, "elapsed_compute_ns": work.compute_ns, "rows": work.rows })
}

impl Work {
    /// Counts one metric; `exchange` says that a boundary reports it.
    pub(super) fn add(&mut self, value: &MetricValue, exchange: bool) {
        let number = value.as_usize() as u64;
        match value {
            MetricValue::OutputRows(_) => add_to(&mut self.rows, number),
            MetricValue::ElapsedCompute(_) => self.compute_ns += number,
            MetricValue::SpilledBytes(_) => self.spilled_bytes += number,
            _ if value.name() == REJECTED_LINES_METRIC => self.rejected_lines += number,
            _ if exchange && value.name() == EXCHANGE_BYTES_METRIC => {
                add_to(&mut self.exchanged_bytes, number);
            }
            _ => {}
        }
    }

    fn include(&mut self, other: &Self) {
        if let Some(rows) = other.rows {
            add_to(&mut self.rows, rows);
        }
        if let Some(bytes) = other.exchanged_bytes {
            add_to(&mut self.exchanged_bytes, bytes);
        }
        self.compute_ns += other.compute_ns;
        self.spilled_bytes += other.spilled_bytes;
        self.rejected_lines += other.rejected_lines;
    }
}

fn add_to(sum: &mut Option<u64>, number: u64) {
    *sum = Some(sum.unwrap_or(0) + number);
}

/// The task that a metric comes from; what the head reports has no task and counts as task 0.
fn task_of(metric: &Metric) -> usize {
    metric
        .labels()
        .iter()
        .find(|label| label.name() == DISTRIBUTED_DATAFUSION_TASK_ID_LABEL)
        .and_then(|label| label.value().parse().ok())
        .unwrap_or(0)
}
