//! One statement at a time: send it, show its result as it arrives, and let Ctrl-C cancel it at every
//! point, the wait for a slow terminal included.

mod context;
mod ending;
#[cfg(test)]
mod tests;

use crate::chart;
use crate::format::{self, Format, FormatError, ResultWriter, Target};
use crate::interrupt::Interrupts;
use crate::keyboard::Keyboard;
use crate::output::{Output, OutputError};
use crate::progress::{Pace, ProgressLine};
use crate::report::{self, Origin, Style};
use crate::session::{Aside, Connector, Session};
use crate::settings::Settings;
use crate::terminal::Terminal;
use arrow::record_batch::RecordBatch;
use context::SessionContext;
use skep_client::{ClientError, StatementResult};
use skep_sql::Dialect;
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
    pub output: Output,
    /// Errors and remarks.
    pub err: Box<dyn AsyncWrite + Send + Unpin>,
    /// Whether results go to a terminal, unless they go to a file.
    pub out_is_terminal: bool,
    /// Whether errors and remarks go to one.
    pub err_is_terminal: bool,
    /// Whether colour may be used on terminals.
    pub color: bool,
    /// The terminal.
    pub terminal: Terminal,
    /// Its keys, between two lines that are edited.
    pub keyboard: Keyboard,
    /// The pager, where there is a user to leaf through it.
    pub pager: Option<String>,
    /// Whether remarks about results are unwanted.
    pub quiet: bool,
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

/// Why a result could not be shown to its end.
enum Trouble {
    Client(ClientError),
    Format(FormatError),
    Output(OutputError),
    /// A message for the user.
    Refused(String),
    Interrupted,
}

/// What is asked of the runner.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    /// The statement as it was written, and where.
    pub origin: Origin<'a>,
    /// What is sent.
    pub sql: &'a str,
    /// The values of its parameters.
    pub parameters: &'a [Option<String>],
    /// Of its result only these columns are shown; all, where there are none.
    pub columns: &'a [&'a str],
    /// The format of this one result.
    pub format: Option<Format>,
}

/// What is remembered of the last result.
#[derive(Default)]
pub(crate) struct LastResult {
    /// The query, for `\profile`.
    pub query_id: Option<String>,
    /// Its rows, where they are few and have two columns, for `\chart`.
    pub batches: Vec<RecordBatch>,
}

/// Runs statements in a session and shows what comes of them.
pub(crate) struct Runner {
    connector: Box<dyn Connector>,
    session: Option<Box<dyn Session>>,
    aside: Option<Box<dyn Aside>>,
    /// How many sessions there have been.
    sessions: u64,
    context: SessionContext,
    pace: Pace,
    /// Ctrl-C.
    pub interrupts: Interrupts,
    /// Where results go.
    pub screen: Screen,
    /// How they look.
    pub settings: Settings,
    /// What is remembered of the last one.
    pub last: LastResult,
}

impl Runner {
    pub(crate) fn new(
        connector: Box<dyn Connector>,
        screen: Screen,
        settings: Settings,
        interrupts: Interrupts,
    ) -> Self {
        Self {
            connector,
            session: None,
            aside: None,
            sessions: 0,
            context: SessionContext::default(),
            pace: Pace::start(),
            interrupts,
            screen,
            settings,
            last: LastResult::default(),
        }
    }

    /// Opens the session, so that a wrong address or password shows before any statement; false where
    /// Ctrl-C came first.
    pub(crate) async fn connect(&mut self) -> Result<bool, ClientError> {
        let session = tokio::select! {
            session = self.connector.connect() => session?,
            () = self.interrupts.next() => return Ok(false),
        };
        self.sessions += 1;
        self.aside = session.aside();
        self.session = Some(session);
        Ok(true)
    }

    /// Opens a session with another server and keeps the one that there is where that fails, or where
    /// Ctrl-C comes first: then it is false.
    pub(crate) async fn switch(
        &mut self,
        connector: Box<dyn Connector>,
    ) -> Result<bool, ClientError> {
        let session = tokio::select! {
            session = connector.connect() => session?,
            () = self.interrupts.next() => return Ok(false),
        };
        if let Some(before) = self.session.take() {
            let _ = tokio::time::timeout(FAREWELL_TIMEOUT, before.close()).await;
        }
        self.sessions += 1;
        self.aside = session.aside();
        self.session = Some(session);
        self.connector = connector;
        self.context = SessionContext::default();
        self.last = LastResult::default();
        Ok(true)
    }

    /// Who talks to whom.
    pub(crate) fn connector(&self) -> &dyn Connector {
        self.connector.as_ref()
    }

    /// The dialect that the session reads.
    pub(crate) fn dialect(&self) -> Dialect {
        self.context.dialect
    }

    /// The database in which names are looked up.
    pub(crate) fn database(&self) -> &str {
        &self.context.database
    }

    /// A second line to the session, and the session's number.
    pub(crate) fn aside(&self) -> Option<(u64, Box<dyn Aside>)> {
        let aside = self.session.as_ref()?.aside()?;
        Some((self.sessions, aside))
    }

    /// Ends the session; what is written last is written before.
    pub(crate) async fn close(&mut self) {
        // Nobody is left to tell when the streams are closed or the server has gone.
        if let Err(error) = self.screen.output.redirect(None).await {
            self.output_failed(error).await;
        }
        self.screen.output.flush().await;
        let _ = self.screen.err.flush().await;
        if let Some(session) = self.session.take() {
            let _ = tokio::time::timeout(FAREWELL_TIMEOUT, session.close()).await;
        }
    }

    /// Runs one statement and shows its result or its error.
    pub(crate) async fn run(&mut self, request: Request<'_>) -> Outcome {
        let started = Instant::now();
        self.pace = Pace::start();
        let executed = match self.session().await {
            Ok(()) => self.execute(request).await,
            Err(trouble) => Err(trouble),
        };
        let mut result = match executed {
            Ok(result) => result,
            Err(trouble) => {
                self.clear_progress().await;
                return self.ended_by(trouble, None, request).await;
            }
        };
        if result.query_id.is_some() && has_profile(request.sql, self.context.dialect) {
            self.last.query_id.clone_from(&result.query_id);
        }
        let mut shown = self.show(&mut result, request).await;
        // Leafing through the pager is the user's time and not the statement's.
        let elapsed = started.elapsed();
        self.clear_progress().await;
        let mut result = Some(result);
        if shown.is_err() && self.screen.output.is_paging() {
            // The query ends now, and not when the user has had enough of its rows.
            result = None;
        }
        let ended = self.screen.output.end().await;
        if shown.is_ok() {
            shown = shown.and_then(|rows| ended.map_err(Trouble::Output).map(|()| rows));
        }
        let shown = match (shown, &result) {
            (Ok(rows), Some(result)) => {
                self.remark_on_attempts(result, elapsed).await;
                self.remark_on(result, rows, elapsed).await
            }
            (Ok(_), None) => Ok(()),
            (Err(trouble), _) => Err(trouble),
        };
        match shown {
            Ok(()) => {
                self.context.has_run(request.sql);
                Outcome::Done
            }
            Err(trouble) => self.ended_by(trouble, result, request).await,
        }
    }

    /// Shows an error.
    pub(crate) async fn report(&mut self, error: &ClientError, origin: Option<Origin<'_>>) {
        let style = Style {
            color: self.colored_errors(),
            columns: self.screen.terminal.columns(),
        };
        let text = report::render(error, origin, style);
        self.say(&text).await;
    }

    /// Shows an error that is the shell's own.
    pub(crate) async fn complain(&mut self, message: &str) {
        let text = report::headline(message, self.colored_errors());
        self.say(&text).await;
    }

    fn colored_errors(&self) -> bool {
        self.screen.color && self.screen.err_is_terminal
    }

    /// Writes a remark to standard error, where it is in nobody's way.
    pub(crate) async fn say(&mut self, text: &str) {
        // There is no third stream to say on that the second is closed.
        let _ = self.screen.err.write_all(text.as_bytes()).await;
        let _ = self.screen.err.flush().await;
    }

    /// Opens another session where the last one was lost, as far as possible as that was.
    async fn session(&mut self) -> Result<(), Trouble> {
        if self.interrupts.has_arrived() {
            self.interrupts.forget();
            return Err(Trouble::Interrupted);
        }
        if self.session.is_some() {
            return Ok(());
        }
        match self.connect().await {
            Ok(true) => {}
            Ok(false) => return Err(Trouble::Interrupted),
            Err(error) => return Err(Trouble::Client(error)),
        }
        let address = self.connector.address().to_owned();
        let mut lost = Vec::new();
        if let Some(session) = &mut self.session {
            for statement in self.context.statements() {
                if session.execute(&statement, &[]).await.is_err() {
                    lost.push(statement);
                }
            }
        }
        let remark = match lost.is_empty() {
            true => format!("connected to {address} again\n"),
            false => format!(
                "connected to {address} again, but without {}\n",
                lost.join("; ")
            ),
        };
        self.say(&remark).await;
        Ok(())
    }

    async fn execute(&mut self, request: Request<'_>) -> Result<StatementResult, Trouble> {
        let wants_progress = self.wants_progress();
        let columns = self.screen.terminal.columns();
        let Some(session) = &mut self.session else {
            return Err(Trouble::Client(ClientError::Protocol(
                "no session is open".to_owned(),
            )));
        };
        let aside = self.aside.as_mut().filter(|_| wants_progress);
        let mut line = ProgressLine::new(&mut self.screen.err, aside, columns, &mut self.pace);
        let executing = session.execute(request.sql, request.parameters);
        watched(executing, &mut self.interrupts, &mut line).await
    }

    /// Whether a line of progress is in nobody's way.
    fn wants_progress(&self) -> bool {
        self.settings.progress
            && !self.pace.has_output
            && !self.screen.quiet
            && self.screen.err_is_terminal
            && self.screen.out_is_terminal
            && !self.screen.terminal.is_dumb()
    }

    /// The format of the next result, and how it depends on where that goes.
    fn form(&self, request: Request<'_>) -> (Format, Target) {
        let to_file = self.screen.output.is_file();
        let is_terminal = self.screen.out_is_terminal && !to_file;
        let chosen = request.format.or_else(|| {
            let asked = self.screen.output.file_format();
            asked.or(self.settings.format)
        });
        let usual = match is_terminal {
            true => Format::Table,
            false => Format::Csv,
        };
        let target = Target {
            is_terminal,
            columns: is_terminal.then(|| self.screen.terminal.columns()),
            color: is_terminal && self.screen.color,
        };
        (chosen.unwrap_or(usual), target)
    }

    /// Writes the rows and says how many there were.
    async fn show(
        &mut self,
        result: &mut StatementResult,
        request: Request<'_>,
    ) -> Result<u64, Trouble> {
        if !result.returns_rows() {
            return Ok(0);
        }
        let (format, target) = self.form(request);
        if format.is_binary() && target.is_terminal {
            return Err(Trouble::Refused(format!(
                "{format} is not text for a terminal: choose a file with \\o, or \\format table"
            )));
        }
        self.screen.output.begin(format).map_err(Trouble::Refused)?;
        if let Some(pager) = self.screen.pager.as_ref().filter(|_| self.settings.pager)
            && target.is_terminal
        {
            let lines_max = self.screen.terminal.rows().saturating_sub(3);
            self.screen.output.page(pager, lines_max);
        }
        let shown = projection(result, request.columns);
        let schema = match &shown {
            None => result.schema.clone(),
            Some(shown) => std::sync::Arc::new(
                result
                    .schema
                    .project(shown)
                    .map_err(|error| Trouble::Client(ClientError::Protocol(error.to_string())))?,
            ),
        };
        let mut writer = format::writer(format, &schema, &self.settings.look, target)
            .map_err(Trouble::Format)?;
        self.last.batches.clear();
        let mut out = Vec::new();
        let mut rows = 0;
        while let Some(batch) = self.next_batch(result).await? {
            let batch = match &shown {
                None => batch,
                Some(shown) => batch
                    .project(shown)
                    .map_err(|error| Trouble::Client(ClientError::Protocol(error.to_string())))?,
            };
            rows += batch.num_rows() as u64;
            self.remember(&batch, rows);
            self.write_batch(&batch, writer.as_mut(), &mut out).await?;
        }
        writer.end(&mut out).map_err(Trouble::Format)?;
        self.write(&mut out).await?;
        Ok(rows)
    }

    /// Keeps the rows for a chart, as long as they are few.
    fn remember(&mut self, batch: &RecordBatch, rows: u64) {
        if batch.num_columns() != 2 || rows > chart::ROWS_MAX as u64 {
            // What there was is enough to say why there is no chart of it.
            self.last.batches = vec![batch.slice(0, 0)];
        } else {
            self.last.batches.push(batch.clone());
        }
    }

    async fn write_batch(
        &mut self,
        batch: &RecordBatch,
        writer: &mut dyn ResultWriter,
        out: &mut Vec<u8>,
    ) -> Result<(), Trouble> {
        for start in (0..batch.num_rows()).step_by(SLICE_ROWS) {
            let length = SLICE_ROWS.min(batch.num_rows() - start);
            let slice = batch.slice(start, length);
            writer.rows(&slice, out).map_err(Trouble::Format)?;
            if out.len() >= WRITE_BYTES {
                self.write(out).await?;
            }
            tokio::task::yield_now().await;
        }
        // What has arrived is shown, even if the next batch takes long.
        self.write(out).await
    }

    async fn next_batch(
        &mut self,
        result: &mut StatementResult,
    ) -> Result<Option<RecordBatch>, Trouble> {
        let wants_progress = self.wants_progress();
        let columns = self.screen.terminal.columns();
        let aside = self.aside.as_mut().filter(|_| wants_progress);
        let mut line = ProgressLine::new(&mut self.screen.err, aside, columns, &mut self.pace);
        watched(result.next_batch(), &mut self.interrupts, &mut line).await
    }

    /// Removes the line of progress.
    async fn clear_progress(&mut self) {
        if let Some(clearing) = self.pace.clear() {
            self.say(clearing).await;
        }
    }

    /// Writes what has been formatted and empties it.
    async fn write(&mut self, text: &mut Vec<u8>) -> Result<(), Trouble> {
        if text.is_empty() {
            return Ok(());
        }
        if !self.screen.output.is_file() {
            self.clear_progress().await;
            self.pace.has_output = true;
        }
        let written = tokio::select! {
            written = self.screen.output.write(text) => written.map_err(Trouble::Output),
            () = self.interrupts.next() => Err(Trouble::Interrupted),
        };
        text.clear();
        written
    }
}

/// Waits for `work`, with a line of progress and an ear for Ctrl-C.
async fn watched<T>(
    work: impl Future<Output = Result<T, ClientError>>,
    interrupts: &mut Interrupts,
    line: &mut ProgressLine<'_>,
) -> Result<T, Trouble> {
    tokio::pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done.map_err(Trouble::Client),
            () = interrupts.next() => return Err(Trouble::Interrupted),
            () = line.tick() => {}
        }
    }
}

/// Whether the statement is run by a plan, of which `\profile` can tell.
fn has_profile(statement: &str, dialect: Dialect) -> bool {
    let first = skep_sql::pieces(statement, dialect)
        .into_iter()
        .find(|piece| {
            piece.kind != skep_sql::Kind::Comment && statement[piece.range.clone()] != *"("
        });
    let word = first.map_or("", |piece| &statement[piece.range]);
    ["select", "with", "values", "insert", "create", "from"]
        .iter()
        .any(|known| word.eq_ignore_ascii_case(known))
}

/// Which columns are shown, where not all are.
fn projection(result: &StatementResult, columns: &[&str]) -> Option<Vec<usize>> {
    let found = columns.iter().map(|name| result.schema.index_of(name).ok());
    let found: Vec<usize> = found.flatten().collect();
    (!found.is_empty()).then_some(found)
}
