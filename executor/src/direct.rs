//! Rows for a client that reads them here: the output of one task, once, in the schema that the client was
//! told.

use crate::exchange_service::ExchangeService;
use crate::progress::TaskState;
use crate::readers::Reader;
use crate::worker::TaskRunner;
use arrow::datatypes::{Schema, SchemaRef};
use arrow_flight::{FlightData, IpcMessage};
use datafusion::error::Result;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt, TryStreamExt};
use skep_exchange::channel::CoordinatorConnection;
use skep_exchange::limits::WireCompression;
use skep_exchange::serve::{ServeOptions, serve_partition};
use skep_exchange::wire::wire_rows;
use skep_listener::{Credentials, credentials};
use skep_protocol::access_token::AccessToken;
use skep_protocol::proto::{DirectTicket, ExchangeTicket, Head, Login, NoHead, head};
use skep_protocol::ticket::unix_time_ms;
use skep_protocol::{ErrorCode, QueryError};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tonic::Status;
use tonic::metadata::MetadataMap;

/// Messages are no larger than this, in bytes, as those of the coordinator; a single row is never split.
const MESSAGE_BYTES_MAX: usize = 2 << 20;

type Answer = BoxStream<'static, Result<FlightData, Status>>;

impl ExchangeService {
    /// Refuses a caller who is not the ticket's user, or may not read any more.
    async fn check_caller(
        &self,
        ticket: &DirectTicket,
        headers: &MetadataMap,
        source: Option<SocketAddr>,
    ) -> Result<(), QueryError> {
        let token = match ticket.needs_token {
            true => self.token(credentials(headers)?, source).await?,
            false => String::new(),
        };
        if ticket.needs_token {
            let shown = AccessToken::verify(&token, &self.key.get()?, unix_time_ms())?;
            if shown.user != ticket.user {
                let text = "the result is another user's";
                return Err(QueryError::new(ErrorCode::PermissionDenied, text));
            }
        }
        let task = ticket.task.as_ref();
        let reader = Reader {
            user: ticket.user.clone(),
            token,
            query_id: task.map(|task| task.query_id.clone()).unwrap_or_default(),
        };
        self.readers.check(self.coordinator()?, reader).await
    }

    fn coordinator(&self) -> Result<&CoordinatorConnection, QueryError> {
        let coordinator = self.runner.coordinator.as_ref();
        coordinator.ok_or_else(|| {
            QueryError::internal("an executor without a coordinator cannot find out who calls")
        })
    }

    /// The token of a caller, for which the coordinator is asked where the caller has none.
    pub(crate) async fn token(
        &self,
        credentials: Credentials,
        source: Option<SocketAddr>,
    ) -> Result<String, QueryError> {
        let is_token = |text: &str| {
            let key = self.key.get()?;
            AccessToken::verify(text, &key, unix_time_ms())
        };
        let (user, password) = match credentials {
            Credentials::Token(token) => return is_token(&token).map(|_| token),
            // Tools that can send no token send it as the password.
            Credentials::Password { password, .. } if is_token(&password).is_ok() => {
                return Ok(password);
            }
            Credentials::Password { user, password } => (user, password),
            Credentials::None => Default::default(),
        };
        let login = Login {
            user,
            password,
            source: source
                .map(|source| source.ip().to_string())
                .unwrap_or_default(),
        };
        self.coordinator()?.log_in(login).await
    }

    /// The output of the ticket's task.
    pub(crate) async fn serve_direct(
        &self,
        ticket: DirectTicket,
        headers: &MetadataMap,
        source: Option<SocketAddr>,
    ) -> Result<Answer, QueryError> {
        self.check_caller(&ticket, headers, source).await?;
        let state = self.runner.state_of(ticket.task.clone()).await?;
        let schema = Schema::try_from(IpcMessage(state.direct_schema()?));
        let schema = schema.map_err(|error| QueryError::internal(error.to_string()))?;
        state.begin_direct()?;
        let reading = Reading(Arc::clone(&state));
        let runner = self.runner.clone();
        let opening = self
            .compute
            .spawn(async move { open_all(runner, ticket).await });
        let opened = AbortOnDropHandle::new(opening)
            .await
            .map_err(|_| QueryError::new(ErrorCode::Panic, "an operator panicked when it started"));
        let (batches, pool) = opened.flatten().inspect_err(|error| {
            state.end_direct(Some(error.clone().on_node(self.node.clone())));
        })?;
        let options = ServeOptions {
            compression: WireCompression::None,
            send_buffer_bytes: self.limits.send_buffer_bytes,
            pool,
            compute: self.compute.clone(),
            node: self.node.clone(),
            bytes_sent: Arc::clone(&self.bytes_sent),
            is_counted: false,
        };
        let over = state.over();
        let batches = as_told(batches, Arc::new(schema), state);
        // The base library ends the output of a task that is over as if there were no more of it.
        let messages = serve_partition(batches, options);
        Ok(Watched {
            messages: messages.take_until(over.clone().cancelled_owned()).boxed(),
            over,
            is_told: false,
            reading,
        }
        .boxed())
    }
}

type Opened = (Vec<SendableRecordBatchStream>, Arc<dyn MemoryPool>);

async fn open_all(runner: TaskRunner, ticket: DirectTicket) -> Result<Opened, QueryError> {
    let mut streams = Vec::new();
    let mut pool = None;
    for partition in 0..ticket.partitions {
        let opened = runner.open(ExchangeTicket {
            task: ticket.task.clone(),
            partition,
            head: Some(Head {
                head: Some(head::Head::None(NoHead {})),
            }),
            expires_at_ms: ticket.expires_at_ms,
            compression: String::new(),
        });
        let opened = opened.await?;
        pool.get_or_insert_with(|| Arc::clone(opened.context.memory_pool()));
        streams.push(opened.batches);
    }
    let none = || QueryError::internal("a task without partitions");
    Ok((streams, pool.ok_or_else(none)?))
}

/// The rows of all partitions, whichever has some, in the schema that the client was told.
fn as_told(
    partitions: Vec<SendableRecordBatchStream>,
    schema: SchemaRef,
    state: Arc<TaskState>,
) -> SendableRecordBatchStream {
    let batches = stream::select_all(partitions)
        .inspect_ok(move |batch| state.add_direct_rows(batch.num_rows()));
    let rows = wire_rows(batches, Arc::clone(&schema), MESSAGE_BYTES_MAX);
    Box::pin(RecordBatchStreamAdapter::new(schema, rows))
}

/// What the coordinator is told of a reader, who goes away when this is dropped.
struct Reading(Arc<TaskState>);

impl Drop for Reading {
    fn drop(&mut self) {
        let text = "the client that read the result went away";
        self.0
            .end_direct(Some(QueryError::new(ErrorCode::Canceled, text)));
    }
}

/// Messages for the client, whose end is noticed.
struct Watched {
    messages: Answer,
    over: CancellationToken,
    /// Whether the client knows how it ended.
    is_told: bool,
    reading: Reading,
}

impl Stream for Watched {
    type Item = Result<FlightData, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        // The transport asks when the client has room for more.
        self.reading.0.fetched();
        let next = self.messages.poll_next_unpin(context);
        if next.is_ready() {
            self.reading.0.fetchable();
        }
        match next {
            // A query ends when all of it has been read: one that is over before that was cancelled.
            Poll::Ready(None) if self.over.is_cancelled() && !self.is_told => {
                self.is_told = true;
                let error = QueryError::new(ErrorCode::Canceled, "the query was cancelled");
                self.reading.0.end_direct(Some(error.clone()));
                Poll::Ready(Some(Err(error.into())))
            }
            Poll::Ready(None) => {
                self.is_told = true;
                self.reading.0.end_direct(None);
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(status))) => {
                self.is_told = true;
                let error = QueryError::from_status(&status);
                self.reading.0.end_direct(Some(error));
                Poll::Ready(Some(Err(status)))
            }
            other => other,
        }
    }
}
