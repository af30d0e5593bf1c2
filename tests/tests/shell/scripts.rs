//! What scripts rely on: where statements come from, in which order, and how it ends.

use skep_tests::process::{Ended, binary, run};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

fn home() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

fn file(home: &Path, name: &str, content: impl AsRef<[u8]>) -> String {
    let path = home.join(name);
    std::fs::write(&path, content).expect("written");
    path.display().to_string()
}

/// Runs `skep` with something in its standard input.
async fn piped(home: &Path, arguments: &[&str], input: &[u8]) -> Ended {
    let mut child = Command::new(binary())
        .args(arguments)
        .env_clear()
        .env("HOME", home)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("skep starts");
    let mut stdin = child.stdin.take().expect("its input");
    stdin.write_all(input).await.expect("written");
    drop(stdin);
    let output = child.wait_with_output().await.expect("it ends");
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    Ended {
        code: output.status.code(),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    }
}

#[tokio::test]
async fn sources_run_in_order_with_what_init_files_set() {
    let home = home();
    let init = file(home.path(), "init.sql", "\\format tsv\n\\set t 'text'\n");
    let one = file(home.path(), "one.sql", "select '${t}' as a;\n");
    let arguments = [
        "-i",
        &init,
        "-e",
        "select 0 as a",
        "-f",
        &one,
        "-f",
        "-",
        "--no-header",
    ];
    let ended = piped(home.path(), &arguments, b"select 2 as a; select 3 as a").await;
    assert_eq!(ended.stdout, "0\ntext\n2\n3\n", "{}", ended.stderr);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
}

#[tokio::test]
async fn variables_and_parameters_take_their_values() {
    let home = home();
    let arguments = [
        "--var",
        "column=n",
        "--hivevar",
        "value=it''s",
        "--param",
        "41",
        "--param",
        "\\N",
        "-e",
        "select $1 + 1 as ${column}, '${hivevar:value}' as v, coalesce($2, 'null') as p, '${other}' as o",
    ];
    let ended = run(&arguments, home.path()).await;
    assert_eq!(
        ended.stdout, "n,v,p,o\n42,it's,null,${other}\n",
        "{}",
        ended.stderr
    );
    let ended = run(&["-e", "select 1,\n  ${colum}"], home.path()).await;
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.contains("variable 'colum' is not set"),
        "{}",
        ended.stderr
    );
    let ended = run(&["--param", "x", "-e", "select $1 + 1 as n"], home.path()).await;
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.contains("'x' is no value for $1"),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn errors_name_file_line_and_column_with_a_caret() {
    let home = home();
    let path = file(
        home.path(),
        "a.sql",
        "-- title\nselect 1;\n\nselect ${x},\n  oops;\nselect 3;\n",
    );
    let ended = run(&["--var", "x=1 +\n 1", "-f", &path], home.path()).await;
    assert_eq!(ended.code, Some(1));
    assert_eq!(ended.stdout, "Int64(1)\n1\n");
    let expected = format!("  at {path}:5:3\n  5 |   oops\n    |   ^\n");
    assert!(ended.stderr.ends_with(&expected), "{}", ended.stderr);
    assert!(!ended.stderr.contains('\x1b'), "no colour in a pipe");
}

#[tokio::test]
async fn a_script_stops_at_the_first_error_unless_it_is_to_go_on() {
    let home = home();
    let script = "select 1 as a; select oops; select 2 as a; \n\\nonsense\nselect 3 as a;";
    let ended = piped(home.path(), &[], script.as_bytes()).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), "a\n1\n"));
    let ended = piped(home.path(), &["--continue-on-error"], script.as_bytes()).await;
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(1), "a\n1\na\n2\na\n3\n")
    );
    assert_eq!(
        ended.stderr.matches("error:").count(),
        2,
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn exit_codes() {
    let home = home();
    let missing = home.path().join("none.sql").display().to_string();
    let password = file(home.path(), "empty", "");
    for (arguments, code, part) in [
        (&["-e", "select 1"] as &[&str], 0, ""),
        (&["-e", "select oops"], 1, "oops"),
        (
            &[
                "shell",
                "--connect",
                "flight://127.0.0.1:1",
                "-e",
                "select 1",
            ],
            2,
            "127.0.0.1:1",
        ),
        (
            &["shell", "--connect", "flight://a:b@c", "-e", "select 1"],
            3,
            "password",
        ),
        (&["-f", &missing], 3, "none.sql"),
        (&["--format", "xml"], 3, "xml"),
        (&["--var", "nothing"], 3, "NAME=VALUE"),
        (&["shell", "--profile", "missing"], 3, "missing"),
        (
            &["shell", "--password-file", &password, "-e", "select 1"],
            3,
            "is empty",
        ),
    ] {
        let ended = run(arguments, home.path()).await;
        assert_eq!(ended.code, Some(code), "{arguments:?}: {}", ended.stderr);
        assert!(
            ended.stderr.contains(part),
            "{arguments:?}: {}",
            ended.stderr
        );
    }
}

#[tokio::test]
async fn ctrl_c_ends_a_script_with_130() {
    let home = home();
    let endless = "select count(*) from range(0, 1000000000000) where value < 0";
    let child = Command::new(binary())
        .args(["-e", "select 'started' as s", "-e", endless])
        .env_clear()
        .env("HOME", home.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.expect("skep starts");
    let mut out = child.stdout.take().expect("its output");
    let mut read = [0; 10];
    tokio::io::AsyncReadExt::read_exact(&mut out, &mut read)
        .await
        .expect("the first result");
    assert_eq!(&read, b"s\nstarted\n");
    // The second statement runs by then: a signal between the two finds nothing to cancel.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let id = child.id().expect("it runs").to_string();
    let told = std::process::Command::new("kill")
        .args(["-INT", &id])
        .status();
    assert!(told.expect("kill runs").success());
    let ended = child.wait_with_output().await.expect("it ends");
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(130), "{stderr}");
    assert!(stderr.contains("cancelled"), "{stderr}");
}

#[tokio::test]
async fn files_include_each_other_but_not_for_ever() {
    let home = home();
    let inner = file(home.path(), "inner.sql", "select 'inner' as i;\n");
    let outer = file(
        home.path(),
        "outer.sql",
        format!("\\i {inner}\nselect 'outer' as o;\n"),
    );
    let ended = run(&["-f", &outer], home.path()).await;
    assert_eq!(ended.stdout, "i\ninner\no\nouter\n", "{}", ended.stderr);
    let own = home.path().join("own.sql").display().to_string();
    file(home.path(), "own.sql", format!("\\i {own}\n"));
    let ended = run(&["-f", &own], home.path()).await;
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.contains("include each other"),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn what_is_no_text_is_refused_with_its_line() {
    let home = home();
    let path = file(home.path(), "bad.sql", b"select 1 as a;\nselect '\xff';\n");
    let ended = run(&["-f", &path], home.path()).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(3), "a\n1\n"));
    assert!(
        ended.stderr.contains("line 2: it is not UTF-8"),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn blocks_and_dollar_quotes_are_one_statement() {
    let home = home();
    let script = "select $$a;b$$ as t; create procedure p() begin select 1; end; select 2 as n";
    let ended = piped(home.path(), &["--continue-on-error"], script.as_bytes()).await;
    assert_eq!(ended.stdout, "t\na;b\nn\n2\n", "{}", ended.stderr);
    assert_eq!(
        ended.stderr.matches("error:").count(),
        1,
        "{}",
        ended.stderr
    );
}
