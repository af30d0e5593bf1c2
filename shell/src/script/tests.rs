//! Scripts with variables and mistakes.

use super::*;
use crate::options::{EXIT_CANCELLED, EXIT_CONNECTION};
use crate::test_support::{Harness, Scripted, failure, numbers, one_row};
use skep_client::ClientError;
use skep_protocol::{ErrorCode, Position, QueryError};
use std::io::{self, Write};

async fn run_sql(shell: &mut Harness, script: &str) -> i32 {
    run(&mut shell.shell, &[Source::Sql(script.to_owned())]).await
}

fn file(content: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(content).unwrap();
    file
}

#[tokio::test]
async fn statements_run_in_order_and_results_are_csv_in_a_pipe() {
    let mut shell = Harness::new();
    shell.shell.runner.connect().await.unwrap();
    shell.answer("select 1", one_row());
    shell.answer("create", Scripted::Done(None));
    shell.answer(
        "select 2",
        Scripted::Rows(vec![numbers([1, 2]), numbers([3])], None),
    );
    assert_eq!(
        run_sql(&mut shell, "select 1; create;\nselect 2").await,
        EXIT_OK
    );
    assert_eq!(shell.statements(), ["select 1", "create", "select 2"]);
    assert_eq!(shell.out(), "n\n1\nn\n1\n2\n3\n");
    assert_eq!(shell.err(), "");
    assert_eq!(shell.connections(), 1);
}

#[tokio::test]
async fn the_first_error_ends_a_script_and_says_where_it_is() {
    let mut shell = Harness::new();
    shell.shell.runner.connect().await.unwrap();
    let error = QueryError::new(ErrorCode::ColumnNotFound, "column 'x' not found")
        .at(Some(Position { line: 2, column: 3 }));
    shell.answer("select\n  x", Scripted::Fails(ClientError::Query(error)));
    let script = file(b"\xef\xbb\xbf-- title\n\nselect\n  x;\nselect 2;\n");
    let path = script.path().to_owned();
    let sources = [
        Source::File(path.clone()),
        Source::Sql("select 3".to_owned()),
    ];
    assert_eq!(run(&mut shell.shell, &sources).await, EXIT_ERROR);
    assert_eq!(shell.statements(), ["select\n  x"]);
    let expected = format!(
        "error: column 'x' not found\n  at {}:4:3\n  4 |   x\n    |   ^\n",
        path.display()
    );
    assert_eq!(shell.err(), expected);
}

#[tokio::test]
async fn an_error_in_mid_result_is_an_error() {
    let mut shell = Harness::new();
    shell.shell.runner.connect().await.unwrap();
    shell.answer(
        "select",
        Scripted::Rows(vec![numbers([1])], Some(failure("it broke"))),
    );
    assert_eq!(run_sql(&mut shell, "select").await, EXIT_ERROR);
    assert_eq!(shell.err(), "error: it broke\n");
}

#[tokio::test]
async fn exit_codes_tell_connection_from_sql_from_usage() {
    let mut shell = Harness::new();
    shell.shell.runner.connect().await.unwrap();
    let source = QueryError::new(ErrorCode::Unauthenticated, "the session has expired");
    shell.answer("select", Scripted::Fails(ClientError::Login(source)));
    assert_eq!(run_sql(&mut shell, "select").await, EXIT_CONNECTION);
    let missing = Source::File("/nowhere/at/all.sql".into());
    assert_eq!(run(&mut shell.shell, &[missing]).await, EXIT_USAGE);
    assert!(
        shell.err().contains("cannot read '/nowhere/at/all.sql'"),
        "{}",
        shell.err()
    );
}

#[tokio::test]
async fn a_file_that_is_not_text_is_refused_with_the_line() {
    let mut shell = Harness::new();
    shell.shell.runner.connect().await.unwrap();
    shell.answer("select 1", one_row());
    let script = file(b"select 1;\nselect '\xff';\n");
    let source = Source::File(script.path().to_owned());
    assert_eq!(run(&mut shell.shell, &[source]).await, EXIT_USAGE);
    assert!(
        shell
            .err()
            .contains("line 2: it is not UTF-8 text, at byte 9"),
        "{}",
        shell.err()
    );
}

#[tokio::test]
async fn commands_work_in_scripts_and_keep_the_count_of_lines() {
    let mut shell = Harness::new();
    shell.shell.runner.connect().await.unwrap();
    shell.answer("select 1", one_row());
    let script = file(b"\\format json\nselect 1;\n\\nonsense\nselect 2;\n");
    let source = Source::File(script.path().to_owned());
    assert_eq!(run(&mut shell.shell, &[source]).await, EXIT_ERROR);
    assert_eq!(shell.out(), "[\n{\"n\":1}\n]\n");
    assert!(
        shell.err().contains("unknown command \\nonsense"),
        "{}",
        shell.err()
    );
    assert!(shell.err().trim_end().ends_with(":3"), "{}", shell.err());
    assert_eq!(run_sql(&mut shell, "\\q\nselect 1").await, EXIT_OK);
    assert_eq!(shell.statements(), ["select 1"]);
}

#[tokio::test]
async fn an_unfinished_comment_is_an_error() {
    let mut shell = Harness::new();
    assert_eq!(run_sql(&mut shell, "/* select 1;").await, EXIT_ERROR);
    assert!(shell.statements().is_empty());
}

#[tokio::test]
async fn a_closed_pipe_ends_quietly_and_a_full_disk_does_not() {
    for (kind, code) in [
        (io::ErrorKind::BrokenPipe, EXIT_OK),
        (io::ErrorKind::StorageFull, EXIT_ERROR),
    ] {
        let mut shell = Harness::with_broken_output(kind);
        shell.shell.runner.connect().await.unwrap();
        shell.answer("select 1", one_row());
        assert_eq!(run_sql(&mut shell, "select 1; select 2").await, code);
        assert_eq!(shell.statements(), ["select 1"]);
        assert_eq!(shell.err().is_empty(), code == EXIT_OK, "{}", shell.err());
    }
}

#[tokio::test]
async fn ctrl_c_cancels_and_ends_a_script() {
    let mut shell = Harness::new();
    shell.shell.runner.connect().await.unwrap();
    shell.answer("slow", Scripted::HangsAfter(numbers([1])));
    let interrupt = shell.interrupt_when(|out, _| out.contains("1\n"));
    let (code, ()) = tokio::join!(run_sql(&mut shell, "slow; select 1"), interrupt);
    assert_eq!(code, EXIT_CANCELLED);
    assert_eq!(shell.cancelled(), ["q1"]);
    assert_eq!(shell.err(), "query q1 cancelled\n");
    assert_eq!(shell.statements(), ["slow"]);
}

#[tokio::test]
async fn ctrl_c_between_two_statements_ends_a_script() {
    let mut shell = Harness::new();
    shell.shell.runner.connect().await.unwrap();
    shell.answer("select 1", one_row());
    shell.interrupt_when(|_, _| true).await;
    assert_eq!(
        run_sql(&mut shell, "select 1; select 2").await,
        EXIT_CANCELLED
    );
    assert!(shell.statements().is_empty());
    assert_eq!(shell.err(), "cancelled\n");
}

#[tokio::test]
async fn a_command_may_follow_a_statement_on_its_line() {
    let mut shell = Harness::new();
    shell.shell.runner.connect().await.unwrap();
    shell.answer("select 1", one_row());
    let code = run_sql(&mut shell, "select 1; \\q\nselect 2").await;
    assert_eq!(code, EXIT_OK);
    assert_eq!(shell.statements(), ["select 1"]);
}
