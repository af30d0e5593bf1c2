//! Who may start tasks: a caller that shows a grant that the coordinator has signed for this executor, once.
//!
//! It is checked before anything of the task is read, and bounds what is read then.

use crate::task_service::TaskService;
use futures::future::BoxFuture;
use http::HeaderMap;
use parking_lot::Mutex;
use skep_exchange::channel::SharedKey;
use skep_listener::check_node_transport;
use skep_protocol::proto::TaskGrant;
use skep_protocol::proto::tasks_server::TasksServer;
use skep_protocol::replay::{Replay, ReplayGuard};
use skep_protocol::task_grant::{GRANT_SPAN_MS, TASK_GRANT_HEADER, refused};
use skep_protocol::ticket::unix_time_ms;
use skep_protocol::{ErrorCode, QueryError};
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tonic::Status;
use tonic::body::Body;
use tonic::metadata::MetadataMap;
use tonic::server::NamedService;
use tower_service::Service;

/// What later commands may have, which say no more than that the query has ended, in bytes.
const COMMAND_BYTES_MAX: usize = 1024;

/// The tasks' door, as a Tonic server takes it.
#[derive(Clone)]
pub(crate) struct GrantedTasks {
    service: Arc<TaskService>,
    guard: Arc<Guard>,
}

struct Guard {
    executor_id: String,
    key: SharedKey,
    taken: Mutex<ReplayGuard>,
}

impl GrantedTasks {
    /// Lets tasks to `service` that were granted to `executor_id`.
    pub(crate) fn new(service: TaskService, executor_id: String, key: SharedKey) -> Self {
        let span = Duration::from_millis(GRANT_SPAN_MS);
        Self {
            service: Arc::new(service),
            guard: Arc::new(Guard {
                executor_id,
                key,
                taken: Mutex::new(ReplayGuard::new(span, Instant::now())),
            }),
        }
    }
}

impl Guard {
    /// The grant in a call's headers, which nobody can show again.
    fn take(&self, headers: &HeaderMap) -> Result<TaskGrant, QueryError> {
        let headers = headers.get(TASK_GRANT_HEADER).ok_or_else(refused)?;
        let mut one = HeaderMap::new();
        one.insert(TASK_GRANT_HEADER, headers.clone());
        let grant = MetadataMap::from_headers(one)
            .get_bin(TASK_GRANT_HEADER)
            .and_then(|grant| grant.to_bytes().ok())
            .ok_or_else(refused)?;
        let key = self.key.get()?;
        let grant = key.verify_grant(&grant, &self.executor_id, unix_time_ms())?;
        match self.taken.lock().take(grant.nonce, Instant::now()) {
            Replay::New => Ok(grant),
            Replay::Again => {
                let text = "the task has been started with this grant before";
                Err(QueryError::new(ErrorCode::PermissionDenied, text))
            }
            Replay::TooMany => {
                let text = "too many tasks have been started within some minutes";
                Err(QueryError::new(ErrorCode::QueueFull, text))
            }
        }
    }
}

impl NamedService for GrantedTasks {
    const NAME: &'static str = <TasksServer<TaskService> as NamedService>::NAME;
}

impl Service<http::Request<Body>> for GrantedTasks {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        let grant = check_node_transport(request.extensions())
            .and_then(|()| self.guard.take(request.headers()));
        let grant = match grant {
            Ok(grant) => grant,
            Err(error) => {
                let error = error.on_node(self.service.node.clone());
                return Box::pin(async move { Ok(Status::from(error).into_http()) });
            }
        };
        let bytes_max = usize::try_from(grant.start_bytes).unwrap_or(usize::MAX);
        request.extensions_mut().insert(grant);
        let mut tasks = TasksServer::from_arc(Arc::clone(&self.service))
            .max_encoding_message_size(usize::MAX)
            .max_decoding_message_size(bytes_max.max(COMMAND_BYTES_MAX));
        Box::pin(async move { tasks.call(request).await })
    }
}
