//! `skep-faults`: TPC-H queries and writes on a cluster of real processes while executors are killed, stand still
//! and are asked to leave, for some minutes. Every result is compared with what it was before the first fault.
//!
//! `cargo run --release -p skep-tests --example faults -- MINUTES [SEED] [EXECUTORS] [CLIENTS]` prints how many
//! queries and attempts there were, how many results were wrong, how many queries failed or hung, and the
//! slowest recovery; it fails where a result was wrong or a query hung.

use skep_client::Client;
use skep_tests::cluster::{Cluster, Setup};
use skep_tests::dataset;
use skep_tests::session::{batches, columns, rows, value};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// A query that takes longer hangs.
const HUNG_AFTER: Duration = Duration::from_secs(90);

/// Queries that read most of the tables, with joins, groups and orders.
const QUERIES: &[&str] = &[
    "SELECT l_returnflag, l_linestatus, sum(l_quantity), count(*) FROM lineitem \
     WHERE l_shipdate <= DATE '1998-09-02' GROUP BY 1, 2 ORDER BY 1, 2",
    "SELECT l_orderkey, sum(l_extendedprice * (1 - l_discount)) AS revenue, o_orderdate \
     FROM customer JOIN orders ON c_custkey = o_custkey JOIN lineitem ON l_orderkey = o_orderkey \
     WHERE c_mktsegment = 'BUILDING' GROUP BY 1, 3 ORDER BY 2 DESC, 3, 1 LIMIT 10",
    "SELECT n_name, sum(l_extendedprice * (1 - l_discount)) FROM customer \
     JOIN orders ON c_custkey = o_custkey JOIN lineitem ON l_orderkey = o_orderkey \
     JOIN supplier ON l_suppkey = s_suppkey AND c_nationkey = s_nationkey \
     JOIN nation ON s_nationkey = n_nationkey GROUP BY 1 ORDER BY 1",
    "SELECT o_orderpriority, count(*) FROM orders WHERE EXISTS \
     (SELECT 1 FROM lineitem WHERE l_orderkey = o_orderkey AND l_commitdate < l_receiptdate) \
     GROUP BY 1 ORDER BY 1",
    "SELECT l_orderkey, l_linenumber, l_comment FROM lineitem ORDER BY 1, 2",
    "SELECT count(*), count(DISTINCT l_partkey) FROM lineitem",
];

/// A generator of numbers whose run a seed repeats (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// What has happened so far.
#[derive(Default)]
struct Totals {
    queries: AtomicU64,
    writes: AtomicU64,
    wrong: AtomicU64,
    failed: AtomicU64,
    hung: AtomicU64,
    faults: AtomicU64,
    slowest_ms: AtomicU64,
    stop: AtomicBool,
}

impl Totals {
    fn count(of: &AtomicU64) {
        of.fetch_add(1, Ordering::Relaxed);
    }

    fn stops(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

fn argument(number: usize, default: u64) -> u64 {
    let given = std::env::args().nth(number);
    given.map_or(default, |text| text.parse().expect("a number"))
}

#[tokio::main]
async fn main() {
    let minutes = argument(1, 1);
    let seed = argument(2, 1);
    let executors = argument(3, 3) as usize;
    let clients = argument(4, 2);
    let data = dataset::tpch(0.05).await;
    let setup = Setup::executors(executors).with_root(&dataset::directory_of(&data));
    let mut cluster = Cluster::start(setup).await;
    let mut client = cluster.connect().await;
    for table in dataset::tpch_tables(&data) {
        rows(&mut client, &table.create_statement()).await;
    }
    let mut expected = Vec::new();
    for sql in QUERIES {
        expected.push(rows(&mut client, sql).await);
    }
    let expected = Arc::new(expected);
    let totals = Arc::new(Totals::default());
    let mut work = JoinSet::new();
    for number in 0..clients {
        let session = session(&cluster).await;
        let (totals, expected) = (Arc::clone(&totals), Arc::clone(&expected));
        work.spawn(async move { ask(session, seed + number, &totals, &expected).await });
    }
    let writer = session(&cluster).await;
    let counts = Arc::clone(&totals);
    work.spawn(async move { write(writer, &counts).await });
    fault(
        &mut cluster,
        Random(seed),
        &totals,
        Duration::from_secs(minutes * 60),
    )
    .await;
    totals.stop.store(true, Ordering::Relaxed);
    while let Some(ended) = work.join_next().await {
        ended.expect("a client's loop ends");
    }
    report(&cluster, &totals).await;
}

async fn session(cluster: &Cluster) -> Client {
    let mut client = cluster.connect().await;
    rows(&mut client, "SET skep.scan_partition_bytes = 1").await;
    client
}

/// Runs a statement; `None` where it failed or hung.
async fn attempt(client: &mut Client, sql: &str, totals: &Totals) -> Option<Vec<Vec<String>>> {
    let started = Instant::now();
    let found = tokio::time::timeout(HUNG_AFTER, batches(client, sql)).await;
    let elapsed = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    totals.slowest_ms.fetch_max(elapsed, Ordering::Relaxed);
    match found {
        Ok(Ok(batches)) => Some(skep_tests::cells::rows(&batches)),
        Ok(Err(error)) => {
            Totals::count(&totals.failed);
            println!("failed after {elapsed} ms: {error}\n  {sql}");
            None
        }
        Err(_) => {
            Totals::count(&totals.hung);
            println!("hung: {sql}");
            None
        }
    }
}

async fn ask(mut client: Client, seed: u64, totals: &Totals, expected: &[Vec<Vec<String>>]) {
    let mut random = Random(seed);
    while !totals.stops() {
        let number = random.next(QUERIES.len() as u64) as usize;
        Totals::count(&totals.queries);
        let found = attempt(&mut client, QUERIES[number], totals).await;
        if found.is_some_and(|found| found != expected[number]) {
            Totals::count(&totals.wrong);
            println!("wrong: {}", QUERIES[number]);
        }
    }
}

/// Replaces a table again and again; every one has to have all rows, once.
async fn write(mut client: Client, totals: &Totals) {
    let create = "CREATE TABLE written (k BIGINT, n BIGINT)";
    rows(&mut client, create).await;
    let rows_of = |table: &str, k: &str, n: &str| {
        format!("SELECT count(*), sum({k}), sum({n}), count(DISTINCT {k}) FROM {table}")
    };
    let source = rows_of("lineitem", "l_orderkey", "l_linenumber");
    let expected = loop {
        if let Some(found) = attempt(&mut client, &source, totals).await {
            break found;
        }
    };
    while !totals.stops() {
        Totals::count(&totals.writes);
        let sql = "INSERT OVERWRITE TABLE written SELECT l_orderkey, l_linenumber FROM lineitem";
        let written = attempt(&mut client, sql, totals).await;
        Totals::count(&totals.queries);
        let target = rows_of("written", "k", "n");
        let found = attempt(&mut client, &target, totals).await;
        let is_wrong = |found: &Vec<Vec<String>>| *found != expected;
        if written.is_some() && found.as_ref().is_some_and(is_wrong) {
            Totals::count(&totals.wrong);
            println!("wrong: the table that was written has {found:?}");
        }
    }
}

/// Kills, pauses and ends executors for so long. One executor at least is left alone at each time.
async fn fault(cluster: &mut Cluster, mut random: Random, totals: &Totals, time: Duration) {
    let until = Instant::now() + time;
    while Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(1000 + random.next(6000))).await;
        let index = random.next(cluster.executors.len() as u64) as usize;
        Totals::count(&totals.faults);
        match random.next(3) {
            0 => {
                println!("kill executor {index}");
                cluster.executors[index].crash().await;
                replace(cluster, index);
            }
            1 => {
                let pause = Duration::from_millis(500 + random.next(9000));
                println!("pause executor {index} for {pause:?}");
                cluster.executors[index].pause();
                tokio::time::sleep(pause).await;
                cluster.executors[index].resume();
            }
            _ => {
                println!("end executor {index}");
                cluster.executors[index].signal("-TERM");
                tokio::time::sleep(Duration::from_millis(random.next(3000))).await;
                cluster.executors[index].ended().await;
                replace(cluster, index);
            }
        }
    }
    cluster.wait_for_active(cluster.executors.len()).await;
}

fn replace(cluster: &mut Cluster, index: usize) {
    let coordinator = cluster.url.clone();
    cluster.executors[index] = cluster.start_executor("127.0.0.1:0", &coordinator);
}

async fn report(cluster: &Cluster, totals: &Totals) {
    cluster.wait_for_idle(Duration::from_secs(30)).await;
    let mut client = cluster.connect().await;
    let attempts = columns(&mut client, "SHOW QUERIES", &["attempts"]).await;
    let attempts = attempts
        .iter()
        .map(|row| row[0].parse::<u64>().unwrap_or(0));
    let (again, remembered) = attempts.fold((0, 0), |(again, all), attempts| {
        (again + attempts.saturating_sub(1), all + 1)
    });
    let files = value(
        &mut client,
        "SELECT files FROM information_schema.table_statistics WHERE table_name = 'written'",
    )
    .await;
    let read = |of: &AtomicU64| of.load(Ordering::Relaxed);
    println!(
        "faults {}, queries {}, writes {}, wrong {}, failed {}, hung {}, slowest {} ms; of the last \
         {remembered} statements {again} further attempts; the table has {files} files",
        read(&totals.faults),
        read(&totals.queries),
        read(&totals.writes),
        read(&totals.wrong),
        read(&totals.failed),
        read(&totals.hung),
        read(&totals.slowest_ms),
    );
    assert_eq!((read(&totals.wrong), read(&totals.hung)), (0, 0));
}
