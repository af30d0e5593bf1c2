//! Many clients at a time, and results larger than any memory: whoever is too much is told at once, and
//! everybody else is served.

use futures::StreamExt;
use futures::stream;
use skep_client::{Client, ClientError, StatementResult};
use skep_protocol::ErrorCode;
use skep_tests::cluster::{Cluster, Setup};
use skep_tests::session::{columns, connect, eventually, rows, value};
use std::time::{Duration, Instant};

/// How many clients connect at the same moment: the backlog of a listening port is short.
const CONNECTING_AT_A_TIME: usize = 100;

const PATIENCE: Duration = Duration::from_secs(60);

/// How many queries run and how many wait, by default.
const RUNNING_MAX: usize = 16;
const QUEUED_MAX: usize = 200;

async fn many_clients(cluster: &Cluster, count: usize) -> Vec<Client> {
    let url = cluster.url.clone();
    let connecting = (0..count).map(|_| connect(&url));
    let connecting = stream::iter(connecting).buffer_unordered(CONNECTING_AT_A_TIME);
    connecting.collect().await
}

/// A table of 10,000 rows, of which a query can make a hundred million.
async fn create_numbers(client: &mut Client) {
    rows(
        client,
        "CREATE TABLE numbers AS SELECT value AS n FROM range(0, 10000)",
    )
    .await;
}

const HUNDRED_MILLION: &str =
    "SELECT a.n AS a, b.n AS b, a.n * b.n AS c FROM numbers a CROSS JOIN numbers b";

/// Takes all places for queries, by results that nobody reads.
async fn occupy(cluster: &Cluster) -> Vec<StatementResult> {
    let mut client = cluster.connect().await;
    let mut held = Vec::new();
    for _ in 0..RUNNING_MAX {
        held.push(client.execute(HUNDRED_MILLION).await.expect("it starts"));
    }
    held
}

async fn waiting(client: &mut Client) -> usize {
    let states = columns(client, "SHOW QUERIES", &["state"]).await;
    states.iter().filter(|row| row[0] == "QUEUED").count()
}

/// Runs with `clients` clients: `-- --ignored` runs it with 5,000.
async fn a_crowd(clients: usize) {
    let limit = open_files_max();
    assert!(
        limit > clients as u64 + 500,
        "{limit} open files are too few"
    );
    let cluster = Cluster::start(Setup::executors(1)).await;
    let mut watcher = cluster.connect().await;
    create_numbers(&mut watcher).await;
    let started = Instant::now();
    let crowd = many_clients(&cluster, clients).await;
    eprintln!("{clients} clients connected in {:?}", started.elapsed());
    let held = occupy(&cluster).await;

    let asking = crowd.into_iter().map(|mut client| async move {
        let asked = Instant::now();
        let answer = client.execute("SELECT 1").await;
        (answer.map(|_| ()), asked.elapsed(), client)
    });
    let asking = tokio::spawn(async move { futures::future::join_all(asking).await });
    eventually("full queue", PATIENCE, async || {
        (waiting(&mut watcher).await == QUEUED_MAX).then_some(())
    })
    .await;
    // Others are served: what needs no place has none taken from it.
    let asked = Instant::now();
    assert_eq!(
        value(&mut watcher, "SHOW skep.flight.direct").await,
        "false"
    );
    eprintln!("another statement took {:?}", asked.elapsed());
    drop(held);
    let answers = asking.await.expect("nobody panics");
    let refused = answers.iter().filter(|(answer, _, _)| is_full(answer));
    let slowest = refused.clone().map(|(_, time, _)| *time).max();
    let refused = refused.count();
    let served = answers
        .iter()
        .filter(|(answer, _, _)| answer.is_ok())
        .count();
    eprintln!("{served} were served, {refused} refused, the slowest within {slowest:?}");
    assert_eq!(served + refused, clients);
    assert!(served >= QUEUED_MAX, "{served}");
    assert!(refused >= clients - 2 * QUEUED_MAX, "{refused}");
    eprintln!(
        "the coordinator's peak: {} MiB",
        cluster.coordinator.peak_memory_mib()
    );
    // All of them go on with their sessions.
    for (_, _, mut client) in answers.into_iter().take(50) {
        assert_eq!(value(&mut client, "SELECT 1").await, "1");
    }
}

fn is_full(answer: &Result<(), ClientError>) -> bool {
    let error = answer.as_ref().err().and_then(ClientError::query_error);
    error.is_some_and(|error| error.code == ErrorCode::QueueFull)
}

/// How many files this process may open, after it has asked for as many as it may have.
fn open_files_max() -> u64 {
    let process = std::process::id().to_string();
    // Where there is no such program, the limit is what it is.
    let _ = std::process::Command::new("prlimit")
        .args(["--pid", &process, "--nofile=1048576:1048576"])
        .stderr(std::process::Stdio::null())
        .status();
    let limits = std::fs::read_to_string("/proc/self/limits").expect("Linux");
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().nth(3));
    soft.and_then(|soft| soft.parse().ok()).unwrap_or(u64::MAX)
}

#[tokio::test]
async fn whoever_is_too_much_is_told_so_and_the_others_are_served() {
    a_crowd(600).await;
}

/// `cargo test --release --workspace --test cluster -- --ignored five_thousand`
#[tokio::test]
#[ignore = "takes two file descriptors for each of 5,000 clients"]
async fn five_thousand_clients() {
    a_crowd(5_000).await;
}

#[tokio::test]
async fn a_client_that_stops_reading_costs_nothing_but_its_place() {
    let cluster = Cluster::start(Setup::executors(2)).await;
    let mut client = cluster.connect().await;
    create_numbers(&mut client).await;
    let mut stopped = cluster.connect().await;
    let mut result = stopped.execute(HUNDRED_MILLION).await.expect("it starts");
    result.next_batch().await.expect("rows").expect("a batch");
    let counted = "SELECT count(*) FROM numbers";
    assert_eq!(value(&mut client, counted).await, "10000");
    let before = cluster.coordinator.peak_memory_mib();
    let asked = Instant::now();
    for _ in 0..50 {
        assert_eq!(value(&mut client, counted).await, "10000");
    }
    let grown = cluster.coordinator.peak_memory_mib() - before;
    eprintln!(
        "50 queries beside it in {:?}, {grown} MiB more",
        asked.elapsed()
    );
    assert!(grown < 100, "{before} MiB grew by {grown} MiB");
    drop(result);
    cluster.wait_for_idle(PATIENCE).await;
}

/// `cargo test --release --workspace --test cluster -- --ignored a_hundred_million`
#[tokio::test]
#[ignore = "takes some minutes"]
async fn a_hundred_million_rows_through_a_slow_reader() {
    let cluster = Cluster::start(Setup::executors(2)).await;
    let mut client = cluster.connect().await;
    create_numbers(&mut client).await;
    assert_eq!(
        value(&mut client, "SELECT count(*) FROM numbers").await,
        "10000"
    );
    let before = cluster.coordinator.peak_memory_mib();
    let started = Instant::now();
    let mut result = client.execute(HUNDRED_MILLION).await.expect("it starts");
    let (mut read, mut batches) = (0, 0);
    while let Some(batch) = result.next_batch().await.expect("rows") {
        read += batch.num_rows();
        batches += 1;
        if batches % 100 == 0 {
            // What makes the reader slower than the engine.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    assert_eq!(read, 100_000_000);
    let grown = cluster.coordinator.peak_memory_mib() - before;
    eprintln!(
        "100 million rows in {:?}; the coordinator's peak grew from {before} MiB by {grown} MiB",
        started.elapsed()
    );
    assert!(grown < 200, "{before} MiB grew by {grown} MiB");
}
