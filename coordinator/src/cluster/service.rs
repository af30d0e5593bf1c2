//! The door that executors join by.

use super::members::Members;
use super::same_user::{Owner, owner_of};
use crate::client_rows::ClientRows;
use crate::service::{Caller, QueryService};
use async_trait::async_trait;
use datafusion::execution::memory_pool::MemoryPool;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use parking_lot::Mutex;
use prost::Message;
use skep_exchange::channel::Connections;
use skep_exchange::limits::{ExchangeLimits, WireCompression};
use skep_exchange::rows::serve_rows;
use skep_exchange::serve::ServeOptions;
use skep_exchange::this_version;
use skep_listener::{check_node_transport, ends};
use skep_protocol::node_call::STRANGERS_MESSAGE_BYTES_MAX;
use skep_protocol::proto::cluster_server::{Cluster, ClusterServer};
use skep_protocol::proto::{
    CheckReaderReply, CheckReaderRequest, CoordinatorMessage, ExecutorMessage, HeartbeatReply,
    LogInReply, LogInRequest, Login, Reader, Register, Registered, RowsMessage, RowsRequest,
    coordinator_message, executor_message,
};
use skep_protocol::registration::REGISTRATION_SPAN_MS;
use skep_protocol::replay::{Replay, ReplayGuard};
use skep_protocol::sealed::{LOGIN, READER, READER_MAY, TOKEN};
use skep_protocol::ticket::unix_time_ms;
use skep_protocol::version::check_compatible;
use skep_protocol::{ClusterKey, ErrorCode, QueryError, QueryId};
use skep_scheduler::members::Generation;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tonic::{Extensions, Request, Response, Status, Streaming};
use tracing::{info, warn};

/// The longest message that executors send to this door, in bytes. Nothing here is read of more than that before
/// it is known who sends it.
const MESSAGE_BYTES_MAX: usize = STRANGERS_MESSAGE_BYTES_MAX;

/// How long an executor may take to introduce itself.
const FIRST_MESSAGE_WAIT_MAX: Duration = Duration::from_secs(10);

/// Registers executors and listens to their heartbeats.
pub struct ClusterService {
    members: Arc<Members>,
    own: OwnNode,
    has_secret: bool,
    heartbeat_interval: Duration,
    heartbeat_timeout: Duration,
    registrations: Mutex<ReplayGuard>,
    rows: RowsDoor,
    users: Arc<dyn QueryService>,
}

/// What a coordinator is to its executors.
pub(crate) struct OwnNode {
    pub(crate) id: String,
    /// The cluster's key, which follows from a secret or not.
    pub(crate) key: ClusterKey,
    pub(crate) connections: Connections,
}

/// Where tasks read the rows that clients send.
pub(crate) struct RowsDoor {
    pub(crate) rows: ClientRows,
    pub(crate) limits: ExchangeLimits,
    pub(crate) pool: Arc<dyn MemoryPool>,
    pub(crate) compute: Handle,
}

impl ClusterService {
    /// A door for the members of a cluster.
    pub(crate) fn new(
        members: Arc<Members>,
        own: OwnNode,
        config: &crate::config::CoordinatorConfig,
        rows: RowsDoor,
        users: Arc<dyn QueryService>,
    ) -> Self {
        let span = Duration::from_millis(REGISTRATION_SPAN_MS);
        Self {
            members,
            own,
            has_secret: config.cluster_secret.is_some(),
            heartbeat_interval: config.heartbeat_interval,
            heartbeat_timeout: config.heartbeat_timeout,
            registrations: Mutex::new(ReplayGuard::new(span, Instant::now())),
            rows,
            users,
        }
    }

    /// The door as a service of a Tonic server.
    pub fn into_server(self) -> ClusterServer<Self> {
        ClusterServer::new(self)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(usize::MAX)
    }

    /// The answer to a client's login at an executor.
    async fn sealed_token(&self, request: LogInRequest) -> Result<LogInReply, QueryError> {
        let key = &self.own.key;
        let login = key.unseal(LOGIN, &request.sealed_login);
        let login = login.and_then(|login| Login::decode(login.as_slice()).ok());
        let Login {
            user,
            password,
            source,
        } = login.ok_or_else(|| foreign("the login"))?;
        let source = source.parse().ok();
        let caller = self.users.log_in(&user, &password, source).await?;
        let token = self.users.issue_token(&caller);
        Ok(LogInReply {
            sealed_token: key.seal(TOKEN, token.text.as_bytes())?,
        })
    }

    /// Whether a client may read a result at an executor.
    fn reader(&self, request: CheckReaderRequest) -> Result<CheckReaderReply, QueryError> {
        let key = &self.own.key;
        let reader = key.unseal(READER, &request.sealed_reader);
        let reader = reader.and_then(|reader| Reader::decode(reader.as_slice()).ok());
        let reader = reader.ok_or_else(|| foreign("the question about a reader"))?;
        let denied = || {
            let text = "the result is another user's";
            QueryError::new(ErrorCode::PermissionDenied, text)
        };
        match reader.token.is_empty() {
            // Good for as long as nobody has to log in.
            true => self.users.check_caller(&Caller {
                user: reader.user.clone(),
                password_fingerprint: vec![],
            })?,
            false => {
                let shown = self.users.read_token(&reader.token)?;
                if shown.caller.user != reader.user {
                    return Err(denied());
                }
            }
        }
        let query: QueryId = reader.query_id.parse().map_err(|_| denied())?;
        match self.users.status(&query) {
            Some(status) if status.user != reader.user => Err(denied()),
            Some(status) if !status.state.is_final() => Ok(CheckReaderReply {
                sealed_nonce: key.seal(READER_MAY, &reader.nonce)?,
            }),
            _ => {
                let text = format!("the query {query} has ended");
                Err(QueryError::new(ErrorCode::HandleNotFound, text))
            }
        }
    }

    fn share(
        &self,
        request: RowsRequest,
    ) -> Result<BoxStream<'static, Result<RowsMessage, Status>>, QueryError> {
        let ticket = request.ticket.unwrap_or_default();
        let (query, attempt) = self.own.key.verify_rows_ticket(&ticket)?;
        let door = &self.rows;
        let options = ServeOptions {
            compression: WireCompression::from_name(&request.compression)?,
            send_buffer_bytes: door.limits.send_buffer_bytes,
            pool: Arc::clone(&door.pool),
            compute: door.compute.clone(),
            node: String::new(),
            bytes_sent: Arc::default(),
            is_counted: true,
        };
        Ok(serve_rows(door.rows.share(&query, attempt)?, options))
    }

    async fn admit(
        &self,
        register: &Register,
        call: &Extensions,
    ) -> Result<(Generation, Registered), QueryError> {
        let theirs = register.version.clone().unwrap_or_default();
        check_compatible(&this_version(), &theirs)?;
        let exchange_key = match self.has_secret {
            true => {
                self.check_proof(register)?;
                Default::default()
            }
            false => {
                check_same_user(register, call).await?;
                self.own.key.to_bytes()
            }
        };
        let (generation, address) = self.members.join(register, Instant::now())?;
        let id = register.executor_id.clone();
        self.own.connections.joined(address, id);
        let registered = Registered {
            coordinator_id: self.own.id.clone(),
            heartbeat_interval_ms: self.heartbeat_interval.as_millis() as u32,
            exchange_key,
        };
        Ok((generation, registered))
    }

    /// Refuses an executor that does not know the cluster's secret, or says what another has said.
    fn check_proof(&self, register: &Register) -> Result<(), QueryError> {
        let denied = |text: &str| Err(QueryError::new(ErrorCode::PermissionDenied, text));
        if register.proof.is_empty() {
            return denied(
                "the coordinator has a cluster secret and this executor has none: give it \
                 cluster.secret_file or SKEP_CLUSTER_SECRET",
            );
        }
        if !self
            .own
            .key
            .is_proved_registration(register, unix_time_ms())
        {
            return denied(
                "the executor's cluster secret is not the coordinator's, or its clock is more than \
                 five minutes off",
            );
        }
        match self
            .registrations
            .lock()
            .take(register.nonce, Instant::now())
        {
            Replay::New => Ok(()),
            Replay::Again => denied("an executor has joined with this message before"),
            Replay::TooMany => {
                let text = "too many executors have joined within some minutes";
                Err(QueryError::new(ErrorCode::QueueFull, text))
            }
        }
    }
}

/// Refuses an executor to whom the key may not be handed out, where there is no secret: a peer that reaches the port
/// could be anybody, but for this machine's own connections, and there for those of the same user.
async fn check_same_user(register: &Register, call: &Extensions) -> Result<(), QueryError> {
    const ADVICE: &str = "make a secret with 'skep cluster init' and give it to the coordinator \
                          and to every executor (cluster.secret_file)";
    let denied = |why: &str| {
        let text = format!("{why}: {ADVICE}");
        Err(QueryError::new(ErrorCode::PermissionDenied, text))
    };
    if !register.proof.is_empty() {
        return denied("the executor has a cluster secret and this coordinator has none");
    }
    let is_loopback = |end: SocketAddr| end.ip().to_canonical().is_loopback();
    let ends = ends(call).filter(|(remote, local)| is_loopback(*remote) && is_loopback(*local));
    let Some((remote, local)) = ends else {
        return denied("without a cluster secret, executors join from the same machine alone");
    };
    let owner = tokio::task::spawn_blocking(move || owner_of(remote, local)).await;
    match owner {
        Ok(Owner::Same | Owner::Unknown) => Ok(()),
        Ok(Owner::Other) | Err(_) => denied(
            "without a cluster secret, executors join as the same user of this machine alone",
        ),
    }
}

fn foreign(what: &str) -> QueryError {
    let text = format!("{what} does not come from an executor of this cluster");
    QueryError::new(ErrorCode::PermissionDenied, text)
}

/// A member for as long as it lives.
struct Membership {
    members: Arc<Members>,
    generation: Generation,
    connections: Connections,
    id: String,
    messages: Streaming<ExecutorMessage>,
    timeout: Duration,
}

impl Membership {
    /// The next heartbeat's reply; `None` when the membership is over.
    async fn next_reply(&mut self) -> Option<CoordinatorMessage> {
        match tokio::time::timeout(self.timeout, self.messages.message()).await {
            Ok(Ok(Some(message))) => {
                let Some(executor_message::Message::Heartbeat(load)) = message.message else {
                    warn!(executor = %self.id, "executor sent an unexpected message");
                    return None;
                };
                // Where this generation is over the executor is to join again.
                let generation = self.generation;
                let drain = self.members.heartbeat(generation, load, Instant::now())?;
                let answer = HeartbeatReply { drain };
                Some(reply(coordinator_message::Message::HeartbeatReply(answer)))
            }
            Ok(Ok(None)) => None,
            Ok(Err(status)) => {
                warn!(executor = %self.id, error = %status.message(), "executor's connection broke");
                None
            }
            Err(_) => {
                warn!(executor = %self.id, "executor fell silent");
                None
            }
        }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        info!(executor = %self.id, "executor left");
        self.members.leave(self.generation);
        self.connections.left(&self.id);
    }
}

fn reply(message: coordinator_message::Message) -> CoordinatorMessage {
    CoordinatorMessage {
        message: Some(message),
    }
}

#[async_trait]
impl Cluster for ClusterService {
    type JoinStream = BoxStream<'static, Result<CoordinatorMessage, Status>>;
    type ReadRowsStream = BoxStream<'static, Result<RowsMessage, Status>>;

    async fn read_rows(
        &self,
        request: Request<RowsRequest>,
    ) -> Result<Response<Self::ReadRowsStream>, Status> {
        check_node_transport(request.extensions())?;
        Ok(Response::new(self.share(request.into_inner())?))
    }

    async fn log_in(&self, request: Request<LogInRequest>) -> Result<Response<LogInReply>, Status> {
        check_node_transport(request.extensions())?;
        Ok(Response::new(
            self.sealed_token(request.into_inner()).await?,
        ))
    }

    async fn check_reader(
        &self,
        request: Request<CheckReaderRequest>,
    ) -> Result<Response<CheckReaderReply>, Status> {
        check_node_transport(request.extensions())?;
        Ok(Response::new(self.reader(request.into_inner())?))
    }

    async fn join(
        &self,
        request: Request<Streaming<ExecutorMessage>>,
    ) -> Result<Response<Self::JoinStream>, Status> {
        check_node_transport(request.extensions())?;
        let (_, call, mut messages) = request.into_parts();
        let first = tokio::time::timeout(FIRST_MESSAGE_WAIT_MAX, messages.message()).await;
        let first = first.unwrap_or(Ok(None))?.and_then(|first| first.message);
        let Some(executor_message::Message::Register(register)) = first else {
            let text = "the first message of an executor must register it";
            return Err(QueryError::new(ErrorCode::InvalidArgument, text).into());
        };
        let (generation, registered) = self.admit(&register, &call).await.inspect_err(|error| {
            warn!(address = %register.address, %error, "refused an executor");
        })?;
        info!(executor = %register.executor_id, address = %register.address, "executor joined");
        let membership = Membership {
            members: Arc::clone(&self.members),
            generation,
            connections: self.own.connections.clone(),
            id: register.executor_id,
            messages,
            timeout: self.heartbeat_timeout,
        };
        let first = Ok(reply(coordinator_message::Message::Registered(registered)));
        let replies = stream::unfold(membership, |mut membership| async move {
            let reply = membership.next_reply().await?;
            Some((Ok(reply), membership))
        });
        Ok(Response::new(
            stream::once(std::future::ready(first))
                .chain(replies)
                .boxed(),
        ))
    }
}
