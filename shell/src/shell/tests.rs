//! Commands and their effects.

use super::*;
use crate::test_support::{Harness, Scripted, failure, numbers, one_row};
use skep_sql::split;

const PLACE: Place<'_> = Place {
    file: None,
    line: 1,
};

async fn run(harness: &mut Harness, script: &str) -> Flow {
    let mut flow = Flow::On;
    for statement in split(script) {
        flow = harness.shell.statement(&statement, None).await;
    }
    flow
}

async fn command(harness: &mut Harness, line: &str) -> Flow {
    harness.shell.command(line, PLACE).await
}

#[tokio::test]
async fn variables_are_replaced_and_parameters_are_sent_where_there_are_places_for_them() {
    let mut harness = Harness::new();
    harness.shell.parameters = vec![Some("7".to_owned())];
    harness.answer("select $1 from orders <7>", one_row());
    harness.answer("select 2", one_row());
    assert_eq!(command(&mut harness, "\\set table orders").await, Flow::On);
    assert_eq!(
        run(&mut harness, "select $1 from ${table}; select 2").await,
        Flow::On
    );
    assert_eq!(
        harness.statements(),
        ["select $1 from orders <7>", "select 2"]
    );
    assert_eq!(command(&mut harness, "\\unset table").await, Flow::On);
    assert_eq!(
        command(&mut harness, "\\unset table").await,
        Flow::Failed(1)
    );
    assert_eq!(
        run(&mut harness, "select 1 from ${table}").await,
        Flow::Failed(1)
    );
    assert!(
        harness.err().contains("variable 'table' is not set: see"),
        "{}",
        harness.err()
    );
}

#[tokio::test]
async fn the_last_statement_runs_again_in_another_form_or_into_a_file() {
    let mut harness = Harness::new();
    assert_eq!(command(&mut harness, "\\gx").await, Flow::Failed(1));
    harness.answer("select 1", one_row());
    assert_eq!(run(&mut harness, "select 1 \\gx").await, Flow::On);
    assert!(harness.out().starts_with("-[ ROW 1 ]"), "{}", harness.out());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out.ndjson");
    harness.answer("select 1", one_row());
    let line = format!("\\g {}", path.display());
    assert_eq!(command(&mut harness, &line).await, Flow::On);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"n\":1}\n");
}

#[tokio::test]
async fn settings_and_variables_are_listed() {
    let mut harness = Harness::new();
    for line in ["\\set null ∅", "\\set who ann", "\\set"] {
        assert_eq!(command(&mut harness, line).await, Flow::On);
    }
    let list = harness.out();
    assert!(
        list.contains("null = ∅\n") && list.ends_with("variables\nwho = ann\n"),
        "{list}"
    );
    assert_eq!(
        command(&mut harness, "\\set header maybe").await,
        Flow::Failed(1)
    );
}

#[tokio::test]
async fn a_profile_is_of_the_last_query_and_not_of_what_was_looked_up() {
    let mut harness = Harness::new();
    assert_eq!(command(&mut harness, "\\profile").await, Flow::Failed(1));
    harness.answer("select 1", one_row());
    harness.answer("SHOW TABLES", one_row());
    harness.answer("SHOW PROFILE 'q1'", one_row());
    run(&mut harness, "select 1").await;
    harness.shell.runner.last.query_id = Some("q1".to_owned());
    command(&mut harness, "\\dt").await;
    assert_eq!(command(&mut harness, "\\profile").await, Flow::On);
    assert_eq!(harness.statements().last().unwrap(), "SHOW PROFILE 'q1'");
}

#[tokio::test]
async fn a_chart_needs_two_columns() {
    let mut harness = Harness::new();
    harness.answer("select 1", Scripted::Rows(vec![numbers([1, 2])], None));
    assert_eq!(
        run(&mut harness, "select 1 \\chart bar").await,
        Flow::Failed(1)
    );
    assert!(
        harness.err().contains("two columns, and this one has 1"),
        "{}",
        harness.err()
    );
}

#[tokio::test]
async fn watching_ends_with_ctrl_c_and_with_an_error() {
    let mut harness = Harness::new();
    harness.answer("select 1", Scripted::Fails(failure("gone")));
    assert_eq!(
        run(&mut harness, "select 1 \\watch 0.1").await,
        Flow::Failed(1)
    );
    harness.answer("select 2", one_row());
    let interrupt = harness.interrupt_when(|out, _| out.contains("1\n"));
    let (flow, ()) = tokio::join!(run(&mut harness, "select 2 \\watch 60"), interrupt);
    assert_eq!(flow, Flow::On);
}

#[tokio::test]
async fn what_cannot_be_done_says_why() {
    let mut harness = Harness::new();
    for (line, part) in [
        ("\\demo", "skep tpch generate"),
        ("\\e", "needs a terminal"),
        ("\\c nobody", "no profile is called"),
        ("\\o /no/such/directory/x", "No such file"),
        ("\\i /no/such/file", "cannot read"),
    ] {
        assert!(
            matches!(command(&mut harness, line).await, Flow::Failed(_)),
            "{line}"
        );
        assert!(harness.err().contains(part), "{line}: {}", harness.err());
    }
    command(&mut harness, "\\c").await;
    assert!(
        harness
            .out()
            .contains("connected to flight://test:8090 as ann, database default")
    );
}

#[tokio::test]
async fn the_prompt_shows_as_much_as_there_is_room_for() {
    let mut harness = Harness::new();
    assert_eq!(harness.shell.prompt(), "ann@test:8090/default> ");
    for (columns, prompt) in [(30, "default> "), (20, "default> "), (10, "> ")] {
        harness.shell.runner.screen.terminal = crate::terminal::Terminal::fixed(24, columns);
        assert_eq!(harness.shell.prompt(), prompt);
    }
}
