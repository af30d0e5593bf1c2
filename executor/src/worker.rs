//! The tasks of this executor, run by the base library's worker. The only file of this crate that knows
//! the library.

use crate::file_errors::name_files;
use crate::progress::{self, Listed, TaskRegistry, TaskState};
use async_trait::async_trait;
use datafusion::error::Result;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::SessionState;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::ExecutionPlan;
use datafusion_distributed::{
    DistributedExt, ExecuteTaskRequest, MaybeEncoded, ProducerHead, SetPlanRequest, TaskMetrics,
    Worker, WorkerPlanRewriteEvent, WorkerPlanRewriteEventResponse, WorkerQueryContext,
    WorkerToCoordinatorMsg,
};
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use http::{HeaderMap, HeaderValue};
use skep_exchange::channel::{Connections, CoordinatorConnection, LocalTasks};
use skep_exchange::folded::{decode_plan, is_folded};
use skep_exchange::rows::RowsCodec;
use skep_hive_text::TextScanCodec;
use skep_protocol::proto::{ExchangeTicket, StartTask, head};
use skep_protocol::{ErrorCode, QueryError, TaskKey};
use skep_runtime::bulk_scan::BulkScanCodec;
use skep_runtime::constants::ForgetConstantsCodec;
use skep_runtime::error::{from_datafusion, to_datafusion};
use skep_runtime::functions::FunctionSet;
use skep_runtime::memory::{NodeMemory, QueryPool};
use skep_runtime::panic_guard::{guard_broadcasts, guard_call};
use skep_runtime::session::{TaskSession, settings_to_headers};
use skep_writer::WriteCodec;
use std::sync::Arc;
use std::time::{Duration, Instant};
use url::Url;

/// The header that names a task within this executor.
const TASK_HEADER: &str = "skep-listed-task";

/// Runs tasks.
#[derive(Clone)]
pub(crate) struct TaskRunner {
    worker: Worker,
    sessions: SessionFactory,
    memory: Arc<NodeMemory>,
    board: TaskRegistry,
    /// Who knows the users, where this node has joined a cluster.
    pub(crate) coordinator: Option<CoordinatorConnection>,
}

/// One partition of a task's output.
pub(crate) struct OpenPartition {
    pub(crate) batches: SendableRecordBatchStream,
    pub(crate) context: Arc<TaskContext>,
}

/// A task that has been accepted.
pub(crate) struct RunningTask {
    /// Resolves when the task has ended, with its metrics where it ran at all.
    pub(crate) metrics: BoxFuture<'static, Result<Option<TaskMetrics>, QueryError>>,
    /// The memory of its query on this node.
    pub(crate) pool: Arc<QueryPool>,
    /// Its place among the tasks that run.
    pub(crate) listed: Listed,
}

impl TaskRunner {
    /// Runs tasks with `runtime`, reading from other executors through `connections` and from the
    /// `coordinator`.
    pub(crate) fn new(
        runtime: Arc<RuntimeEnv>,
        memory: Arc<NodeMemory>,
        connections: Connections,
        coordinator: Option<CoordinatorConnection>,
        functions: FunctionSet,
    ) -> Self {
        let board = TaskRegistry::default();
        let sessions = SessionFactory {
            board: board.clone(),
            functions,
            runtime: Arc::clone(&runtime),
            memory: Arc::clone(&memory),
            connections,
            coordinator: coordinator.clone(),
        };
        let factory = sessions.clone();
        let worker = Worker::from_session_builder(move |context| {
            let sessions = factory.clone();
            async move { sessions.build(context) }
        })
        .with_runtime_env(runtime)
        .with_version(skep_protocol::version::SKEP_VERSION);
        Self {
            worker,
            sessions,
            memory,
            board,
            coordinator,
        }
    }

    /// Accepts a task. It runs when its partitions are read and ends when `end` resolves.
    ///
    /// # Errors
    /// Where the task or its plan cannot be read.
    pub(crate) async fn start(
        &self,
        start: StartTask,
        end: BoxFuture<'static, ()>,
    ) -> Result<RunningTask, QueryError> {
        let key = task_key(start.task)?;
        let mut headers = settings_to_headers(start.settings)?;
        let listed = self.board.list(&key, start.direct_schema);
        headers.insert(TASK_HEADER, task_header(&key)?);
        let session = TaskSession::from_headers(&headers)?;
        let pool = self
            .memory
            .query_pool(&session.query, session.memory_limit_bytes as usize);
        let target_worker_url = Url::parse(&start.target_address)
            .map_err(|error| QueryError::internal(format!("invalid task address: {error}")))?;
        let plan = match is_folded(&start.plan) {
            true => MaybeEncoded::Decoded(self.sessions.unfold(&start.plan, headers.clone())?),
            false => MaybeEncoded::Encoded(start.plan.to_vec()),
        };
        let request = SetPlanRequest {
            task_key: library_key(&key),
            task_count: start.task_count as usize,
            plan,
            work_unit_feed_declarations: vec![],
            target_worker_url,
            query_start_time_ns: start.query_started_at_ns as usize,
        };
        // The library takes the end of this stream for the end of the query.
        let commands = stream::once(end)
            .filter_map(|()| std::future::ready(None))
            .boxed();
        let events = self
            .worker
            .coordinator_channel(headers, request, commands)
            .await
            .map_err(|error| readable(from_datafusion(&error)))?;
        Ok(RunningTask {
            metrics: Box::pin(last_metrics(events)),
            pool,
            listed,
        })
    }

    /// What is known of a task that has been, or is just being, accepted: whoever reads its output may be
    /// told of it before its executor is.
    ///
    /// # Errors
    /// `HandleNotFound` where it does not run (any more).
    pub(crate) async fn state_of(
        &self,
        task: Option<skep_protocol::proto::TaskId>,
    ) -> Result<Arc<TaskState>, QueryError> {
        let key = task_key(task)?;
        let name = progress::name(&key);
        let started = Instant::now();
        loop {
            if let Some(state) = self.board.get(&name) {
                return Ok(state);
            }
            if started.elapsed() > ACCEPTED_WITHIN {
                let text = format!("the query {} has ended", key.query);
                return Err(QueryError::new(ErrorCode::HandleNotFound, text));
            }
            tokio::time::sleep(ACCEPTED_POLL_INTERVAL).await;
        }
    }

    /// Starts one partition of a task that has been, or is just being, accepted.
    ///
    /// # Errors
    /// Where there is no such task, or its operators fail to start.
    pub(crate) async fn open(&self, ticket: ExchangeTicket) -> Result<OpenPartition, QueryError> {
        let key = task_key(ticket.task)?;
        let state = self.board.get(&progress::name(&key));
        let partition = ticket.partition as usize;
        let request = ExecuteTaskRequest {
            task_key: library_key(&key),
            target_partition_start: partition,
            target_partition_end: partition + 1,
            producer_head: producer_head(ticket.head.and_then(|head| head.head))?,
        };
        let (mut streams, context) = self
            .worker
            .execute_task(request)
            .await
            .map_err(|error| readable(from_datafusion(&error)))?;
        match (streams.pop(), streams.is_empty()) {
            (Some(batches), true) => {
                let batches = match state {
                    Some(state) => state.watch(batches),
                    None => batches,
                };
                Ok(OpenPartition { batches, context })
            }
            _ => Err(QueryError::internal(
                "a task gave other partitions than were asked for",
            )),
        }
    }
}

#[async_trait]
impl LocalTasks for TaskRunner {
    async fn open_local(
        &self,
        ticket: ExchangeTicket,
    ) -> Result<SendableRecordBatchStream, QueryError> {
        Ok(self.open(ticket).await?.batches)
    }
}

async fn last_metrics(
    mut events: BoxStream<'static, Result<WorkerToCoordinatorMsg>>,
) -> Result<Option<TaskMetrics>, QueryError> {
    let mut last = None;
    while let Some(event) = events.next().await {
        if let WorkerToCoordinatorMsg::TaskMetrics(metrics) =
            event.map_err(|error| from_datafusion(&error))?
        {
            last = Some(metrics);
        }
    }
    Ok(last)
}

#[derive(Clone)]
struct SessionFactory {
    board: TaskRegistry,
    runtime: Arc<RuntimeEnv>,
    memory: Arc<NodeMemory>,
    connections: Connections,
    coordinator: Option<CoordinatorConnection>,
    functions: FunctionSet,
}

impl SessionFactory {
    /// Reads a plan that is nested deeper than the base library can read.
    fn unfold(
        &self,
        plan: &[u8],
        headers: HeaderMap,
    ) -> Result<Arc<dyn ExecutionPlan>, QueryError> {
        let builder = SessionStateBuilder::new()
            .with_default_features()
            .with_runtime_env(Arc::clone(&self.runtime));
        let context = WorkerQueryContext { builder, headers };
        let state = self
            .build(context)
            .map_err(|error| from_datafusion(&error))?;
        guard_call(|| decode_plan(plan, &state.task_ctx())).map_err(|error| from_datafusion(&error))
    }

    /// The session of one task: the statement's settings, and a memory pool that the query's other
    /// tasks on this node share.
    fn build(&self, context: WorkerQueryContext) -> Result<SessionState> {
        let WorkerQueryContext {
            mut builder,
            headers,
        } = context;
        let session = TaskSession::from_headers(&headers).map_err(to_datafusion)?;
        let state = listed_task(&headers).and_then(|name| self.board.get(name));
        let limit = session.memory_limit_bytes as usize;
        let pool = self.memory.query_pool(&session.query, limit);
        let runtime = RuntimeEnv {
            memory_pool: pool,
            ..self.runtime.as_ref().clone()
        };
        let config = builder.config().get_or_insert_default();
        session.apply(config)?;
        if let Some(coordinator) = &self.coordinator {
            config.set_extension(Arc::new(coordinator.clone()));
        }
        let mut state = builder
            .with_runtime_env(Arc::new(runtime))
            .with_distributed_channel_resolver(self.connections.clone())
            .with_distributed_user_codec(WriteCodec)
            .with_distributed_user_codec(TextScanCodec)
            .with_distributed_user_codec(RowsCodec)
            .with_distributed_user_codec(ForgetConstantsCodec)
            .with_distributed_user_codec(BulkScanCodec)
            .with_distributed_passthrough_headers(session.to_headers().map_err(to_datafusion)?)?
            .with_distributed_worker_plan_rewrite_handler(move |event: WorkerPlanRewriteEvent| {
                guard_plan(event, state.as_deref())
            })
            .build();
        self.functions.register(&mut state)?;
        Ok(state)
    }
}

fn guard_plan(
    event: WorkerPlanRewriteEvent,
    state: Option<&TaskState>,
) -> Result<WorkerPlanRewriteEventResponse> {
    let plan = guard_call(|| name_files(guard_broadcasts(event.plan)?))?;
    if let Some(state) = state {
        state.runs(&plan);
    }
    Ok(WorkerPlanRewriteEventResponse::new(plan))
}

/// Protocol buffers are read 100 deep at most, which is said in their error's text alone, behind a list of all
/// that they are nested in. Operators and expressions are folded before that; types are not.
fn readable(error: QueryError) -> QueryError {
    match error.message.contains("recursion limit") {
        true => QueryError::new(
            ErrorCode::Unsupported,
            "the query is nested too deep to be sent to an executor: a type in it has too many levels",
        ),
        false => error,
    }
}

/// How long a task may take from its ticket's making until it is accepted, and how often that is looked for.
const ACCEPTED_WITHIN: Duration = Duration::from_secs(3);
const ACCEPTED_POLL_INTERVAL: Duration = Duration::from_millis(10);

/// A task's name, on its way through the base library to the session that it runs in.
fn task_header(key: &TaskKey) -> Result<HeaderValue, QueryError> {
    HeaderValue::from_str(&progress::name(key))
        .map_err(|error| QueryError::internal(format!("a task's name is not a header: {error}")))
}

fn listed_task(headers: &HeaderMap) -> Option<&str> {
    headers.get(TASK_HEADER)?.to_str().ok()
}

fn task_key(id: Option<skep_protocol::proto::TaskId>) -> Result<TaskKey, QueryError> {
    let invalid = |text: String| QueryError::new(ErrorCode::InvalidArgument, text);
    id.ok_or_else(|| invalid("a task without an id".to_owned()))?
        .try_into()
        .map_err(|error| invalid(format!("{error}")))
}

fn library_key(key: &TaskKey) -> datafusion_distributed::TaskKey {
    datafusion_distributed::TaskKey {
        query_id: key.attempt.0,
        stage_id: key.stage as usize,
        task_number: key.task as usize,
    }
}

fn producer_head(head: Option<head::Head>) -> Result<ProducerHead, QueryError> {
    match head {
        Some(head::Head::None(_)) => Ok(ProducerHead::None),
        Some(head::Head::Broadcast(broadcast)) => Ok(ProducerHead::BroadcastExec {
            output_partitions: broadcast.output_partitions as usize,
        }),
        Some(head::Head::Repartition(repartition)) => Ok(ProducerHead::RepartitionExec {
            partitioning: MaybeEncoded::Encoded(repartition.partitioning.to_vec()),
        }),
        None => Err(QueryError::new(
            ErrorCode::InvalidArgument,
            "a ticket without a head",
        )),
    }
}
