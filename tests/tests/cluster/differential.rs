//! TPC-H on clusters of every shape returns what plain single-process DataFusion returns.
//!
//! A stage of several tasks is where a distributed plan goes wrong without an error, and which stages
//! have several tasks depends on the number of executors and of partitions. So all of them are tried.

use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use skep_tests::cluster::{Cluster, Setup};
use skep_tests::dataset::{self, TableFiles};
use skep_tests::session::{batches, rows};
use skep_tpch::compare::{Expected, compare};
use skep_tpch::queries::{QUERY_COUNT, query, result_order};
use skep_tpch::value::Rows;

const SCALE: f64 = 0.05;

/// Answers of plain DataFusion, in the order of the queries. None of the 22 has ties at its limit at
/// this scale that the comparison could not tell apart, which the first run checks against itself.
async fn oracle(tables: &[TableFiles]) -> Vec<Expected> {
    let config = SessionConfig::new().with_target_partitions(2);
    let context = SessionContext::new_with_config(config);
    for table in tables {
        let location = format!("{}/", table.location.trim_end_matches('/'));
        let options = ParquetReadOptions::default();
        let registered = context.register_parquet(&table.name, location, options);
        registered.await.expect("the table is read");
    }
    let mut answers = Vec::new();
    for number in 1..=QUERY_COUNT {
        let sql = query(number, SCALE).expect("a query");
        let frame = context.sql(&sql).await.expect("it plans");
        let batches = frame.collect().await.expect("it runs");
        answers.push(Expected {
            rows: Rows::from_batches(&batches).expect("values"),
            ties_complete: result_order(number).limit.is_none(),
        });
    }
    answers
}

/// Runs all queries with `settings` and names those that differ.
async fn differences(cluster: &Cluster, settings: &[String], answers: &[Expected]) -> Vec<String> {
    let mut client = cluster.connect().await;
    for setting in settings {
        rows(&mut client, setting).await;
    }
    let mut differences = Vec::new();
    for (number, expected) in (1..=QUERY_COUNT).zip(answers) {
        let sql = query(number, SCALE).expect("a query");
        let outcome = match batches(&mut client, &sql).await {
            Ok(batches) => {
                let actual = Rows::from_batches(&batches).expect("values");
                let compared = compare(expected, &actual, result_order(number));
                compared.map_err(|mismatch| mismatch.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        if let Err(what) = outcome {
            differences.push(format!("{settings:?}, query {number}: {what}"));
        }
    }
    differences
}

async fn run(setup: Setup) {
    let data = dataset::tpch(SCALE).await;
    let tables = dataset::tpch_tables(&data);
    let answers = oracle(&tables).await;
    let cluster = Cluster::start(setup.with_root(&dataset::directory_of(&data))).await;
    let mut client = cluster.connect().await;
    for table in &tables {
        rows(&mut client, &table.create_statement()).await;
    }
    let split = "SET skep.scan_partition_bytes = 1".to_owned();
    let mut found = Vec::new();
    for partitions in [1, 2, 3, 8] {
        let partitions = format!("SET datafusion.execution.target_partitions = {partitions}");
        let settings = [split.clone(), partitions];
        found.extend(differences(&cluster, &settings, &answers).await);
    }
    let small = "SET datafusion.execution.batch_size = 100".to_owned();
    found.extend(differences(&cluster, &[split, small], &answers).await);
    found.extend(differences(&cluster, &[], &answers).await);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[tokio::test]
async fn one_process() {
    run(Setup::standalone()).await;
}

#[tokio::test]
async fn one_executor() {
    run(Setup::executors(1)).await;
}

#[tokio::test]
async fn two_executors() {
    run(Setup::executors(2)).await;
}

#[tokio::test]
async fn three_executors() {
    run(Setup::executors(3)).await;
}
