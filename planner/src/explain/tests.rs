//! Plans as people and programs see them.

use super::{render_analyze_json, render_analyze_text, render_json, render_text};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::col;
use datafusion::physical_expr::{Partitioning, PhysicalExpr};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::metrics::{Count, Label, Metric, MetricValue, MetricsSet, Time};
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
};
use datafusion_distributed::{
    DISTRIBUTED_DATAFUSION_TASK_ID_LABEL, DistributedExec, DistributedLeafExec, NetworkBoundary,
    NetworkCoalesceExec, NetworkShuffleExec, Stage,
};
use skep_exchange::channel::EXCHANGE_BYTES_METRIC;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

type Plan = Arc<dyn ExecutionPlan>;

/// An operator that has run.
#[derive(Debug)]
struct Ran {
    input: Plan,
    metrics: MetricsSet,
}

impl DisplayAs for Ran {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RanExec")
    }
}

impl ExecutionPlan for Ran {
    fn name(&self) -> &str {
        "RanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn children(&self) -> Vec<&Plan> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Plan>,
        _: ReplaceChildrenOptions,
    ) -> Result<Plan> {
        Ok(Arc::new(Self {
            input: children.remove(0),
            metrics: self.metrics.clone(),
        }))
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Plan>) -> Result<Plan> {
        Ok(Arc::new(Self {
            input: children.remove(0),
            metrics: self.metrics.clone(),
        }))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        self.input.execute(partition, context)
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone())
    }
}

fn ran(input: Plan, work: &[(usize, usize, u64, usize)]) -> Plan {
    let mut metrics = MetricsSet::new();
    let count = |number| {
        let count = Count::new();
        count.add(number);
        count
    };
    for (task, rows, microseconds, spilled) in work {
        let label = || {
            vec![Label::new(
                DISTRIBUTED_DATAFUSION_TASK_ID_LABEL,
                task.to_string(),
            )]
        };
        let elapsed = Time::new();
        elapsed.add_duration(Duration::from_micros(*microseconds));
        for value in [
            MetricValue::OutputRows(count(*rows)),
            MetricValue::ElapsedCompute(elapsed),
            MetricValue::SpilledBytes(count(*spilled)),
        ] {
            metrics.push(Arc::new(Metric::new_with_labels(value, Some(0), label())));
        }
    }
    Arc::new(Ran { input, metrics })
}

fn scan(tasks: usize) -> Plan {
    let schema = Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, true)]));
    let leaf: Plan = Arc::new(EmptyExec::new(schema).with_partitions(2));
    let shares = (0..tasks).map(|_| Arc::clone(&leaf));
    Arc::new(DistributedLeafExec::try_new(Arc::clone(&leaf), shares).unwrap())
}

fn numbered(boundary: &dyn NetworkBoundary, number: usize) -> Plan {
    let Stage::Local(mut stage) = boundary.input_stage().clone() else {
        panic!("a new boundary has a local stage");
    };
    stage.num = number;
    boundary.with_input_stage(Stage::Local(stage)).unwrap()
}

/// Three tasks scan and shuffle to two, whose rows the coordinator gathers.
fn plan() -> Plan {
    let key = col("a", &scan(3).schema()).unwrap();
    let scanned = ran(
        scan(3),
        &[(0, 10, 100, 0), (1, 1200, 4000, 2048), (2, 30, 300, 0)],
    );
    let hashed = RepartitionExec::try_new(scanned, Partitioning::Hash(vec![key], 4)).unwrap();
    let shuffled = numbered(
        &NetworkShuffleExec::try_new(Arc::new(hashed), 3).unwrap(),
        1,
    );
    let gathered = numbered(&NetworkCoalesceExec::try_new(shuffled, 2, 1).unwrap(), 2);
    Arc::new(DistributedExec::new(Arc::new(CoalescePartitionsExec::new(
        gathered,
    ))))
}

fn route(stage: usize, task: usize) -> Option<String> {
    (stage == 1).then(|| format!("h{}:8091", task % 2))
}

#[test]
fn stages_are_shown_from_the_head_down() {
    let expected = "\
Head: 1 task of 1 partition on the coordinator
  CoalescePartitionsExec
    Gather: rows of stage 2, task after task
  Stage 2: 2 tasks of 4 partitions
    Shuffle: rows of stage 1, by key
    Stage 1: 3 tasks of 4 partitions on h0:8091 (tasks 0, 2), h1:8091 (task 1)
      RepartitionExec: partitioning=Hash([a@0], 4), input_partitions=2
        RanExec
          EmptyExec (split over 3 tasks)
";
    assert_eq!(render_text(&plan(), &route), expected);
}

#[test]
fn json_has_the_same_stages() {
    let json = render_json(&plan(), &route);
    assert!(json["stage"].is_null());
    assert_eq!(json["operators"][1]["reads_stage"], 2);
    let scan = &json["inputs"][0]["inputs"][0];
    assert_eq!(scan["stage"], 1);
    assert_eq!(scan["tasks"], 3);
    assert_eq!(scan["runs_on"][1], "h1:8091");
    assert_eq!(scan["operators"][2]["depth"], 2);
    assert!(scan["operators"][1].get("rows").is_none());
    assert!(json["inputs"][0]["runs_on"][0].is_null());
}

#[test]
fn a_run_shows_rows_time_spill_and_the_slowest_task() {
    let text = render_analyze_text(&plan(), &route);
    let expected = "RanExec [rows=1,240, time=4.4ms, spilled=2.0 KiB, slowest task 1: 4.0ms, \
                    fastest task 0: 100µs]";
    assert!(text.contains(expected), "{text}");
    let json = render_analyze_json(&plan(), &route);
    let scanned = &json["inputs"][0]["inputs"][0]["operators"][1];
    assert_eq!(scanned["rows"], 1240);
    assert_eq!(scanned["elapsed_compute_ns"], 4_400_000);
    assert_eq!(scanned["spilled_bytes"], 2048);
    assert_eq!(scanned["slowest_task"]["task"], 1);
    assert_eq!(scanned["fastest_task"]["rows"], 10);
}

#[test]
fn bytes_exchanged_are_those_that_a_boundary_read() {
    let count = Count::new();
    count.add(3 * 1024 * 1024);
    let value = MetricValue::Count {
        name: EXCHANGE_BYTES_METRIC.into(),
        count,
    };
    let mut work = super::metrics::Work::default();
    work.add(&value, true);
    assert_eq!(work.exchanged_bytes, Some(3 * 1024 * 1024));
    let mut elsewhere = super::metrics::Work::default();
    elsewhere.add(&value, false);
    assert_eq!(elsewhere.exchanged_bytes, None);
}
