//! Rows that a client streams into a table: all executors write them, and whoever goes away in the middle,
//! nothing of them is seen.

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use futures::{Stream, StreamExt, stream};
use skep_client::{Client, ClientError, IngestMode};
use skep_protocol::ErrorCode;
use skep_tests::cluster::{Cluster, Setup};
use skep_tests::session::{columns, engine_error, error, eventually, rows, value};
use std::sync::Arc;
use std::time::Duration;

/// How long a statement may take to end, or to begin.
const PATIENCE: Duration = Duration::from_secs(20);

/// The rows of one batch.
const BATCH_ROWS: i64 = 10_000;

fn batch(number: i64) -> RecordBatch {
    let first = number * BATCH_ROWS;
    let keys: ArrayRef = Arc::new(Int64Array::from_iter_values(first..first + BATCH_ROWS));
    let texts = (first..first + BATCH_ROWS).map(|key| format!("the text of the row {key:020}"));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
    let days = (first..first + BATCH_ROWS).map(|key| format!("d{}", key % 7));
    let days: ArrayRef = Arc::new(StringArray::from_iter_values(days));
    RecordBatch::try_from_iter([("k", keys), ("c", texts), ("day", days)]).expect("a batch")
}

fn schema() -> SchemaRef {
    batch(0).schema()
}

fn some(count: i64) -> impl Stream<Item = RecordBatch> + Send + 'static {
    stream::iter((0..count).map(batch))
}

/// Batches without end, as fast as they are taken.
fn endless() -> impl Stream<Item = RecordBatch> + Send + 'static {
    stream::iter((0..).map(batch))
}

async fn ingest(
    client: &mut Client,
    table: &str,
    mode: IngestMode,
    batches: i64,
) -> Result<i64, ClientError> {
    client.ingest(table, mode, schema(), some(batches)).await
}

async fn fails(client: &mut Client, table: &str, mode: IngestMode) -> skep_protocol::QueryError {
    engine_error(ingest(client, table, mode, 1).await.expect_err("it fails"))
}

const SUMS: &str = "SELECT count(*), count(DISTINCT k), min(k), max(k), count(DISTINCT c) FROM ";

#[tokio::test]
async fn rows_are_written_by_all_executors_in_every_mode() {
    let cluster = Cluster::start(Setup::executors(2)).await;
    let mut client = cluster.connect().await;
    let missing = fails(&mut client, "t", IngestMode::Append).await;
    assert_eq!(missing.code, ErrorCode::TableNotFound, "{missing}");

    let written = ingest(&mut client, "t", IngestMode::Create, 100).await;
    assert_eq!(written.expect("it succeeds"), 1_000_000);
    let all = ["1000000", "1000000", "0", "999999", "1000000"];
    assert_eq!(rows(&mut client, &format!("{SUMS} t")).await, [all]);
    let files = value(
        &mut client,
        "SELECT files FROM information_schema.table_statistics WHERE table_name = 't'",
    )
    .await;
    // Two streams on each of two executors, each with a file of its own.
    assert!(files.parse::<usize>().expect("a number") > 2, "{files}");

    let taken = fails(&mut client, "t", IngestMode::Create).await;
    assert_eq!(taken.code, ErrorCode::AlreadyExists, "{taken}");
    for mode in [IngestMode::Append, IngestMode::CreateOrAppend] {
        let written = ingest(&mut client, "t", mode, 1).await;
        assert_eq!(written.expect("it succeeds"), BATCH_ROWS);
    }
    assert_eq!(
        value(&mut client, "SELECT count(*) FROM t").await,
        "1020000"
    );
    let written = ingest(&mut client, "t", IngestMode::Replace, 2).await;
    assert_eq!(written.expect("it succeeds"), 2 * BATCH_ROWS);
    assert_eq!(value(&mut client, "SELECT max(k) FROM t").await, "19999");
    for mode in [IngestMode::Replace, IngestMode::CreateOrAppend] {
        rows(&mut client, "DROP TABLE t").await;
        assert_eq!(
            ingest(&mut client, "t", mode, 1)
                .await
                .expect("it succeeds"),
            BATCH_ROWS
        );
    }
    // No rows make a table, too.
    assert_eq!(
        ingest(&mut client, "e", IngestMode::Create, 0)
            .await
            .expect("it succeeds"),
        0
    );
    assert_eq!(value(&mut client, "SELECT count(*) FROM e").await, "0");
    let states = columns(&mut client, "SHOW QUERIES", &["sql", "state"]).await;
    let finished = ["INGEST INTO \"t\" (create)", "FINISHED"];
    assert!(states.iter().any(|row| *row == finished), "{states:?}");
    cluster.wait_for_idle(PATIENCE).await;
}

#[tokio::test]
async fn columns_are_matched_by_name_and_partitions_are_found() {
    let cluster = Cluster::start(Setup::executors(2)).await;
    let mut client = cluster.connect().await;
    for sql in [
        "CREATE DATABASE d",
        "CREATE TABLE d.t (more DOUBLE, c STRING, k DECIMAL(20, 0)) PARTITIONED BY (day STRING)",
        "CREATE TABLE narrow (k BIGINT)",
        "CREATE TABLE strict (k BIGINT, c STRING, day STRING, must INT NOT NULL)",
        "CREATE TABLE other (k DATE, c STRING, day STRING)",
        "CREATE VIEW v AS SELECT 1 AS k",
    ] {
        rows(&mut client, sql).await;
    }
    let written = ingest(&mut client, "d.t", IngestMode::Append, 30).await;
    assert_eq!(written.expect("it succeeds"), 300_000);
    let all = ["300000", "300000", "0", "299999", "300000"];
    assert_eq!(rows(&mut client, &format!("{SUMS} d.t")).await, [all]);
    let wrong = "SELECT count(*) FROM d.t WHERE more IS NOT NULL OR day <> concat('d', k % 7)";
    assert_eq!(value(&mut client, wrong).await, "0");
    let statistics = columns(
        &mut client,
        "SELECT * FROM information_schema.table_statistics WHERE table_name = 't'",
        &["partitions", "files"],
    )
    .await;
    assert_eq!(statistics, [["7", "7"]]);

    for (table, mode, code, named) in [
        (
            "narrow",
            IngestMode::Append,
            ErrorCode::AlreadyExists,
            "'c'",
        ),
        (
            "strict",
            IngestMode::Append,
            ErrorCode::AlreadyExists,
            "'must'",
        ),
        ("other", IngestMode::Append, ErrorCode::AlreadyExists, "'k'"),
        ("v", IngestMode::Replace, ErrorCode::Semantic, "view"),
        (
            "nowhere.t",
            IngestMode::Create,
            ErrorCode::DatabaseNotFound,
            "nowhere",
        ),
    ] {
        let error = fails(&mut client, table, mode).await;
        assert!(error.message.contains(named), "{table}: {error}");
        assert_eq!(error.code, code, "{table}: {error}");
    }
    assert_eq!(value(&mut client, "SELECT count(*) FROM narrow").await, "0");
}

/// Begins an ingest without end, and waits until both executors have tasks.
async fn with_endless_ingest(
    cluster: &mut Cluster,
    then: impl AsyncFnOnce(&mut Cluster),
) -> Option<Result<i64, ClientError>> {
    let mut sender = cluster.connect().await;
    rows(&mut sender, "SET skep.query_attempts_max = 1").await;
    rows(
        &mut sender,
        "CREATE TABLE target (k BIGINT, c STRING, day STRING)",
    )
    .await;
    rows(&mut sender, "INSERT INTO target VALUES (1, 'before', NULL)").await;
    let sending = sender.ingest("target", IngestMode::Append, schema(), endless());
    let acting = async {
        eventually("tasks on both executors", PATIENCE, async || {
            let executors = cluster.executors().await;
            executors
                .iter()
                .all(|one| one.running_tasks > 0)
                .then_some(())
        })
        .await;
        then(cluster).await;
    };
    tokio::select! {
        ended = async { let (ended, ()) = tokio::join!(sending, acting); ended } => Some(ended),
        () = tokio::time::sleep(PATIENCE) => None,
    }
}

async fn assert_untouched(cluster: &Cluster) {
    let mut client = cluster.connect().await;
    let untouched = [["1", "before", "NULL"]];
    assert_eq!(rows(&mut client, "SELECT * FROM target").await, untouched);
    cluster.wait_for_idle(PATIENCE).await;
}

#[tokio::test]
async fn a_client_that_vanishes_leaves_nothing_that_is_seen() {
    let cluster = Cluster::start(Setup::executors(2)).await;
    let mut client = cluster.connect().await;
    rows(
        &mut client,
        "CREATE TABLE target (k BIGINT, c STRING, day STRING)",
    )
    .await;
    rows(&mut client, "INSERT INTO target VALUES (1, 'before', NULL)").await;
    let mut sender = cluster.connect().await;
    let sending = sender.ingest("target", IngestMode::Append, schema(), endless());
    let running = eventually("tasks on both executors", PATIENCE, async || {
        let executors = cluster.executors().await;
        executors
            .iter()
            .all(|one| one.running_tasks > 0)
            .then_some(())
    });
    tokio::select! {
        ended = sending => panic!("it ended: {ended:?}"),
        () = running => {}
    }
    drop(sender);
    let state = eventually("end of the query", PATIENCE, async || {
        let queries = columns(&mut client, "SHOW QUERIES", &["sql", "state"]).await;
        let found = queries.into_iter().find(|row| row[0].starts_with("INGEST"));
        found
            .map(|row| row[1].clone())
            .filter(|state| state != "RUNNING")
    })
    .await;
    assert_eq!(state, "CANCELED");
    assert_untouched(&cluster).await;
}

#[tokio::test]
async fn an_executor_that_dies_leaves_nothing_that_is_seen() {
    let mut cluster = Cluster::start(Setup::executors(2)).await;
    let crash = async |cluster: &mut Cluster| cluster.executors[1].crash().await;
    let ended = with_endless_ingest(&mut cluster, crash).await;
    let failed = ended.expect("it ends").expect_err("it fails");
    let failed = engine_error(failed);
    assert!(failed.retryable, "{failed}");
    cluster.wait_for_active(1).await;
    assert_untouched(&cluster).await;
}

#[tokio::test]
async fn killing_the_statement_ends_it_at_once() {
    let mut cluster = Cluster::start(Setup::executors(2)).await;
    let kill = async |cluster: &mut Cluster| {
        let mut client = cluster.connect().await;
        let queries = columns(&mut client, "SHOW QUERIES", &["sql", "query_id"]).await;
        let found = queries.into_iter().find(|row| row[0].starts_with("INGEST"));
        let id = &found.expect("it is in the list")[1];
        rows(&mut client, &format!("KILL QUERY '{id}'")).await;
    };
    let ended = with_endless_ingest(&mut cluster, kill).await;
    let failed = engine_error(ended.expect("it ends").expect_err("it fails"));
    assert_eq!(failed.code, ErrorCode::Canceled, "{failed}");
    assert_untouched(&cluster).await;
}

#[tokio::test]
async fn the_coordinator_holds_no_more_than_its_queue() {
    let cluster = Cluster::start(Setup::executors(2)).await;
    let mut client = cluster.connect().await;
    ingest(&mut client, "t", IngestMode::Create, 1)
        .await
        .expect("it succeeds");
    let before = cluster.coordinator.peak_memory_mib();
    // About 700 MB.
    let written = ingest(&mut client, "t", IngestMode::Append, 1_000).await;
    assert_eq!(written.expect("it succeeds"), 10_000_000);
    let grown = cluster.coordinator.peak_memory_mib() - before;
    eprintln!("the coordinator's peak grew from {before} MiB by {grown} MiB");
    assert!(grown < 150, "{before} MiB grew by {grown} MiB");
}

#[tokio::test]
async fn a_client_that_stops_sending_is_told_so_and_leaves_nothing_that_is_seen() {
    let setup = Setup::executors(2).with("query.client_wait=2s");
    let cluster = Cluster::start(setup).await;
    let mut client = cluster.connect().await;
    let batches = some(3).chain(stream::pending());
    let sent = client.ingest("t", IngestMode::Create, schema(), batches);
    let ended = tokio::time::timeout(PATIENCE, sent).await;
    let ended = engine_error(ended.expect("it ends").expect_err("it fails"));
    assert_eq!(ended.code, ErrorCode::Canceled, "{ended}");
    assert!(ended.message.contains("sent nothing for 2 s"), "{ended}");
    let missing = error(&mut client, "SELECT * FROM t").await;
    assert_eq!(missing.code, ErrorCode::TableNotFound, "{missing}");
    cluster.wait_for_idle(PATIENCE).await;
}

#[tokio::test]
async fn rows_that_do_not_match_their_schema_are_not_half_written() {
    let cluster = Cluster::start(Setup::standalone()).await;
    let mut client = cluster.connect().await;
    let keys: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let other = RecordBatch::try_from_iter([("other", keys)]).expect("a batch");
    let batches = stream::iter([batch(0), other]);
    let sent = client.ingest("t", IngestMode::Create, schema(), batches);
    assert!(matches!(sent.await, Err(ClientError::Unsendable(_))));
    let missing = error(&mut client, "SELECT * FROM t").await;
    assert_eq!(missing.code, ErrorCode::TableNotFound, "{missing}");
}
