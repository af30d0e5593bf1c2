//! Servers that come and go, and who finds whom.

use crate::pty::Start;
use skep_tests::cluster::{Cluster, Setup};
use skep_tests::process::{binary, run};
use std::process::Stdio;
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

fn home() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

#[tokio::test]
async fn a_second_shell_on_the_same_data_joins_the_first() {
    let home = home();
    let mut first = Start::new(&[], home.path()).start();
    first.wait_for("embedded/default> ");
    first.line("create database ours;");
    first.wait_for("(ok");
    let second = run(&["-e", "show databases"], home.path()).await;
    assert_eq!(second.code, Some(0), "{}", second.stderr);
    assert!(second.stdout.contains("ours"), "{}", second.stdout);
    let mut third = Start::new(&[], home.path()).start();
    let greeting = third.wait_for("shared/default> ");
    assert!(greeting.contains("engine of another process"), "{greeting}");
    // The engine goes with its owner, which the other is told.
    first.line("\\q");
    assert_eq!(first.ended(), 0);
    third.line("select 1;");
    third.wait_for("error: ");
    third.line("\\q");
    assert_eq!(third.ended(), 0);
    let alone = run(&["-e", "show databases"], home.path()).await;
    assert!(alone.stdout.contains("ours"), "{}", alone.stderr);
}

#[tokio::test]
async fn a_lost_connection_is_rebuilt_with_what_was_set() {
    let home = home();
    let mut server = Cluster::start(Setup::standalone()).await;
    let address = server.url.trim_start_matches("flight://").to_owned();
    let mut shell = Start::new(&["shell", "--connect", &server.url], home.path()).start();
    shell.wait_for("default> ");
    shell.line("create database d; use d; set datafusion.execution.batch_size = 77;");
    shell.wait_for("/d> ");
    server.coordinator.crash().await;
    shell.line("select 1 as lost;");
    shell.wait_for("error:");
    let again = Cluster::start_at(Setup::standalone(), &address).await;
    let mut session = again.connect().await;
    let created = session.execute("create database d").await.expect("created");
    created.collect().await.expect("created");
    shell.line("show datafusion.execution.batch_size;");
    let shown = shell.wait_for("(1 row");
    assert!(
        shown.contains("connected to") && shown.contains("again"),
        "{shown}"
    );
    assert!(shown.contains("77"), "{shown}");
    shell.wait_for("/d> ");
}

#[tokio::test]
async fn a_server_that_vanishes_in_mid_result_is_an_error_of_the_connection() {
    let home = home();
    let mut server = Cluster::start(Setup::standalone()).await;
    let child = Command::new(binary())
        .args(["shell", "--connect", &server.url, "-e"])
        .arg("select a.n, b.n from unnest(range(0, 100000)) as a(n), unnest(range(0, 100000)) as b(n)")
        .env_clear()
        .env("HOME", home.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.expect("skep starts");
    let mut out = child.stdout.take().expect("its output");
    let mut some = [0; 1000];
    out.read_exact(&mut some).await.expect("the first rows");
    server.coordinator.crash().await;
    let mut rest = Vec::new();
    out.read_to_end(&mut rest)
        .await
        .expect("what was under way");
    let ended = child.wait_with_output().await.expect("it ends");
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("was lost"), "{stderr}");
}

#[tokio::test]
async fn profiles_name_servers() {
    let home = home();
    let server = Cluster::start(Setup::standalone()).await;
    let directory = home.path().join(".config/skep");
    std::fs::create_dir_all(&directory).expect("a directory");
    let text = format!(
        "[profile.ours]\nconnect = \"{}\"\nuser = \"ann\"\n",
        server.url
    );
    std::fs::write(directory.join("skep.toml"), text).expect("written");
    let arguments = ["shell", "--profile", "ours", "-e", "show queries"];
    let ended = run(&arguments, home.path()).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains(",ann,"), "{}", ended.stdout);
    let mut shell = Start::new(&[], home.path()).start();
    shell.wait_for("embedded/default> ");
    shell.line("\\c ours");
    shell.wait_for("connected to flight://");
    shell.wait_for("ann@127.0.0.1");
    shell.line("\\c nobody");
    let shown = shell.wait_for("there are ours");
    assert!(shown.contains("no profile is called 'nobody'"), "{shown}");
    shell.line("\\c flight://127.0.0.1:1");
    let shown = shell.wait_for("still connected");
    assert!(shown.contains("cannot connect"), "{shown}");
}
