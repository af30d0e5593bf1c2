//! The loop at a terminal: lines in, statements out, until the user leaves.

use crate::command::{self, Command};
use crate::editor::{Answer, EditorOptions, EditorThread, LineSource};
use crate::options::{EXIT_CANCELLED, EXIT_ERROR, EXIT_OK, ShellOptions};
use crate::report::Origin;
use crate::runner::{Outcome, Runner};
use skep_client::{Open, Splitter, Statement};

const PROMPT: &str = "skep> ";

/// Greets, reads and runs until the user leaves; returns the exit code.
pub(crate) async fn run(runner: &mut Runner, options: &ShellOptions) -> i32 {
    let server = options.server_name.as_deref().unwrap_or(&options.url);
    runner.say(&greeting(&options.version, server)).await;
    let editor_options = EditorOptions {
        history_file: options.history_file.clone(),
        color: !options.no_color,
        out_is_terminal: runner.screen.out_is_terminal,
    };
    let mut editor = match EditorThread::start(editor_options) {
        Ok(editor) => editor,
        Err(error) => {
            runner
                .complain(&format!("cannot start the line editor: {error}"))
                .await;
            return EXIT_ERROR;
        }
    };
    let code = read_and_run(runner, &mut editor).await;
    editor.stop().await;
    code
}

fn greeting(version: &str, server: &str) -> String {
    format!(
        "Skep {version}, connected to {server}\n\
         Type SQL and end it with ;  or try  \\dt (tables)  \\? (help)  \\q (leave)\n"
    )
}

/// The loop, on lines from anywhere.
async fn read_and_run(runner: &mut Runner, lines: &mut impl LineSource) -> i32 {
    let mut typed = Typed::default();
    loop {
        let line = match lines.read(prompt(typed.splitter.open())).await {
            Answer::Line(line) => line,
            Answer::Interrupted => {
                typed = Typed::default();
                continue;
            }
            Answer::End => return EXIT_OK,
            Answer::Failed(reason) => {
                runner
                    .complain(&format!("cannot read from the terminal: {reason}"))
                    .await;
                return EXIT_ERROR;
            }
        };
        if typed.splitter.open().is_none() && command::is_command(&line) {
            typed = Typed::default();
            lines.remember(line.trim()).await;
            if let Some(code) = run_command(runner, &line).await {
                return code;
            }
            continue;
        }
        let statements = typed.take_in(&line);
        if typed.splitter.open().is_none() {
            let entry = std::mem::take(&mut typed).text;
            lines.remember(entry.trim()).await;
        }
        if let Some(code) = run_statements(runner, &statements).await {
            return code;
        }
    }
}

/// What has been typed of a statement that is not complete.
#[derive(Default)]
struct Typed {
    splitter: Splitter,
    text: String,
}

impl Typed {
    /// Takes in a line and gives out the statements that it completes.
    fn take_in(&mut self, line: &str) -> Vec<Statement> {
        self.text.push_str(line);
        self.text.push('\n');
        self.splitter.push(line);
        self.splitter.push("\n");
        std::iter::from_fn(|| self.splitter.next_statement()).collect()
    }
}

/// What stands before the next line: what the statement waits for, as wide as the first prompt.
fn prompt(open: Option<Open>) -> &'static str {
    match open {
        None => PROMPT,
        Some(Open::Statement) => "   -> ",
        Some(Open::Parenthesis) => "   (> ",
        Some(Open::SingleQuote) => "   '> ",
        Some(Open::DoubleQuote) => "   \"> ",
        Some(Open::Backtick) => "   `> ",
        Some(Open::Comment) => "   *> ",
        Some(Open::DollarQuote) => "   $> ",
    }
}

/// Runs what a line completed. After a failure the next statement runs, as if it had been typed
/// later; after Ctrl-C none does. Returns the exit code where the shell ends.
async fn run_statements(runner: &mut Runner, statements: &[Statement]) -> Option<i32> {
    for statement in statements {
        match runner
            .run(Origin {
                file: None,
                statement,
            })
            .await
        {
            Outcome::Done | Outcome::Failed(_) => {}
            Outcome::Cancelled => return None,
            Outcome::Abandoned => return Some(EXIT_CANCELLED),
            Outcome::OutputClosed => return Some(EXIT_OK),
        }
    }
    None
}

async fn run_command(runner: &mut Runner, line: &str) -> Option<i32> {
    match command::parse(line) {
        Ok(Command::Quit) => return Some(EXIT_OK),
        Ok(Command::Help) => runner.say(&command::help()).await,
        Ok(Command::Timing(timing)) => {
            runner.screen.timing = timing.unwrap_or(!runner.screen.timing);
            let state = if runner.screen.timing { "on" } else { "off" };
            runner.say(&format!("timing is {state}\n")).await;
        }
        Ok(Command::Format(format)) => {
            runner.screen.format = format.unwrap_or(runner.screen.format);
            let format = runner.screen.format;
            runner.say(&format!("the format is {format}\n")).await;
        }
        Ok(Command::Sql(text)) => {
            let start = skep_protocol::Position { line: 1, column: 1 };
            let statement = Statement {
                text,
                start,
                complete: true,
            };
            return run_statements(runner, &[statement]).await;
        }
        Err(message) => runner.complain(&message).await,
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{Shell, one_row};
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
        async fn read(&mut self, prompt: &str) -> Answer {
            self.prompts.push(prompt.to_owned());
            self.answers.pop_front().unwrap_or(Answer::End)
        }

        async fn remember(&mut self, entry: &str) {
            self.history.push(entry.to_owned());
        }
    }

    fn line(text: &str) -> Answer {
        Answer::Line(text.to_owned())
    }

    #[tokio::test]
    async fn a_statement_of_several_lines_is_one_statement_and_one_entry() {
        let mut shell = Shell::new();
        shell.answer("select\n(1)", one_row());
        let mut typist = Typist::new([line("select"), line("(1)"), line(";"), line("\\q")]);
        assert_eq!(read_and_run(&mut shell.runner, &mut typist).await, EXIT_OK);
        assert_eq!(typist.prompts, ["skep> ", "   -> ", "   -> ", "skep> "]);
        assert_eq!(typist.history, ["select\n(1)\n;", "\\q"]);
        assert_eq!(shell.statements(), ["select\n(1)"]);
    }

    #[tokio::test]
    async fn the_prompt_shows_what_is_open_and_ctrl_c_clears() {
        let mut shell = Shell::new();
        let mut typist = Typist::new([
            line("select ("),
            line("'a"),
            Answer::Interrupted,
            line("exit"),
        ]);
        assert_eq!(read_and_run(&mut shell.runner, &mut typist).await, EXIT_OK);
        assert_eq!(typist.prompts, ["skep> ", "   (> ", "   '> ", "skep> "]);
        assert!(shell.statements().is_empty());
    }

    #[tokio::test]
    async fn errors_are_shown_and_the_shell_goes_on() {
        let mut shell = Shell::new();
        shell.answer("select 1", one_row());
        let mut typist = Typist::new([line("select oops; select 1;"), line("\\dx")]);
        assert_eq!(read_and_run(&mut shell.runner, &mut typist).await, EXIT_OK);
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
        let mut shell = Shell::new();
        shell.runner.connect().await.unwrap();
        shell.answer("select 1", one_row());
        let mut typist = Typist::new([line("\\format json"), line("\\timing"), line("select 1;")]);
        assert_eq!(read_and_run(&mut shell.runner, &mut typist).await, EXIT_OK);
        assert_eq!(shell.out(), "[\n{\"n\":1}\n]\n");
        assert_eq!(shell.err(), "the format is json\ntiming is on\n");
    }

    #[tokio::test]
    async fn shorthands_are_sent_as_sql() {
        let mut shell = Shell::new();
        let mut typist = Typist::new([line("\\l"), line("\\d orders")]);
        assert_eq!(read_and_run(&mut shell.runner, &mut typist).await, EXIT_OK);
        assert_eq!(shell.statements(), ["SHOW DATABASES", "DESCRIBE orders"]);
    }
}
