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
        ended.stderr.contains("'x' is not a valid value for $1"),
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
    assert_eq!(ended.stdout, "1\n1\n");
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
    let id = child.id().expect("it runs").to_string();
    let told = std::process::Command::new("kill")
        .args(["-INT", &id])
        .status();
    assert!(told.expect("kill runs").success());
    let ended = child.wait_with_output().await.expect("it ends");
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(130), "{stderr}");
    // The first statement may have shown its rows and not have ended yet.
    let says_so = stderr.contains("cancelled") || stderr.contains("had ended already");
    assert!(says_so, "{stderr}");
}

/// A signal reaches a script that waits for its next statement, and one that is between two.
#[tokio::test]
async fn ctrl_c_ends_a_script_that_waits_for_its_input() {
    let home = home();
    let child = Command::new(binary())
        .args(["-f", "-"])
        .env_clear()
        .env("HOME", home.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.expect("skep starts");
    let mut input = child.stdin.take().expect("its input");
    let statement = b"select 'started' as s;\n";
    input.write_all(statement).await.expect("written");
    let mut out = child.stdout.take().expect("its output");
    let mut read = [0; 10];
    tokio::io::AsyncReadExt::read_exact(&mut out, &mut read)
        .await
        .expect("the first result");
    let id = child.id().expect("it runs").to_string();
    let told = std::process::Command::new("kill")
        .args(["-INT", &id])
        .status();
    assert!(told.expect("kill runs").success());
    // Its input is still open: it does not wait for the end of it.
    let ended = tokio::time::timeout(Duration::from_secs(30), child.wait_with_output());
    let ended = ended.await.expect("it ends").expect("it ends");
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(130), "{stderr}");
    drop(input);
}

#[tokio::test]
async fn columns_without_a_name_are_called_as_they_are_written() {
    let home = home();
    let sql = "select 1 + 1, 'x', count(*), n from (values (1)) as t(n) group by n";
    let ended = run(&["-e", sql], home.path()).await;
    assert_eq!(
        ended.stdout, "1 + 1,'x',count(*),n\n2,x,1,1\n",
        "{}",
        ended.stderr
    );
    let script = "create table c as select 1 + 1, count(*); show columns in c; \
                  create view v as select sum(t.n) from (values (1)) as t(n); select * from v";
    let ended = run(&["-e", script], home.path()).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        ended.stdout.contains("1 + 1\ncount(*)\n"),
        "{}",
        ended.stdout
    );
}

#[tokio::test]
async fn a_missing_table_has_a_place() {
    let home = home();
    let path = file(
        home.path(),
        "a.sql",
        "select *\nfrom\t(select 1 as a) as 日本 join missing on true;\n",
    );
    let ended = run(&["-f", &path], home.path()).await;
    let line = "from (select 1 as a) as 日本 join missing on true";
    let expected = format!(
        "  at {path}:2:33\n  2 | {line}\n    | {}^\n",
        " ".repeat(34)
    );
    assert!(ended.stderr.ends_with(&expected), "{}", ended.stderr);
}

#[tokio::test]
async fn text_that_is_no_utf_8_in_data_names_the_file() {
    let home = home();
    let data = home.path().join("data");
    std::fs::create_dir(&data).expect("a directory");
    std::fs::write(data.join("a.csv"), b"1,caf\xe9\n").expect("written");
    let script = format!(
        "create external table t (a int, s string) \
         row format serde 'org.apache.hadoop.hive.serde2.OpenCSVSerde' location '{}'; \
         select * from t; select decode('ff00fe1b', 'hex') as b",
        data.display()
    );
    let ended = run(&["--continue-on-error", "-e", &script], home.path()).await;
    assert_eq!(ended.code, Some(1));
    for part in ["a.csv' cannot be read", "UTF-8", "line 1"] {
        assert!(ended.stderr.contains(part), "{}", ended.stderr);
    }
    // Bytes are no text, and are shown as such.
    assert_eq!(ended.stdout, "b\nff00fe1b\n", "{}", ended.stderr);
}

#[tokio::test]
async fn parameters_of_all_types() {
    let home = home();
    let sql = "select $1 + 1 as i, cast($2 as date) + interval '1' day as d, cast($3 as decimal(5, 2)) as e, \
               cast($4 as boolean) as b, $5 || '!' as s, cast($6 as int) as n, \
               cast($7 as timestamp) as t, cast($8 as double) / 4 as f";
    let mut arguments = vec!["-e", sql];
    for value in [
        "41",
        "2026-02-28",
        "1.5",
        "true",
        "it's",
        "\\N",
        "2026-01-02 03:04:05",
        "1",
    ] {
        arguments.extend(["--param", value]);
    }
    let ended = run(&arguments, home.path()).await;
    assert_eq!(
        ended.stdout, "i,d,e,b,s,n,t,f\n42,2026-03-01,1.50,true,it's!,,2026-01-02 03:04:05,0.25\n",
        "{}",
        ended.stderr
    );
    let ended = run(&["--param", "1", "-e", "select $1, $2"], home.path()).await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
}

#[tokio::test]
async fn a_broken_init_file_ends_a_script_before_it_begins() {
    let home = home();
    let init = file(home.path(), "init.sql", "\\format json\nselect oops;\n");
    let ended = run(&["-i", &init, "-e", "select 1 as n"], home.path()).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    assert!(ended.stderr.contains("init.sql:2:8"), "{}", ended.stderr);
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
