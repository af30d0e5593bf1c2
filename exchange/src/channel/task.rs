//! The stream between the coordinator and one task: the plan goes out, the metrics come back, and the
//! task lives as long as the stream.

use bytes::Bytes;
use datafusion_distributed::CoordinatorToWorkerMsg;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt, TryStreamExt};
use skep_protocol::proto::tasks_client::TasksClient;
use skep_protocol::proto::{
    FinishTask, StartTask, TaskCommand, TaskMetrics, TaskProgress, task_command, task_event,
};
use skep_protocol::task_grant::TASK_GRANT_HEADER;
use skep_protocol::{ErrorCode, QueryError};
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

/// What a task reports.
pub(super) enum TaskReport {
    /// How far it is.
    Progress(TaskProgress),
    /// What it did, when it has ended.
    Metrics(TaskMetrics),
}

/// A task, and what its executor is shown before it reads it.
pub(super) struct Granted {
    pub(super) start: StartTask,
    pub(super) grant: Bytes,
}

/// Starts a task and returns what it reports. Ends the task when `commands` end.
///
/// # Errors
/// The executor's, or `ExecutorLost` where it cannot be reached.
pub(super) async fn run(
    channel: Channel,
    task: Granted,
    commands: BoxStream<'static, CoordinatorToWorkerMsg>,
    node: String,
) -> Result<BoxStream<'static, Result<TaskReport, QueryError>>, QueryError> {
    let command = |command| TaskCommand {
        message: Some(command),
    };
    // Work units are a feature of the base library that none of Skep's plans uses; what is left of its
    // commands is their end.
    let finish = stream::once(async move {
        drain(commands).await;
        command(task_command::Message::Finish(FinishTask {}))
    });
    let first = command(task_command::Message::Start(task.start));
    let requests = stream::once(std::future::ready(first))
        .chain(finish)
        .boxed();
    let mut requests = Request::new(requests);
    let grant = MetadataValue::from_bytes(&task.grant);
    requests.metadata_mut().insert_bin(TASK_GRANT_HEADER, grant);
    let events = TasksClient::new(channel)
        .max_decoding_message_size(usize::MAX)
        .max_encoding_message_size(usize::MAX)
        .run(requests)
        .boxed()
        .await
        .map_err(|status| lost_or_typed(&status, &node))?
        .into_inner();
    Ok(events
        .map_err(move |status| lost_or_typed(&status, &node))
        .try_filter_map(|event| {
            std::future::ready(match event.message {
                Some(task_event::Message::Metrics(metrics)) => {
                    Ok(Some(TaskReport::Metrics(metrics)))
                }
                Some(task_event::Message::Progress(progress)) => {
                    Ok(Some(TaskReport::Progress(progress)))
                }
                Some(task_event::Message::Failed(detail)) => Err(QueryError::from_detail(detail)),
                Some(task_event::Message::Started(_)) | None => Ok(None),
            })
        })
        .boxed())
}

async fn drain(mut commands: BoxStream<'static, CoordinatorToWorkerMsg>) {
    while commands.next().await.is_some() {}
}

/// The error that a node answered with; where it did not answer, the node is lost.
pub(super) fn lost_or_typed(status: &Status, node: &str) -> QueryError {
    let answered = !status.details().is_empty();
    match status.code() {
        Code::Unavailable | Code::Unknown | Code::Cancelled | Code::Internal if !answered => {
            let text = format!("lost an executor: {}", status.message());
            QueryError::new(ErrorCode::ExecutorLost, text).on_node(node)
        }
        _ => QueryError::from_status(status).on_node(node),
    }
}
