//! A server that answers from a script, and streams that remember, for the tests of the shell.

use crate::format::Look;
use crate::interrupt::Interrupts;
use crate::keyboard::Keyboard;
use crate::options::ShellOptions;
use crate::output::Output;
use crate::runner::{Runner, Screen};
use crate::session::{Aside, Connector, Session};
use crate::settings::Settings;
use crate::shell::{Servers, Shell};
use crate::terminal::Terminal;
use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use async_trait::async_trait;
use futures::StreamExt;
use futures::stream;
use skep_client::{ClientError, StatementResult};
use skep_protocol::{ErrorCode, QueryError};
use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tokio::io::AsyncWrite;
use tokio::sync::watch;

/// What the server does with a statement.
pub(crate) enum Scripted {
    /// Rows, then perhaps an error.
    Rows(Vec<RecordBatch>, Option<ClientError>),
    /// No rows.
    Done(Option<i64>),
    /// An error.
    Fails(ClientError),
    /// Nothing, for ever.
    Hangs,
    /// One batch, and then nothing, for ever.
    HangsAfter(RecordBatch),
}

/// A column `n` of these numbers.
pub(crate) fn numbers(values: impl IntoIterator<Item = i64>) -> RecordBatch {
    let schema = Schema::new(vec![Field::new("n", DataType::Int64, false)]);
    let column = Arc::new(Int64Array::from_iter_values(values));
    RecordBatch::try_new(Arc::new(schema), vec![column]).unwrap()
}

/// A result of one row.
pub(crate) fn one_row() -> Scripted {
    Scripted::Rows(vec![numbers([1])], None)
}

/// An error of the server.
pub(crate) fn failure(message: &str) -> ClientError {
    ClientError::Query(QueryError::new(ErrorCode::Semantic, message))
}

#[derive(Default)]
struct Server {
    script: HashMap<String, Scripted>,
    statements: Vec<String>,
    cancelled: Vec<String>,
    connections: u32,
}

struct FakeSession(Arc<Mutex<Server>>);

#[async_trait]
impl Session for FakeSession {
    async fn execute(
        &mut self,
        sql: &str,
        parameters: &[Option<String>],
    ) -> Result<StatementResult, ClientError> {
        let values = parameters.iter().flatten();
        let sql = values.fold(sql.to_owned(), |sql, value| format!("{sql} <{value}>"));
        let sql = sql.as_str();
        let scripted = {
            let mut server = self.0.lock().unwrap();
            server.statements.push(sql.to_owned());
            server.script.remove(sql)
        };
        let id = Some("q1".to_owned());
        let (batches, hangs) = match scripted {
            None => return Err(failure(&format!("no answer to '{sql}'"))),
            Some(Scripted::Fails(error)) => return Err(error),
            Some(Scripted::Hangs) => return std::future::pending().await,
            Some(Scripted::Done(affected)) => {
                let schema = Arc::new(Schema::empty());
                return Ok(StatementResult::new(id, affected, schema, None));
            }
            Some(Scripted::Rows(batches, error)) => {
                let batches = batches.into_iter().map(Ok).chain(error.map(Err));
                (batches.collect::<Vec<_>>(), false)
            }
            Some(Scripted::HangsAfter(batch)) => (vec![Ok(batch)], true),
        };
        let rows = stream::iter(batches);
        let rows = if hangs {
            rows.chain(stream::pending()).boxed()
        } else {
            rows.boxed()
        };
        Ok(StatementResult::new(
            id,
            None,
            numbers([]).schema(),
            Some(rows),
        ))
    }

    async fn cancel(&mut self, query_id: &str) -> Result<bool, ClientError> {
        self.0.lock().unwrap().cancelled.push(query_id.to_owned());
        Ok(true)
    }

    fn aside(&self) -> Option<Box<dyn Aside>> {
        None
    }

    async fn close(self: Box<Self>) -> Result<(), ClientError> {
        Ok(())
    }
}

struct FakeConnector(Arc<Mutex<Server>>);

#[async_trait]
impl Connector for FakeConnector {
    async fn connect(&self) -> Result<Box<dyn Session>, ClientError> {
        self.0.lock().unwrap().connections += 1;
        Ok(Box::new(FakeSession(Arc::clone(&self.0))))
    }

    fn address(&self) -> &str {
        "flight://test:8090"
    }

    fn user(&self) -> &str {
        "ann"
    }
}

/// A stream that remembers what was written, or refuses it.
#[derive(Clone, Default)]
struct Paper {
    written: Arc<Mutex<Vec<u8>>>,
    refuses: Option<io::ErrorKind>,
}

impl Paper {
    fn text(&self) -> String {
        String::from_utf8(self.written.lock().unwrap().clone()).unwrap()
    }
}

impl AsyncWrite for Paper {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(kind) = self.refuses {
            return Poll::Ready(Err(kind.into()));
        }
        self.written.lock().unwrap().extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A shell and everything around it.
pub(crate) struct Harness {
    pub shell: Shell,
    server: Arc<Mutex<Server>>,
    out: Paper,
    err: Paper,
    interrupts: watch::Sender<u64>,
}

impl Harness {
    /// One whose results go to a pipe.
    pub(crate) fn new() -> Self {
        Self::of(false, Paper::default())
    }

    /// One whose results go to a terminal.
    pub(crate) fn at_terminal() -> Self {
        Self::of(true, Paper::default())
    }

    /// One whose standard output fails.
    pub(crate) fn with_broken_output(kind: io::ErrorKind) -> Self {
        Self::of(
            false,
            Paper {
                refuses: Some(kind),
                ..Paper::default()
            },
        )
    }

    fn of(out_is_terminal: bool, out: Paper) -> Self {
        let server = Arc::new(Mutex::new(Server::default()));
        let err = Paper::default();
        let screen = Screen {
            output: Output::new(Box::new(out.clone())),
            err: Box::new(err.clone()),
            out_is_terminal,
            err_is_terminal: false,
            color: false,
            terminal: Terminal::fixed(24, 80),
            keyboard: Keyboard::untouched(),
            pager: None,
            quiet: false,
        };
        let settings = Settings {
            format: None,
            look: Look::default(),
            timing: false,
            pager: true,
            progress: true,
        };
        let (sender, interrupts) = Interrupts::new();
        let connector = FakeConnector(Arc::clone(&server));
        let runner = Runner::new(Box::new(connector), screen, settings, interrupts);
        let options = ShellOptions::default();
        Self {
            shell: Shell::new(runner, &options, Servers::new(&options)),
            server,
            out,
            err,
            interrupts: sender,
        }
    }

    /// What the server does when it is sent that statement.
    pub(crate) fn answer(&mut self, sql: &str, scripted: Scripted) {
        self.server
            .lock()
            .unwrap()
            .script
            .insert(sql.to_owned(), scripted);
    }

    /// Presses Ctrl-C as soon as `ready` holds of what was written to standard output and of the
    /// number of statements that the server has seen.
    pub(crate) fn interrupt_when<F: Fn(&str, usize) -> bool>(
        &self,
        ready: F,
    ) -> impl Future<Output = ()> + use<F> {
        let (out, server) = (self.out.clone(), Arc::clone(&self.server));
        let sender = self.interrupts.clone();
        async move {
            while !ready(&out.text(), server.lock().unwrap().statements.len()) {
                tokio::task::yield_now().await;
            }
            sender.send_modify(|count| *count += 1);
        }
    }

    pub(crate) fn statements(&self) -> Vec<String> {
        self.server.lock().unwrap().statements.clone()
    }

    pub(crate) fn cancelled(&self) -> Vec<String> {
        self.server.lock().unwrap().cancelled.clone()
    }

    pub(crate) fn connections(&self) -> u32 {
        self.server.lock().unwrap().connections
    }

    pub(crate) fn out(&self) -> String {
        self.out.text()
    }

    pub(crate) fn err(&self) -> String {
        self.err.text()
    }
}
