//! A table of so many files that its scans are sent in another form: the rows are the same.

use skep_protocol::ErrorCode;
use skep_tests::cluster::{Cluster, Setup};
use skep_tests::session::{error, rows, value};
use std::path::PathBuf;

/// One more than planned one by one, and some.
const FILES: u64 = 10_050;

#[tokio::test]
async fn ten_thousand_files_are_read_by_all_executors() {
    let data = tempfile::tempdir().expect("a directory");
    let cluster = Cluster::start(Setup::executors(2).with_root(data.path())).await;
    let mut client = cluster.connect().await;
    let one = data.path().join("one");
    let sql = format!(
        "INSERT OVERWRITE DIRECTORY '{}' STORED AS PARQUET \
         SELECT CAST(value AS INT) AS a, 'text ' || value AS s FROM range(1, 4)",
        one.display()
    );
    rows(&mut client, &sql).await;
    let mut files = std::fs::read_dir(&one).expect("a directory");
    let file = files.next().expect("a file").expect("readable").path();
    let path = |k: u64| -> PathBuf { data.path().join(format!("t/k={k}/f.parquet")) };
    for k in 0..FILES {
        let path = path(k);
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("created");
        std::fs::hard_link(&file, path).expect("linked");
    }
    let location = data.path().join("t");
    let sql = format!(
        "CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '{}'",
        location.display()
    );
    rows(&mut client, &sql).await;
    rows(&mut client, "SET skep.scan_partition_bytes = 1").await;

    let plan = rows(&mut client, "EXPLAIN SELECT sum(a) FROM t WHERE a > 1").await;
    let plan = &plan[0][1];
    for part in ["BulkScanExec", "2 tasks", "10050 of 10050 files"] {
        assert!(plan.contains(part), "{plan}");
    }
    let sum_of_keys = FILES * (FILES - 1) / 2;
    let all = "SELECT count(*), sum(a), sum(k), count(DISTINCT k), min(s), max(s) FROM t";
    let expected = [
        (FILES * 3).to_string(),
        (FILES * 6).to_string(),
        (sum_of_keys * 3).to_string(),
        FILES.to_string(),
        "text 1".to_owned(),
        "text 3".to_owned(),
    ];
    assert_eq!(rows(&mut client, all).await, [expected]);
    let filtered = "SELECT k, s FROM t WHERE a = 2 AND k + a < 6 ORDER BY k";
    let expected = [
        ["0", "text 2"],
        ["1", "text 2"],
        ["2", "text 2"],
        ["3", "text 2"],
    ];
    assert_eq!(rows(&mut client, filtered).await, expected);
    let joined = "SELECT count(*) FROM t l JOIN t r ON l.k = r.k AND l.a = r.a WHERE r.k >= 5";
    let expected = ((FILES - 5) * 3).to_string();
    assert_eq!(value(&mut client, joined).await, expected);
    let analyzed = rows(
        &mut client,
        "EXPLAIN ANALYZE SELECT max(a) FROM t WHERE s <> 'x'",
    )
    .await;
    assert!(analyzed[0][1].contains("1 rows returned"), "{analyzed:?}");

    std::fs::remove_file(path(7_777)).expect("removed");
    let failed = error(&mut client, "SELECT sum(a) FROM t WHERE a > 1").await;
    assert_eq!(failed.code, ErrorCode::FileNotFound, "{failed}");
    assert!(failed.message.contains("k=7777/f.parquet"), "{failed}");
}
