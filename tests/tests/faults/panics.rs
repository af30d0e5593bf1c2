//! A panic in an operator on an executor is one typed error for its query and nothing else: wherever
//! it happens, no row is silently missing, and the executors go on.

use skep_client::Client;
use skep_protocol::ErrorCode;
use skep_runtime::functions::FunctionSet;
use skep_tests::dataset;
use skep_tests::embedded::{EmbeddedCluster, panic_at};
use skep_tests::session::{columns, error, eventually, rows, value};
use std::time::Duration;
use tempfile::TempDir;

async fn cluster() -> (EmbeddedCluster, Client, TempDir) {
    let data = tempfile::tempdir().expect("a directory");
    let tables = dataset::small_tables(data.path());
    let functions = FunctionSet::default().with_scalar(panic_at());
    let cluster = EmbeddedCluster::start(3, functions).await;
    let mut client = cluster.connect().await;
    for table in &tables {
        rows(&mut client, &table.create_statement()).await;
    }
    rows(&mut client, "SET skep.scan_partition_bytes = 1").await;
    (cluster, client, data)
}

/// Statements in which `panic_at` runs in every kind of place; `@` is where it panics.
const PLACES: &[(&str, &str)] = &[
    ("a scan", "SELECT panic_at(id, @) FROM numbers"),
    (
        "a filter",
        "SELECT id FROM numbers WHERE panic_at(id, @) >= 0",
    ),
    (
        "below a shuffle",
        "SELECT s, count(*), sum(panic_at(id, @)) FROM numbers GROUP BY s",
    ),
    (
        "below a coalesce",
        "SELECT sum(panic_at(id, @)) FROM numbers",
    ),
    (
        "the build side of a broadcast join",
        "SELECT count(*) FROM numbers JOIN (SELECT panic_at(id, @) AS k FROM numbers) b ON id = b.k",
    ),
    ("a sort", "SELECT id FROM numbers ORDER BY panic_at(id, @)"),
    (
        "a window",
        "SELECT id, sum(panic_at(id, @)) OVER (PARTITION BY s) FROM numbers",
    ),
    (
        "above an aggregate",
        "SELECT panic_at(m, @) FROM (SELECT s, min(id) AS m FROM numbers GROUP BY s)",
    ),
    (
        "a union",
        "SELECT panic_at(id, @) FROM numbers UNION ALL SELECT k FROM lefts",
    ),
];

async fn assert_idle(client: &mut Client) {
    eventually("idle executors", Duration::from_secs(1), async || {
        let tasks = columns(client, "SHOW EXECUTORS", &["running_tasks"]).await;
        tasks.iter().all(|row| row[0] == "0").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_one_typed_error_wherever_it_happens() {
    let (cluster, mut client, _data) = cluster().await;
    for broadcast in [true, false] {
        rows(
            &mut client,
            &format!("SET skep.broadcast_joins = {broadcast}"),
        )
        .await;
        for (place, sql) in PLACES {
            // The smallest id of a group, of the last file, of a middle one.
            for fatal in [0, 39, 3] {
                let sql = sql.replace("@", &fatal.to_string());
                if *place == "above an aggregate" && fatal == 39 {
                    continue;
                }
                let failed = error(&mut client, &sql).await;
                assert_eq!(failed.code, ErrorCode::Panic, "{place}: {failed}");
                assert!(
                    failed.message.contains("an injected panic"),
                    "{place}: {failed}"
                );
                assert!(!failed.retryable);
            }
            // Without the fault the statement works, on the same executors.
            let harmless = sql.replace("@", "-1");
            assert!(!rows(&mut client, &harmless).await.is_empty(), "{place}");
        }
    }
    assert_idle(&mut client).await;
    assert_eq!(cluster.engine.members().snapshot().active().count(), 3);
    assert_eq!(
        value(&mut client, "SELECT count(*) FROM numbers").await,
        "40"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn others_go_on_while_one_panics() {
    let (cluster, _client, _data) = cluster().await;
    let mut good = cluster.connect().await;
    let mut bad = cluster.connect().await;
    rows(&mut bad, "SET skep.scan_partition_bytes = 1").await;
    let failing = async {
        for _ in 0..20 {
            error(&mut bad, "SELECT sum(panic_at(id, 7)) FROM numbers").await;
        }
    };
    let working = async {
        for _ in 0..20 {
            let sum = value(&mut good, "SELECT sum(id) FROM numbers").await;
            assert_eq!(sum, "780");
        }
    };
    tokio::join!(failing, working);
}
