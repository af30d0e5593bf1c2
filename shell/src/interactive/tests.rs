//! What people see between statements.

use super::*;
use crate::test_support::{Harness, one_row};
use std::collections::VecDeque;

/// A user who types ahead.
struct Typist {
    answers: VecDeque<Answer>,
    prompts: Vec<String>,
    history: Vec<String>,
}

impl Typist {
    fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        let answers = answers.into_iter().collect();
        Self {
            answers,
            prompts: Vec::new(),
            history: Vec::new(),
        }
    }
}

impl LineSource for Typist {
    async fn read(&mut self, prompt: &str, _before: &str, _initial: &str) -> Answer {
        self.prompts.push(prompt.to_owned());
        self.answers.pop_front().unwrap_or(Answer::End)
    }

    async fn remember(&mut self, entry: &str) {
        self.history.push(entry.to_owned());
    }
}

const PROMPT: &str = "ann@test:8090/default> ";

fn more(mark: &str) -> String {
    format!("{mark:>22} ")
}

async fn run_typed(shell: &mut Harness, typist: &mut Typist) -> i32 {
    let mut asker = knowledge::Asker::new(Arc::new(Knowledge::default()));
    shell.shell.is_interactive = true;
    read_and_run(&mut shell.shell, typist, &mut asker).await
}

fn line(text: &str) -> Answer {
    Answer::Line(text.to_owned())
}

#[tokio::test]
async fn a_statement_of_several_lines_is_one_statement_and_one_entry() {
    let mut shell = Harness::new();
    shell.answer("select\n(1)", one_row());
    let mut typist = Typist::new([line("select"), line("(1)"), line(";"), line("\\q")]);
    assert_eq!(run_typed(&mut shell, &mut typist).await, EXIT_OK);
    assert_eq!(typist.prompts, [PROMPT, &more("->"), &more("->"), PROMPT]);
    assert_eq!(typist.history, ["select\n(1)\n;", "\\q"]);
    assert_eq!(shell.statements(), ["select\n(1)"]);
}

#[tokio::test]
async fn the_prompt_shows_what_is_open_and_ctrl_c_clears() {
    let mut shell = Harness::new();
    let mut typist = Typist::new([
        line("select ("),
        line("'a"),
        Answer::Interrupted,
        line("exit"),
    ]);
    assert_eq!(run_typed(&mut shell, &mut typist).await, EXIT_OK);
    assert_eq!(typist.prompts, [PROMPT, &more("(>"), &more("'>"), PROMPT]);
    assert!(shell.statements().is_empty());
}

#[tokio::test]
async fn errors_are_shown_and_the_shell_goes_on() {
    let mut shell = Harness::new();
    shell.answer("select 1", one_row());
    let mut typist = Typist::new([line("select oops; select 1;"), line("\\dx")]);
    assert_eq!(run_typed(&mut shell, &mut typist).await, EXIT_OK);
    assert_eq!(shell.statements(), ["select oops", "select 1"]);
    let errors = shell.err();
    assert!(
        errors.contains("error: no answer to 'select oops'"),
        "{errors}"
    );
    assert!(errors.contains("did you mean"), "{errors}");
}

#[tokio::test]
async fn settings_of_the_shell_are_changed_and_told() {
    let mut shell = Harness::new();
    shell.shell.runner.connect().await.unwrap();
    shell.answer("select 1", one_row());
    let mut typist = Typist::new([line("\\format json"), line("\\timing"), line("select 1;")]);
    assert_eq!(run_typed(&mut shell, &mut typist).await, EXIT_OK);
    assert_eq!(shell.out(), "[\n{\"n\":1}\n]\n");
    assert_eq!(shell.err(), "the format is json\ntiming is on\n");
}

#[tokio::test]
async fn shorthands_are_sent_as_sql() {
    let mut shell = Harness::new();
    let mut typist = Typist::new([line("\\l"), line("\\d orders")]);
    assert_eq!(run_typed(&mut shell, &mut typist).await, EXIT_OK);
    assert_eq!(shell.statements(), ["SHOW DATABASES", "DESCRIBE orders"]);
}

#[tokio::test]
async fn commands_work_in_the_middle_of_a_statement() {
    let mut shell = Harness::new();
    shell.shell.runner.connect().await.unwrap();
    shell.answer("select\n1", one_row());
    let mut typist = Typist::new([
        line("select"),
        line("\\format json"),
        line("1;"),
        line("select '"),
        line("\\q"),
        line("';"),
        line("select"),
        line("\\q"),
    ]);
    assert_eq!(run_typed(&mut shell, &mut typist).await, EXIT_OK);
    assert_eq!(shell.statements(), ["select\n1", "select '\n\\q\n'"]);
    assert_eq!(shell.out(), "[\n{\"n\":1}\n]\n");
}
