//! Operators' statistics over the wire.
//!
//! Metrics with one or two numbers travel; others (custom ones, except the task's own latencies) are
//! left out: they are display only. Scans count per file; of those that a partition reads the sum travels: with
//! thousands of small files, their metrics took longer than reading them.

use chrono::DateTime;
use datafusion::physical_plan::metrics::{
    Count, Gauge, Label, Metric, MetricValue, MetricsSet, PruningMetrics, RatioMetrics, Time,
    Timestamp,
};
use datafusion_distributed::{MaxLatencyMetric, TaskMetrics};
use skep_protocol::proto;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The name of the counter of bytes read from other nodes, in every boundary's metrics.
pub const EXCHANGE_BYTES_METRIC: &str = "exchange_bytes";

/// A task's metrics as they are sent, with the query's peak memory on the node so far.
pub fn encode_task_metrics(metrics: &TaskMetrics, peak_memory_bytes: u64) -> proto::TaskMetrics {
    proto::TaskMetrics {
        operators: metrics.pre_order_plan_metrics.iter().map(encode).collect(),
        task: Some(encode(&metrics.task_metrics)),
        peak_memory_bytes,
    }
}

/// The metrics that were sent. A kind that this node does not know is left out.
pub fn decode_task_metrics(metrics: proto::TaskMetrics) -> TaskMetrics {
    TaskMetrics {
        pre_order_plan_metrics: metrics.operators.into_iter().map(decode).collect(),
        task_metrics: decode(metrics.task.unwrap_or_default()),
    }
}

/// The label that scans give to what they count per file.
const FILE_LABEL: &str = "filename";

fn encode(set: &MetricsSet) -> proto::OperatorMetrics {
    let of_file = |metric: &&Arc<Metric>| {
        let mut labels = metric.labels().iter();
        labels.any(|label| label.name() == FILE_LABEL)
    };
    let (of_files, others): (Vec<_>, Vec<_>) = set.iter().partition(of_file);
    let others = others.into_iter().filter_map(|metric| encode_one(metric));
    let sums = sums_of_files(&of_files);
    let sums = sums.iter().filter_map(encode_one);
    proto::OperatorMetrics {
        metrics: others.chain(sums).collect(),
    }
}

/// What was counted of the files that each partition reads.
fn sums_of_files(metrics: &[&Arc<Metric>]) -> Vec<Metric> {
    let mut sums: BTreeMap<(&str, Option<usize>), MetricValue> = BTreeMap::new();
    for metric in metrics {
        let value = metric.value();
        let sum = sums.entry((value.name(), metric.partition()));
        sum.or_insert_with(|| value.new_empty()).aggregate(value);
    }
    let sums = sums.into_iter();
    sums.map(|((_, partition), value)| Metric::new(value, partition))
        .collect()
}

fn encode_one(metric: &Metric) -> Option<proto::Metric> {
    let (kind, value, second) = match metric.value() {
        MetricValue::OutputRows(count) => ("output_rows", count.value(), 0),
        MetricValue::ElapsedCompute(time) => ("elapsed_compute", time.value(), 0),
        MetricValue::SpillCount(count) => ("spill_count", count.value(), 0),
        MetricValue::SpilledBytes(count) => ("spilled_bytes", count.value(), 0),
        MetricValue::SpilledRows(count) => ("spilled_rows", count.value(), 0),
        MetricValue::OutputBytes(count) => ("output_bytes", count.value(), 0),
        MetricValue::OutputBatches(count) => ("output_batches", count.value(), 0),
        MetricValue::CurrentMemoryUsage(gauge) => ("current_memory_usage", gauge.value(), 0),
        MetricValue::Count { count, .. } => ("count", count.value(), 0),
        MetricValue::Gauge { gauge, .. } => ("gauge", gauge.value(), 0),
        MetricValue::PeakMemoryUsage { gauge, .. } => ("peak_memory", gauge.value(), 0),
        MetricValue::Time { time, .. } => ("time", time.value(), 0),
        MetricValue::StartTimestamp(at) => ("start_timestamp", nanos(at)?, 0),
        MetricValue::EndTimestamp(at) => ("end_timestamp", nanos(at)?, 0),
        MetricValue::PruningMetrics {
            pruning_metrics, ..
        } => (
            "pruning",
            pruning_metrics.pruned(),
            pruning_metrics.matched(),
        ),
        MetricValue::Ratio { ratio_metrics, .. } => {
            ("ratio", ratio_metrics.part(), ratio_metrics.total())
        }
        MetricValue::Custom { value, .. } => {
            let latency = value.as_any().downcast_ref::<MaxLatencyMetric>()?;
            ("max_latency", latency.value(), 0)
        }
    };
    Some(proto::Metric {
        name: metric.value().name().to_owned(),
        partition: metric.partition().map(|partition| partition as u64),
        labels: metric
            .labels()
            .iter()
            .map(|label| proto::Label {
                name: label.name().to_owned(),
                value: label.value().to_owned(),
            })
            .collect(),
        kind: kind.to_owned(),
        value: value as u64,
        second: second as u64,
    })
}

fn nanos(timestamp: &Timestamp) -> Option<usize> {
    usize::try_from(timestamp.value()?.timestamp_nanos_opt()?).ok()
}

fn decode(metrics: proto::OperatorMetrics) -> MetricsSet {
    let mut set = MetricsSet::new();
    for metric in metrics.metrics {
        if let Some(metric) = decode_one(metric) {
            set.push(Arc::new(metric));
        }
    }
    set
}

fn decode_one(metric: proto::Metric) -> Option<Metric> {
    let value = metric.value as usize;
    let name: Cow<'static, str> = Cow::Owned(metric.name);
    let value = match metric.kind.as_str() {
        "output_rows" => MetricValue::OutputRows(count(value)),
        "elapsed_compute" => MetricValue::ElapsedCompute(time(metric.value)),
        "spill_count" => MetricValue::SpillCount(count(value)),
        "spilled_bytes" => MetricValue::SpilledBytes(count(value)),
        "spilled_rows" => MetricValue::SpilledRows(count(value)),
        "output_bytes" => MetricValue::OutputBytes(count(value)),
        "output_batches" => MetricValue::OutputBatches(count(value)),
        "current_memory_usage" => MetricValue::CurrentMemoryUsage(gauge(value)),
        "count" => MetricValue::Count {
            name,
            count: count(value),
        },
        "gauge" => MetricValue::Gauge {
            name,
            gauge: gauge(value),
        },
        "peak_memory" => MetricValue::PeakMemoryUsage {
            name,
            gauge: gauge(value),
        },
        "time" => MetricValue::Time {
            name,
            time: time(metric.value),
        },
        "start_timestamp" => MetricValue::StartTimestamp(timestamp(metric.value)),
        "end_timestamp" => MetricValue::EndTimestamp(timestamp(metric.value)),
        "pruning" => {
            let pruning_metrics = PruningMetrics::new();
            pruning_metrics.add_pruned(value);
            pruning_metrics.add_matched(metric.second as usize);
            MetricValue::PruningMetrics {
                name,
                pruning_metrics,
            }
        }
        "ratio" => {
            let ratio_metrics = RatioMetrics::new();
            ratio_metrics.add_part(value);
            ratio_metrics.add_total(metric.second as usize);
            MetricValue::Ratio {
                name,
                ratio_metrics,
            }
        }
        "max_latency" => MetricValue::Custom {
            name,
            value: Arc::new(MaxLatencyMetric::from_nanos(value)),
        },
        _ => return None,
    };
    let labels = metric
        .labels
        .into_iter()
        .map(|label| Label::new(label.name, label.value))
        .collect();
    let partition = metric.partition.map(|partition| partition as usize);
    Some(Metric::new_with_labels(value, partition, labels))
}

fn count(value: usize) -> Count {
    let count = Count::new();
    count.add(value);
    count
}

fn gauge(value: usize) -> Gauge {
    let gauge = Gauge::new();
    gauge.set(value);
    gauge
}

fn time(nanos: u64) -> Time {
    let time = Time::new();
    time.add_duration(Duration::from_nanos(nanos));
    time
}

fn timestamp(nanos: u64) -> Timestamp {
    let timestamp = Timestamp::new();
    if let Ok(nanos) = i64::try_from(nanos) {
        timestamp.set(DateTime::from_timestamp_nanos(nanos));
    }
    timestamp
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_files_the_sums_are_sent() {
        let mut set = MetricsSet::new();
        for file in 0..100 {
            for partition in 0..2 {
                let bytes = MetricValue::Count {
                    name: "bytes_scanned".into(),
                    count: count(file),
                };
                let labels = vec![Label::new(FILE_LABEL, format!("{file}.parquet"))];
                let metric = Metric::new_with_labels(bytes, Some(partition), labels);
                set.push(Arc::new(metric));
            }
        }
        let sent = encode(&set);
        assert_eq!(sent.metrics.len(), 2);
        let received = decode(sent);
        let bytes = received.sum_by_name("bytes_scanned");
        assert_eq!(bytes.map(|bytes| bytes.as_usize()), Some(9900));
    }

    #[test]
    fn metrics_survive_the_wire() {
        let mut set = MetricsSet::new();
        let rows = Metric::new_with_labels(
            MetricValue::OutputRows(count(42)),
            Some(3),
            vec![Label::new("task_id", "1")],
        );
        set.push(Arc::new(rows));
        set.push(Arc::new(Metric::new(
            MetricValue::ElapsedCompute(time(77)),
            None,
        )));
        set.push(Arc::new(Metric::new(
            MetricValue::Count {
                name: "files".into(),
                count: count(5),
            },
            Some(0),
        )));
        let sent = TaskMetrics {
            pre_order_plan_metrics: vec![set.clone()],
            task_metrics: MetricsSet::new(),
        };
        let received = decode_task_metrics(encode_task_metrics(&sent, 0));
        let received = &received.pre_order_plan_metrics[0];
        assert_eq!(received.output_rows(), Some(42));
        assert_eq!(received.elapsed_compute(), Some(77));
        assert_eq!(received.sum_by_name("files").map(|v| v.as_usize()), Some(5));
        assert_eq!(
            received.iter().next().map(|metric| metric.partition()),
            Some(Some(3))
        );
    }
}
