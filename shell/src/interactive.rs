//! The loop at a terminal: lines in, statements out, until the user leaves.

mod greeting;
#[cfg(test)]
mod tests;

use crate::command;
use crate::editor::{Answer, EditorOptions, EditorThread, LineSource};
use crate::interrupt::Interrupts;
use crate::knowledge::{self, Knowledge};
use crate::options::{EXIT_CANCELLED, EXIT_ERROR, EXIT_OK, ShellOptions};
use crate::script;
use crate::shell::{Flow, Place, Shell};
use skep_sql::{Open, ScriptStatement as Statement, Splitter};
use std::sync::Arc;

/// Greets, reads and runs until the user leaves; returns the exit code.
pub(crate) async fn run(shell: &mut Shell, options: &ShellOptions) -> i32 {
    shell.is_interactive = true;
    if !options.quiet {
        let text = greeting::text(options, shell.runner.screen.terminal.columns());
        shell.runner.say(&text).await;
    }
    if let Some(file) = options
        .interactive_init
        .as_ref()
        .filter(|file| file.exists())
    {
        // What is wrong in it has been said, and is no reason to stay out.
        let _ = script::run_file(shell, file).await;
    }
    let knowledge = Arc::new(Knowledge::default());
    let (mut asker, _learning) = knowledge::start(Arc::clone(&knowledge));
    let editor_options = EditorOptions {
        history_file: options.history_file.clone(),
        color: shell.runner.screen.color,
        out_is_terminal: shell.runner.screen.out_is_terminal,
        knowledge,
        asker: asker.clone(),
    };
    let mut editor = match EditorThread::start(editor_options) {
        Ok(editor) => editor,
        Err(error) => {
            let message = format!("cannot start the line editor: {error}");
            shell.runner.complain(&message).await;
            return EXIT_ERROR;
        }
    };
    shell.runner.screen.keyboard.hold();
    let code = read_and_run(shell, &mut editor, &mut asker).await;
    shell.runner.screen.keyboard.release();
    editor.stop().await;
    code
}

/// The loop, on lines from anywhere.
async fn read_and_run(
    shell: &mut Shell,
    lines: &mut impl LineSource,
    asker: &mut knowledge::Asker,
) -> i32 {
    let mut typed = Typed::default();
    let mut left = None;
    while left.is_none() {
        let dialect = shell.runner.dialect();
        asker.follow(shell.runner.aside(), shell.runner.database(), dialect);
        let prompt = prompt(&shell.prompt(), typed.splitter.open());
        let initial = shell.to_edit.take().unwrap_or_default();
        let interrupts = &mut shell.runner.interrupts;
        let answer = read_line(lines, interrupts, [&prompt, &typed.text, &initial]).await;
        let line = match answer {
            Some(Answer::Line(line)) => line,
            None => return EXIT_CANCELLED,
            Some(Answer::Interrupted) if interrupts.is_second() => return EXIT_CANCELLED,
            Some(Answer::Interrupted) => {
                typed = Typed::default();
                continue;
            }
            Some(Answer::End) => return EXIT_OK,
            Some(Answer::Failed(reason)) => {
                let message = format!("cannot read from the terminal: {reason}");
                shell.runner.complain(&message).await;
                return EXIT_ERROR;
            }
        };
        // What was pressed while nothing ran is not for what runs next.
        shell.runner.interrupts.forget();
        if typed.takes_command(&line) {
            if typed.splitter.open().is_none() {
                typed = Typed::default();
            } else if command::is_edit(&line) {
                // The editor gets what has been typed and gives it back.
                shell.unfinished = Some(std::mem::take(&mut typed).text);
            }
            lines.remember(line.trim()).await;
            let place = Place {
                file: None,
                line: 1,
            };
            left = leaves(shell.command(&line, place).await);
            if ["\\demo", "\\i"]
                .iter()
                .any(|name| line.trim_start().starts_with(name))
            {
                asker.refresh();
            }
        } else {
            typed.splitter.set_dialect(dialect);
            let statements = typed.take_in(&line);
            if typed.splitter.open().is_none() {
                let entry = std::mem::take(&mut typed).text;
                lines.remember(entry.trim()).await;
            }
            left = run_statements(shell, &statements).await;
            if statements
                .iter()
                .any(|statement| changes_names(&statement.text))
            {
                asker.refresh();
            }
        }
    }
    left.unwrap_or(EXIT_OK)
}

/// Asks for a line: with this prompt, after these lines of the statement, beginning with this text.
/// `None` where the second Ctrl-C came as a signal, just before the editor made a key of it.
async fn read_line(
    lines: &mut impl LineSource,
    interrupts: &mut Interrupts,
    [prompt, before, initial]: [&str; 3],
) -> Option<Answer> {
    let read = lines.read(prompt, before, initial);
    tokio::pin!(read);
    loop {
        tokio::select! {
            biased;
            () = interrupts.next() => {
                if interrupts.is_second() {
                    return None;
                }
            }
            answer = &mut read => return Some(answer),
        }
    }
}

/// Whether a statement may have changed what there is to complete.
fn changes_names(sql: &str) -> bool {
    let mut words = sql.split_whitespace();
    let first = words.next().unwrap_or_default();
    let is_first = |word: &&str| first.eq_ignore_ascii_case(word);
    // In Hive, an INSERT may stand behind its query: `FROM t INSERT …`, `WITH q AS … INSERT …`.
    [
        "create", "drop", "alter", "msck", "refresh", "insert", "load", "truncate",
    ]
    .iter()
    .any(is_first)
        || (["from", "with"].iter().any(is_first)
            && words.any(|word| word.eq_ignore_ascii_case("insert")))
}

fn leaves(flow: Flow) -> Option<i32> {
    match flow {
        Flow::Leave(code) => Some(code),
        _ => None,
    }
}

/// What has been typed of a statement that is not complete.
#[derive(Default)]
struct Typed {
    splitter: Splitter,
    text: String,
}

impl Typed {
    /// Whether a line is for the shell itself. In the middle of a statement, that is a command which
    /// does not end it: somebody who looks up a table's columns wants to go on.
    fn takes_command(&self, line: &str) -> bool {
        match self.splitter.open() {
            None => command::is_command(line),
            Some(Open::Statement | Open::Parenthesis) => command::is_aside(line),
            Some(_) => false,
        }
    }

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
fn prompt(first: &str, open: Option<Open>) -> String {
    let mark = match open {
        None => return first.to_owned(),
        Some(Open::Statement) => "->",
        Some(Open::Parenthesis) => "(>",
        Some(Open::SingleQuote) => "'>",
        Some(Open::DoubleQuote) => "\">",
        Some(Open::Backtick) => "`>",
        Some(Open::Comment) => "*>",
        Some(Open::DollarQuote) => "$>",
        Some(Open::Block) => "begin>",
    };
    let width = crate::format::width(first).saturating_sub(1);
    format!("{mark:>width$} ")
}

/// Runs what a line completed. After a failure the next statement runs, as if it had been typed
/// later; after Ctrl-C none does. Returns the exit code where the shell ends.
async fn run_statements(shell: &mut Shell, statements: &[Statement]) -> Option<i32> {
    for statement in statements {
        match shell.statement(statement, None).await {
            Flow::On | Flow::Failed(_) => {}
            Flow::Cancelled => return None,
            Flow::Leave(code) => return Some(code),
        }
    }
    None
}
