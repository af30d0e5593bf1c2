//! A server with users: passwords from a variable, from a file, from a prompt, and wrong ones.

use crate::pty::{CTRL_C, Start};
use skep_tests::cluster::listening_url;
use skep_tests::process::{Ended, Process, arguments, binary};
use std::path::Path;
use std::process::Stdio;
use tempfile::TempDir;
use tokio::process::Command;

/// The variable that a password comes from.
const VARIABLE: &str = "SKEP_SHELL_PASSWORD";

const PASSWORD: &str = "correct horse";

/// A server that lets nobody in without a password.
struct Guarded {
    url: String,
    _process: Process,
    _directory: TempDir,
}

async fn guarded() -> (Guarded, TempDir) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).display().to_string();
    let arguments = arguments(&[
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
    let mut process = Process::start("guarded", directory.path(), &arguments);
    let url = listening_url(&mut process).await;
    let server = Guarded {
        url,
        _process: process,
        _directory: directory,
    };
    (server, tempfile::tempdir().expect("a directory"))
}

/// Runs a script that nobody can be asked for a password by.
async fn script(server: &Guarded, home: &Path, password: Option<&str>, more: &[&str]) -> Ended {
    let mut command = Command::new("setsid");
    command
        .arg("--wait")
        .arg(binary())
        .args(["shell", "--connect", &server.url, "--user", "admin"])
        .args(more)
        .args(["-e", "show users"])
        .env_clear()
        .env("HOME", home)
        .stdin(Stdio::null());
    if let Some(password) = password {
        command.env(VARIABLE, password);
    }
    let output = command.output().await.expect("setsid starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ended {
        code: output.status.code(),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    }
}

fn at_terminal(server: &Guarded, home: &Path, more: &[&str]) -> crate::pty::Terminal {
    let mut arguments = vec!["shell", "--connect", &server.url, "--user", "admin"];
    arguments.extend(more);
    Start::new(&arguments, home).start()
}

#[tokio::test]
async fn from_a_variable_and_from_a_file() {
    let (server, home) = guarded().await;
    let right = script(&server, home.path(), Some(PASSWORD), &[]).await;
    assert_eq!(right.code, Some(0), "{}", right.stderr);
    assert!(right.stdout.contains("admin"), "{}", right.stdout);
    let file = home.path().join("password");
    let name = file.display().to_string();
    std::fs::write(&file, format!("{PASSWORD}\n")).expect("written");
    let right = script(&server, home.path(), None, &["--password-file", &name]).await;
    assert_eq!(right.code, Some(0), "{}", right.stderr);
    let wrong = script(&server, home.path(), Some("wrong horse"), &[]).await;
    std::fs::write(&file, "wrong horse\n").expect("written");
    let wrong_file = script(&server, home.path(), None, &["--password-file", &name]).await;
    let none = script(&server, home.path(), None, &[]).await;
    for refused in [wrong, wrong_file, none] {
        assert_eq!(refused.code, Some(2), "{}", refused.stderr);
        assert!(
            refused.stderr.contains("login failed") && refused.stderr.contains("password"),
            "{}",
            refused.stderr
        );
        assert!(!refused.stderr.contains("horse"), "{}", refused.stderr);
    }
}

#[tokio::test]
async fn from_a_prompt_which_does_not_show_it() {
    let (server, home) = guarded().await;
    let mut shell = at_terminal(&server, home.path(), &[]);
    shell.wait_for("password of admin: ");
    shell.line(PASSWORD);
    shell.wait_for("default> ");
    shell.line("show users;");
    shell.wait_for("│ admin");
    shell.line("\\q");
    assert_eq!(shell.ended(), 0);
    assert!(!shell.raw().contains("horse"), "{}", shell.raw());
    // A script at a terminal asks, too, and keeps its results apart.
    let mut script = at_terminal(&server, home.path(), &["-e", "select 6 * 7 as n"]);
    script.wait_for("password of admin: ");
    script.line(PASSWORD);
    script.wait_for("42");
    assert_eq!(script.ended(), 0);
}

#[tokio::test]
async fn a_wrong_one_and_none_end_with_2_and_ctrl_c_with_130() {
    let (server, home) = guarded().await;
    for (keys, code) in [("wrong horse\r", 2), ("\r", 2), (CTRL_C, 130)] {
        let mut shell = at_terminal(&server, home.path(), &[]);
        shell.wait_for("password of admin: ");
        shell.press(keys);
        assert_eq!(shell.ended(), code, "{}", shell.raw());
        let is_said = shell.raw().contains("login failed");
        assert_eq!(is_said, code == 2, "{}", shell.raw());
        assert!(!shell.raw().contains("horse"), "{}", shell.raw());
    }
}

#[tokio::test]
async fn another_server_asks_for_its_own() {
    let (server, home) = guarded().await;
    let mut shell = Start::new(&[], home.path()).start();
    shell.wait_for("embedded/default> ");
    let connect = format!("\\c {}", server.url);
    shell.line(&connect);
    shell.wait_for("password of anonymous: ");
    shell.press(CTRL_C);
    shell.wait_for("still connected");
    shell.wait_for("embedded/default> ");
    shell.line(&connect);
    shell.wait_for("password of anonymous: ");
    shell.line("wrong");
    shell.wait_for("still connected");
    shell.line("select 'here' as still;");
    shell.wait_for("│ here");
}
