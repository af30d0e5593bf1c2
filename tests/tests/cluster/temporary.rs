//! What is temporary in a session: who sees it, and when it goes.

use skep_protocol::ErrorCode;
use skep_tests::cluster::{Cluster, Setup};
use skep_tests::session::{columns, error, eventually, rows, value};
use std::path::Path;
use std::time::Duration;

/// How many files there are below a directory.
fn files_below(directory: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return 0;
    };
    let entries = entries.map(|entry| entry.expect("an entry").path());
    entries
        .map(|path| match path.is_dir() {
            true => files_below(&path),
            false => 1,
        })
        .sum()
}

#[tokio::test]
async fn a_temporary_table_is_its_sessions_alone_and_goes_with_it() {
    let cluster = Cluster::start(Setup::executors(2)).await;
    let place = cluster.data_dir().join("warehouse/.temporary");
    let mut first = cluster.connect().await;
    let mut second = cluster.connect().await;
    let create = "CREATE TEMPORARY TABLE t AS SELECT value AS n FROM range(100000)";
    rows(&mut first, create).await;
    rows(
        &mut first,
        "CREATE TEMPORARY VIEW v AS SELECT n FROM t WHERE n < 10",
    )
    .await;
    assert_eq!(value(&mut first, "SELECT sum(n) FROM v").await, "45");
    let missing = error(&mut second, "SELECT * FROM t").await;
    assert_eq!(missing.code, ErrorCode::TableNotFound);
    assert_eq!(rows(&mut second, "SHOW TABLES").await.len(), 0);
    rows(&mut second, "CREATE TEMPORARY TABLE t AS SELECT 1 AS n").await;
    assert_eq!(value(&mut first, "SELECT count(*) FROM t").await, "100000");
    // Even an administrator's VACUUM leaves the files alone.
    rows(&mut second, "VACUUM").await;
    let before = files_below(&place);
    assert!(before >= 2, "{before}");

    // What is dropped is gone at once.
    rows(&mut second, "DROP TABLE t").await;
    assert_eq!(files_below(&place), before - 1);

    first.close().await.expect("the session is closed");
    eventually("removal of files", Duration::from_secs(10), async || {
        (files_below(&place) == 0).then_some(())
    })
    .await;
    let missing = error(&mut second, "SELECT * FROM t").await;
    assert_eq!(missing.code, ErrorCode::TableNotFound);
}

#[tokio::test]
async fn show_partitions_chooses_and_orders() {
    let cluster = Cluster::start(Setup::standalone()).await;
    let mut client = cluster.connect().await;
    rows(
        &mut client,
        "CREATE TABLE d (a INT) PARTITIONED BY (ds STRING, hr INT)",
    )
    .await;
    let insert = "INSERT INTO d VALUES (1, '2024-01-01', 9), (2, '2024-01-02', 10), \
                  (3, '2024-01-03', 2), (4, NULL, 3)";
    rows(&mut client, insert).await;
    for (clauses, expected) in [
        (
            "WHERE ds > '2024-01-01' AND hr < 10",
            vec!["ds=2024-01-03/hr=2"],
        ),
        // A number, not a text.
        (
            "ORDER BY hr DESC LIMIT 2",
            vec!["ds=2024-01-02/hr=10", "ds=2024-01-01/hr=9"],
        ),
        (
            "WHERE ds IS NULL",
            vec!["ds=__HIVE_DEFAULT_PARTITION__/hr=3"],
        ),
        (
            "PARTITION (ds = '2024-01-01') WHERE hr = 9",
            vec!["ds=2024-01-01/hr=9"],
        ),
        ("PARTITION (ds = '2024-01-01') WHERE hr = 8", vec![]),
    ] {
        let sql = format!("SHOW PARTITIONS d {clauses}");
        let found = columns(&mut client, &sql, &["partition"]).await;
        assert_eq!(found.concat(), expected, "{sql}");
    }
}

/// What SHOW CREATE TABLE says makes the same table again.
#[tokio::test]
async fn a_text_table_is_shown_as_it_can_be_created() {
    let cluster = Cluster::start(Setup::standalone()).await;
    let mut client = cluster.connect().await;
    let create = "CREATE TEMPORARY TABLE t (a INT, b ARRAY<STRING>) PARTITIONED BY (p STRING) \
                  ROW FORMAT DELIMITED FIELDS TERMINATED BY '\\001' ESCAPED BY '\\\\' \
                  COLLECTION ITEMS TERMINATED BY '|' NULL DEFINED AS 'nil' STORED AS TEXTFILE";
    rows(&mut client, create).await;
    let shown = value(&mut client, "SHOW CREATE TABLE t").await;
    let expected = "CREATE TEMPORARY TABLE `default`.`t` (\n  `a` int,\n  `b` array<string>\n)\n\
                    PARTITIONED BY (\n  `p` string\n)\nROW FORMAT DELIMITED\n  \
                    FIELDS TERMINATED BY '\\001'\n  ESCAPED BY '\\\\'\n  \
                    COLLECTION ITEMS TERMINATED BY '|'\n  NULL DEFINED AS 'nil'\n\
                    STORED AS TEXTFILE";
    assert_eq!(shown, expected);
    rows(&mut client, "DROP TABLE t").await;
    rows(&mut client, &shown).await;
    assert_eq!(value(&mut client, "SHOW CREATE TABLE t").await, expected);
}
