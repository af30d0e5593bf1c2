//! Files of a managed table that are not as they were written, and what is swept: readers get an error
//! that names the file, and what may go goes by itself.

use skep_client::Client;
use skep_protocol::ErrorCode;
use skep_tests::cluster::{Cluster, Setup};
use skep_tests::session::{error, eventually, rows, value};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How long a sweep may take to come around.
const SWEEP_PATIENCE: Duration = Duration::from_secs(20);

/// The files below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten() {
        let path = entry.expect("a readable entry").path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found.sort();
    found
}

fn set_modified(path: &Path, time: SystemTime) {
    let file = std::fs::File::options().append(true).open(path);
    let set = file.expect("a file").set_modified(time);
    set.expect("the time is set");
}

async fn assert_named(client: &mut Client, sql: &str, code: ErrorCode, file: &Path, part: &str) {
    let failed = error(client, sql).await;
    assert_eq!(failed.code, code, "{failed}");
    let name = file.file_name().expect("a name").to_string_lossy();
    assert!(failed.message.contains(&*name), "{failed}");
    assert!(failed.message.contains(part), "{failed}");
}

#[tokio::test]
async fn a_file_of_a_managed_table_that_has_changed_is_an_error_that_names_it() {
    let cluster = Cluster::start(Setup::executors(2)).await;
    let mut client = cluster.connect().await;
    for sql in [
        "CREATE TABLE t (a INT, b STRING)",
        "INSERT INTO t SELECT column1, 'x' || column1 FROM (VALUES (1), (2), (3)) v",
        "CREATE TABLE other AS SELECT 7 AS a, 'y' AS b",
    ] {
        rows(&mut client, sql).await;
    }
    let query = "SELECT sum(a), max(b) FROM t WHERE a > 0";
    assert_eq!(rows(&mut client, query).await, [["6", "x3"]]);
    let warehouse = cluster.data_dir().join("warehouse");
    let path = files(&warehouse.join("t")).pop().expect("a file");
    let content = std::fs::read(&path).expect("a file");
    let modified = std::fs::metadata(&path).and_then(|found| found.modified());
    let modified = modified.expect("a time");

    // Somebody has written the same bytes, or quite another file, which can be read.
    std::fs::write(&path, &content).expect("written");
    assert_named(
        &mut client,
        query,
        ErrorCode::DataCorrupt,
        &path,
        "has changed",
    )
    .await;
    let other = files(&warehouse.join("other")).pop().expect("a file");
    std::fs::copy(&other, &path).expect("copied");
    set_modified(&path, modified);
    assert_named(
        &mut client,
        query,
        ErrorCode::DataCorrupt,
        &path,
        "bytes instead of",
    )
    .await;

    // A failing disk.
    let mut damaged = content.clone();
    damaged[4..60].fill(0xff);
    std::fs::write(&path, &damaged).expect("written");
    set_modified(&path, modified);
    assert_named(
        &mut client,
        query,
        ErrorCode::DataCorrupt,
        &path,
        "cannot be read",
    )
    .await;
    std::fs::write(&path, &content[..content.len() / 2]).expect("written");
    set_modified(&path, modified);
    assert_named(
        &mut client,
        query,
        ErrorCode::DataCorrupt,
        &path,
        "bytes instead of",
    )
    .await;
    std::fs::remove_dir_all(warehouse.join("t")).expect("removed");
    assert_named(
        &mut client,
        query,
        ErrorCode::FileNotFound,
        &path,
        "not found",
    )
    .await;

    // Nothing of it has reached the catalog, and what is put back is as it was.
    assert_eq!(value(&mut client, "SELECT max(a) FROM other").await, "7");
    std::fs::create_dir(warehouse.join("t")).expect("created");
    std::fs::write(&path, &content).expect("written");
    set_modified(&path, modified);
    assert_eq!(rows(&mut client, query).await, [["6", "x3"]]);
}

fn orphan(directory: &Path, query: &str, number: u32, age: Duration) -> PathBuf {
    let path = directory.join(format!("part-{query}-{number}.parquet"));
    std::fs::write(&path, "rows").expect("written");
    set_modified(&path, SystemTime::now() - age);
    path
}

#[tokio::test]
async fn a_sweep_removes_what_is_old_and_its_own_and_nothing_else() {
    let setup = Setup::executors(1)
        .with("catalog.vacuum_interval=100ms")
        .with("catalog.vacuum_safe_age=1h");
    let cluster = Cluster::start(setup).await;
    let mut client = cluster.connect().await;
    for sql in [
        "CREATE TABLE t AS SELECT 1 AS a",
        "CREATE TABLE dropped AS SELECT 2 AS a",
        "DROP TABLE dropped",
    ] {
        rows(&mut client, sql).await;
    }
    let warehouse = cluster.data_dir().join("warehouse");
    let (table, dropped) = (warehouse.join("t"), warehouse.join("dropped"));
    let mut kept = files(&warehouse);
    assert_eq!(kept.len(), 2, "{kept:?}");
    let (minute, hours) = (Duration::from_secs(60), Duration::from_secs(2 * 3600));
    let query = "20240131_101112_00001_abcde";
    kept.push(orphan(&table, query, 1, minute));
    for name in ["notes.txt", "part-0.parquet"] {
        let path = table.join(name);
        std::fs::write(&path, "not Skep's").expect("written");
        set_modified(&path, SystemTime::now() - hours);
        kept.push(path);
    }
    kept.sort();
    orphan(&table, query, 2, hours);
    orphan(&dropped, query, 3, hours);
    orphan(&warehouse, query, 4, hours);
    eventually("end of a sweep", SWEEP_PATIENCE, async || {
        (files(&warehouse) == kept).then_some(())
    })
    .await;
    assert_eq!(value(&mut client, "SELECT max(a) FROM t").await, "1");
}

#[tokio::test]
async fn a_sweep_follows_dropped_and_overwritten_tables() {
    let setup = Setup::executors(1)
        .with("catalog.vacuum_interval=50ms")
        .with("catalog.vacuum_safe_age=0s");
    let cluster = Cluster::start(setup).await;
    let mut client = cluster.connect().await;
    let elsewhere = cluster.directory().join("elsewhere");
    let location = elsewhere.display();
    rows(&mut client, "CREATE TABLE t (a INT) PARTITIONED BY (k INT)").await;
    rows(
        &mut client,
        &format!("CREATE TABLE far (a INT) LOCATION '{location}'"),
    )
    .await;
    // Sweeps go on while rows are written: none may be lost.
    for round in 0..10 {
        for sql in [
            format!("INSERT INTO far VALUES ({round})"),
            format!("INSERT OVERWRITE TABLE t PARTITION (k = 1) VALUES ({round})"),
            format!("INSERT INTO t VALUES ({round}, {round})"),
        ] {
            rows(&mut client, &sql).await;
        }
    }
    let counts = "SELECT (SELECT count(*) FROM far) AS f, (SELECT count(*) FROM t) AS t, \
                  (SELECT max(a) FROM t WHERE k = 1) AS k";
    assert_eq!(rows(&mut client, counts).await, [["10", "10", "9"]]);
    let warehouse = cluster.data_dir().join("warehouse");
    eventually("end of a sweep", SWEEP_PATIENCE, async || {
        (files(&warehouse).len() == 10).then_some(())
    })
    .await;
    assert_eq!(rows(&mut client, counts).await, [["10", "10", "9"]]);
    rows(&mut client, "DROP TABLE t").await;
    rows(&mut client, "DROP TABLE far").await;
    eventually("end of all files", SWEEP_PATIENCE, async || {
        (files(&warehouse).is_empty() && files(&elsewhere).is_empty()).then_some(())
    })
    .await;
}
