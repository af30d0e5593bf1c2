//! What Skep makes of the statements that users of Hive and Spark type: `hiveql/statements.txt` has
//! each with its outcome. A statement runs, or is refused with an error that names what is not done.

use skep_client::Client;
use skep_tests::cluster::{Cluster, Setup};
use skep_tests::session::{self, rows};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

struct Entry {
    outcome: String,
    statement: String,
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("hiveql/statements.txt")
}

/// The comment at the top of the file, and its statements.
fn entries() -> (String, Vec<Entry>) {
    let text = std::fs::read_to_string(path()).expect("the file is there");
    let (mut comment, mut entries) = (String::new(), Vec::new());
    let mut lines = text.lines();
    while let Some(outcome) = lines.next() {
        if outcome.starts_with('#') {
            comment.push_str(outcome);
            comment.push('\n');
            continue;
        }
        let statement = lines.next().expect("a statement follows its outcome");
        entries.push(Entry {
            outcome: outcome.to_owned(),
            statement: statement.trim().to_owned(),
        });
    }
    assert!(entries.len() >= 281, "{} statements", entries.len());
    (comment, entries)
}

/// How the table `t` is partitioned that a statement needs.
fn partitioning(statement: &str) -> &'static str {
    let has_word = |word: &str| {
        statement
            .split(|letter: char| !letter.is_alphanumeric())
            .any(|found| found == word)
    };
    if statement.starts_with("CREATE") || statement.starts_with("SELECT") {
        ""
    } else if has_word("hr") {
        "PARTITIONED BY (ds STRING, hr INT)"
    } else if has_word("ds") || statement.contains("PARTITION") || statement.contains("MSCK") {
        "PARTITIONED BY (ds STRING)"
    } else {
        ""
    }
}

/// What every statement finds: the tables `t` and `src`, the view `v` and the database `d1`.
async fn prepare(client: &mut Client, statement: &str) {
    let creates = statement.starts_with("CREATE");
    let partitioning = partitioning(statement);
    let needs_d1 = !(creates && (statement.contains("DATABASE") || statement.contains("SCHEMA")));
    for sql in [
        "RESET ALL",
        "USE default",
        "DROP DATABASE IF EXISTS work CASCADE",
        "DROP DATABASE IF EXISTS d1 CASCADE",
        "CREATE DATABASE work",
        "USE work",
        "CREATE TABLE src (a INT, b STRING, ds STRING)",
        "INSERT INTO src VALUES (1, 'x', '2024-01-01'), (2, 'y', '2024-01-02')",
        &format!("CREATE TABLE t (a INT, b STRING) {partitioning} TBLPROPERTIES ('k' = 'v')"),
    ] {
        rows(client, sql).await;
    }
    if needs_d1 {
        rows(client, "CREATE DATABASE d1").await;
        rows(
            client,
            "CREATE TABLE d1.t (a INT) PARTITIONED BY (ds STRING)",
        )
        .await;
    }
    if !creates {
        rows(client, "CREATE VIEW v AS SELECT a FROM src").await;
    }
    let fill = match partitioning {
        "" => "INSERT INTO t SELECT a, b FROM src",
        _ if partitioning.contains("hr") => "INSERT INTO t SELECT a, b, ds, 1 FROM src",
        _ => "INSERT INTO t PARTITION (ds = '1') SELECT a, b FROM src",
    };
    rows(client, fill).await;
    // These add what the others need, and the other way round.
    let needs_partition = !statement.contains("ADD") && !partitioning.is_empty();
    if needs_partition && !partitioning.contains("hr") {
        let sql = "INSERT INTO t PARTITION (ds = '2024-01-01') SELECT a, b FROM src";
        rows(client, sql).await;
    }
}

async fn outcome(client: &mut Client, statement: &str, data: &str) -> String {
    prepare(client, statement).await;
    let sql = statement.replace("${DATA}", data);
    match client.execute(&sql).await {
        Ok(result) => match result.collect().await {
            Ok(_) => "runs".to_owned(),
            Err(error) => failure(&error, data),
        },
        Err(error) => failure(&error, data),
    }
}

fn failure(error: &skep_client::ClientError, data: &str) -> String {
    match error {
        skep_client::ClientError::Query(error) => {
            let message = error.message.replace(data, "${DATA}");
            format!("{}: {}", error.code.as_str(), message.replace('\n', " "))
        }
        other => panic!("no answer of the engine: {other}"),
    }
}

async fn outcomes() -> (String, Vec<(Entry, String)>) {
    let (comment, entries) = entries();
    let data = TempDir::new().expect("a directory");
    for name in ["p", "csv", "x", "y", "o", "d1", "m"] {
        std::fs::create_dir(data.path().join(name)).expect("a directory in it");
    }
    let cluster = Cluster::start(Setup::standalone().with_root(data.path())).await;
    let mut client = session::connect(&cluster.url).await;
    let directory = data.path().display().to_string();
    let mut found = Vec::new();
    for entry in entries {
        let outcome = outcome(&mut client, &entry.statement, &directory).await;
        found.push((entry, outcome));
    }
    (comment, found)
}

#[tokio::test]
async fn every_statement_of_hiveql_does_what_the_table_says() {
    let (_, found) = outcomes().await;
    let mut different = String::new();
    for (entry, outcome) in found {
        if entry.outcome != outcome {
            let Entry {
                outcome: expected,
                statement,
            } = entry;
            let _ = writeln!(
                different,
                "{statement}\n  expected {expected}\n  found    {outcome}"
            );
        }
    }
    assert!(different.is_empty(), "{different}");
}

/// Nothing that a user types may end in an internal error.
#[test]
fn no_statement_is_a_defect() {
    for entry in entries().1 {
        let is_defect = ["INTERNAL", "PANIC", "UNSAFE"]
            .iter()
            .any(|kind| entry.outcome.starts_with(kind));
        assert!(!is_defect, "{}: {}", entry.statement, entry.outcome);
    }
}

#[tokio::test]
#[ignore = "writes into the source tree"]
async fn update_hiveql_outcomes() {
    let (mut text, found) = outcomes().await;
    for (entry, outcome) in found {
        let _ = writeln!(text, "{outcome}\n    {}", entry.statement);
    }
    std::fs::write(path(), text).expect("the file can be written");
}
