//! The consuming end of the exchange: the base library's transport port over Arrow Flight.
//!
//! A partition is a `DoGet` of its own, so that HTTP/2's flow control per stream is the back-pressure
//! per partition: a slow one cannot hold up its siblings. Partitions of tasks in the same process come
//! without a connection.

mod connections;
mod local;
mod login;
mod partition;
mod rows;
mod task;

pub use crate::metrics::EXCHANGE_BYTES_METRIC;
pub use connections::{Connections, SharedKey};
pub use local::LocalTasks;
pub use rows::CoordinatorConnection;

use crate::channel::task::TaskReport;
use crate::direct::DirectReaders;
use crate::folded::encode_plan;
use crate::limits::ExchangeLimits;
use crate::metrics::decode_task_metrics;
use crate::monitor::AttemptMonitor;
use crate::node_name::node_name;
use arrow::record_batch::RecordBatch;
use arrow_flight::Ticket;
use async_trait::async_trait;
use bytes::Bytes;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::MemoryLimit;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion_distributed::{
    ChannelResolver, CoordinatorToWorkerMsg, ExecuteTaskRequest, GetWorkerInfoRequest,
    GetWorkerInfoResponse, MaybeEncoded, ProducerHead, SetPlanRequest, WorkerChannel,
    WorkerToCoordinatorMsg,
};
use futures::StreamExt;
use futures::stream::BoxStream;
use http::HeaderMap;
use skep_protocol::proto::{self, ExchangeTicket, StartTask};
use skep_protocol::ticket::unix_time_ms;
use skep_protocol::{AttemptId, QueryError, TaskKey};
use skep_runtime::error::to_datafusion;
use skep_runtime::session::{TaskSession, headers_to_settings};
use std::sync::Arc;
use url::Url;

#[async_trait]
impl ChannelResolver for Connections {
    async fn get_worker_client_for_url(&self, url: &Url) -> Result<Box<dyn WorkerChannel>> {
        let channel = self.channel(url).map_err(to_datafusion)?;
        Ok(Box::new(ExecutorChannel {
            connections: self.clone(),
            channel,
            url: url.clone(),
        }))
    }
}

/// One executor, as the base library's planner and boundaries talk to it.
struct ExecutorChannel {
    connections: Connections,
    channel: tonic::transport::Channel,
    url: Url,
}

impl ExecutorChannel {
    /// The executor's address as messages name it.
    fn node(&self) -> String {
        node_name(&self.url)
    }

    fn compression(&self) -> &'static str {
        self.connections.compression(&self.url)
    }
}

/// How many bytes of one partition may be under way to a query with that much memory and so many streams.
fn window_bytes(limits: &ExchangeLimits, context: &Arc<TaskContext>) -> u32 {
    let memory_bytes = match context.memory_pool().memory_limit() {
        MemoryLimit::Finite(bytes) => bytes,
        MemoryLimit::Infinite | MemoryLimit::Unknown => usize::MAX,
    };
    let session = context.session_config().get_extension::<TaskSession>();
    let streams = session.map_or(0, |session| session.node_streams);
    limits.window_bytes(memory_bytes, streams)
}

#[async_trait]
impl WorkerChannel for ExecutorChannel {
    async fn coordinator_channel(
        &mut self,
        headers: HeaderMap,
        request: SetPlanRequest,
        commands: BoxStream<'static, CoordinatorToWorkerMsg>,
        _metrics: ExecutionPlanMetricsSet,
        context: &Arc<TaskContext>,
    ) -> Result<BoxStream<'static, Result<WorkerToCoordinatorMsg>>> {
        let session = TaskSession::of(context).map_err(to_datafusion)?;
        let key = self.connections.key().map_err(to_datafusion)?;
        let id = task_key(&session, &request.task_key)?;
        let direct = context.session_config().get_extension::<DirectReaders>();
        let read_directly = direct
            .as_ref()
            .filter(|direct| direct.covers(id.stage as usize));
        let start = StartTask {
            task: Some(proto::TaskId::from(&id)),
            task_count: to_u32(request.task_count)?,
            plan: encoded(request.plan, context)?.into(),
            target_address: request.target_worker_url.to_string(),
            query_started_at_ns: request.query_start_time_ns as u64,
            settings: headers_to_settings(&headers),
            direct_schema: read_directly.map_or_else(Bytes::new, |direct| direct.schema()),
        };
        let executor = self
            .connections
            .executor_id(&self.url)
            .map_err(to_datafusion)?;
        let granted = task::Granted {
            grant: key.grant_task(&start, &executor, unix_time_ms()),
            start,
        };
        let monitor = context.session_config().get_extension::<AttemptMonitor>();
        let monitor = monitor.unwrap_or_default();
        monitor.task_started();
        let node = self.node();
        let events = task::run(self.channel.clone(), granted, commands, node.clone())
            .await
            .inspect_err(|error| monitor.fail(error.clone()))
            .map_err(to_datafusion)?;
        let task = (id.stage, id.task);
        let messages = events.filter_map(move |event| {
            let message = match event {
                Ok(TaskReport::Progress(progress)) => {
                    monitor.task_progress(task, &progress);
                    if let (Some(direct), Some(reading)) = (&direct, &progress.direct) {
                        direct.report(task, reading);
                    }
                    None
                }
                Ok(TaskReport::Metrics(metrics)) => {
                    monitor.task_finished(&node, &metrics);
                    let metrics = decode_task_metrics(metrics);
                    Some(Ok(WorkerToCoordinatorMsg::TaskMetrics(metrics)))
                }
                Err(error) => {
                    monitor.fail(error.clone());
                    Some(Err(to_datafusion(error)))
                }
            };
            std::future::ready(message)
        });
        Ok(messages.boxed())
    }

    async fn execute_task(
        &mut self,
        _headers: HeaderMap,
        request: ExecuteTaskRequest,
        metrics: ExecutionPlanMetricsSet,
        context: &Arc<TaskContext>,
    ) -> Result<Vec<BoxStream<'static, Result<RecordBatch>>>> {
        let session = TaskSession::of(context).map_err(to_datafusion)?;
        let direct = context.session_config().get_extension::<DirectReaders>();
        if let Some(direct) = direct.filter(|direct| direct.covers(request.task_key.stage_id)) {
            let id = task_key(&session, &request.task_key)?;
            return Ok(direct.hand_out(&self.url, &id, request.target_partition_end));
        }
        let key = self.connections.key().map_err(to_datafusion)?;
        let limits = self.connections.limits();
        let window_bytes = window_bytes(limits, context);
        let channel = self
            .connections
            .channel_with_window(&self.url, window_bytes);
        let channel = channel.map_err(to_datafusion)?;
        let local = self.connections.local_tasks(&self.url);
        let id = task_key(&session, &request.task_key)?;
        let head = encode_head(request.producer_head, context)?;
        let expires_at_ms = unix_time_ms() + limits.ticket_lifetime.as_millis() as u64;
        (request.target_partition_start..request.target_partition_end)
            .map(|partition| {
                let ticket = ExchangeTicket {
                    task: Some(proto::TaskId::from(&id)),
                    partition: to_u32(partition)?,
                    head: Some(head.clone()),
                    expires_at_ms,
                    compression: self.compression().to_owned(),
                };
                if let Some(tasks) = &local {
                    let ready = local::Ready {
                        bytes_max: limits.send_buffer_bytes,
                        pool: Arc::clone(context.memory_pool()),
                    };
                    return Ok(local::open(Arc::clone(tasks), ticket, ready, self.node()));
                }
                let ticket = key.sign_ticket(&ticket);
                let source = partition::Source {
                    io: self.connections.io().clone(),
                    node: self.node(),
                    window_bytes: window_bytes as usize,
                };
                let call = self.connections.call(Ticket { ticket });
                let call = call.map_err(to_datafusion)?;
                let request = partition::request(channel.clone(), call);
                partition::open(source, request, partition, &metrics, context)
            })
            .collect()
    }

    async fn get_worker_info(
        &mut self,
        _request: GetWorkerInfoRequest,
    ) -> Result<GetWorkerInfoResponse> {
        // Versions are compared once, when an executor joins: the members of a cluster are equal.
        Ok(GetWorkerInfoResponse {
            version: skep_protocol::version::SKEP_VERSION.to_owned(),
        })
    }
}

fn encoded(
    plan: MaybeEncoded<Arc<dyn ExecutionPlan>>,
    context: &Arc<TaskContext>,
) -> Result<Vec<u8>> {
    match plan {
        MaybeEncoded::Encoded(encoded) => Ok(encoded),
        MaybeEncoded::Decoded(plan) => encode_plan(&plan, context),
    }
}

fn task_key(session: &TaskSession, key: &datafusion_distributed::TaskKey) -> Result<TaskKey> {
    Ok(TaskKey {
        query: session.query.clone(),
        attempt: AttemptId(key.query_id),
        stage: to_u32(key.stage_id)?,
        task: to_u32(key.task_number)?,
    })
}

fn to_u32(value: usize) -> Result<u32> {
    u32::try_from(value).map_err(|_| {
        to_datafusion(QueryError::internal(format!(
            "{value} is beyond what a ticket can name"
        )))
    })
}

fn encode_head(
    head: ProducerHead,
    context: &Arc<TaskContext>,
) -> Result<proto::Head, DataFusionError> {
    let head = match head {
        ProducerHead::None => proto::head::Head::None(proto::NoHead {}),
        ProducerHead::BroadcastExec { output_partitions } => {
            proto::head::Head::Broadcast(proto::BroadcastHead {
                output_partitions: to_u32(output_partitions)?,
            })
        }
        ProducerHead::RepartitionExec { partitioning } => {
            proto::head::Head::Repartition(proto::RepartitionHead {
                partitioning: partitioning.encode(context)?.into(),
            })
        }
    };
    Ok(proto::Head { head: Some(head) })
}
