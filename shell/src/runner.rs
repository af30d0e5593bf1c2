//! One statement at a time: send it, show its result as it arrives, and let Ctrl-C cancel it at every
//! point, the wait for a slow terminal included.

use crate::format::{self, Format, FormatError};
use crate::interrupt::Interrupts;
use crate::options::{EXIT_CANCELLED, EXIT_ERROR, EXIT_OK};
use crate::report::{self, Origin};
use crate::session::{Connector, Session};
use arrow::record_batch::RecordBatch;
use skep_client::{ClientError, StatementResult};
use std::io;
use std::time::{Duration, Instant};
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// How long the server may take to confirm a cancellation, or the end of the session.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(2);

/// How many rows are turned into text in one go, so that formatting never holds a runtime thread for
/// long.
const SLICE_ROWS: usize = 256;

/// How much text is gathered before it is written: a write to standard output is a hop to another
/// thread, which a few rows are not worth.
const WRITE_BYTES: usize = 64 << 10;

/// Where everything is written, and how.
pub(crate) struct Screen {
    /// Results.
    pub out: Box<dyn AsyncWrite + Send + Unpin>,
    /// Errors and remarks.
    pub err: Box<dyn AsyncWrite + Send + Unpin>,
    /// Whether results go to a terminal.
    pub out_is_terminal: bool,
    /// Whether errors are coloured.
    pub color: bool,
    /// How results look.
    pub format: Format,
    /// Whether the line below a result says how long it took.
    pub timing: bool,
}

/// What came of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It ran.
    Done,
    /// It failed and was reported; a script ends with this code.
    Failed(i32),
    /// Ctrl-C cancelled it.
    Cancelled,
    /// Ctrl-C came again while it was being cancelled: leave.
    Abandoned,
    /// Nobody reads the results any more: leave quietly.
    OutputClosed,
}

impl Outcome {
    /// The exit code of a script that this ends; `None` where the script goes on.
    pub(crate) fn ends_script(self) -> Option<i32> {
        match self {
            Self::Done => None,
            Self::Failed(code) => Some(code),
            Self::Cancelled | Self::Abandoned => Some(EXIT_CANCELLED),
            Self::OutputClosed => Some(EXIT_OK),
        }
    }
}

/// Why a result could not be shown to its end.
enum Trouble {
    Client(ClientError),
    Format(FormatError),
    Output(io::Error),
    Interrupted,
}

/// Runs statements in a session and shows what comes of them.
pub(crate) struct Runner {
    connector: Box<dyn Connector>,
    session: Option<Box<dyn Session>>,
    interrupts: Interrupts,
    /// Where results go; the loop around may change the format.
    pub screen: Screen,
}

impl Runner {
    pub(crate) fn new(
        connector: Box<dyn Connector>,
        screen: Screen,
        interrupts: Interrupts,
    ) -> Self {
        Self {
            connector,
            session: None,
            interrupts,
            screen,
        }
    }

    /// Opens the session, so that a wrong address or password shows before any statement.
    pub(crate) async fn connect(&mut self) -> Result<(), ClientError> {
        self.session = Some(self.connector.connect().await?);
        Ok(())
    }

    /// Ends the session; what is written last is written before.
    pub(crate) async fn close(&mut self) {
        // Nobody is left to tell when the streams are closed or the server has gone.
        let _ = self.screen.out.flush().await;
        let _ = self.screen.err.flush().await;
        if let Some(session) = self.session.take() {
            let _ = tokio::time::timeout(FAREWELL_TIMEOUT, session.close()).await;
        }
    }

    /// Runs one statement and shows its result or its error.
    pub(crate) async fn run(&mut self, origin: Origin<'_>) -> Outcome {
        self.interrupts.forget();
        let started = Instant::now();
        let sql = origin.statement.text.as_str();
        let executed = match self.session().await {
            Ok(()) => self.execute(sql).await,
            Err(error) => Err(Trouble::Client(error)),
        };
        let mut result = match executed {
            Ok(result) => result,
            Err(trouble) => return self.ended_by(trouble, None, origin).await,
        };
        let shown = match self.show(&mut result).await {
            Ok(rows) => self.remark_on(&result, rows, started.elapsed()).await,
            Err(trouble) => Err(trouble),
        };
        match shown {
            Ok(()) => Outcome::Done,
            Err(trouble) => self.ended_by(trouble, Some(result), origin).await,
        }
    }

    /// Shows an error.
    pub(crate) async fn report(&mut self, error: &ClientError, origin: Option<Origin<'_>>) {
        self.say(&report::render(error, origin, self.screen.color))
            .await;
    }

    /// Shows an error that is the shell's own.
    pub(crate) async fn complain(&mut self, message: &str) {
        self.say(&report::headline(message, self.screen.color))
            .await;
    }

    /// Writes a remark to standard error, where it is in nobody's way.
    pub(crate) async fn say(&mut self, text: &str) {
        // There is no third stream to say on that the second is closed.
        let _ = self.screen.err.write_all(text.as_bytes()).await;
        let _ = self.screen.err.flush().await;
    }

    /// Opens another session where the last one was lost.
    async fn session(&mut self) -> Result<(), ClientError> {
        if self.session.is_none() {
            self.connect().await?;
            let address = self.connector.address().to_owned();
            self.say(&format!(
                "connected to {address} again: settings of the session are lost\n"
            ))
            .await;
        }
        Ok(())
    }

    async fn execute(&mut self, sql: &str) -> Result<StatementResult, Trouble> {
        let Some(session) = &mut self.session else {
            return Err(Trouble::Client(ClientError::Protocol(
                "no session is open".to_owned(),
            )));
        };
        tokio::select! {
            executed = session.execute(sql) => executed.map_err(Trouble::Client),
            () = self.interrupts.next() => Err(Trouble::Interrupted),
        }
    }

    /// Writes the rows and says how many there were.
    async fn show(&mut self, result: &mut StatementResult) -> Result<u64, Trouble> {
        if !result.returns_rows() {
            return Ok(0);
        }
        let schema = result.schema.clone();
        let mut writer = format::writer(self.screen.format, schema, self.screen.out_is_terminal);
        let mut out = Vec::new();
        let mut rows = 0;
        while let Some(batch) = self.next_batch(result).await? {
            rows += batch.num_rows() as u64;
            for start in (0..batch.num_rows()).step_by(SLICE_ROWS) {
                let length = SLICE_ROWS.min(batch.num_rows() - start);
                let slice = batch.slice(start, length);
                writer.rows(&slice, &mut out).map_err(Trouble::Format)?;
                if out.len() >= WRITE_BYTES {
                    self.write(&mut out).await?;
                }
                tokio::task::yield_now().await;
            }
            // What has arrived is shown, even if the next batch takes long.
            self.write(&mut out).await?;
        }
        writer.end(&mut out).map_err(Trouble::Format)?;
        self.write(&mut out).await?;
        Ok(rows)
    }

    async fn next_batch(
        &mut self,
        result: &mut StatementResult,
    ) -> Result<Option<RecordBatch>, Trouble> {
        tokio::select! {
            batch = result.next_batch() => batch.map_err(Trouble::Client),
            () = self.interrupts.next() => Err(Trouble::Interrupted),
        }
    }

    /// Writes what has been formatted and empties it.
    async fn write(&mut self, text: &mut Vec<u8>) -> Result<(), Trouble> {
        if text.is_empty() {
            return Ok(());
        }
        let out = &mut self.screen.out;
        let written = async {
            out.write_all(text).await?;
            out.flush().await
        };
        let written = tokio::select! {
            written = written => written.map_err(Trouble::Output),
            () = self.interrupts.next() => Err(Trouble::Interrupted),
        };
        text.clear();
        written
    }

    /// The line below a result, for people at a terminal.
    async fn remark_on(
        &mut self,
        result: &StatementResult,
        rows: u64,
        elapsed: Duration,
    ) -> Result<(), Trouble> {
        if !self.screen.out_is_terminal {
            return Ok(());
        }
        let timing = self
            .screen
            .timing
            .then(|| format!("{:.3} s", elapsed.as_secs_f64()));
        let what = match (result.returns_rows(), result.affected_rows) {
            (true, _) if self.screen.format.is_for_people() => count_of_rows(rows),
            (true, _) => return Ok(()),
            (false, Some(rows)) => {
                format!(
                    "{} affected",
                    count_of_rows(u64::try_from(rows).unwrap_or(0))
                )
            }
            (false, None) => "ok".to_owned(),
        };
        let remark = match timing {
            Some(timing) => format!("({what}, {timing})\n\n"),
            None => format!("({what})\n\n"),
        };
        self.write(&mut remark.into_bytes()).await
    }

    async fn ended_by(
        &mut self,
        trouble: Trouble,
        result: Option<StatementResult>,
        origin: Origin<'_>,
    ) -> Outcome {
        match trouble {
            Trouble::Interrupted => self.cancel(result).await,
            Trouble::Client(error) => {
                self.report(&error, Some(origin)).await;
                if error.ends_session() {
                    self.session = None;
                }
                Outcome::Failed(error.exit_code())
            }
            Trouble::Format(error) => {
                self.complain(&error.to_string()).await;
                Outcome::Failed(EXIT_ERROR)
            }
            Trouble::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                Outcome::OutputClosed
            }
            Trouble::Output(error) => {
                self.complain(&format!("cannot write the result: {error}"))
                    .await;
                Outcome::Failed(EXIT_ERROR)
            }
        }
    }

    /// Cancels what runs. A statement that has returned no result yet was cancelled by dropping its
    /// call; a result is cancelled by name, so that the server has confirmed it before the prompt is
    /// back, and by being dropped.
    async fn cancel(&mut self, result: Option<StatementResult>) -> Outcome {
        let query_id = result.as_ref().and_then(|result| result.query_id.clone());
        let (Some(query_id), Some(session)) = (query_id, &mut self.session) else {
            drop(result);
            self.say_cancelled("cancelled\n").await;
            return Outcome::Cancelled;
        };
        let confirmed = tokio::select! {
            confirmed = tokio::time::timeout(FAREWELL_TIMEOUT, session.cancel(&query_id)) => {
                confirmed
            }
            () = self.interrupts.next() => return Outcome::Abandoned,
        };
        drop(result);
        let remark = match confirmed {
            Ok(Ok(true)) => format!("query {query_id} cancelled\n"),
            Ok(Ok(false)) => format!("query {query_id} had ended already\n"),
            Ok(Err(error)) => format!("query {query_id} cancelled without confirmation: {error}\n"),
            Err(_) => format!("query {query_id} cancelled; the server has not confirmed it\n"),
        };
        self.say_cancelled(&remark).await;
        Outcome::Cancelled
    }

    /// A terminal has shown the keys as `^C`, which the remark should not follow on the same line.
    async fn say_cancelled(&mut self, remark: &str) {
        let line_end = if self.screen.out_is_terminal {
            "\n"
        } else {
            ""
        };
        self.say(&format!("{line_end}{remark}")).await;
    }
}

fn count_of_rows(rows: u64) -> String {
    if rows == 1 {
        "1 row".to_owned()
    } else {
        format!("{rows} rows")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{Scripted, Shell, failure, numbers, one_row};
    use skep_client::{Statement, split};
    use skep_protocol::{ErrorCode, QueryError};

    fn statement(sql: &str) -> Statement {
        split(sql).remove(0)
    }

    async fn run(shell: &mut Shell, sql: &str) -> Outcome {
        let statement = statement(sql);
        shell
            .runner
            .run(Origin {
                file: None,
                statement: &statement,
            })
            .await
    }

    #[tokio::test]
    async fn people_at_a_terminal_see_a_table_and_a_count() {
        let mut shell = Shell::at_terminal();
        shell.runner.connect().await.unwrap();
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
        let mut shell = Shell::at_terminal();
        shell.runner.connect().await.unwrap();
        shell.runner.screen.timing = true;
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
        let mut shell = Shell::new();
        shell.runner.connect().await.unwrap();
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
    async fn an_old_ctrl_c_does_not_cancel_the_next_statement() {
        let mut shell = Shell::new();
        shell.runner.connect().await.unwrap();
        shell.interrupt_when(|_, _| true).await;
        shell.answer("select", one_row());
        assert_eq!(run(&mut shell, "select").await, Outcome::Done);
    }

    #[tokio::test]
    async fn a_lost_session_is_opened_again_for_the_next_statement() {
        let mut shell = Shell::new();
        shell.runner.connect().await.unwrap();
        let expired = QueryError::new(ErrorCode::Unauthenticated, "the session has expired");
        shell.answer("select 1", Scripted::Fails(ClientError::Login(expired)));
        shell.answer("select 2", one_row());
        assert_eq!(run(&mut shell, "select 1").await, Outcome::Failed(2));
        assert_eq!(run(&mut shell, "select 2").await, Outcome::Done);
        assert_eq!(shell.connections(), 2);
        assert!(
            shell
                .err()
                .contains("connected to flight://test:8090 again"),
            "{}",
            shell.err()
        );
    }

    #[tokio::test]
    async fn an_error_of_sql_keeps_the_session() {
        let mut shell = Shell::new();
        shell.runner.connect().await.unwrap();
        shell.answer("select 1", Scripted::Fails(failure("no")));
        shell.answer("select 2", one_row());
        assert_eq!(run(&mut shell, "select 1").await, Outcome::Failed(1));
        assert_eq!(run(&mut shell, "select 2").await, Outcome::Done);
        assert_eq!(shell.connections(), 1);
    }
}
