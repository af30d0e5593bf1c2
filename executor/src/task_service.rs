//! The coordinator's door to tasks: a task lives as long as the stream that started it.

use crate::progress::TaskState;
use crate::worker::TaskRunner;
use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use skep_exchange::metrics::encode_task_metrics;
use skep_protocol::proto::tasks_server::Tasks;
use skep_protocol::proto::{
    StartTask, TaskCommand, TaskEvent, TaskGrant, TaskStarted, task_command, task_event,
};
use skep_protocol::task_grant;
use skep_protocol::{ErrorCode, QueryError};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tonic::{Request, Response, Status, Streaming};
use tracing::{Instrument, debug_span};

/// Starts and ends tasks.
pub(crate) struct TaskService {
    pub(crate) runner: TaskRunner,
    pub(crate) compute: Handle,
    pub(crate) node: String,
    pub(crate) running: Arc<AtomicU32>,
    /// Cancelled once no task is to be started any more.
    pub(crate) drain: CancellationToken,
}

/// Ends a task when it is dropped: whoever reads its output learns that first, since the base library then
/// ends the output as if there were no more of it.
struct Ending {
    state: Arc<TaskState>,
    _ended: oneshot::Sender<()>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.state.end();
    }
}

/// Counts a task as running until it is dropped.
struct Running(Arc<AtomicU32>);

impl Running {
    fn new(count: &Arc<AtomicU32>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl TaskService {
    async fn start(
        &self,
        grant: TaskGrant,
        mut commands: Streaming<TaskCommand>,
    ) -> Result<BoxStream<'static, Result<TaskEvent, Status>>, QueryError> {
        let start = first_command(&mut commands).await?;
        if !grant.covers(&start) {
            let text = "a task is not the one that this cluster's coordinator signed";
            return Err(QueryError::new(ErrorCode::PermissionDenied, text));
        }
        let (ended, end) = oneshot::channel::<()>();
        // Counted first: who looks whether tasks run after having said that none may start sees all of them.
        let running = Running::new(&self.running);
        if self.drain.is_cancelled() {
            let text = "the executor is leaving and takes no new tasks";
            return Err(QueryError::new(ErrorCode::ExecutorDraining, text));
        }
        let runner = self.runner.clone();
        let span = debug_span!("task", query_id = ?start.task.as_ref().map(|task| &task.query_id));
        let starting = async move {
            let end = Box::pin(async move {
                // Either way it is over: told so, or the coordinator is gone.
                let _ = end.await;
            });
            runner.start(start, end).await
        };
        let starting = self.compute.spawn(starting.instrument(span));
        let started = AbortOnDropHandle::new(starting).await;
        let task = started.map_err(|_| {
            QueryError::new(ErrorCode::Panic, "an operator panicked when it was decoded")
        })??;

        let node = self.node.clone();
        // The request stream ends by itself, by `FinishTask`, or with the connection.
        let finish = Box::pin(async move { wait_for_finish(&mut commands).await });
        let ending = Ending {
            state: Arc::clone(task.listed.state()),
            _ended: ended,
        };
        let reports = Arc::clone(task.listed.state()).reports().take_until(finish);
        let reports = reports.map(|report| Ok(event(task_event::Message::Progress(report))));
        let end = stream::once(async move {
            drop(ending);
            let metrics = task.metrics.await;
            drop(task.listed);
            drop(running);
            match metrics {
                Ok(Some(metrics)) => {
                    let peak = task.pool.peak_bytes() as u64;
                    Ok(event(task_event::Message::Metrics(encode_task_metrics(
                        &metrics, peak,
                    ))))
                }
                // A task of which nothing was ever read has none.
                Ok(None) => Ok(event(task_event::Message::Metrics(Default::default()))),
                Err(error) => Err(error.on_node(node).into()),
            }
        });
        let first = event(task_event::Message::Started(TaskStarted {}));
        Ok(stream::once(std::future::ready(Ok(first)))
            .chain(reports)
            .chain(end)
            .boxed())
    }
}

fn event(message: task_event::Message) -> TaskEvent {
    TaskEvent {
        message: Some(message),
    }
}

async fn first_command(commands: &mut Streaming<TaskCommand>) -> Result<StartTask, QueryError> {
    let first = commands
        .message()
        .await
        .map_err(|status| QueryError::from_status(&status))?;
    match first.and_then(|command| command.message) {
        Some(task_command::Message::Start(start)) => Ok(start),
        _ => Err(QueryError::new(
            ErrorCode::InvalidArgument,
            "the first command of a task must start it",
        )),
    }
}

async fn wait_for_finish(commands: &mut Streaming<TaskCommand>) {
    while let Ok(Some(command)) = commands.message().await {
        if matches!(command.message, Some(task_command::Message::Finish(_))) {
            return;
        }
    }
}

#[async_trait]
impl Tasks for TaskService {
    type RunStream = BoxStream<'static, Result<TaskEvent, Status>>;

    async fn run(
        &self,
        mut request: Request<Streaming<TaskCommand>>,
    ) -> Result<Response<Self::RunStream>, Status> {
        // `granted.rs` lets nothing through without one.
        let grant = request.extensions_mut().remove::<TaskGrant>();
        let grant = grant.ok_or_else(task_grant::refused)?;
        match self.start(grant, request.into_inner()).await {
            Ok(events) => Ok(Response::new(events)),
            Err(error) => Err(error.on_node(self.node.clone()).into()),
        }
    }
}
