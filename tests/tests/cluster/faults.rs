//! Dead executors, vanished clients and cancelled queries: one clear error, and nothing left behind.

use skep_client::Client;
use skep_protocol::ErrorCode;
use skep_tests::cluster::{Cluster, Setup};
use skep_tests::dataset;
use skep_tests::process::{Process, arguments};
use skep_tests::session::{columns, engine_error, error, eventually, rows, value};
use std::time::{Duration, Instant};

/// Runs for minutes if nobody stops it, on every executor, and returns one row at its end.
const ENDLESS: &str = "SELECT count(*) FROM lineitem a JOIN lineitem b \
                       ON a.l_shipmode = b.l_shipmode AND a.l_comment < b.l_comment";

/// Returns rows for minutes.
const ENDLESS_ROWS: &str = "SELECT a.l_comment, b.l_comment FROM lineitem a JOIN lineitem b \
                            ON a.l_shipmode = b.l_shipmode";

/// How long everything of a query that was stopped may still be there.
const CLEANED_UP: Duration = Duration::from_secs(1);

/// Small tables are split over all executors, too.
const SPLIT_ALWAYS: &str = "SET skep.scan_partition_bytes = 1";

/// Opens a session that uses all executors.
async fn spread(cluster: &Cluster) -> Client {
    let mut client = cluster.connect().await;
    rows(&mut client, SPLIT_ALWAYS).await;
    client
}

async fn tpch_cluster(executors: usize) -> Cluster {
    let data = dataset::tpch(0.05).await;
    let setup = Setup::executors(executors).with_root(&dataset::directory_of(&data));
    let cluster = Cluster::start(setup).await;
    let mut client = cluster.connect().await;
    for table in dataset::tpch_tables(&data) {
        rows(&mut client, &table.create_statement()).await;
    }
    cluster
}

/// The id of the query that runs on all executors, once it does.
async fn running_everywhere(cluster: &Cluster) -> String {
    let mut client = cluster.connect().await;
    eventually(
        "tasks on every executor",
        Duration::from_secs(20),
        async || {
            let executors =
                columns(&mut client, "SHOW EXECUTORS", &["state", "running_tasks"]).await;
            let busy = executors
                .iter()
                .all(|executor| executor[0] != "ACTIVE" || executor[1] != "0");
            let queries = columns(&mut client, "SHOW QUERIES", &["query_id", "state", "sql"]).await;
            let running = queries
                .into_iter()
                .find(|query| query[1] == "RUNNING" && query[2].contains("lineitem a"));
            running
                .filter(|_| busy)
                .map(|mut query| query.swap_remove(0))
        },
    )
    .await
}

/// The state and the error of a query.
async fn state_of(cluster: &Cluster, id: &str) -> (String, String) {
    let mut client = cluster.connect().await;
    let all = columns(&mut client, "SHOW QUERIES", &["query_id", "state", "error"]).await;
    let query = all.into_iter().find(|query| query[0] == id);
    let mut query = query.expect("the query is known");
    (query.swap_remove(1), query.pop().expect("an error"))
}

async fn assert_alive(cluster: &Cluster) {
    let mut client = cluster.connect().await;
    let counted = value(
        &mut client,
        "SELECT count(*) FROM lineitem WHERE l_quantity > 0",
    )
    .await;
    assert_eq!(counted, "299814");
}

#[tokio::test]
async fn a_killed_executor_is_one_clear_error_where_a_query_is_started_once() {
    let mut cluster = tpch_cluster(2).await;
    let mut client = spread(&cluster).await;
    rows(&mut client, "SET skep.query_attempts_max = 1").await;
    let running = async { error(&mut client, ENDLESS).await };
    let killing = async {
        let id = running_everywhere(&cluster).await;
        cluster.executors[1].crash().await;
        (id, Instant::now())
    };
    let (failed, (id, killed)) = tokio::join!(running, killing);
    assert!(killed.elapsed() < Duration::from_secs(10), "told too late");
    assert_eq!(failed.code, ErrorCode::ExecutorLost, "{failed}");
    assert!(failed.retryable && failed.node.is_some(), "{failed:?}");
    assert_eq!(state_of(&cluster, &id).await.0, "FAILED");
    cluster.wait_for_active(1).await;
    cluster.wait_for_idle(CLEANED_UP).await;
    assert_alive(&cluster).await;
}

#[tokio::test]
async fn a_killed_query_is_gone_within_a_second() {
    let cluster = tpch_cluster(2).await;
    let mut client = spread(&cluster).await;
    let running = async { error(&mut client, ENDLESS).await };
    let killing = async {
        let id = running_everywhere(&cluster).await;
        let mut other = cluster.connect().await;
        rows(&mut other, &format!("KILL QUERY '{id}'")).await;
        cluster.wait_for_idle(CLEANED_UP).await;
        id
    };
    let (failed, id) = tokio::join!(running, killing);
    assert_eq!(failed.code, ErrorCode::Canceled, "{failed}");
    let (state, why) = state_of(&cluster, &id).await;
    assert_eq!(state, "CANCELED");
    assert!(why.contains("killed by anonymous"), "{why}");
    let mut other = cluster.connect().await;
    let again = error(&mut other, &format!("KILL QUERY '{id}'")).await;
    assert_eq!(again.code, ErrorCode::QueryNotFound);
    assert_alive(&cluster).await;
}

#[tokio::test]
async fn a_client_that_drops_its_result_ends_its_query() {
    let cluster = tpch_cluster(2).await;
    let mut client = spread(&cluster).await;
    let result = client.execute(ENDLESS_ROWS).await.expect("it starts");
    let id = running_everywhere(&cluster).await;
    drop(result);
    cluster.wait_for_idle(CLEANED_UP).await;
    assert_eq!(state_of(&cluster, &id).await.0, "CANCELED");
    assert_alive(&cluster).await;
}

#[tokio::test]
async fn a_client_that_is_killed_ends_its_query() {
    let cluster = tpch_cluster(2).await;
    let parts = [
        "shell",
        "--connect",
        &cluster.url,
        "-e",
        SPLIT_ALWAYS,
        "-e",
        ENDLESS,
    ];
    let mut shell = Process::start("shell", cluster.directory(), &arguments(&parts));
    let id = running_everywhere(&cluster).await;
    shell.crash().await;
    cluster.wait_for_idle(CLEANED_UP).await;
    assert_eq!(state_of(&cluster, &id).await.0, "CANCELED");
    assert_alive(&cluster).await;
}

#[tokio::test]
async fn a_closed_session_ends_its_queries() {
    let cluster = tpch_cluster(1).await;
    let client = cluster.connect().await;
    let mut runner = client.clone();
    let running = async { runner.execute(ENDLESS).await?.collect().await };
    let closing = async {
        let id = running_everywhere(&cluster).await;
        client.close().await.expect("it closes");
        id
    };
    let (ended, id) = tokio::join!(running, closing);
    assert_eq!(
        engine_error(ended.expect_err("it was stopped")).code,
        ErrorCode::Canceled
    );
    cluster.wait_for_idle(CLEANED_UP).await;
    assert_eq!(state_of(&cluster, &id).await.0, "CANCELED");
}

#[tokio::test]
async fn a_slow_reader_holds_up_nobody_and_nothing_grows() {
    let cluster = tpch_cluster(2).await;
    let mut reader = spread(&cluster).await;
    let result = reader.execute(ENDLESS_ROWS).await.expect("it starts");
    running_everywhere(&cluster).await;
    for _ in 0..3 {
        assert_alive(&cluster).await;
    }
    let mut client = cluster.connect().await;
    let used = columns(
        &mut client,
        "SHOW EXECUTORS",
        &["memory_used", "memory_limit"],
    )
    .await;
    for executor in used {
        let [used, limit] = [0, 1].map(|column| executor[column].parse::<u64>().expect("bytes"));
        assert!(used < limit / 2, "{used} of {limit} bytes");
    }
    drop(result);
    cluster.wait_for_idle(CLEANED_UP).await;
}

#[tokio::test]
async fn a_query_that_runs_for_too_long_is_stopped() {
    let cluster = tpch_cluster(2).await;
    let mut client = cluster.connect().await;
    rows(&mut client, "SET skep.query_run_time_max_s = 1").await;
    let started = Instant::now();
    let failed = error(&mut client, ENDLESS).await;
    assert_eq!(failed.code, ErrorCode::DeadlineExceeded, "{failed}");
    assert!(started.elapsed() < Duration::from_secs(5));
    cluster.wait_for_idle(CLEANED_UP).await;
}
