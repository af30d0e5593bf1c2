//! Broken files, absurd statements and unusable places: an error that names them, and an engine that
//! lives.

use skep_client::Client;
use skep_protocol::{ErrorCode, QueryError};
use skep_tests::cluster::{Cluster, Setup};
use skep_tests::dataset::{self, TableFiles};
use skep_tests::process::{Process, run};
use skep_tests::session::{error, rows, value};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A cluster of two whose tables are copies that a test may break.
struct Broken {
    cluster: Cluster,
    client: Client,
    data: TempDir,
    tables: Vec<TableFiles>,
}

impl Broken {
    async fn start() -> Self {
        let data = tempfile::tempdir().expect("a directory");
        let tables = dataset::small_tables(data.path());
        let cluster = Cluster::start(Setup::executors(2).with_root(data.path())).await;
        let client = cluster.connect().await;
        Self {
            cluster,
            client,
            data,
            tables,
        }
    }

    async fn create(&mut self, name: &str) {
        let table = self.tables.iter().find(|table| table.name == name);
        let statement = table.expect("a small table").create_statement();
        rows(&mut self.client, &statement).await;
    }

    fn file(&self, name: &str) -> PathBuf {
        self.data.path().join(name)
    }

    async fn error(&mut self, sql: &str) -> QueryError {
        error(&mut self.client, sql).await
    }

    /// The engine answers as if nothing had happened.
    async fn assert_alive(&mut self) {
        self.create("lefts").await;
        let counted = value(&mut self.client, "SELECT count(*) FROM lefts").await;
        assert_eq!(counted, "12");
        self.cluster.wait_for_active(2).await;
    }
}

fn assert_names(error: &QueryError, code: ErrorCode, file: &str) {
    assert_eq!(error.code, code, "{error}");
    assert!(error.message.contains(file), "{error} does not name {file}");
}

#[tokio::test]
async fn a_file_that_is_gone_is_named() {
    let mut broken = Broken::start().await;
    broken.create("numbers").await;
    std::fs::remove_file(broken.file("numbers/part-3.parquet")).expect("removed");
    let failed = broken.error("SELECT sum(id) FROM numbers").await;
    assert_names(&failed, ErrorCode::FileNotFound, "numbers/part-3.parquet");
    broken.assert_alive().await;
}

/// Overwrites a part of a file with other bytes, as a failing disk would: nobody has written the file.
fn damage(path: &Path, from: usize, bytes: usize) {
    let modified = std::fs::metadata(path).and_then(|found| found.modified());
    let mut content = std::fs::read(path).expect("a file");
    for byte in &mut content[from..from + bytes] {
        *byte = !*byte;
    }
    std::fs::write(path, content).expect("written");
    let file = std::fs::File::options()
        .append(true)
        .open(path)
        .expect("a file");
    file.set_modified(modified.expect("a time"))
        .expect("the time is set");
}

#[tokio::test]
async fn a_damaged_page_is_an_error_that_names_the_file() {
    let mut broken = Broken::start().await;
    broken.create("numbers").await;
    damage(&broken.file("numbers/part-2.parquet"), 4, 400);
    for sql in [
        "SELECT sum(id), max(s) FROM numbers",
        "SELECT * FROM numbers",
    ] {
        let failed = broken.error(sql).await;
        assert_names(&failed, ErrorCode::DataCorrupt, "numbers/part-2.parquet");
    }
    broken.assert_alive().await;
}

#[tokio::test]
async fn a_truncated_file_is_an_error_that_names_it() {
    let mut broken = Broken::start().await;
    broken.create("numbers").await;
    let path = broken.file("numbers/part-1.parquet");
    let content = std::fs::read(&path).expect("a file");
    std::fs::write(&path, &content[..content.len() / 2]).expect("written");
    let failed = broken.error("SELECT max(s || 'x') FROM numbers").await;
    assert_names(&failed, ErrorCode::DataCorrupt, "numbers/part-1.parquet");
    // The catalog does not take it in either.
    let failed = broken
        .error(&format!(
            "CREATE EXTERNAL TABLE again STORED AS PARQUET LOCATION '{}'",
            broken.file("numbers").display()
        ))
        .await;
    assert_names(&failed, ErrorCode::DataCorrupt, "part-1.parquet");
    broken.assert_alive().await;
}

#[tokio::test]
async fn a_file_of_something_else_is_named() {
    let mut broken = Broken::start().await;
    std::fs::write(broken.file("numbers/part-0.parquet"), "id,name\n1,a\n").expect("written");
    let sql = broken.tables[0].create_statement();
    let failed = broken.error(&sql).await;
    assert_names(&failed, ErrorCode::DataCorrupt, "part-0.parquet");
    broken.assert_alive().await;
}

#[tokio::test]
async fn a_file_with_another_schema_is_named() {
    let mut broken = Broken::start().await;
    // `lefts` calls its third column `v`, and `k2` is text in it.
    std::fs::copy(
        broken.file("lefts/part-0.parquet"),
        broken.file("numbers/part-9.parquet"),
    )
    .expect("copied");
    let sql = format!(
        "CREATE EXTERNAL TABLE t (k2 BIGINT) STORED AS PARQUET LOCATION '{}'",
        broken.file("lefts").display()
    );
    let failed = broken.error(&sql).await;
    assert!(failed.message.contains("lefts/part-"), "{failed}");
    assert!(failed.message.contains("k2"), "{failed}");
    // A file without a table's columns has NULLs for them.
    broken.create("numbers").await;
    let nulls = value(
        &mut broken.client,
        "SELECT count(*) FROM numbers WHERE id IS NULL",
    )
    .await;
    assert_eq!(nulls, "4");
    broken.assert_alive().await;
}

#[tokio::test]
async fn an_empty_table_is_empty() {
    let mut broken = Broken::start().await;
    broken.create("nothing").await;
    let client = &mut broken.client;
    assert_eq!(value(client, "SELECT count(*) FROM nothing").await, "0");
    assert_eq!(value(client, "SELECT max(s) FROM nothing").await, "NULL");
    assert!(
        rows(client, "SELECT * FROM nothing ORDER BY id")
            .await
            .is_empty()
    );
    assert!(
        rows(client, "SELECT s, count(*) FROM nothing GROUP BY s")
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn places_that_are_not_there_or_not_allowed_are_named() {
    let mut broken = Broken::start().await;
    let create = |location: &str| {
        format!("CREATE EXTERNAL TABLE t (a INT) STORED AS PARQUET LOCATION '{location}'")
    };
    let missing = broken.file("no-such-directory").display().to_string();
    let failed = broken.error(&create(&missing)).await;
    assert!(failed.message.contains("no-such-directory"), "{failed}");
    for outside in ["/etc", "file:///etc", "ftp://host/x", "not a place"] {
        let failed = broken.error(&create(outside)).await;
        assert_eq!(failed.kind().as_str(), "user", "{outside}: {failed}");
        assert!(!failed.message.is_empty());
    }
    broken.assert_alive().await;
}

#[tokio::test]
async fn absurd_statements_are_refused_and_the_process_lives() {
    let mut broken = Broken::start().await;
    broken.create("numbers").await;
    let nested = |count: usize| format!("SELECT {}1{}", "(".repeat(count), ")".repeat(count));
    let chain = |count: usize, term: &str, between: &str| {
        let terms = vec![term; count].join(between);
        format!("SELECT count(*) FROM numbers WHERE {terms}")
    };
    let cases = [
        format!("SELECT '{}'", "x".repeat(10 << 20)),
        nested(10_000),
        nested(100_000),
        chain(100_000, "id = 1", " OR "),
        format!("SELECT {}id FROM numbers", "- ".repeat(50_000)),
        format!("SELECT {} id FROM numbers", "NOT ".repeat(50_000)),
        format!("SELECT {}1", "CASE WHEN true THEN ".repeat(20_000)),
        vec!["SELECT 1"; 30_000].join(" UNION ALL "),
        format!(
            "{}SELECT 1{}",
            "SELECT * FROM (".repeat(1000),
            ")".repeat(1000)
        ),
    ];
    for sql in cases {
        let failed = broken.error(&sql).await;
        let start: String = sql.chars().take(40).collect();
        assert_eq!(
            failed.code,
            ErrorCode::StatementTooLarge,
            "{start}: {failed}"
        );
    }
    // Long and harmless statements work.
    for (sql, expected) in [
        (chain(2_000, "id = 1", " OR "), "1"),
        (chain(2_000, "id >= 0", " AND "), "40"),
        (
            format!(
                "SELECT count(*) FROM numbers WHERE id IN ({})",
                (0..20_000)
                    .map(|n| n.to_string())
                    .collect::<Vec<_>>()
                    .join(",")
            ),
            "40",
        ),
        (format!("SELECT {}1", "1 + ".repeat(1_000)), "1001"),
        (nested(100), "1"),
    ] {
        let start: String = sql.chars().take(60).collect();
        assert_eq!(value(&mut broken.client, &sql).await, expected, "{start}");
    }
    broken.assert_alive().await;
}

#[tokio::test]
async fn greedy_functions_do_not_end_the_process() {
    let mut broken = Broken::start().await;
    broken.create("numbers").await;
    for sql in [
        "SELECT repeat('x', 100000000000)",
        "SELECT repeat(s, 2000000000) FROM numbers",
        "SELECT lpad(s, 2000000000, 'x') FROM numbers",
        "SELECT array_repeat(1, 9000000000000000000)",
        "SELECT count(*) FROM (SELECT unnest(range(0, 9000000000000000000)))",
    ] {
        let failed = broken.error(sql).await;
        assert_ne!(failed.code, ErrorCode::ExecutorLost, "{sql}: {failed}");
    }
    broken.assert_alive().await;
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let broken = Broken::start().await;
    let taken = broken.cluster.url.trim_start_matches("flight://");
    let home = tempfile::tempdir().expect("a directory");
    let ended = run(&["coordinator", "--listen", taken], home.path()).await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains(taken), "{}", ended.stderr);
    let coordinator = broken.cluster.url.as_str();
    let parts = ["executor", "--coordinator", coordinator, "--listen", taken];
    let ended = run(&parts, home.path()).await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains(taken), "{}", ended.stderr);
}

#[tokio::test]
async fn a_data_directory_that_cannot_be_written_is_named() {
    let home = tempfile::tempdir().expect("a directory");
    // Root may write anywhere, but not below a file.
    let file = home.path().join("file");
    std::fs::write(&file, "").expect("written");
    let inside = file.join("data").display().to_string();
    let parts = [
        "standalone",
        "--listen",
        "127.0.0.1:0",
        "--data-dir",
        &inside,
    ];
    let ended = run(&parts, home.path()).await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains(&inside), "{}", ended.stderr);
    let ended = run(&["--data-dir", &inside, "-e", "SELECT 1"], home.path()).await;
    assert_ne!(ended.code, Some(0));
    assert!(ended.stderr.contains(&inside), "{}", ended.stderr);
}

#[tokio::test]
async fn a_data_directory_has_one_coordinator() {
    let broken = Broken::start().await;
    let mut second: Process = broken.cluster.start_coordinator("127.0.0.1:0");
    let ended = second.ended().await;
    assert_eq!(ended.code, Some(1));
    let data = broken.cluster.data_dir().display().to_string();
    assert!(
        ended.stderr.contains(&data) && ended.stderr.contains("in use"),
        "{}",
        ended.stderr
    );
}
