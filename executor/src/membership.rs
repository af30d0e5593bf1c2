//! Belonging to a cluster: joins the coordinator, reports load, and joins again when the connection
//! broke or the coordinator was restarted.

use crate::config::ExecutorConfig;
use futures::StreamExt;
use parking_lot::Mutex;
use skep_exchange::channel::{Connections, SharedKey};
use skep_exchange::this_version;
use skep_protocol::ClusterKey;
use skep_protocol::proto::cluster_client::ClusterClient;
use skep_protocol::proto::{
    CoordinatorMessage, ExecutorMessage, Heartbeat, Register, Registered, coordinator_message,
    executor_message,
};
use skep_protocol::ticket::unix_time_ms;
use skep_protocol::{ErrorCode, QueryError};
use skep_runtime::memory::NodeMemory;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use url::Url;

/// How long to wait before the first new try to join; doubled with each, up to the maximum.
const REJOIN_WAIT_MIN: Duration = Duration::from_millis(200);
const REJOIN_WAIT_MAX: Duration = Duration::from_secs(3);

/// How many heartbeats may wait to be sent.
const HEARTBEATS_QUEUED_MAX: usize = 4;

/// What an executor reports.
pub(crate) struct Load {
    pub(crate) memory: Arc<NodeMemory>,
    pub(crate) running: Arc<AtomicU32>,
    pub(crate) bytes_sent: Arc<AtomicU64>,
    /// Cancelled once the executor is to finish its tasks and leave.
    pub(crate) drain: CancellationToken,
    /// Cancelled once the coordinator knows of that.
    pub(crate) drain_known: CancellationToken,
}

impl Load {
    /// Nothing yet, on a node with `memory`.
    pub(crate) fn of(memory: Arc<NodeMemory>) -> Self {
        Self {
            memory,
            running: Arc::new(AtomicU32::new(0)),
            bytes_sent: Arc::new(AtomicU64::new(0)),
            drain: CancellationToken::new(),
            drain_known: CancellationToken::new(),
        }
    }

    fn heartbeat(&self) -> Heartbeat {
        Heartbeat {
            memory_used_bytes: self.memory.used_bytes() as u64,
            resident_bytes: resident_bytes().unwrap_or(0),
            running_tasks: self.running.load(Ordering::Relaxed),
            exchange_bytes_sent: self.bytes_sent.load(Ordering::Relaxed),
            draining: self.drain.is_cancelled(),
        }
    }
}

/// The memory that this process holds, in bytes, where the system tells (Linux).
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes * 1024)
}

/// One executor's membership.
pub(crate) struct Membership {
    pub(crate) executor_id: String,
    pub(crate) address: String,
    /// How clients reach it, `HOST:PORT`.
    pub(crate) client_address: String,
    pub(crate) config: ExecutorConfig,
    pub(crate) connections: Connections,
    pub(crate) key: SharedKey,
    pub(crate) load: Arc<Load>,
    pub(crate) joined: Arc<Mutex<Option<String>>>,
    pub(crate) stop: CancellationToken,
}

impl Membership {
    /// Stays a member until told to stop.
    ///
    /// # Errors
    /// Where the coordinator refuses this executor for good: another version, or another secret.
    pub(crate) async fn run(self) -> Result<(), QueryError> {
        let mut wait = REJOIN_WAIT_MIN;
        loop {
            let result = tokio::select! {
                result = self.join_once() => result,
                () = self.stop.cancelled() => return Ok(()),
            };
            if self.joined.lock().take().is_some() {
                wait = REJOIN_WAIT_MIN;
            }
            match result {
                Ok(()) => info!("the coordinator ended the membership, joining again"),
                Err(error) if is_final(&error) => return Err(error),
                Err(error) => warn!(%error, "not joined, trying again"),
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.stop.cancelled() => return Ok(()),
            }
            wait = (wait * 2).min(REJOIN_WAIT_MAX);
        }
    }

    async fn join_once(&self) -> Result<(), QueryError> {
        let unreachable = |text: String| {
            let coordinator = &self.config.coordinator;
            QueryError::new(
                ErrorCode::Network,
                format!("cannot reach the coordinator at {coordinator}: {text}"),
            )
        };
        let coordinator =
            Url::parse(&self.config.coordinator).map_err(|error| unreachable(error.to_string()))?;
        let channel = self.connections.connect(&coordinator).await;
        let channel = channel.map_err(|error| unreachable(error.message))?;
        let (sender, receiver) = mpsc::channel(HEARTBEATS_QUEUED_MAX);
        let register = executor_message::Message::Register(self.register());
        let closed = || unreachable("the connection was closed".to_owned());
        sender.send(message(register)).await.map_err(|_| closed())?;
        let mut replies = ClusterClient::new(channel)
            .join(ReceiverStream::new(receiver))
            .await
            .map_err(|status| QueryError::from_status(&status))?
            .into_inner();
        let first = replies.next().await.ok_or_else(closed)?;
        let interval =
            self.registered(first.map_err(|status| QueryError::from_status(&status))?)?;
        let mut ticks = tokio::time::interval(interval);
        // Whether each report that is not answered yet said that this executor leaves.
        let mut unanswered = VecDeque::new();
        let mut has_told = false;
        loop {
            let drain = &self.load.drain;
            tokio::select! {
                _ = ticks.tick() => {}
                // The coordinator learns it at once, so that no task comes which would be refused.
                () = drain.cancelled(), if !has_told => {}
                reply = replies.next() => match reply {
                    Some(Ok(reply)) => {
                        self.replied(reply, unanswered.pop_front().unwrap_or(false));
                        continue;
                    }
                    Some(Err(status)) => return Err(QueryError::from_status(&status)),
                    None => return Ok(()),
                },
            }
            let heartbeat = self.load.heartbeat();
            has_told = heartbeat.draining;
            unanswered.push_back(has_told);
            let heartbeat = executor_message::Message::Heartbeat(heartbeat);
            sender
                .send(message(heartbeat))
                .await
                .map_err(|_| closed())?;
        }
    }

    /// The coordinator has answered a report, which said that this executor leaves, or did not.
    fn replied(&self, reply: CoordinatorMessage, said_that_it_leaves: bool) {
        if said_that_it_leaves {
            self.load.drain_known.cancel();
        }
        if let Some(coordinator_message::Message::HeartbeatReply(reply)) = reply.message
            && reply.drain
            && !self.load.drain.is_cancelled()
        {
            info!("the coordinator asks this executor to leave");
            self.load.drain.cancel();
        }
    }

    fn register(&self) -> Register {
        let mut register = Register {
            executor_id: self.executor_id.clone(),
            address: self.address.clone(),
            cores: u32::try_from(self.config.cores).unwrap_or(u32::MAX),
            memory_limit_bytes: self.config.memory_limit_bytes as u64,
            version: Some(this_version()),
            proof: Default::default(),
            issued_at_ms: unix_time_ms(),
            client_address: self.client_address.clone(),
            client_tls: self.config.tls.is_some(),
            nonce: rand::random(),
        };
        if let Some(secret) = &self.config.cluster_secret {
            register.proof = ClusterKey::from_secret(secret).prove_registration(&register);
        }
        register
    }

    /// Takes the coordinator's answer and returns the interval of heartbeats.
    fn registered(&self, reply: CoordinatorMessage) -> Result<Duration, QueryError> {
        let Some(coordinator_message::Message::Registered(registered)) = reply.message else {
            return Err(QueryError::internal(
                "the coordinator did not answer a registration",
            ));
        };
        let Registered {
            coordinator_id,
            heartbeat_interval_ms,
            exchange_key,
        } = registered;
        let key = match &self.config.cluster_secret {
            Some(secret) => ClusterKey::from_secret(secret),
            None => ClusterKey::from_bytes(&exchange_key).ok_or_else(|| {
                QueryError::new(
                    ErrorCode::PermissionDenied,
                    "the coordinator has a cluster secret and this executor has none",
                )
            })?,
        };
        self.key.set(key);
        info!(coordinator = %self.config.coordinator, address = %self.address, "joined the cluster");
        *self.joined.lock() = Some(coordinator_id);
        Ok(Duration::from_millis(u64::from(
            heartbeat_interval_ms.max(1),
        )))
    }
}

fn message(message: executor_message::Message) -> ExecutorMessage {
    ExecutorMessage {
        message: Some(message),
    }
}

/// Trying again would not help.
fn is_final(error: &QueryError) -> bool {
    matches!(
        error.code,
        ErrorCode::VersionMismatch | ErrorCode::PermissionDenied
    )
}
