//! Executors that are killed, stand still or leave while a query runs: its user sees the right result, and
//! nothing is left behind. Each test has a twin in which the query is started once only, and fails.
//!
//! An executor is stopped before a query begins, so that the query cannot end on it: whatever happens next
//! happens while the query runs.

use arrow::array::{ArrayRef, Int64Array};
use arrow::record_batch::RecordBatch;
use skep_client::{Client, IngestMode};
use skep_protocol::{ErrorCode, QueryError};
use skep_tests::cluster::{Cluster, Setup};
use skep_tests::dataset;
use skep_tests::process::{Process, arguments};
use skep_tests::session::{columns, engine_error, error, eventually, rows, value};
use std::time::{Duration, Instant};

/// Small tables are split over all executors, too.
const SPLIT_ALWAYS: &str = "SET skep.scan_partition_bytes = 1";

/// How long things may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

const QUERY: &str =
    "SELECT count(*), sum(l_quantity) FROM lineitem JOIN orders ON l_orderkey = o_orderkey";

/// Reads every row, and sorts them.
const ALL_ROWS: &str = "SELECT l_orderkey, l_linenumber FROM lineitem ORDER BY 1, 2";

async fn cluster(executors: usize) -> Cluster {
    let data = dataset::tpch(0.01).await;
    let setup = Setup::executors(executors).with_root(&dataset::directory_of(&data));
    let cluster = Cluster::start(setup).await;
    let mut client = cluster.connect().await;
    for table in dataset::tpch_tables(&data) {
        rows(&mut client, &table.create_statement()).await;
    }
    cluster
}

/// Opens a session that uses all executors and starts each query so often at most.
async fn session(cluster: &Cluster, attempts_max: usize) -> Client {
    let mut client = cluster.connect().await;
    rows(&mut client, SPLIT_ALWAYS).await;
    let sql = format!("SET skep.query_attempts_max = {attempts_max}");
    rows(&mut client, &sql).await;
    client
}

/// The id of the query that runs and has `part` in its text.
async fn running(cluster: &Cluster, part: &str) -> String {
    let mut client = cluster.connect().await;
    eventually("a running query", PATIENCE, async || {
        let queries = columns(&mut client, "SHOW QUERIES", &["query_id", "state", "sql"]).await;
        let mut found = queries.into_iter();
        let found = found.find(|query| {
            query[1] == "RUNNING" && query[2].contains(part) && !query[2].starts_with("SHOW")
        });
        found.map(|mut query| query.swap_remove(0))
    })
    .await
}

async fn described(cluster: &Cluster, id: &str, name: &str) -> String {
    let mut client = cluster.connect().await;
    let described = rows(&mut client, &format!("DESCRIBE QUERY '{id}'")).await;
    let found = described.into_iter().find(|row| row[0] == name);
    found.map(|mut row| row.swap_remove(1)).unwrap_or_default()
}

/// Kills a stopped executor once the query with `part` runs; returns the query's id.
async fn kill_during(cluster: &mut Cluster, part: &str) -> String {
    let id = running(cluster, part).await;
    cluster.executors[1].crash().await;
    id
}

#[tokio::test]
async fn a_killed_executor_is_not_noticed_by_who_asked() {
    let mut cluster = cluster(2).await;
    let mut client = session(&cluster, 4).await;
    let expected = rows(&mut client, QUERY).await;
    cluster.executors[1].pause();
    let asking = async { rows(&mut client, QUERY).await };
    let (found, id) = tokio::join!(asking, kill_during(&mut cluster, "JOIN orders"));
    assert_eq!(found, expected);
    assert_eq!(described(&cluster, &id, "state").await, "FINISHED");
    assert_eq!(described(&cluster, &id, "attempts").await, "2");
    let why = described(&cluster, &id, "attempt_1").await;
    assert!(why.contains("lost an executor"), "{why}");
    let attempts = columns(&mut client, "SHOW QUERIES", &["query_id", "attempts"]).await;
    assert!(attempts.contains(&vec![id, "2".to_owned()]), "{attempts:?}");
    cluster.wait_for_active(1).await;
    cluster.wait_for_idle(PATIENCE).await;
    assert_eq!(rows(&mut client, QUERY).await, expected);
}

#[tokio::test]
async fn without_another_attempt_a_killed_executor_is_an_error() {
    let mut cluster = cluster(2).await;
    let mut client = session(&cluster, 1).await;
    rows(&mut client, QUERY).await;
    cluster.executors[1].pause();
    let asking = async { error(&mut client, QUERY).await };
    let (failed, id) = tokio::join!(asking, kill_during(&mut cluster, "JOIN orders"));
    assert_eq!(failed.code, ErrorCode::ExecutorLost, "{failed}");
    assert_eq!(described(&cluster, &id, "attempts").await, "1");
    cluster.wait_for_idle(PATIENCE).await;
}

#[tokio::test]
async fn a_hung_executor_is_noticed_within_ten_seconds_and_comes_back() {
    let cluster = cluster(2).await;
    let mut client = session(&cluster, 4).await;
    let expected = rows(&mut client, QUERY).await;
    cluster.executors[1].pause();
    let started = Instant::now();
    assert_eq!(rows(&mut client, QUERY).await, expected);
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
    cluster.executors[1].resume();
    cluster.wait_for_active(2).await;
    cluster.wait_for_idle(PATIENCE).await;
    assert_eq!(rows(&mut client, QUERY).await, expected);
}

#[tokio::test]
async fn without_another_attempt_a_hung_executor_is_an_error() {
    let cluster = cluster(2).await;
    let mut client = session(&cluster, 1).await;
    cluster.executors[1].pause();
    let failed = error(&mut client, QUERY).await;
    assert_eq!(failed.code, ErrorCode::ExecutorLost, "{failed}");
    cluster.executors[1].resume();
}

#[tokio::test]
async fn rows_are_neither_lost_nor_doubled_and_the_shell_says_one_line() {
    let mut cluster = cluster(2).await;
    let mut client = session(&cluster, 4).await;
    let expected = rows(&mut client, ALL_ROWS).await;
    cluster.executors[1].pause();
    let output = cluster.directory().join("rows.csv");
    let sql = [SPLIT_ALWAYS, &format!("\\o {}", output.display()), ALL_ROWS];
    let mut parts = vec!["shell", "--connect", &cluster.url];
    for sql in &sql {
        parts.extend(["-e", sql]);
    }
    let mut shell = Process::start("shell", cluster.directory(), &arguments(&parts));
    kill_during(&mut cluster, "ORDER BY 1, 2").await;
    let ended = shell.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let remarks = ended
        .stderr
        .matches("was lost, the query was started again");
    assert_eq!(remarks.count(), 1, "{}", ended.stderr);
    let found = std::fs::read_to_string(output).expect("the shell wrote it");
    let found = found
        .lines()
        .skip(1)
        .map(|line| line.split(',').map(str::to_owned).collect());
    assert_eq!(found.collect::<Vec<Vec<String>>>(), expected);
}

/// Writes while an executor is killed.
async fn write_with_a_kill(attempts_max: usize) -> (Cluster, Result<(), QueryError>) {
    let mut cluster = cluster(2).await;
    let mut client = session(&cluster, attempts_max).await;
    rows(&mut client, "CREATE TABLE target (k BIGINT, n BIGINT)").await;
    rows(&mut client, "INSERT INTO target VALUES (-1, -1)").await;
    cluster.executors[1].pause();
    let sql = "INSERT INTO target SELECT l_orderkey, l_linenumber FROM lineitem";
    let writing = async {
        let written = client.execute(sql).await;
        written.map(|_| ()).map_err(engine_error)
    };
    let (written, _) = tokio::join!(
        writing,
        kill_during(&mut cluster, "INSERT INTO target SELECT")
    );
    (cluster, written)
}

#[tokio::test]
async fn a_write_is_committed_once_and_leaves_no_other_files() {
    let (cluster, written) = write_with_a_kill(4).await;
    written.expect("it is written");
    let mut client = cluster.connect().await;
    let sums = |table: &str, key: &str, number: &str| {
        format!("SELECT count(*), sum({key}), sum({number}), count(DISTINCT {key}) FROM {table}")
    };
    let expected = rows(&mut client, &sums("lineitem", "l_orderkey", "l_linenumber")).await;
    let sql = format!("{} WHERE k > 0", sums("target", "k", "n"));
    assert_eq!(rows(&mut client, &sql).await, expected);
    let files = value(
        &mut client,
        "SELECT files FROM information_schema.table_statistics WHERE table_name = 'target'",
    )
    .await;
    let directory = cluster.data_dir().join("warehouse/target");
    eventually("a swept directory", Duration::from_secs(5), async || {
        let left = super::writes::files_below(&directory).to_string();
        (left == files).then_some(())
    })
    .await;
}

#[tokio::test]
async fn without_another_attempt_a_write_fails_and_nothing_is_seen() {
    let (cluster, written) = write_with_a_kill(1).await;
    let failed = written.expect_err("it fails");
    assert_eq!(failed.code, ErrorCode::ExecutorLost, "{failed}");
    let mut client = cluster.connect().await;
    assert_eq!(value(&mut client, "SELECT count(*) FROM target").await, "1");
}

fn sent(number: i64) -> RecordBatch {
    let first = number * 1000;
    let keys: ArrayRef = std::sync::Arc::new(Int64Array::from_iter_values(first..first + 1000));
    RecordBatch::try_from_iter([("k", keys)]).expect("a batch")
}

/// Sends rows while an executor is killed.
async fn ingest_with_a_kill(attempts_max: usize) -> (Cluster, Result<i64, QueryError>) {
    let mut cluster = cluster(2).await;
    let mut client = session(&cluster, attempts_max).await;
    cluster.executors[1].pause();
    let batches = futures::stream::iter((0..100).map(sent));
    let sending = async {
        let sent = client
            .ingest("sent", IngestMode::Create, sent(0).schema(), batches)
            .await;
        sent.map_err(engine_error)
    };
    let (written, _) = tokio::join!(sending, kill_during(&mut cluster, "INGEST INTO"));
    (cluster, written)
}

#[tokio::test]
async fn rows_that_a_client_sends_are_written_once() {
    let (cluster, written) = ingest_with_a_kill(4).await;
    assert_eq!(written, Ok(100_000));
    let mut client = cluster.connect().await;
    let found = rows(
        &mut client,
        "SELECT count(*), count(DISTINCT k), sum(k) FROM sent",
    )
    .await;
    assert_eq!(found, [["100000", "100000", "4999950000"]]);
    cluster.wait_for_idle(PATIENCE).await;
}

#[tokio::test]
async fn without_another_attempt_sent_rows_are_not_written() {
    let (cluster, written) = ingest_with_a_kill(1).await;
    let failed = written.expect_err("it fails");
    assert_eq!(failed.code, ErrorCode::ExecutorLost, "{failed}");
    let mut client = cluster.connect().await;
    let missing = error(&mut client, "SELECT * FROM sent").await;
    assert_eq!(missing.code, ErrorCode::TableNotFound);
}

#[tokio::test]
async fn a_query_that_loses_two_executors_is_not_started_a_third_time() {
    let mut cluster = cluster(4).await;
    let mut client = session(&cluster, 4).await;
    rows(&mut client, QUERY).await;
    cluster.executors[1].pause();
    cluster.executors[2].pause();
    let asking = async { error(&mut client, QUERY).await };
    let killing = async {
        let id = running(&cluster, "JOIN orders").await;
        cluster.executors[1].crash().await;
        eventually("a second attempt", PATIENCE, async || {
            let attempts = described(&cluster, &id, "attempts").await;
            (attempts == "2").then_some(())
        })
        .await;
        cluster.executors[2].crash().await;
    };
    let (failed, ()) = tokio::join!(asking, killing);
    assert_eq!(failed.code, ErrorCode::ExecutorLost, "{failed}");
    assert!(failed.message.contains("lost 2 executors"), "{failed}");
    assert!(!failed.retryable);
    cluster.wait_for_active(2).await;
    assert_eq!(rows(&mut client, QUERY).await.len(), 1);
}

#[tokio::test]
async fn where_all_executors_are_lost_the_error_says_so() {
    let data = dataset::tpch(0.01).await;
    let setup = Setup::executors(1)
        .with_root(&dataset::directory_of(&data))
        .with("cluster.executor_wait=1s");
    let mut cluster = Cluster::start(setup).await;
    let mut client = session(&cluster, 4).await;
    for table in dataset::tpch_tables(&data) {
        rows(&mut client, &table.create_statement()).await;
    }
    cluster.executors[0].pause();
    let asking = async { error(&mut client, QUERY).await };
    let killing = async {
        running(&cluster, "JOIN orders").await;
        cluster.executors[0].crash().await;
    };
    let (failed, ()) = tokio::join!(asking, killing);
    assert_eq!(failed.code, ErrorCode::NoExecutors, "{failed}");
    for part in ["lost an executor", "no executor has joined"] {
        assert!(failed.message.contains(part), "{failed}");
    }
}

#[tokio::test]
async fn what_has_left_is_not_taken_back() {
    let mut cluster = cluster(2).await;
    let mut client = session(&cluster, 4).await;
    rows(&mut client, "SET skep.result_holdback = 0").await;
    // More rows than may lie ready, so that the query waits for its reader.
    let sql = "SELECT a.l_comment, b.l_comment FROM lineitem a JOIN lineitem b ON a.l_shipmode = b.l_shipmode";
    let mut result = client.execute(sql).await.expect("it starts");
    let first = result.next_batch().await.expect("rows come");
    assert!(first.is_some());
    cluster.executors[1].crash().await;
    let failed = loop {
        match result.next_batch().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the result has an end"),
            Err(error) => break engine_error(error),
        }
    };
    assert_eq!(failed.code, ErrorCode::ExecutorLost, "{failed}");
    assert!(failed.message.contains("skep.result_holdback"), "{failed}");
    cluster.wait_for_idle(PATIENCE).await;
}

#[tokio::test]
async fn an_executor_that_is_told_to_end_finishes_its_tasks_and_has_left() {
    let mut cluster = cluster(2).await;
    let mut client = session(&cluster, 1).await;
    // The reader holds the query up, on both executors.
    let sql = "SELECT a.l_comment, b.l_comment FROM lineitem a JOIN lineitem b ON a.l_shipmode = b.l_shipmode \
               AND a.l_linenumber = 1 AND b.l_orderkey < 60";
    let expected = value(&mut client, &format!("SELECT count(*) FROM ({sql})")).await;
    rows(&mut client, "SET skep.result_holdback = 0").await;
    let mut result = client.execute(sql).await.expect("it starts");
    let mut count = result
        .next_batch()
        .await
        .expect("rows")
        .map_or(0, |batch| batch.num_rows());
    let mut leaving = cluster.executors.remove(0);
    let reading = async {
        let mut other = session(&cluster, 1).await;
        eventually("a draining or left executor", PATIENCE, async || {
            let states = columns(&mut other, "SHOW EXECUTORS", &["state"]).await;
            states
                .iter()
                .any(|state| state[0] != "ACTIVE")
                .then_some(())
        })
        .await;
        // Others are planned without it.
        assert_eq!(rows(&mut other, QUERY).await.len(), 1);
        while let Some(batch) = result.next_batch().await.expect("rows come") {
            count += batch.num_rows();
        }
        count
    };
    let (ended, count) = tokio::join!(leaving.terminate(), reading);
    assert_eq!(count.to_string(), expected);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let states = columns(&mut client, "SHOW EXECUTORS", &["state"]).await;
    assert!(states.contains(&vec!["LEFT".to_owned()]), "{states:?}");
}

#[tokio::test]
async fn an_idle_executor_that_is_told_to_end_has_left() {
    let mut cluster = cluster(2).await;
    let ended = cluster.executors[0].terminate().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let mut client = cluster.connect().await;
    let states = columns(&mut client, "SHOW EXECUTORS", &["state"]).await;
    assert!(states.contains(&vec!["LEFT".to_owned()]), "{states:?}");
}

#[tokio::test]
async fn an_executor_that_is_drained_leaves() {
    let mut cluster = cluster(2).await;
    let mut client = session(&cluster, 1).await;
    let unknown = error(&mut client, "ALTER EXECUTOR 'x' DRAIN").await;
    assert_eq!(unknown.code, ErrorCode::InvalidArgument, "{unknown}");
    let ids = columns(&mut client, "SHOW EXECUTORS", &["id", "address"]).await;
    let address = ids[0][1].trim_start_matches("http://").to_owned();
    rows(
        &mut client,
        &format!("ALTER EXECUTOR '{}' DRAIN", ids[0][0]),
    )
    .await;
    assert_eq!(rows(&mut client, QUERY).await.len(), 1);
    let mut executors = cluster.executors.iter_mut();
    let drained = executors.find(|one| one.stderr().contains(&address));
    let ended = drained.expect("its process").ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let states = columns(&mut client, "SHOW EXECUTORS", &["id", "state"]).await;
    assert!(
        states.contains(&vec![ids[0][0].clone(), "LEFT".to_owned()]),
        "{states:?}"
    );
}

/// Ends each executor in turn, and starts another one for it, while queries run.
#[tokio::test]
async fn a_rolling_restart_fails_no_query() {
    let mut cluster = cluster(3).await;
    let mut client = session(&cluster, 4).await;
    let expected = rows(&mut client, QUERY).await;
    let mut asking = session(&cluster, 4).await;
    let stop = std::sync::atomic::AtomicBool::new(false);
    let load = async {
        let mut count = 0;
        while !stop.load(std::sync::atomic::Ordering::Relaxed) {
            assert_eq!(rows(&mut asking, QUERY).await, expected);
            count += 1;
        }
        count
    };
    let restarting = async {
        for index in 0..cluster.executors.len() {
            let ended = cluster.executors[index].terminate().await;
            assert_eq!(ended.code, Some(0), "{}", ended.stderr);
            cluster.executors[index] = cluster.start_executor("127.0.0.1:0", &cluster.url);
            cluster.wait_for_active(3).await;
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    };
    let (count, ()) = tokio::join!(load, restarting);
    assert!(count > 3, "{count} queries");
    let states = columns(&mut client, "SHOW EXECUTORS", &["state"]).await;
    assert!(!states.contains(&vec!["LOST".to_owned()]), "{states:?}");
}
