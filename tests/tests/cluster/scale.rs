//! Results larger than any memory, and clients that do not read them: everybody else is served, and the
//! coordinator holds no more than before.

use skep_client::Client;
use skep_tests::cluster::{Cluster, Setup};
use skep_tests::session::{rows, value};
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
