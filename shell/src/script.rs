//! Statements from options, files and pipes: one after the other, until the first error.

use crate::command::{self, Command};
use crate::options::{EXIT_ERROR, EXIT_OK, EXIT_USAGE, Source};
use crate::report::Origin;
use crate::runner::Runner;
use skep_client::{Open, Splitter, Statement};
use std::io;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, BufReader};

/// The longest line and the longest statement that are read. The server's own limit on a statement is
/// lower; this one keeps a file that is no script from filling the memory.
const STATEMENT_BYTES_MAX: usize = 64 << 20;

/// Runs the sources in order and returns the exit code. Without sources, standard input.
pub(crate) async fn run(runner: &mut Runner, sources: &[Source]) -> i32 {
    let stdin = [Source::Stdin];
    let sources = if sources.is_empty() { &stdin } else { sources };
    for source in sources {
        let code = match source {
            Source::Sql(sql) => read(runner, sql.as_bytes(), None).await,
            Source::Stdin => {
                let input = BufReader::new(tokio::io::stdin());
                read(runner, input, Some("standard input")).await
            }
            Source::File(path) => {
                let name = path.display().to_string();
                match tokio::fs::File::open(path).await {
                    Ok(file) => read(runner, BufReader::new(file), Some(&name)).await,
                    Err(error) => {
                        runner
                            .complain(&format!("cannot read '{name}': {error}"))
                            .await;
                        Some(EXIT_USAGE)
                    }
                }
            }
        };
        if let Some(code) = code {
            return code;
        }
    }
    EXIT_OK
}

/// Runs a script as it is read, so that the first statement does not wait for the last. Returns the
/// exit code where the script ended everything.
async fn read(
    runner: &mut Runner,
    mut input: impl AsyncBufRead + Unpin,
    name: Option<&str>,
) -> Option<i32> {
    let mut splitter = Splitter::default();
    let mut line = Vec::new();
    let mut number = 0_u64;
    loop {
        number += 1;
        let text = match next_line(&mut input, &mut line).await {
            Ok(None) => break,
            Ok(Some(text)) => text,
            Err(reason) => {
                let place =
                    name.map_or_else(|| "the script".to_owned(), |name| format!("'{name}'"));
                runner
                    .complain(&format!("cannot read {place}, line {number}: {reason}"))
                    .await;
                return Some(EXIT_USAGE);
            }
        };
        let text = if number == 1 {
            text.trim_start_matches('\u{feff}')
        } else {
            text
        };
        if splitter.open().is_none() && command::is_command(text) {
            // The splitter counts the line and takes nothing from it.
            splitter.push("\n");
            if let Some(code) = run_command(runner, text, name, number).await {
                return Some(code);
            }
            continue;
        }
        splitter.push(text);
        while let Some(statement) = splitter.next_statement() {
            if let Some(code) = run_statement(runner, &statement, name).await {
                return Some(code);
            }
        }
        if splitter.pending_bytes() > STATEMENT_BYTES_MAX {
            let limit = STATEMENT_BYTES_MAX >> 20;
            runner
                .complain(&format!("a statement is longer than {limit} MiB"))
                .await;
            return Some(EXIT_ERROR);
        }
    }
    if splitter.open() == Some(Open::Comment) && splitter.pending_bytes() == 0 {
        runner.complain("the script ends within a comment").await;
        return Some(EXIT_ERROR);
    }
    for statement in splitter.finish() {
        if let Some(code) = run_statement(runner, &statement, name).await {
            return Some(code);
        }
    }
    None
}

async fn run_statement(
    runner: &mut Runner,
    statement: &Statement,
    file: Option<&str>,
) -> Option<i32> {
    runner.run(Origin { file, statement }).await.ends_script()
}

async fn run_command(
    runner: &mut Runner,
    line: &str,
    file: Option<&str>,
    number: u64,
) -> Option<i32> {
    match command::parse(line) {
        Ok(Command::Quit) => Some(EXIT_OK),
        Ok(Command::Sql(text)) => {
            let start = skep_protocol::Position {
                line: number,
                column: 1,
            };
            let statement = Statement {
                text,
                start,
                complete: true,
            };
            run_statement(runner, &statement, file).await
        }
        Ok(Command::Help) => {
            runner.say(&command::help()).await;
            None
        }
        Ok(Command::Timing(timing)) => {
            runner.screen.timing = timing.unwrap_or(!runner.screen.timing);
            None
        }
        Ok(Command::Format(format)) => {
            runner.screen.format = format.unwrap_or(runner.screen.format);
            None
        }
        Err(message) => {
            let place = file.unwrap_or("line");
            runner
                .complain(&format!("{message} (at {place}:{number})"))
                .await;
            Some(EXIT_ERROR)
        }
    }
}

/// The next line with its line end, or `None` after the last. The error is a message for the user.
async fn next_line<'a>(
    input: &mut (impl AsyncBufRead + Unpin),
    line: &'a mut Vec<u8>,
) -> Result<Option<&'a str>, String> {
    line.clear();
    let limit = STATEMENT_BYTES_MAX as u64 + 1;
    let read = input.take(limit).read_until(b'\n', line).await;
    match read.map_err(|error: io::Error| error.to_string())? {
        0 => Ok(None),
        length if length > STATEMENT_BYTES_MAX => Err(format!(
            "the line is longer than {} MiB",
            STATEMENT_BYTES_MAX >> 20
        )),
        _ => match std::str::from_utf8(line) {
            Ok(text) => Ok(Some(text)),
            Err(error) => Err(format!(
                "it is not UTF-8 text, at byte {}",
                error.valid_up_to() + 1
            )),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{EXIT_CANCELLED, EXIT_CONNECTION};
    use crate::test_support::{Scripted, Shell, failure, numbers, one_row};
    use skep_client::ClientError;
    use skep_protocol::{ErrorCode, Position, QueryError};
    use std::io::Write;

    async fn run_sql(shell: &mut Shell, script: &str) -> i32 {
        run(&mut shell.runner, &[Source::Sql(script.to_owned())]).await
    }

    fn file(content: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        file
    }

    #[tokio::test]
    async fn statements_run_in_order_and_results_are_csv_in_a_pipe() {
        let mut shell = Shell::new();
        shell.runner.connect().await.unwrap();
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
        let mut shell = Shell::new();
        shell.runner.connect().await.unwrap();
        let error = QueryError::new(ErrorCode::ColumnNotFound, "column 'x' not found")
            .at(Some(Position { line: 2, column: 3 }));
        shell.answer("select\n  x", Scripted::Fails(ClientError::Query(error)));
        let script = file(b"\xef\xbb\xbf-- title\n\nselect\n  x;\nselect 2;\n");
        let path = script.path().to_owned();
        let sources = [
            Source::File(path.clone()),
            Source::Sql("select 3".to_owned()),
        ];
        assert_eq!(run(&mut shell.runner, &sources).await, EXIT_ERROR);
        assert_eq!(shell.statements(), ["select\n  x"]);
        let expected = format!(
            "error: column 'x' not found\n  at {}:4:3\n  4 |   x\n    |   ^\n",
            path.display()
        );
        assert_eq!(shell.err(), expected);
    }

    #[tokio::test]
    async fn an_error_in_mid_result_is_an_error() {
        let mut shell = Shell::new();
        shell.runner.connect().await.unwrap();
        shell.answer(
            "select",
            Scripted::Rows(vec![numbers([1])], Some(failure("it broke"))),
        );
        assert_eq!(run_sql(&mut shell, "select").await, EXIT_ERROR);
        assert_eq!(shell.err(), "error: it broke\n");
    }

    #[tokio::test]
    async fn exit_codes_tell_connection_from_sql_from_usage() {
        let mut shell = Shell::new();
        shell.runner.connect().await.unwrap();
        let source = QueryError::new(ErrorCode::Unauthenticated, "the session has expired");
        shell.answer("select", Scripted::Fails(ClientError::Login(source)));
        assert_eq!(run_sql(&mut shell, "select").await, EXIT_CONNECTION);
        let missing = Source::File("/nowhere/at/all.sql".into());
        assert_eq!(run(&mut shell.runner, &[missing]).await, EXIT_USAGE);
        assert!(
            shell.err().contains("cannot read '/nowhere/at/all.sql'"),
            "{}",
            shell.err()
        );
    }

    #[tokio::test]
    async fn a_file_that_is_not_text_is_refused_with_the_line() {
        let mut shell = Shell::new();
        shell.runner.connect().await.unwrap();
        shell.answer("select 1", one_row());
        let script = file(b"select 1;\nselect '\xff';\n");
        let source = Source::File(script.path().to_owned());
        assert_eq!(run(&mut shell.runner, &[source]).await, EXIT_USAGE);
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
        let mut shell = Shell::new();
        shell.runner.connect().await.unwrap();
        shell.answer("select 1", one_row());
        let script = file(b"\\format json\nselect 1;\n\\nonsense\nselect 2;\n");
        let source = Source::File(script.path().to_owned());
        assert_eq!(run(&mut shell.runner, &[source]).await, EXIT_ERROR);
        assert_eq!(shell.out(), "[\n{\"n\":1}\n]\n");
        assert!(
            shell.err().contains("unknown command \\nonsense"),
            "{}",
            shell.err()
        );
        assert!(shell.err().trim_end().ends_with(":3)"), "{}", shell.err());
        assert_eq!(run_sql(&mut shell, "\\q\nselect 1").await, EXIT_OK);
        assert_eq!(shell.statements(), ["select 1"]);
    }

    #[tokio::test]
    async fn an_unfinished_comment_is_an_error() {
        let mut shell = Shell::new();
        assert_eq!(run_sql(&mut shell, "/* select 1;").await, EXIT_ERROR);
        assert!(shell.statements().is_empty());
    }

    #[tokio::test]
    async fn a_closed_pipe_ends_quietly_and_a_full_disk_does_not() {
        for (kind, code) in [
            (io::ErrorKind::BrokenPipe, EXIT_OK),
            (io::ErrorKind::StorageFull, EXIT_ERROR),
        ] {
            let mut shell = Shell::with_broken_output(kind);
            shell.runner.connect().await.unwrap();
            shell.answer("select 1", one_row());
            assert_eq!(run_sql(&mut shell, "select 1; select 2").await, code);
            assert_eq!(shell.statements(), ["select 1"]);
            assert_eq!(shell.err().is_empty(), code == EXIT_OK, "{}", shell.err());
        }
    }

    #[tokio::test]
    async fn ctrl_c_cancels_and_ends_a_script() {
        let mut shell = Shell::new();
        shell.runner.connect().await.unwrap();
        shell.answer("slow", Scripted::HangsAfter(numbers([1])));
        let interrupt = shell.interrupt_when(|out, _| out.contains("1\n"));
        let (code, ()) = tokio::join!(run_sql(&mut shell, "slow; select 1"), interrupt);
        assert_eq!(code, EXIT_CANCELLED);
        assert_eq!(shell.cancelled(), ["q1"]);
        assert_eq!(shell.err(), "query q1 cancelled\n");
        assert_eq!(shell.statements(), ["slow"]);
    }
}
