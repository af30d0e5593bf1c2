//! Results larger than any memory, and clients that do not read them: everybody else is served, and the
//! coordinator holds no more than before.

use skep_client::Client;
use skep_protocol::ErrorCode;
use skep_tests::cluster::{Cluster, Setup};
use skep_tests::session::{columns, engine_error, eventually, rows, value};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

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

#[tokio::test]
async fn clients_that_stop_reading_keep_no_places() {
    let setup = Setup::executors(2).with("query.max_running=2");
    let cluster = Cluster::start(setup).await;
    let mut client = cluster.connect().await;
    create_numbers(&mut client).await;
    let mut stopped = Vec::new();
    for _ in 0..4 {
        let mut reader = cluster.connect().await;
        let mut result = reader.execute(HUNDRED_MILLION).await.expect("it starts");
        result.next_batch().await.expect("rows").expect("a batch");
        stopped.push(result);
    }
    let asked = Instant::now();
    let counted = "SELECT count(*) FROM numbers";
    assert_eq!(value(&mut client, counted).await, "10000");
    assert!(asked.elapsed() < PATIENCE / 2, "{:?}", asked.elapsed());
    // Whoever reads on gets everything that there is.
    let mut result = stopped.pop().expect("there are some");
    let mut read = 0;
    while read < 10_000_000 {
        read += result
            .next_batch()
            .await
            .expect("rows")
            .expect("more")
            .num_rows();
    }
    drop((result, stopped));
    cluster.wait_for_idle(PATIENCE).await;
}

#[tokio::test]
async fn a_client_that_never_reads_on_is_told_so_and_loses_its_query() {
    let setup = Setup::executors(2).with("query.client_wait=2s");
    let cluster = Cluster::start(setup).await;
    let mut client = cluster.connect().await;
    create_numbers(&mut client).await;
    let mut stopped = cluster.connect().await;
    let mut result = stopped.execute(HUNDRED_MILLION).await.expect("it starts");
    result.next_batch().await.expect("rows").expect("a batch");
    let state = "SHOW QUERIES";
    eventually("end of the query", PATIENCE, async || {
        let queries = columns(&mut client, state, &["state", "sql"]).await;
        let its = queries.iter().find(|query| query[1] == HUNDRED_MILLION);
        its.filter(|query| query[0] == "CANCELED").map(|_| ())
    })
    .await;
    cluster.wait_for_idle(PATIENCE).await;
    let ended = loop {
        match result.next_batch().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("a result that is cut off ends like a whole one"),
            Err(error) => break engine_error(error),
        }
    };
    assert_eq!(ended.code, ErrorCode::Canceled, "{ended}");
    assert!(ended.message.contains("read nothing for 2 s"), "{ended}");
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
