//! Hand-built stages.

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::physical_expr::expressions::{Column, col};
use datafusion::physical_expr::{LexOrdering, Partitioning, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode, PhysicalGroupBy};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion_distributed::{
    BroadcastExec, DistributedExec, DistributedLeafExec, NetworkBoundary, NetworkBroadcastExec,
    NetworkCoalesceExec, NetworkShuffleExec, Stage,
};
use std::sync::Arc;
use uuid::Uuid;

pub type Plan = Arc<dyn ExecutionPlan>;

pub fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("a", DataType::Int64, true),
        Field::new("b", DataType::Int64, true),
    ]))
}

pub fn key(name: &str) -> Arc<dyn PhysicalExpr> {
    col(name, &schema()).unwrap()
}

pub fn order(name: &str) -> LexOrdering {
    LexOrdering::new([PhysicalSortExpr::new_default(key(name))]).unwrap()
}

/// A scan of `partitions` partitions per task with one share for each of `tasks` tasks.
pub fn scan(tasks: usize, partitions: usize) -> Plan {
    let leaf: Plan = Arc::new(EmptyExec::new(schema()).with_partitions(partitions));
    let shares = (0..tasks).map(|_| Arc::clone(&leaf));
    Arc::new(DistributedLeafExec::try_new(Arc::clone(&leaf), shares).unwrap())
}

/// A source that every task reads whole.
pub fn whole() -> Plan {
    Arc::new(EmptyExec::new(schema()))
}

pub fn hash(input: Plan, name: &str, partitions: usize) -> Plan {
    let partitioning = Partitioning::Hash(vec![key(name)], partitions);
    Arc::new(RepartitionExec::try_new(input, partitioning).unwrap())
}

pub fn sort(input: Plan, name: &str, fetch: Option<usize>) -> Plan {
    Arc::new(
        SortExec::new(order(name), input)
            .with_preserve_partitioning(true)
            .with_fetch(fetch),
    )
}

pub fn aggregate(mode: AggregateMode, input: Plan, by: &str) -> Plan {
    let index = schema().index_of(by).unwrap();
    let groups = PhysicalGroupBy::new_single(vec![(
        Arc::new(Column::new(by, index)) as Arc<dyn PhysicalExpr>,
        by.to_owned(),
    )]);
    Arc::new(AggregateExec::try_new(mode, groups, vec![], vec![], input, schema()).unwrap())
}

pub fn gather(input: Plan, fetch: Option<usize>) -> Plan {
    Arc::new(CoalescePartitionsExec::new(input).with_fetch(fetch))
}

fn staged(boundary: &dyn NetworkBoundary, number: usize, plan: Plan) -> Plan {
    let Stage::Local(mut stage) = boundary.input_stage().clone() else {
        panic!("a new boundary has a local stage");
    };
    stage.num = number;
    stage.query_id = Uuid::nil();
    stage.plan = plan;
    boundary.with_input_stage(Stage::Local(stage)).unwrap()
}

/// A shuffle of `input`, which runs in `producers` tasks, by `name` to `consumers` tasks with
/// `partitions` each.
pub fn shuffle(
    input: Plan,
    name: &str,
    producers: usize,
    consumers: usize,
    partitions: usize,
    number: usize,
) -> Plan {
    let boundary =
        NetworkShuffleExec::try_new(hash(Arc::clone(&input), name, partitions), producers).unwrap();
    staged(&boundary, number, hash(input, name, partitions * consumers))
}

pub fn broadcast(input: Plan, producers: usize, consumers: usize, number: usize) -> Plan {
    let single: Plan = Arc::new(BroadcastExec::new(Arc::clone(&input), 1));
    let boundary = NetworkBroadcastExec::try_new(single, producers).unwrap();
    staged(
        &boundary,
        number,
        Arc::new(BroadcastExec::new(input, consumers)),
    )
}

pub fn coalesce(input: Plan, producers: usize, consumers: usize, number: usize) -> Plan {
    let boundary = NetworkCoalesceExec::try_new(Arc::clone(&input), producers, consumers).unwrap();
    staged(&boundary, number, input)
}

/// The whole plan: `stage` in `tasks` tasks, gathered by the coordinator.
pub fn gathered(stage: Plan, tasks: usize) -> Plan {
    root(gather(coalesce(stage, tasks, 1, 9), None))
}

pub fn root(head: Plan) -> Plan {
    Arc::new(DistributedExec::new(head))
}
