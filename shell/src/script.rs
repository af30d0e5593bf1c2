//! Statements from options, files and pipes: one after the other, until the first error, or to the end
//! where the user wants that.

mod input;
#[cfg(test)]
mod tests;

use crate::command;
use crate::options::{EXIT_CANCELLED, EXIT_ERROR, EXIT_OK, EXIT_USAGE, Source};
use crate::shell::{Flow, Place, Shell};
use input::{STATEMENT_BYTES_MAX, StandardInput, next_line};
use skep_sql::{Open, Splitter};
use std::path::Path;
use tokio::io::{AsyncBufRead, BufReader};

/// Runs the sources in order and returns the exit code. Without sources, standard input.
pub(crate) async fn run(shell: &mut Shell, sources: &[Source]) -> i32 {
    let stdin = [Source::Stdin];
    let sources = if sources.is_empty() { &stdin } else { sources };
    let mut first_error = EXIT_OK;
    for source in sources {
        let flow = match source {
            Source::Sql(sql) => read(shell, sql.as_bytes(), None).await,
            Source::Stdin => {
                let input = BufReader::new(StandardInput::read());
                read(shell, input, Some("standard input")).await
            }
            Source::File(path) => run_file(shell, path).await,
        };
        match flow {
            Flow::On => {}
            Flow::Failed(code) if shell.continue_on_error => {
                first_error = if first_error == EXIT_OK {
                    code
                } else {
                    first_error
                };
            }
            Flow::Failed(code) => return code,
            Flow::Cancelled => return EXIT_CANCELLED,
            Flow::Leave(EXIT_OK) => return first_error,
            Flow::Leave(code) => return code,
        }
    }
    first_error
}

/// Runs the statements in a file.
pub(crate) async fn run_file(shell: &mut Shell, path: &Path) -> Flow {
    let name = path.display().to_string();
    match tokio::fs::File::open(path).await {
        Ok(file) => read(shell, BufReader::new(file), Some(&name)).await,
        Err(error) => {
            let message = format!("cannot read '{name}': {error}");
            shell.runner.complain(&message).await;
            Flow::Failed(EXIT_USAGE)
        }
    }
}

/// A script as it is read: what has gone wrong in it so far.
struct Progress<'a> {
    name: Option<&'a str>,
    failed: Option<i32>,
    continue_on_error: bool,
}

impl Progress<'_> {
    /// Whether the script ends here, and how.
    fn after(&mut self, flow: Flow) -> Option<Flow> {
        match flow {
            Flow::On => None,
            Flow::Failed(code) if self.continue_on_error => {
                self.failed.get_or_insert(code);
                None
            }
            other => Some(other),
        }
    }

    fn end(self) -> Flow {
        self.failed.map_or(Flow::On, Flow::Failed)
    }
}

/// Runs a script as it is read, so that the first statement does not wait for the last.
async fn read(shell: &mut Shell, mut input: impl AsyncBufRead + Unpin, name: Option<&str>) -> Flow {
    let mut progress = Progress {
        name,
        failed: None,
        continue_on_error: shell.continue_on_error,
    };
    let mut splitter = Splitter::new(shell.runner.dialect());
    let mut line = Vec::new();
    let mut number = 0_u64;
    loop {
        number += 1;
        let read = tokio::select! {
            read = next_line(&mut input, &mut line) => read,
            () = shell.runner.interrupts.next() => {
                shell.runner.say("cancelled\n").await;
                return Flow::Cancelled;
            }
        };
        let text = match read {
            Ok(None) => break,
            Ok(Some(text)) => text,
            Err(reason) => {
                let place =
                    name.map_or_else(|| "the script".to_owned(), |name| format!("'{name}'"));
                let message = format!("cannot read {place}, line {number}: {reason}");
                shell.runner.complain(&message).await;
                return Flow::Failed(EXIT_USAGE);
            }
        };
        let text = match number {
            1 => text.trim_start_matches('\u{feff}'),
            _ => text,
        };
        if splitter.open().is_none() && command::is_command(text) {
            // The splitter counts the line and takes nothing from it.
            splitter.push("\n");
            let place = Place {
                file: name,
                line: number,
            };
            let flow = shell.command(text, place).await;
            if let Some(flow) = progress.after(flow) {
                return flow;
            }
            continue;
        }
        splitter.set_dialect(shell.runner.dialect());
        splitter.push(text);
        if let Some(flow) = run_ready(shell, &mut splitter, &mut progress).await {
            return flow;
        }
        if splitter.pending_bytes() > STATEMENT_BYTES_MAX {
            let limit = STATEMENT_BYTES_MAX >> 20;
            let message = format!("a statement is longer than {limit} MiB");
            shell.runner.complain(&message).await;
            return Flow::Failed(EXIT_ERROR);
        }
    }
    run_rest(shell, splitter, progress).await
}

/// Runs the statements that are complete.
async fn run_ready(
    shell: &mut Shell,
    splitter: &mut Splitter,
    progress: &mut Progress<'_>,
) -> Option<Flow> {
    while let Some(statement) = splitter.next_statement() {
        let flow = shell.statement(&statement, progress.name).await;
        if let Some(flow) = progress.after(flow) {
            return Some(flow);
        }
    }
    None
}

/// Runs what no semicolon ended.
async fn run_rest(shell: &mut Shell, splitter: Splitter, mut progress: Progress<'_>) -> Flow {
    if splitter.open() == Some(Open::Comment) && splitter.pending_bytes() == 0 {
        shell
            .runner
            .complain("the script ends within a comment")
            .await;
        return Flow::Failed(EXIT_ERROR);
    }
    for statement in splitter.finish() {
        let flow = shell.statement(&statement, progress.name).await;
        if let Some(flow) = progress.after(flow) {
            return flow;
        }
    }
    progress.end()
}
