//! The plans that the library makes of TPC-H: those that are right pass, those that are wrong are
//! caught and mended.

use super::super::{NarrowedStages, Rule, Violation, check};
use crate::distribution::distribute::{distribute, distribute_checked};
use crate::distribution::place_head::place_head;
use datafusion::arrow::array::{ArrayRef, Date32Array, Decimal128Array, Int64Array, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::DataFusionError;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::ListingOptions;
use datafusion::execution::SessionStateBuilder;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion_distributed::{DistributedExec, DistributedExt, WorkerResolver};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use std::sync::Arc;
use url::Url;

/// Columns by type: `i` a number, `d` a decimal, `t` a date, anything else text.
const TABLES: [(&str, &str); 8] = [
    ("region", "i:r_regionkey s:r_name s:r_comment"),
    ("nation", "i:n_nationkey s:n_name i:n_regionkey s:n_comment"),
    (
        "supplier",
        "i:s_suppkey s:s_name s:s_address i:s_nationkey s:s_phone d:s_acctbal s:s_comment",
    ),
    (
        "customer",
        "i:c_custkey s:c_name s:c_address i:c_nationkey s:c_phone d:c_acctbal s:c_mktsegment \
         s:c_comment",
    ),
    (
        "part",
        "i:p_partkey s:p_name s:p_mfgr s:p_brand s:p_type i:p_size s:p_container d:p_retailprice \
         s:p_comment",
    ),
    (
        "partsupp",
        "i:ps_partkey i:ps_suppkey i:ps_availqty d:ps_supplycost s:ps_comment",
    ),
    (
        "orders",
        "i:o_orderkey i:o_custkey s:o_orderstatus d:o_totalprice t:o_orderdate s:o_orderpriority \
         s:o_clerk i:o_shippriority s:o_comment",
    ),
    (
        "lineitem",
        "i:l_orderkey i:l_partkey i:l_suppkey i:l_linenumber d:l_quantity d:l_extendedprice \
         d:l_discount d:l_tax s:l_returnflag s:l_linestatus t:l_shipdate t:l_commitdate \
         t:l_receiptdate s:l_shipinstruct s:l_shipmode s:l_comment",
    ),
];

const ROWS_PER_FILE: i64 = 60;
const FILES_PER_TABLE: usize = 2;

/// How joins are planned.
#[derive(Clone, Copy, Debug)]
enum Joins {
    /// Small build sides are copied.
    Collected,
    /// Hash joins with both sides shuffled.
    Partitioned,
    /// Merge joins.
    Merged,
}

struct Workers(usize);

impl WorkerResolver for Workers {
    fn get_urls(&self) -> Result<Vec<Url>, DataFusionError> {
        Ok((0..self.0)
            .map(|worker| Url::parse(&format!("http://worker-{worker}:1")).unwrap())
            .collect())
    }
}

fn column(kind: &str, name: &str) -> (Field, ArrayRef) {
    let rows = 0..ROWS_PER_FILE;
    let values: ArrayRef = match kind {
        "i" => Arc::new(Int64Array::from_iter_values(rows)),
        "d" => Arc::new(
            Decimal128Array::from_iter_values(rows.map(i128::from))
                .with_precision_and_scale(15, 2)
                .unwrap(),
        ),
        "t" => Arc::new(Date32Array::from_iter_values(
            rows.map(|row| 9000 + i32::try_from(row).unwrap()),
        )),
        _ => Arc::new(StringArray::from_iter_values(
            rows.map(|row| format!("{name} {row}")),
        )),
    };
    (Field::new(name, values.data_type().clone(), false), values)
}

fn file(columns: &str) -> (Arc<Schema>, Vec<u8>) {
    let (fields, values): (Vec<Field>, Vec<ArrayRef>) = columns
        .split_whitespace()
        .map(|column_| column_.split_once(':').unwrap())
        .map(|(kind, name)| column(kind, name))
        .unzip();
    let schema = Arc::new(Schema::new(fields));
    assert!(
        schema
            .fields()
            .iter()
            .all(|field| *field.data_type() != DataType::Null)
    );
    let batch = RecordBatch::try_new(Arc::clone(&schema), values).unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, Arc::clone(&schema), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    (schema, bytes)
}

async fn session(partitions: usize, workers: usize, joins: Joins) -> SessionContext {
    let mut config = SessionConfig::new().with_target_partitions(partitions);
    let optimizer = &mut config.options_mut().optimizer;
    optimizer.enable_physical_uncorrelated_scalar_subquery = false;
    match joins {
        Joins::Collected => {}
        Joins::Partitioned => {
            optimizer.hash_join_single_partition_threshold = 0;
            optimizer.hash_join_single_partition_threshold_rows = 0;
        }
        Joins::Merged => optimizer.prefer_hash_join = false,
    }
    let state = SessionStateBuilder::new()
        .with_default_features()
        .with_config(config)
        .with_distributed_worker_resolver(Workers(workers))
        .with_distributed_file_scan_config_bytes_per_partition(1)
        .unwrap()
        .build();
    let context = SessionContext::new_with_state(state);
    let store = Arc::new(InMemory::new());
    for (table, columns) in TABLES {
        let (schema, bytes) = file(columns);
        for part in 0..FILES_PER_TABLE {
            let path = Path::from(format!("{table}/{part}.parquet"));
            store.put(&path, bytes.clone().into()).await.unwrap();
        }
        let store: Arc<dyn ObjectStore> = Arc::clone(&store) as _;
        context.register_object_store(&Url::parse("mem://data").unwrap(), store);
        let options = ListingOptions::new(Arc::new(ParquetFormat::default()));
        context
            .register_listing_table(
                table,
                format!("mem://data/{table}/"),
                options,
                Some(schema),
                None,
            )
            .await
            .unwrap();
    }
    context
}

fn query(number: usize) -> String {
    let path = format!(
        "{}/../tpch/queries/q{number:02}.sql",
        env!("CARGO_MANIFEST_DIR")
    );
    std::fs::read_to_string(path).unwrap()
}

async fn physical(context: &SessionContext, sql: &str) -> Arc<dyn ExecutionPlan> {
    context
        .sql(sql)
        .await
        .unwrap()
        .create_physical_plan()
        .await
        .unwrap()
}

/// What the check says of the plan as the library makes it.
async fn unmended(context: &SessionContext, sql: &str) -> (bool, Vec<Violation>) {
    let state = context.state();
    let plan = distribute(
        &physical(context, sql).await,
        &state,
        &NarrowedStages::default(),
    )
    .await
    .unwrap();
    let violations = check(&plan).err().unwrap_or_default();
    (plan.is::<DistributedExec>(), violations)
}

async fn assert_all_pass(partitions: usize, workers: usize, joins: Joins) {
    let context = session(partitions, workers, joins).await;
    let mut distributed = 0;
    for number in 1..=22 {
        let (split, violations) = unmended(&context, &query(number)).await;
        distributed += usize::from(split);
        let text: Vec<String> = violations.iter().map(ToString::to_string).collect();
        assert!(
            violations.is_empty(),
            "q{number} with {partitions} partitions, {workers} workers, {joins:?}: {text:#?}"
        );
    }
    assert!(
        workers == 1 || distributed == 22,
        "{distributed} of 22 plans are distributed"
    );
}

#[tokio::test]
async fn tpch_passes_with_two_partitions_and_more() {
    for partitions in [2, 3, 8] {
        for workers in [1, 2, 3] {
            assert_all_pass(partitions, workers, Joins::Collected).await;
        }
    }
}

#[tokio::test]
async fn tpch_passes_with_shuffled_and_merged_joins() {
    for joins in [Joins::Partitioned, Joins::Merged] {
        assert_all_pass(3, 3, joins).await;
        assert_all_pass(2, 2, joins).await;
    }
}

/// The defect that the check exists for: with one partition, `Single` aggregates get several tasks.
#[tokio::test]
async fn single_aggregates_in_split_stages_are_caught() {
    let context = session(1, 2, Joins::Collected).await;
    for number in [11, 15] {
        let (_, violations) = unmended(&context, &query(number)).await;
        assert!(
            violations
                .iter()
                .any(|violation| violation.rule == Rule::SinglePartition
                    && violation.tasks == 2
                    && violation.operator.contains("mode=Single")),
            "q{number}: {violations:#?}"
        );
    }
}

#[tokio::test]
async fn everything_is_mended_and_stays_right_when_the_head_moves() {
    for (partitions, workers) in [(1, 2), (1, 3), (3, 2)] {
        for joins in [Joins::Collected, Joins::Partitioned, Joins::Merged] {
            let context = session(partitions, workers, joins).await;
            for number in 1..=22 {
                let physical = physical(&context, &query(number)).await;
                let checked = distribute_checked(physical, &context.state())
                    .await
                    .unwrap();
                let placed = place_head(checked.plan).unwrap();
                let verdict = check(&placed);
                assert!(
                    verdict.is_ok(),
                    "q{number}, {partitions} partitions: {verdict:#?}"
                );
                assert!(
                    placed.is::<DistributedExec>(),
                    "q{number} runs on the coordinator"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_mended_plan_is_still_distributed_where_it_can_be() {
    let context = session(1, 2, Joins::Collected).await;
    let physical = physical(&context, &query(11)).await;
    let checked = distribute_checked(physical, &context.state())
        .await
        .unwrap();
    assert!(!checked.mended.is_empty());
    assert!(checked.plan.is::<DistributedExec>());
}

#[tokio::test]
async fn a_limit_in_a_copied_subquery_is_not_left_to_each_task() {
    let context = session(3, 3, Joins::Collected).await;
    let sql = "SELECT count(*) FROM lineitem JOIN \
               (SELECT o_orderkey FROM orders WHERE o_custkey > 3 LIMIT 4) o ON o_orderkey = l_orderkey";
    let (_, violations) = unmended(&context, sql).await;
    let rules: Vec<Rule> = violations.iter().map(|violation| violation.rule).collect();
    assert!(rules.contains(&Rule::DivergingChoice), "{rules:?}");
    let physical = physical(&context, sql).await;
    let checked = distribute_checked(physical, &context.state())
        .await
        .unwrap();
    assert!(check(&checked.plan).is_ok());
}

#[tokio::test]
async fn plans_without_storage_stay_on_the_coordinator() {
    let context = session(3, 3, Joins::Collected).await;
    for sql in ["SELECT 1", "SELECT sum(column1) FROM (VALUES (1), (2))"] {
        let physical = physical(&context, sql).await;
        let checked = distribute_checked(physical, &context.state())
            .await
            .unwrap();
        assert!(
            !place_head(checked.plan).unwrap().is::<DistributedExec>(),
            "{sql}"
        );
    }
}

/// A table without files, one with an empty file, and a plan over both.
#[tokio::test]
async fn empty_tables_are_planned() {
    let context = session(3, 3, Joins::Collected).await;
    context
        .sql("CREATE EXTERNAL TABLE nothing (k BIGINT) STORED AS PARQUET LOCATION 'mem://data/nothing/'")
        .await
        .unwrap();
    for sql in [
        "SELECT count(*) FROM nothing",
        "SELECT k, count(*) FROM nothing JOIN orders ON k = o_orderkey GROUP BY k",
        "SELECT * FROM orders LEFT JOIN nothing ON k = o_orderkey ORDER BY o_orderkey LIMIT 3",
        "SELECT k FROM nothing UNION ALL SELECT o_orderkey FROM orders",
    ] {
        let physical = physical(&context, sql).await;
        let checked = distribute_checked(physical, &context.state())
            .await
            .unwrap();
        let placed = place_head(checked.plan).unwrap();
        assert!(check(&placed).is_ok(), "{sql}: {:#?}", check(&placed));
    }
}

/// Statements beyond TPC-H: what the check narrows must stay right, and it must not narrow these.
#[tokio::test]
async fn common_statements_pass_without_narrowing() {
    let context = session(3, 3, Joins::Partitioned).await;
    for sql in [
        "SELECT DISTINCT l_shipmode FROM lineitem",
        "SELECT DISTINCT l_orderkey FROM lineitem LIMIT 5",
        "SELECT count(DISTINCT l_suppkey), sum(l_tax) FROM lineitem",
        "SELECT l_orderkey FROM lineitem LIMIT 7",
        "SELECT l_orderkey FROM lineitem ORDER BY l_orderkey",
        "SELECT l_orderkey FROM lineitem ORDER BY l_orderkey LIMIT 7 OFFSET 2",
        "SELECT l_shipmode, max(l_tax) m FROM lineitem GROUP BY l_shipmode ORDER BY m DESC LIMIT 3",
        "SELECT l_orderkey, row_number() OVER (PARTITION BY l_suppkey ORDER BY l_tax) FROM lineitem",
        "SELECT l_orderkey, rank() OVER (ORDER BY l_tax) FROM lineitem",
        "SELECT l_suppkey FROM lineitem UNION SELECT s_suppkey FROM supplier",
        "SELECT l_suppkey, l_shipmode, sum(l_tax) FROM lineitem GROUP BY CUBE (l_suppkey, l_shipmode)",
        "SELECT o_orderkey FROM orders WHERE o_custkey NOT IN (SELECT c_custkey FROM customer)",
        "SELECT o_orderkey FROM orders FULL JOIN lineitem ON o_orderkey = l_orderkey",
        "SELECT o_orderkey FROM orders JOIN lineitem ON o_orderkey < l_orderkey",
        "SELECT * FROM (SELECT o_orderkey FROM orders ORDER BY 1 LIMIT 9) JOIN lineitem ON o_orderkey = l_orderkey",
    ] {
        let (_, violations) = unmended(&context, sql).await;
        let text: Vec<String> = violations.iter().map(ToString::to_string).collect();
        assert!(violations.is_empty(), "{sql}: {text:#?}");
    }
}
