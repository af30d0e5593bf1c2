//! The command line as scripts use it.

use skep_tests::cluster::{Cluster, Setup};
use skep_tests::dataset;
use skep_tests::process::{Ended, run};
use std::path::Path;
use tempfile::TempDir;

fn home() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

async fn skep(home: &Path, parts: &[&str]) -> Ended {
    run(parts, home).await
}

#[tokio::test]
async fn a_statement_prints_its_rows() {
    let home = home();
    let ended = skep(home.path(), &["-e", "SELECT 1 AS a, 'x' AS b"]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.stdout, "a,b\n1,x\n");
    let formatted = ["--format", "tsv", "-e", "SELECT 1 AS a, 'x,y' AS b"];
    let ended = skep(home.path(), &formatted).await;
    assert_eq!(ended.stdout, "a\tb\n1\tx,y\n");
}

#[tokio::test]
async fn a_file_of_statements_stops_at_the_first_error() {
    let home = home();
    let file = home.path().join("script.sql");
    let script = "SELECT 1;\nSELECT 2,\n  nothing;\nSELECT 3;\n";
    std::fs::write(&file, script).expect("written");
    let path = file.display().to_string();
    let ended = skep(home.path(), &["-f", &path]).await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.stdout.contains('1') && !ended.stdout.contains('3'));
    let place = format!("{path}:3:3");
    for part in [place.as_str(), "nothing", "^"] {
        assert!(ended.stderr.contains(part), "no {part} in {}", ended.stderr);
    }
}

#[tokio::test]
async fn tables_are_there_again_in_the_next_run() {
    let (home, data) = (home(), home());
    let tables = dataset::small_tables(data.path());
    let ended = skep(home.path(), &["-e", &tables[0].create_statement()]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let ended = skep(home.path(), &["-e", "SELECT count(*) AS c FROM numbers"]).await;
    assert_eq!(ended.stdout, "c\n40\n", "{}", ended.stderr);
}

#[tokio::test]
async fn exit_codes_say_whose_fault_it_was() {
    let home = home();
    for (parts, code, part) in [
        (&["-e", "SELECT nothing"] as &[&str], 1, "nothing"),
        (&["-e", "SELEC 1"], 1, "SELEC"),
        (
            &[
                "shell",
                "--connect",
                "flight://127.0.0.1:1",
                "-e",
                "SELECT 1",
            ],
            2,
            "127.0.0.1:1",
        ),
        (&["--no-such-flag"], 3, "--no-such-flag"),
        (&["no-such-command"], 3, "no-such-command"),
        (&["tpch", "run", "--scale", "tiny"], 3, "tiny"),
        (&["tpch", "run", "--queries", "23"], 3, "23"),
        (
            &["--set", "no.such.key=1", "-e", "SELECT 1"],
            3,
            "no.such.key",
        ),
    ] {
        let ended = skep(home.path(), parts).await;
        assert_eq!(ended.code, Some(code), "{parts:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(part), "{parts:?}: {}", ended.stderr);
    }
}

#[tokio::test]
async fn the_version_names_the_libraries() {
    let home = home();
    let ended = skep(home.path(), &["--version"]).await;
    assert_eq!(ended.code, Some(0));
    for part in ["skep 0.1.0", "commit", "datafusion 55", "arrow 59"] {
        assert!(ended.stdout.contains(part), "no {part} in {}", ended.stdout);
    }
}

#[tokio::test]
async fn the_configuration_says_where_each_value_comes_from() {
    let home = home();
    let file = home.path().join("skep.toml");
    std::fs::write(&file, "[cluster]\nexecutor_wait = \"7s\"\n").expect("written");
    let file = file.display().to_string();
    let parts = ["--config", &file, "--set", "query.max_running=3", "config"];
    let ended = skep(home.path(), &parts).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let line = |key: &str| {
        let found = ended.stdout.lines().find(|line| line.starts_with(key));
        found.unwrap_or_else(|| panic!("no {key} in {}", ended.stdout))
    };
    assert!(line("executor_wait").contains("7s") && line("executor_wait").contains("skep.toml"));
    assert!(line("max_running").contains('3'));
    assert!(line("queue_timeout").contains("default"));
}

#[tokio::test]
async fn an_unknown_key_in_the_file_is_an_error_with_the_nearest() {
    let home = home();
    let file = home.path().join("skep.toml");
    std::fs::write(&file, "[server]\nlisen = \"127.0.0.1:1\"\n").expect("written");
    let file = file.display().to_string();
    let ended = skep(home.path(), &["--config", &file, "standalone"]).await;
    assert_eq!(ended.code, Some(3));
    for part in ["lisen", "listen"] {
        assert!(ended.stderr.contains(part), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn the_benchmark_makes_its_data_runs_and_verifies() {
    let home = home();
    let json = home.path().join("report.json").display().to_string();
    let parts = [
        "tpch", "run", "--scale", "0.01", "--json", &json, "--cores", "1",
    ];
    let ended = skep(home.path(), &parts).await;
    assert_eq!(ended.code, Some(0), "{}\n{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("22 of 22"), "{}", ended.stdout);
    let report = std::fs::read_to_string(&json).expect("a report");
    let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
    assert_eq!(report["queries"].as_array().map(Vec::len), Some(22));
    let ended = skep(
        home.path(),
        &["-e", "SELECT count(*) AS c FROM tpch_sf0_01.nation"],
    )
    .await;
    assert_eq!(ended.stdout, "c\n25\n", "{}", ended.stderr);
}

#[tokio::test]
async fn the_benchmark_runs_on_a_cluster_of_processes() {
    let home = home();
    let directory = home.path().join("data");
    let setup = Setup::executors(2).with_root(&directory);
    let cluster = Cluster::start(setup).await;
    let directory = directory.display().to_string();
    let parts = [
        "tpch",
        "run",
        "--scale",
        "0.01",
        "--data-dir",
        &directory,
        "--connect",
        &cluster.url,
        "--verify",
        "oracle",
    ];
    let ended = skep(home.path(), &parts).await;
    assert_eq!(ended.code, Some(0), "{}\n{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("22 of 22"), "{}", ended.stdout);
}
