//! The door that executors join by.

use super::members::Members;
use crate::client_rows::ClientRows;
use crate::service::QueryService;
use async_trait::async_trait;
use datafusion::execution::memory_pool::MemoryPool;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use prost::Message;
use skep_exchange::limits::{ExchangeLimits, WireCompression};
use skep_exchange::rows::serve_rows;
use skep_exchange::serve::ServeOptions;
use skep_exchange::this_version;
use skep_protocol::proto::cluster_server::Cluster;
use skep_protocol::proto::{
    CoordinatorMessage, ExecutorMessage, HeartbeatReply, LogInReply, LogInRequest, Login, Register,
    Registered, RowsMessage, RowsRequest, coordinator_message, executor_message,
};
use skep_protocol::sealed::{LOGIN, TOKEN};
use skep_protocol::ticket::{ClusterKey, unix_time_ms};
use skep_protocol::version::check_compatible;
use skep_protocol::{ErrorCode, QueryError};
use skep_scheduler::members::Generation;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tonic::{Request, Response, Status, Streaming};
use tracing::{info, warn};

/// Registers executors and listens to their heartbeats.
pub struct ClusterService {
    members: Arc<Members>,
    coordinator_id: String,
    key: ClusterKey,
    has_secret: bool,
    heartbeat_interval: Duration,
    heartbeat_timeout: Duration,
    rows: RowsDoor,
    users: Arc<dyn QueryService>,
}

/// Where tasks read the rows that clients send.
pub(crate) struct RowsDoor {
    pub(crate) rows: ClientRows,
    pub(crate) limits: ExchangeLimits,
    pub(crate) pool: Arc<dyn MemoryPool>,
    pub(crate) compute: Handle,
}

impl ClusterService {
    /// A door for the members of a cluster with `key`, which follows from a secret or not.
    pub(crate) fn new(
        members: Arc<Members>,
        coordinator_id: String,
        key: ClusterKey,
        config: &crate::config::CoordinatorConfig,
        rows: RowsDoor,
        users: Arc<dyn QueryService>,
    ) -> Self {
        Self {
            members,
            coordinator_id,
            key,
            has_secret: config.cluster_secret.is_some(),
            heartbeat_interval: config.heartbeat_interval,
            heartbeat_timeout: config.heartbeat_timeout,
            rows,
            users,
        }
    }

    /// The answer to a client's login at an executor.
    async fn sealed_token(&self, request: LogInRequest) -> Result<LogInReply, QueryError> {
        let login = self.key.unseal(LOGIN, &request.sealed_login);
        let login = login.and_then(|login| Login::decode(login.as_slice()).ok());
        let Login { user, password } = login.ok_or_else(|| {
            let text = "the login does not come from an executor of this cluster";
            QueryError::new(ErrorCode::PermissionDenied, text)
        })?;
        let caller = self.users.log_in(&user, &password).await?;
        let token = self.users.issue_token(&caller);
        Ok(LogInReply {
            sealed_token: self.key.seal(TOKEN, token.text.as_bytes())?,
        })
    }

    fn share(
        &self,
        request: RowsRequest,
    ) -> Result<BoxStream<'static, Result<RowsMessage, Status>>, QueryError> {
        let ticket = request.ticket.unwrap_or_default();
        let (query, attempt) = self.key.verify_rows_ticket(&ticket)?;
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

    fn admit(&self, register: &Register) -> Result<(Generation, Registered), QueryError> {
        let theirs = register.version.clone().unwrap_or_default();
        check_compatible(&this_version(), &theirs)?;
        if self.has_secret
            && !self.key.is_proved_registration(
                &register.executor_id,
                &register.address,
                register.issued_at_ms,
                &register.proof,
                unix_time_ms(),
            )
        {
            let text = "the executor's cluster secret is not the coordinator's, or its clock is \
                        more than five minutes off";
            return Err(QueryError::new(ErrorCode::PermissionDenied, text));
        }
        let generation = self.members.join(register, Instant::now())?;
        let registered = Registered {
            coordinator_id: self.coordinator_id.clone(),
            heartbeat_interval_ms: self.heartbeat_interval.as_millis() as u32,
            exchange_key: match self.has_secret {
                true => Default::default(),
                false => self.key.to_bytes(),
            },
        };
        Ok((generation, registered))
    }
}

/// A member for as long as it lives.
struct Membership {
    members: Arc<Members>,
    generation: Generation,
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
        Ok(Response::new(self.share(request.into_inner())?))
    }

    async fn log_in(&self, request: Request<LogInRequest>) -> Result<Response<LogInReply>, Status> {
        Ok(Response::new(
            self.sealed_token(request.into_inner()).await?,
        ))
    }

    async fn join(
        &self,
        request: Request<Streaming<ExecutorMessage>>,
    ) -> Result<Response<Self::JoinStream>, Status> {
        let mut messages = request.into_inner();
        let first = messages
            .message()
            .await?
            .and_then(|message| message.message);
        let Some(executor_message::Message::Register(register)) = first else {
            let text = "the first message of an executor must register it";
            return Err(QueryError::new(ErrorCode::InvalidArgument, text).into());
        };
        let (generation, registered) = self.admit(&register).inspect_err(|error| {
            warn!(address = %register.address, %error, "refused an executor");
        })?;
        info!(executor = %register.executor_id, address = %register.address, "executor joined");
        let membership = Membership {
            members: Arc::clone(&self.members),
            generation,
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
