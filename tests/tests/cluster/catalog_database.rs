//! A catalog in PostgreSQL that dies or stands still in the middle of a write: readers see the state
//! before or the state after, and the client is told which.

use super::writes::{create_target, files_below};
use skep_client::Client;
use skep_protocol::ErrorCode;
use skep_tests::cluster::{Cluster, Setup};
use skep_tests::postgres::Postgres;
use skep_tests::session::{batches, engine_error, eventually, rows, value};
use std::path::PathBuf;
use std::time::Duration;

/// Takes a few seconds and writes several files before it commits.
const INSERT: &str = "INSERT INTO target \
                      SELECT a.value, repeat('x', 20) FROM range(3000000) a(value)";

struct Shared {
    postgres: Postgres,
    cluster: Cluster,
    client: Client,
    directory: PathBuf,
}

impl Shared {
    /// A cluster with its catalog in PostgreSQL; `None` where that is not installed.
    async fn start() -> Option<Self> {
        let postgres = Postgres::start().await?;
        let setup = Setup::executors(2)
            .with(&format!("server.catalog={}", postgres.url()))
            .with("catalog.vacuum_safe_age=10min");
        let cluster = Cluster::start(setup).await;
        let mut client = cluster.connect().await;
        create_target(&mut client).await;
        rows(&mut client, "INSERT INTO target VALUES (1, 'before')").await;
        // Coordinators keep in memory what they have read of a table.
        let before = rows(&mut client, "SELECT * FROM target").await;
        assert_eq!(before, [["1", "before"]]);
        let directory = cluster.data_dir().join("warehouse/target");
        Some(Self {
            postgres,
            cluster,
            client,
            directory,
        })
    }

    async fn wait_for_files(&self) {
        eventually("files of the write", Duration::from_secs(60), async || {
            (files_below(&self.directory) > 2).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_catalog_that_is_killed_during_a_write_leaves_the_state_before() {
    let Some(mut shared) = Shared::start().await else {
        return;
    };
    let mut writer = shared.cluster.connect().await;
    let writing = async { batches(&mut writer, INSERT).await };
    let killing = async {
        shared.wait_for_files().await;
        shared.postgres.kill();
    };
    let (ended, ()) = tokio::join!(writing, killing);
    let failed = engine_error(ended.expect_err("there is nothing to commit to"));
    assert_eq!(failed.code, ErrorCode::CatalogStore, "{failed}");
    // What the catalog was is still there to be read.
    let before = "SELECT * FROM target";
    assert_eq!(rows(&mut shared.client, before).await, [["1", "before"]]);
    shared.postgres.restart().await;
    eventually(
        "a write after the crash",
        Duration::from_secs(30),
        async || {
            let written =
                batches(&mut shared.client, "INSERT INTO target VALUES (2, 'after')").await;
            written.ok().map(|_| ())
        },
    )
    .await;
    assert_eq!(
        value(&mut shared.client, "SELECT count(*) FROM target").await,
        "2"
    );
}

#[tokio::test]
async fn a_catalog_that_stands_still_during_a_write_is_waited_for() {
    let Some(mut shared) = Shared::start().await else {
        return;
    };
    let mut writer = shared.cluster.connect().await;
    let writing = async { batches(&mut writer, INSERT).await };
    let pausing = async {
        shared.wait_for_files().await;
        shared.postgres.pause();
        // Readers do not need the database.
        let mut reader = shared.cluster.connect().await;
        let before = rows(&mut reader, "SELECT * FROM target").await;
        assert_eq!(before, [["1", "before"]]);
        shared.postgres.resume();
    };
    let (ended, ()) = tokio::join!(writing, pausing);
    ended.unwrap_or_else(|error| panic!("{error}"));
    let count = value(&mut shared.client, "SELECT count(*) FROM target").await;
    assert_eq!(count, "3000001");
}

/// Two coordinators that share a catalog sweep at the same time as both write.
#[tokio::test]
async fn sweeps_of_several_coordinators_do_no_harm() {
    let Some(postgres) = Postgres::start().await else {
        return;
    };
    let warehouse = tempfile::tempdir().expect("a directory");
    let setup = Setup::executors(1)
        .with(&format!("server.catalog={}", postgres.url()))
        .with(&format!("server.warehouse={}", warehouse.path().display()))
        .with("catalog.vacuum_interval=100ms")
        .with("catalog.vacuum_safe_age=5s")
        .with_root(warehouse.path());
    let first = Cluster::start(setup.clone()).await;
    let second = Cluster::start(setup).await;
    let mut client = first.connect().await;
    rows(&mut client, "CREATE TABLE t (a INT)").await;
    let write = async |cluster: &Cluster| {
        let mut client = cluster.connect().await;
        eventually("the table", Duration::from_secs(10), async || {
            batches(&mut client, "SELECT * FROM t")
                .await
                .ok()
                .map(|_| ())
        })
        .await;
        for round in 0..10 {
            rows(&mut client, &format!("INSERT INTO t VALUES ({round})")).await;
        }
        rows(&mut client, "CREATE TABLE IF NOT EXISTS u AS SELECT 1 AS a").await;
    };
    tokio::join!(write(&first), write(&second));
    // It is refused as long as this coordinator has not heard of what the other one has written last.
    eventually("an overwrite", Duration::from_secs(10), async || {
        let overwrite = "INSERT OVERWRITE TABLE t SELECT * FROM t";
        batches(&mut client, overwrite).await.ok().map(|_| ())
    })
    .await;
    // Twenty files of before, and those of the table that one of the two has made in vain.
    eventually("end of a sweep", Duration::from_secs(60), async || {
        (files_below(warehouse.path()) <= 3).then_some(())
    })
    .await;
    let sum = "SELECT count(*), sum(a) FROM t";
    assert_eq!(rows(&mut client, sum).await, [["20", "90"]]);
    let mut other = second.connect().await;
    eventually("the same elsewhere", Duration::from_secs(10), async || {
        (rows(&mut other, sum).await == [["20", "90"]]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_coordinator_with_a_shared_catalog_that_is_killed_leaves_the_state_before() {
    let Some(mut shared) = Shared::start().await else {
        return;
    };
    let mut writer = shared.cluster.connect().await;
    let writing = async { batches(&mut writer, INSERT).await };
    let files = async {
        eventually("files of the write", Duration::from_secs(60), async || {
            (files_below(&shared.directory) > 2).then_some(())
        })
        .await;
        shared.cluster.kill_coordinator().await;
    };
    let (ended, ()) = tokio::join!(writing, files);
    assert!(ended.is_err(), "the statement ended");
    shared.cluster.wait_for_active(2).await;
    let mut client = shared.cluster.connect().await;
    assert_eq!(
        rows(&mut client, "SELECT * FROM target").await,
        [["1", "before"]]
    );
    rows(&mut client, "INSERT INTO target VALUES (2, 'after')").await;
    assert_eq!(value(&mut client, "SELECT count(*) FROM target").await, "2");
}
