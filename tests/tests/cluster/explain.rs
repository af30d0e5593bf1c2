//! EXPLAIN in its forms.

use serde_json::Value;
use skep_client::Client;
use skep_tests::cluster::{Cluster, Setup};
use skep_tests::dataset;
use skep_tests::session::{columns, rows};

const SQL: &str = "SELECT l_returnflag, sum(l_quantity) FROM lineitem JOIN orders \
                   ON l_orderkey = o_orderkey GROUP BY l_returnflag ORDER BY 1";

async fn cluster() -> Cluster {
    cluster_of(Setup::executors(2)).await
}

async fn cluster_of(setup: Setup) -> Cluster {
    let data = dataset::tpch(0.05).await;
    let setup = setup.with_root(&dataset::directory_of(&data));
    let cluster = Cluster::start(setup).await;
    let mut client = cluster.connect().await;
    for table in dataset::tpch_tables(&data) {
        rows(&mut client, &table.create_statement()).await;
    }
    cluster
}

async fn plan(client: &mut Client, prefix: &str) -> String {
    rows(client, "SET skep.scan_partition_bytes = 1").await;
    let shown = columns(client, &format!("{prefix} {SQL}"), &["plan"]).await;
    shown.into_iter().flatten().collect::<Vec<_>>().join("\n")
}

fn assert_contains(plan: &str, parts: &[&str]) {
    for part in parts {
        assert!(plan.contains(part), "no {part} in:\n{plan}");
    }
}

#[tokio::test]
async fn explain_shows_stages_tasks_and_places() {
    let cluster = cluster().await;
    let mut client = cluster.connect().await;
    let plan = plan(&mut client, "EXPLAIN").await;
    assert_contains(
        &plan,
        &["Stage 1", "Stage 2", "2 tasks", "HashJoin", "lineitem"],
    );
    for executor in cluster.executors().await {
        let address = executor.address.trim_start_matches("http://").to_owned();
        assert_contains(&plan, &[&address]);
    }
    let verbose = columns(
        &mut client,
        &format!("EXPLAIN VERBOSE {SQL}"),
        &["plan_type"],
    )
    .await;
    assert_eq!(verbose[0][0], "logical_plan");
}

/// A constant column that an outer join pads with NULLs costs its stage no tasks.
#[tokio::test]
async fn padded_constants_leave_a_stage_its_tasks() {
    let cluster = cluster().await;
    let mut client = cluster.connect().await;
    for setting in ["scan_partition_bytes = 1", "broadcast_joins = false"] {
        rows(&mut client, &format!("SET skep.{setting}")).await;
    }
    let sql = "SELECT c, count(*) FROM lineitem LEFT JOIN \
               (SELECT o_orderkey, 1 AS c FROM orders WHERE o_orderkey % 3 = 0) AS o \
               ON l_orderkey = o_orderkey GROUP BY c ORDER BY c";
    let shown = columns(&mut client, &format!("EXPLAIN {sql}"), &["plan"]).await;
    let plan = shown.into_iter().flatten().collect::<Vec<_>>().join("\n");
    let before = plan.split("ForgetConstantsExec").next().unwrap_or_default();
    assert_ne!(before, plan, "no constants are dropped in:\n{plan}");
    let stage = before.rsplit("Stage ").next().unwrap_or_default();
    assert!(stage.contains(": 2 tasks"), "one task in:\n{plan}");
    let found = rows(&mut client, sql).await;
    let plain = "SELECT CASE WHEN l_orderkey % 3 = 0 THEN 1 END AS c, count(*) \
                 FROM lineitem GROUP BY 1 ORDER BY 1";
    assert_eq!(found, rows(&mut client, plain).await);
}

#[tokio::test]
async fn explain_analyze_shows_what_happened() {
    let cluster = cluster().await;
    let mut client = cluster.connect().await;
    let plan = plan(&mut client, "EXPLAIN ANALYZE").await;
    assert_contains(
        &plan,
        &[
            "3 rows returned",
            "rows",
            "time",
            "exchanged",
            "spilled",
            "slowest",
            "fastest",
        ],
    );
}

/// Every object below `value` that has `key`.
fn with_key<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(fields) => {
            if fields.contains_key(key) {
                found.push(value);
            }
            fields
                .values()
                .for_each(|value| with_key(value, key, found));
        }
        Value::Array(values) => values.iter().for_each(|value| with_key(value, key, found)),
        _ => {}
    }
}

#[tokio::test]
async fn explain_as_json_is_json() {
    let cluster = cluster().await;
    let mut client = cluster.connect().await;
    let plain = plan(&mut client, "EXPLAIN (FORMAT JSON)").await;
    let plain: Value = serde_json::from_str(&plain).expect("JSON");
    let mut stages = Vec::new();
    with_key(&plain, "tasks", &mut stages);
    assert!(stages.len() >= 2, "{plain:#}");
    let analyzed = plan(&mut client, "EXPLAIN (ANALYZE, FORMAT JSON)").await;
    let analyzed: Value = serde_json::from_str(&analyzed).expect("JSON");
    assert_eq!(analyzed["rows_returned"], 3);
}

#[tokio::test]
async fn within_one_process_rows_are_handed_over() {
    for (setup, are_sent) in [(Setup::standalone(), false), (Setup::executors(1), true)] {
        let cluster = cluster_of(setup).await;
        let mut client = cluster.connect().await;
        let sql = "EXPLAIN (ANALYZE, FORMAT JSON) SELECT l_orderkey, l_comment FROM lineitem";
        let shown = columns(&mut client, sql, &["plan"]).await;
        let lines: Vec<_> = shown.into_iter().flatten().collect();
        let analyzed: Value = serde_json::from_str(&lines.join("\n")).expect("JSON");
        let mut boundaries = Vec::new();
        with_key(&analyzed, "bytes_exchanged", &mut boundaries);
        let bytes = boundaries
            .iter()
            .filter_map(|found| found["bytes_exchanged"].as_u64());
        let bytes: u64 = bytes.sum();
        assert_eq!(bytes > 1_000_000, are_sent, "{bytes} bytes");
        assert_eq!(bytes > 0, are_sent, "{bytes} bytes");
        assert!(
            analyzed["rows_returned"].as_u64() > Some(200_000),
            "{analyzed:#}"
        );
    }
}
