//! Clients that we did not write, against a real server: the ADBC driver, flightsql-dbapi, SQLAlchemy and
//! pyarrow, the official JDBC driver, and the Go driver; and DuckDB, an engine that we did not write, as a
//! judge of rows.
//!
//! `.ci/clients` installs them from their public packages. Where they are not there, these tests say so
//! on standard error and pass.

mod everything;

use skep_client::Client;
use skep_tests::cluster::{Cluster, Setup, listening_url};
use skep_tests::dataset::{TableFiles, small_tables, write_parquet};
use skep_tests::process::{Process, arguments, run};
use skep_tests::session::rows;
use skep_tests::tls::Certificate;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// How long one client may take.
const PATIENCE: Duration = Duration::from_secs(180);

/// Where the clients are, unless this variable names another place.
const VARIABLE: &str = "FLIGHT_CLIENTS";

/// The password of the administrator where there is one.
const PASSWORD: &str = "correct horse";

fn clients() -> PathBuf {
    if let Some(path) = std::env::var_os(VARIABLE) {
        return path.into();
    }
    let home = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let cache = home("XDG_CACHE_HOME").or_else(|| Some(home("HOME")?.join(".cache")));
    cache.unwrap_or_default().join("skep/clients")
}

/// A client's program, where it is installed.
fn installed(name: &str) -> Option<PathBuf> {
    let path = clients().join(name);
    if path.exists() {
        return Some(path);
    }
    eprintln!(
        "## NOT CHECKED: {} is not there; .ci/clients installs it",
        path.display()
    );
    None
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

/// A server with the tables that the checks read.
struct Served {
    cluster: Cluster,
    data: TempDir,
}

impl Served {
    async fn start() -> Self {
        Self::start_with(Setup::standalone()).await
    }

    async fn start_with(setup: Setup) -> Self {
        let data = tempfile::tempdir().expect("a directory");
        let cluster = Cluster::start(setup.with_root(data.path())).await;
        let mut client = cluster.connect().await;
        let mut tables = small_tables(data.path());
        let path = data.path().join("everything");
        write_parquet(&path.join("part-0.parquet"), &everything::batch());
        tables.push(TableFiles::new("everything", path.display().to_string()));
        for table in tables {
            rows(&mut client, &table.create_statement()).await;
        }
        Self { cluster, data }
    }

    fn address(&self) -> &str {
        let url = &self.cluster.url;
        url.split_once("://").map_or(url, |(_, address)| address)
    }

    /// Runs a client's checks, which must all pass.
    async fn check(&self, mut command: Command) {
        command
            .env("FLIGHT_ADDRESS", self.address())
            .env("FLIGHT_DATA", self.data.path());
        check(command).await;
    }
}

async fn check(command: Command) {
    check_within(PATIENCE, command).await;
}

async fn check_within(patience: Duration, mut command: Command) {
    command
        .stdin(Stdio::null())
        .env("PYTHONDONTWRITEBYTECODE", "1");
    let mut command = tokio::process::Command::from(command);
    command.kill_on_drop(true);
    let output = tokio::time::timeout(patience, command.output()).await;
    let output = output.expect("the client ends").expect("the client starts");
    let written = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{written}\n{errors}");
    assert!(written.contains("ok "), "nothing was checked:\n{written}");
    println!("{written}");
}

fn python(script: &str) -> Option<Command> {
    let mut command = Command::new(installed("python/bin/python")?);
    command.arg(sources().join("python").join(script));
    Some(command)
}

/// A program that uses the JDBC driver.
fn java(program: &str) -> Option<Command> {
    let mut command = Command::new("java");
    command
        .arg("--add-opens=java.base/java.nio=ALL-UNNAMED")
        .arg("-cp")
        .arg(installed("flight-sql-jdbc-driver.jar")?)
        .arg(sources().join("java").join(program));
    Some(command)
}

#[tokio::test]
async fn the_adbc_driver_of_python() {
    if let Some(command) = python("adbc.py") {
        Served::start().await.check(command).await;
    }
}

#[tokio::test]
async fn flightsql_dbapi_and_sqlalchemy() {
    if let Some(command) = python("dbapi.py") {
        Served::start().await.check(command).await;
    }
}

#[tokio::test]
async fn pyarrow() {
    if let Some(command) = python("flight.py") {
        Served::start().await.check(command).await;
    }
}

/// Results that clients read from two executors in processes of their own: without users, with users, and
/// with users over TLS.
#[tokio::test]
async fn results_from_executors() {
    let directory = tempfile::tempdir().expect("a directory");
    let certificate = Certificate::make(directory.path()).await;
    for (user, with_tls) in [("", false), ("ada", false), ("ada", true)] {
        let mut setup = Setup::executors(2).with("server.result_wait=5s");
        let mut commands: Vec<Command> = python("direct.py").into_iter().collect();
        commands.extend(java("Direct.java"));
        if with_tls {
            setup = setup.with_certificate(&certificate);
            for command in &mut commands {
                command
                    .env("FLIGHT_SCHEME", "grpc+tls")
                    .env("FLIGHT_CERTIFICATE", &certificate.certificate);
            }
        }
        let served = Served::start_with(setup).await;
        let mut client = served.cluster.connect().await;
        create_rows(&mut client).await;
        if !user.is_empty() {
            let sql = format!("CREATE USER {user} PASSWORD '{PASSWORD}' ADMIN");
            rows(&mut client, &sql).await;
        }
        for mut command in commands {
            if !user.is_empty() {
                command.env("FLIGHT_PASSWORD", PASSWORD);
            }
            command.env("FLIGHT_USER", user);
            served.check(command).await;
        }
    }
}

/// Clients that begin to read from executors and stop.
#[tokio::test]
async fn readers_that_stand_still() {
    if let Some(command) = python("standing.py") {
        let setup = Setup::executors(2).with("query.client_wait=12s");
        let served = Served::start_with(setup.with("query.max_running=2")).await;
        create_rows(&mut served.cluster.connect().await).await;
        served.check(command).await;
    }
}

/// The table of 200,000 rows that clients read from executors.
async fn create_rows(client: &mut Client) {
    let create = "CREATE TABLE rows (id BIGINT, word STRING, amount DOUBLE)";
    rows(client, create).await;
    // Several files, so that both executors have some.
    for first in [0, 50_000, 100_000, 150_000] {
        let sql = format!(
            "INSERT INTO rows SELECT value, concat('w', value % 97), value * 7919 % 10007 \
             FROM range({first}, {first} + 50000)"
        );
        rows(client, &sql).await;
    }
}

/// Files that Skep wrote are read by pyarrow, and the other way round.
#[tokio::test]
async fn parquet_files_of_both() {
    if let Some(command) = python("parquet.py") {
        Served::start().await.check(command).await;
    }
}

/// How long a judge may ask, in seconds: a bound for slow machines, not the usual time.
const JUDGE_PATIENCE_S: &str = "420";

/// How long a judge may take with everything around it.
const JUDGED_WITHIN: Duration = Duration::from_secs(600);

/// Runs a judge of rows against one process and a cluster of three executors.
async fn judge(mut command: Command) {
    let mut import = Command::new(command.get_program());
    let imported = import.args(["-c", "import duckdb"]).output();
    if !imported.is_ok_and(|output| output.status.success()) {
        eprintln!("## NOT CHECKED: DuckDB is not there; .ci/clients installs it");
        return;
    }
    let data = tempfile::tempdir().expect("a directory");
    let one = Cluster::start(Setup::standalone().with_root(data.path())).await;
    let three = Cluster::start(Setup::executors(3).with_root(data.path())).await;
    let addresses = [&one, &three].map(|cluster| cluster.url.trim_start_matches("flight://"));
    command
        .env("FLIGHT_ADDRESSES", addresses.join(","))
        .env("FLIGHT_DATA", data.path())
        .env("JUDGE_PATIENCE", JUDGE_PATIENCE_S);
    check_within(JUDGED_WITHIN, command).await;
}

/// Random queries have the rows of DuckDB.
#[tokio::test]
async fn rows_are_those_of_duckdb() {
    if let Some(mut command) = python("judge.py") {
        command
            .env("JUDGE_SEEDS", "1,2,3,4")
            .env("JUDGE_QUERIES", "500");
        judge(command).await;
    }
}

/// Forms of one random query that must have the same rows have them.
#[tokio::test]
async fn forms_of_a_query_have_the_same_rows() {
    if let Some(mut command) = python("partitions.py") {
        command
            .env("JUDGE_SEEDS", "1,2")
            .env("JUDGE_QUERIES", "150");
        judge(command).await;
    }
}

/// The 99 queries of TPC-DS at a small scale have the rows of DuckDB.
#[tokio::test]
async fn tpcds_has_the_rows_of_duckdb() {
    let Some(program) = installed("tpcds/bin/python") else {
        return;
    };
    let mut command = Command::new(program);
    command.arg(sources().join("python/tpcds.py"));
    judge(command).await;
}

#[tokio::test]
async fn the_jdbc_driver() {
    if let Some(command) = java("Clients.java") {
        Served::start().await.check(command).await;
    }
}

#[tokio::test]
async fn the_go_driver() {
    if let Some(program) = installed("go-client") {
        Served::start().await.check(Command::new(program)).await;
    }
}

/// A server that clients have to log in to, over TLS.
async fn guarded(directory: &Path) -> (Process, String) {
    let certificate = Certificate::make(directory).await;
    let path = |name: &str| directory.join(name).display().to_string();
    let mut arguments = arguments(&[
        "standalone",
        "--listen",
        "127.0.0.1:0",
        "--data-dir",
        &path("data"),
        "--work-dir",
        &path("work"),
        "--memory-limit",
        "512MiB",
        "--set",
        &format!("server.first_admin_password={PASSWORD}"),
    ]);
    arguments.extend(certificate.flags());
    let mut process = Process::start("guarded", directory, &arguments);
    let url = listening_url(&mut process).await;
    (process, url)
}

#[tokio::test]
async fn users_log_in_over_tls() {
    let Some(mut command) = python("login.py") else {
        return;
    };
    let directory = tempfile::tempdir().expect("a directory");
    let (_process, url) = guarded(directory.path()).await;
    command
        .env("FLIGHT_ADDRESS", url.trim_start_matches("flights://"))
        .env("FLIGHT_SCHEME", "grpc+tls")
        .env("FLIGHT_USER", "admin")
        .env("FLIGHT_PASSWORD", PASSWORD)
        .env(
            "FLIGHT_CERTIFICATE",
            directory.path().join("skep-certificate.pem"),
        );
    check(command).await;
}

/// A server within reach of others does not start before somebody could log in.
#[tokio::test]
async fn a_server_within_reach_lets_nobody_in_by_mistake() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).display().to_string();
    let start = |more: &[&str]| {
        let mut all = arguments(&[
            "coordinator",
            "--listen",
            "0.0.0.0:0",
            "--data-dir",
            &path("data"),
            "--work-dir",
            &path("work"),
            "--set",
            "cluster.secret=known to all nodes",
        ]);
        all.extend(arguments(more));
        all
    };
    let refused: Vec<String> = start(&[]);
    let refused: Vec<&str> = refused.iter().map(String::as_str).collect();
    let ended = run(&refused, directory.path()).await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    for part in ["FIRST_ADMIN_PASSWORD", "--insecure-let-anyone-in"] {
        assert!(ended.stderr.contains(part), "{}", ended.stderr);
    }
    let half = start(&[
        "--insecure-let-anyone-in",
        "--tls-certificate",
        "/nothing.pem",
    ]);
    let half: Vec<&str> = half.iter().map(String::as_str).collect();
    let ended = run(&half, directory.path()).await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("tls_key"), "{}", ended.stderr);
    for more in [
        &["--insecure-let-anyone-in"][..],
        &["--set", "server.first_admin_password=x"],
        // Now there is a user, and nothing more has to be said.
        &[],
    ] {
        let mut process = Process::start("coordinator", directory.path(), &start(more));
        listening_url(&mut process).await;
        process.terminate().await;
    }
}
