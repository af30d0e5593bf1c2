//! Statements that run, fail and are stopped.

use super::*;
use crate::test_support::{Harness, Scripted, failure, numbers, one_row};
use skep_protocol::{ErrorCode, QueryError};
use skep_sql::{ScriptStatement as Statement, split};

fn statement(sql: &str) -> Statement {
    split(sql).remove(0)
}

async fn run(shell: &mut Harness, sql: &str) -> Outcome {
    let statement = statement(sql);
    let request = Request {
        origin: Origin {
            file: None,
            statement: &statement,
            sent: None,
        },
        sql,
        parameters: &[],
        columns: &[],
        format: None,
    };
    shell.shell.runner.run(request).await
}

#[tokio::test]
async fn people_at_a_terminal_see_a_table_and_a_count() {
    let mut shell = Harness::at_terminal();
    shell.shell.runner.connect().await.unwrap();
    shell.answer("select", Scripted::Rows(vec![numbers([7, 10])], None));
    shell.answer("insert", Scripted::Done(Some(1)));
    shell.answer("create", Scripted::Done(None));
    for sql in ["select", "insert", "create"] {
        assert_eq!(run(&mut shell, sql).await, Outcome::Done);
    }
    let expected = "\
┌────┐
│  n │
├────┤
│  7 │
│ 10 │
└────┘
(2 rows)

(1 row affected)

(ok)

";
    assert_eq!(shell.out(), expected);
}

#[tokio::test]
async fn timing_is_shown_when_it_is_wanted() {
    let mut shell = Harness::at_terminal();
    shell.shell.runner.connect().await.unwrap();
    shell.shell.runner.settings.timing = true;
    shell.answer("select", one_row());
    run(&mut shell, "select").await;
    let out = shell.out();
    let footer = out.trim_end().lines().last().unwrap();
    assert!(
        footer.starts_with("(1 row, 0.") && footer.ends_with(" s)"),
        "{footer}"
    );
}

#[tokio::test]
async fn ctrl_c_before_the_result_drops_the_call() {
    let mut shell = Harness::new();
    shell.shell.runner.connect().await.unwrap();
    shell.answer("slow", Scripted::Hangs);
    let interrupt = shell.interrupt_when(|_, statements| statements == 1);
    let (outcome, ()) = tokio::join!(run(&mut shell, "slow"), interrupt);
    assert_eq!(outcome, Outcome::Cancelled);
    assert_eq!(shell.err(), "cancelled\n");
    shell.answer("select", one_row());
    assert_eq!(run(&mut shell, "select").await, Outcome::Done);
    assert_eq!(shell.connections(), 1);
}

#[tokio::test]
async fn ctrl_c_between_two_statements_cancels_the_next() {
    let mut shell = Harness::new();
    shell.shell.runner.connect().await.unwrap();
    shell.interrupt_when(|_, _| true).await;
    assert_eq!(run(&mut shell, "select").await, Outcome::Cancelled);
    assert_eq!(shell.err(), "cancelled\n");
    assert!(shell.statements().is_empty());
    shell.answer("select", one_row());
    assert_eq!(run(&mut shell, "select").await, Outcome::Done);
}

#[tokio::test]
async fn a_lost_session_is_opened_again_for_the_next_statement() {
    let mut shell = Harness::new();
    shell.shell.runner.connect().await.unwrap();
    let expired = QueryError::new(ErrorCode::Unauthenticated, "the session has expired");
    shell.answer("select 1", Scripted::Fails(ClientError::Login(expired)));
    shell.answer("select 2", one_row());
    assert_eq!(run(&mut shell, "select 1").await, Outcome::Failed(2));
    assert_eq!(run(&mut shell, "select 2").await, Outcome::Done);
    assert_eq!(shell.connections(), 2);
    assert!(
        shell
            .err()
            .contains("connected to flight://test:8090 again\n"),
        "{}",
        shell.err()
    );
}

#[tokio::test]
async fn an_error_of_sql_keeps_the_session() {
    let mut shell = Harness::new();
    shell.shell.runner.connect().await.unwrap();
    shell.answer("select 1", Scripted::Fails(failure("no")));
    shell.answer("select 2", one_row());
    assert_eq!(run(&mut shell, "select 1").await, Outcome::Failed(1));
    assert_eq!(run(&mut shell, "select 2").await, Outcome::Done);
    assert_eq!(shell.connections(), 1);
}
