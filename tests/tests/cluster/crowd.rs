//! Thousands of clients that are logged in and all ask at once: some are served, the others are told at
//! once that the queue is full, and the server stays small and there for everybody.

use futures::StreamExt;
use futures::stream;
use skep_client::{Client, ClientOptions};
use skep_protocol::ErrorCode;
use skep_tests::cluster::{Cluster, Setup};
use skep_tests::session::{batches, engine_error, rows, value};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const CLIENTS: usize = 5_000;

/// What the server is told to run and to let wait at a time.
const RUNNING: usize = 4;
const QUEUED: usize = 200;

/// How long all of them together may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// How many connections are opened at a time, as many programs together would.
const OPENING: usize = 100;

/// How much memory the server may hold, in MiB. Each connection has buffers of its own.
const MEMORY_MIB_MAX: u64 = 1024;

/// How long a statement beside the crowd may take.
const BESIDE_MAX: Duration = Duration::from_secs(10);

#[tokio::test]
async fn five_thousand_clients_ask_at_once() {
    let setup = Setup::standalone()
        .with(&format!("query.max_running={RUNNING}"))
        .with(&format!("query.max_queued={QUEUED}"));
    let cluster = Cluster::start(setup).await;
    let mut beside = cluster.connect().await;
    rows(
        &mut beside,
        "CREATE TABLE numbers AS SELECT value AS n FROM range(0, 100000)",
    )
    .await;
    let started = Instant::now();
    let clients: Vec<Client> = stream::iter(0..CLIENTS)
        .map(|_| async {
            let options = ClientOptions {
                connect_timeout: PATIENCE,
                ..ClientOptions::default()
            };
            let client = Client::connect(&cluster.url, options).await;
            client.expect("everybody may log in")
        })
        .buffer_unordered(OPENING)
        .collect()
        .await;
    eprintln!("{CLIENTS} have logged in after {:?}", started.elapsed());

    let started = Instant::now();
    let mut asking = JoinSet::new();
    for (number, mut client) in clients.into_iter().enumerate() {
        asking.spawn(async move {
            let sql = format!("SELECT count(*) FROM numbers WHERE n % {CLIENTS} = {number}");
            let asked = Instant::now();
            let answer = batches(&mut client, &sql).await;
            let code = answer.err().map(|error| engine_error(error).code);
            (code, asked.elapsed(), client)
        });
    }
    // Whoever looks on is served as well.
    let looked = Instant::now();
    rows(&mut beside, "SHOW QUERIES").await;
    let looked = looked.elapsed();
    let answers = tokio::time::timeout(PATIENCE, asking.join_all()).await;
    let answers = answers.expect("everybody has an answer in time");
    let mut by_code: BTreeMap<String, (usize, Duration)> = BTreeMap::new();
    let mut held = Vec::new();
    for (code, elapsed, client) in answers {
        let name = code.map_or("ROWS", ErrorCode::as_str).to_owned();
        let (count, longest) = by_code.entry(name).or_default();
        *count += 1;
        *longest = (*longest).max(elapsed);
        held.push(client);
    }
    let memory = cluster.coordinator.peak_memory_mib();
    eprintln!(
        "answers after {:?}: {by_code:?}; SHOW QUERIES beside it took {looked:?}; the server's peak is \
         {memory} MiB",
        started.elapsed()
    );
    let served = by_code.get("ROWS").map_or(0, |(count, _)| *count);
    let refused = by_code.get("QUEUE_FULL").map_or(0, |(count, _)| *count);
    assert_eq!(served + refused, CLIENTS, "{by_code:?}");
    assert!(served >= RUNNING + QUEUED, "{by_code:?}");
    assert!(looked < BESIDE_MAX, "{looked:?}");
    assert!(memory < MEMORY_MIB_MAX, "{memory} MiB");

    // All are there still, and a statement of each of a few is answered.
    for client in held.iter_mut().step_by(CLIENTS / 20) {
        assert_eq!(
            value(client, "SELECT count(*) FROM numbers").await,
            "100000"
        );
    }
    drop(held);
    cluster.wait_for_idle(PATIENCE).await;
    let mut next = cluster.connect().await;
    assert_eq!(
        value(&mut next, "SELECT count(*) FROM numbers").await,
        "100000"
    );
}
