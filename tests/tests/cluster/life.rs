//! The life of a query as SHOW QUERIES and DESCRIBE QUERY tell it.

use skep_client::Client;
use skep_tests::cluster::{Cluster, Setup};
use skep_tests::dataset;
use skep_tests::session::{columns, error, rows};
use std::collections::HashMap;

async fn small_cluster(executors: usize) -> (Cluster, tempfile::TempDir) {
    let data = tempfile::tempdir().expect("a directory");
    let tables = dataset::small_tables(data.path());
    let cluster = Cluster::start(Setup::executors(executors).with_root(data.path())).await;
    let mut client = cluster.connect().await;
    for table in &tables {
        rows(&mut client, &table.create_statement()).await;
    }
    (cluster, data)
}

/// Runs a statement and returns what is then known of it.
async fn described(client: &mut Client, sql: &str) -> HashMap<String, String> {
    let result = client.execute(sql).await.expect("it runs");
    let id = result.query_id.clone().expect("the server names it");
    result.collect().await.expect("it ends");
    describe(client, &id).await
}

async fn describe(client: &mut Client, id: &str) -> HashMap<String, String> {
    let sql = format!("DESCRIBE QUERY '{id}'");
    let shown = columns(client, &sql, &["property", "value"]).await;
    let pairs = shown.into_iter().map(|row| match row.as_slice() {
        [name, value] => (name.clone(), value.clone()),
        other => panic!("{other:?}"),
    });
    pairs.collect()
}

fn number(query: &HashMap<String, String>, name: &str) -> f64 {
    let value = query.get(name);
    let value = value.unwrap_or_else(|| panic!("no {name} in {query:?}"));
    value.parse().expect("a number")
}

#[tokio::test]
async fn a_finished_query_has_its_numbers() {
    let (cluster, _data) = small_cluster(2).await;
    let mut client = cluster.connect().await;
    rows(&mut client, "SET skep.scan_partition_bytes = 1").await;
    let sql = "SELECT s, count(*) FROM numbers GROUP BY s";
    let query = described(&mut client, sql).await;
    assert_eq!(query["state"], "FINISHED");
    assert_eq!(query["sql"], sql);
    assert_eq!(query["user"], "anonymous");
    assert_eq!(number(&query, "rows"), 7.0);
    assert!(number(&query, "tasks") >= 3.0, "{query:?}");
    assert_eq!(number(&query, "tasks"), number(&query, "tasks_done"));
    assert!(number(&query, "exchange_bytes") > 0.0, "{query:?}");
    assert!(number(&query, "peak_memory_bytes") > 0.0, "{query:?}");
    assert_eq!(number(&query, "spilled_bytes"), 0.0);
    let states = ["queued_ms", "planning_ms", "running_ms"];
    let sum: f64 = states.iter().map(|name| number(&query, name)).sum();
    assert!(
        sum > 0.0 && sum <= number(&query, "elapsed_ms") + 1.0,
        "{query:?}"
    );
}

#[tokio::test]
async fn a_bad_statement_is_a_failed_query_like_any_other() {
    let (cluster, _data) = small_cluster(1).await;
    let mut client = cluster.connect().await;
    for (sql, code) in [
        ("SELECT nothing FROM numbers", "COLUMN_NOT_FOUND"),
        ("SELEC 1", "SYNTAX_ERROR"),
        ("SELECT id / 0 FROM numbers", "EVALUATION_ERROR"),
    ] {
        let failed = error(&mut client, sql).await;
        assert_eq!(failed.code.as_str(), code, "{failed}");
        let id = failed.query_id.expect("a failed query has an id");
        let query = describe(&mut client, &id).await;
        assert_eq!(query["state"], "FAILED");
        assert_eq!(query["sql"], sql);
        assert_eq!(query["error_code"], code);
        assert_eq!(query["error_kind"], "user");
        assert!(!query["error"].is_empty());
    }
}

#[tokio::test]
async fn queries_are_listed_newest_first() {
    let (cluster, _data) = small_cluster(1).await;
    let mut client = cluster.connect().await;
    for number in 0..3 {
        rows(&mut client, &format!("SELECT {number}")).await;
    }
    let listed = columns(&mut client, "SHOW QUERIES", &["sql", "state"]).await;
    let statements: Vec<&str> = listed.iter().map(|row| row[0].as_str()).take(4).collect();
    assert_eq!(
        statements,
        ["SHOW QUERIES", "SELECT 2", "SELECT 1", "SELECT 0"]
    );
    assert_eq!(listed[1][1], "FINISHED");
}

#[tokio::test]
async fn a_sort_of_more_than_its_memory_spills_and_says_so() {
    let data = dataset::tpch(0.05).await;
    let setup = Setup::executors(2).with_root(&dataset::directory_of(&data));
    let cluster = Cluster::start(setup).await;
    let mut client = cluster.connect().await;
    for table in dataset::tpch_tables(&data) {
        rows(&mut client, &table.create_statement()).await;
    }
    rows(&mut client, "SET skep.query_memory_limit_bytes = 128000000").await;
    rows(&mut client, "SET skep.stage_tasks_max = 1").await;
    let sql = "SELECT * FROM lineitem ORDER BY l_comment, l_orderkey, l_linenumber";
    let query = described(&mut client, sql).await;
    assert_eq!(query["state"], "FINISHED");
    assert!(number(&query, "spilled_bytes") > 1e6, "{query:?}");
    assert!(number(&query, "peak_memory_bytes") <= 128e6, "{query:?}");
}
