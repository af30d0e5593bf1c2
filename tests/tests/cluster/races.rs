//! Races between what ends a statement and what it does.

use arrow::array::{ArrayRef, Int64Array};
use arrow::record_batch::RecordBatch;
use skep_client::IngestMode;
use skep_protocol::ErrorCode;
use skep_tests::cluster::{Cluster, Setup};
use skep_tests::postgres::Postgres;
use skep_tests::session::{batches, columns, engine_error, error, eventually, rows, value};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

#[tokio::test]
async fn the_time_that_a_query_waits_for_its_turn_counts() {
    let setup = Setup::executors(1).with("query.max_running=1");
    let cluster = Cluster::start(setup).await;
    let mut first = cluster.connect().await;
    // Its reader does not read, so that it keeps its place for ten seconds.
    let sql = "SELECT value, repeat('x', 1000) FROM generate_series(1, 100000000)";
    let result = first.execute(sql).await.expect("it starts");
    let mut second = cluster.connect().await;
    rows(&mut second, "SET skep.query_run_time_max_s = 1").await;
    let started = Instant::now();
    let failed = error(&mut second, "SELECT 1").await;
    assert_eq!(failed.code, ErrorCode::DeadlineExceeded, "{failed}");
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
    let states = columns(&mut second, "SHOW QUERIES", &["sql", "state"]).await;
    assert!(states.contains(&vec!["SELECT 1".to_owned(), "FAILED".to_owned()]));
    drop(result);
}

#[tokio::test]
async fn executors_that_announce_one_address_do_not_evict_each_other() {
    let mut cluster = Cluster::start(Setup::executors(1)).await;
    let address = cluster.executors().await[0].address.clone();
    let taken = address.trim_start_matches("http://").to_owned();
    let setting = format!("executor.advertise=flight://{taken}");
    let mut stranger = cluster.stranger(&setting);
    stranger.line_with("which is that of executor").await;
    assert_eq!(cluster.executors().await.len(), 1);
    cluster.wait_for_active(1).await;
    // When the first one is lost, the other one takes its place.
    cluster.executors[0].crash().await;
    eventually("the other one", Duration::from_secs(20), async || {
        let executors = cluster.executors().await;
        let is_one = executors.len() == 1 && executors[0].state == "ACTIVE";
        is_one.then_some(())
    })
    .await;
}

/// A write that is killed with its commit: whatever it is told is what has happened, and the next statement
/// sees it.
#[tokio::test]
async fn a_write_that_is_killed_while_it_is_committed_is_told_what_happened() {
    let cluster = Cluster::start(Setup::executors(1)).await;
    let mut killer = cluster.connect().await;
    rows(&mut killer, "CREATE TABLE target (k BIGINT)").await;
    let mut expected = 0;
    for number in 0..40_u64 {
        let mut writer = cluster.connect().await;
        let sql = format!("INSERT INTO target VALUES ({number})");
        let writing = async { batches(&mut writer, &sql).await.map(|_| ()) };
        let killing = async {
            // A little later each time, so that every step of the statement is met.
            tokio::time::sleep(Duration::from_millis(number)).await;
            let queries = columns(&mut killer, "SHOW QUERIES", &["query_id", "state", "sql"]).await;
            let live = ["QUEUED", "PLANNING", "RUNNING", "FINISHING"];
            let found = queries
                .into_iter()
                .find(|query| query[2] == sql && live.contains(&query[1].as_str()));
            if let Some(query) = found {
                // It may have ended meanwhile, or be past its end.
                drop(batches(&mut killer, &format!("KILL QUERY '{}'", query[0])).await);
            }
        };
        let (written, ()) = tokio::join!(writing, killing);
        expected += u64::from(written.is_ok());
        let mut reader = cluster.connect().await;
        let count = value(&mut reader, "SELECT count(*) FROM target").await;
        assert_eq!(
            count,
            expected.to_string(),
            "statement {number}: {written:?}"
        );
    }
    assert!(expected > 0);
}

/// All sources of one statement are read as they were at one moment.
#[tokio::test]
async fn the_sources_of_a_multi_insert_are_read_in_one_snapshot() {
    let cluster = Cluster::start(Setup::executors(1)).await;
    let mut client = cluster.connect().await;
    for sql in [
        "CREATE TABLE source (k BIGINT)",
        "CREATE TABLE one (n BIGINT)",
        "CREATE TABLE two (n BIGINT)",
    ] {
        rows(&mut client, sql).await;
    }
    let mut writer = cluster.connect().await;
    let stop = AtomicBool::new(false);
    let writing = async {
        while !stop.load(Ordering::Relaxed) {
            rows(&mut writer, "INSERT INTO source VALUES (1)").await;
        }
    };
    let reading = async {
        for _ in 0..60 {
            let sql = "FROM source INSERT OVERWRITE TABLE one SELECT count(*) \
                       INSERT OVERWRITE TABLE two SELECT count(*)";
            rows(&mut client, sql).await;
            let found = rows(&mut client, "SELECT one.n, two.n FROM one CROSS JOIN two").await;
            assert_eq!(found[0][0], found[0][1]);
        }
        stop.store(true, Ordering::Relaxed);
    };
    tokio::join!(writing, reading);
}

/// What a client sends is committed as what a query writes is: not when its files may have been swept.
#[tokio::test]
async fn rows_that_a_client_sends_are_not_committed_when_their_files_may_be_gone() {
    let Some(postgres) = Postgres::start().await else {
        return;
    };
    let setup = Setup::executors(1)
        .with(&format!("server.catalog={}", postgres.url()))
        .with("catalog.vacuum_safe_age=0s");
    let cluster = Cluster::start(setup).await;
    let mut client = cluster.connect().await;
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..10));
    let batch = RecordBatch::try_from_iter([("k", column)]).expect("a batch");
    let sent = futures::stream::iter([batch.clone()]);
    let sent = client
        .ingest("sent", IngestMode::Create, batch.schema(), sent)
        .await;
    let failed = engine_error(sent.expect_err("it is refused"));
    assert!(failed.message.contains("vacuum_safe_age"), "{failed}");
}
