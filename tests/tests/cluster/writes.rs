//! Writes on a cluster: all executors take part, and whoever is killed in the middle, readers see the
//! state before or the state after.

use skep_client::Client;
use skep_tests::cluster::{Cluster, Setup};
use skep_tests::dataset;
use skep_tests::session::{columns, error, eventually, rows, value};
use std::path::Path;
use std::time::Duration;

/// Small tables are split over all executors, too.
const SPLIT_ALWAYS: &str = "SET skep.scan_partition_bytes = 1";

/// Writes rows for minutes if nobody stops it, into many small files.
const ENDLESS: &str = "INSERT INTO target SELECT a.l_orderkey, b.l_comment FROM lineitem a \
                       JOIN lineitem b ON a.l_shipmode = b.l_shipmode";

async fn cluster(executors: usize) -> Cluster {
    let data = dataset::tpch(0.05).await;
    let setup = Setup::executors(executors)
        .with_root(&dataset::directory_of(&data))
        .with("catalog.vacuum_safe_age=0s");
    let cluster = Cluster::start(setup).await;
    let mut client = cluster.connect().await;
    for table in dataset::tpch_tables(&data) {
        rows(&mut client, &table.create_statement()).await;
    }
    cluster
}

async fn spread(cluster: &Cluster) -> Client {
    let mut client = cluster.connect().await;
    rows(&mut client, SPLIT_ALWAYS).await;
    client
}

/// How many files with an extension there are.
pub(super) fn files_below(directory: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return 0;
    };
    entries
        .map(|entry| entry.expect("a readable entry").path())
        .map(|path| match path.is_dir() {
            true => files_below(&path),
            false => usize::from(path.extension().is_some()),
        })
        .sum()
}

#[tokio::test]
async fn a_table_that_is_created_from_a_query_is_written_by_all_executors() {
    let cluster = cluster(2).await;
    let mut client = spread(&cluster).await;
    let sql = "CREATE TABLE copy AS SELECT * FROM lineitem";
    let plan = rows(&mut client, "EXPLAIN SELECT * FROM lineitem").await;
    assert!(plan[0][1].contains("2 tasks"), "{plan:?}");
    rows(&mut client, sql).await;
    let same = "SELECT count(*), sum(l_quantity), min(l_comment), max(l_shipdate) FROM ";
    let source = rows(&mut client, &format!("{same} lineitem")).await;
    assert_eq!(rows(&mut client, &format!("{same} copy")).await, source);
    let files = value(
        &mut client,
        "SELECT files FROM information_schema.table_statistics WHERE table_name = 'copy'",
    )
    .await;
    assert!(files.parse::<usize>().expect("a number") >= 2, "{files}");
    let written = files_below(&cluster.data_dir().join("warehouse/copy"));
    assert_eq!(written.to_string(), files);
}

#[tokio::test]
async fn a_write_into_many_partitions_has_one_file_for_each() {
    let cluster = cluster(2).await;
    let mut client = spread(&cluster).await;
    for sql in [
        "CREATE TABLE by_day (l_orderkey BIGINT) PARTITIONED BY (day DATE)",
        "INSERT INTO by_day SELECT l_orderkey, l_shipdate FROM lineitem",
    ] {
        rows(&mut client, sql).await;
    }
    let days = value(
        &mut client,
        "SELECT count(DISTINCT l_shipdate) FROM lineitem",
    )
    .await;
    let statistics = columns(
        &mut client,
        "SELECT * FROM information_schema.table_statistics WHERE table_name = 'by_day'",
        &["partitions", "files"],
    )
    .await;
    assert_eq!(statistics, [[days.clone(), days]]);
    let wrong = value(
        &mut client,
        "SELECT count(*) FROM (SELECT day, count(*) AS n FROM by_day GROUP BY day) w \
         FULL JOIN (SELECT l_shipdate, count(*) AS n FROM lineitem GROUP BY l_shipdate) r \
         ON w.day = r.l_shipdate WHERE w.n IS DISTINCT FROM r.n",
    )
    .await;
    assert_eq!(wrong, "0");
}

/// Starts [`ENDLESS`], runs `kill` once files are there, and returns what the statement failed with.
async fn interrupted(
    cluster: &mut Cluster,
    client: &mut Client,
    kill: impl AsyncFnOnce(&mut Cluster),
) -> skep_protocol::QueryError {
    rows(client, "INSERT INTO target VALUES (1, 'before')").await;
    let directory = cluster.data_dir().join("warehouse/target");
    let writing = async { error(client, ENDLESS).await };
    let killing = async {
        eventually("files of the write", Duration::from_secs(60), async || {
            (files_below(&directory) > 3).then_some(())
        })
        .await;
        kill(cluster).await;
    };
    let (failed, ()) = tokio::join!(writing, killing);
    failed
}

/// A table whose writes make many small files.
pub(super) async fn create_target(client: &mut Client) {
    let sql = "CREATE TABLE target (k BIGINT, c STRING) TBLPROPERTIES \
               ('skep.file.bytes' = '100000', 'skep.row_group.rows' = '10000')";
    rows(client, sql).await;
}

/// The table is as it was, and VACUUM leaves nothing but its file.
async fn assert_untouched(client: &mut Client, directory: &Path) {
    assert_eq!(
        rows(client, "SELECT * FROM target").await,
        [["1", "before"]]
    );
    eventually(
        "a sweep of everything",
        Duration::from_secs(20),
        async || {
            rows(client, "VACUUM target").await;
            (files_below(directory) == 1).then_some(())
        },
    )
    .await;
    assert_eq!(
        rows(client, "SELECT * FROM target").await,
        [["1", "before"]]
    );
    rows(client, "INSERT INTO target VALUES (2, 'after')").await;
    assert_eq!(value(client, "SELECT count(*) FROM target").await, "2");
}

#[tokio::test]
async fn an_executor_that_is_killed_during_a_write_leaves_nothing_that_is_seen() {
    let mut cluster = cluster(2).await;
    let mut client = spread(&cluster).await;
    create_target(&mut client).await;
    rows(&mut client, "SET skep.query_attempts_max = 1").await;
    let kill = async |cluster: &mut Cluster| cluster.executors[1].crash().await;
    let failed = interrupted(&mut cluster, &mut client, kill).await;
    assert!(failed.retryable, "{failed}");
    cluster.wait_for_active(1).await;
    let directory = cluster.data_dir().join("warehouse/target");
    assert_untouched(&mut client, &directory).await;
}

#[tokio::test]
async fn a_coordinator_that_is_killed_during_a_write_leaves_nothing_that_is_seen() {
    let mut cluster = cluster(2).await;
    let mut client = spread(&cluster).await;
    create_target(&mut client).await;
    rows(&mut client, "INSERT INTO target VALUES (1, 'before')").await;
    let directory = cluster.data_dir().join("warehouse/target");
    let writing = async { client.execute(ENDLESS).await.map(|_| ()) };
    let killing = async {
        eventually("files of the write", Duration::from_secs(60), async || {
            (files_below(&directory) > 3).then_some(())
        })
        .await;
        cluster.kill_coordinator().await;
    };
    let (ended, ()) = tokio::join!(writing, killing);
    assert!(ended.is_err(), "the statement ended");
    cluster.wait_for_active(2).await;
    cluster.wait_for_idle(Duration::from_secs(10)).await;
    let mut client = cluster.connect().await;
    assert_untouched(&mut client, &directory).await;
}
