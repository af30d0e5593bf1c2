//! How far this executor's tasks are, for as long as they run: what their scans have read, and whether
//! all of their output has been fetched.
//!
//! Decision: A task's metrics come when its query ends; while it runs, it reports what its scans have read, for the
//! shell's line of progress. `GetQueryProgress`, an action of Skep's own, tells a session about its queries without
//! putting statements into the list of queries.

use bytes::Bytes;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, stream::unfold};
use parking_lot::Mutex;
use skep_protocol::proto::{DirectReading, TaskProgress};
use skep_protocol::{ErrorCode, QueryError, TaskKey};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// How often a task reports.
const REPORT_INTERVAL: Duration = Duration::from_millis(300);

/// After what time a client stands still that does not fetch what lies ready for it.
const STANDSTILL: Duration = Duration::from_secs(1);

/// The metric in which readers of files count bytes.
const BYTES_SCANNED_METRIC: &str = "bytes_scanned";

/// The tasks of this executor that run.
#[derive(Clone, Default)]
pub(crate) struct TaskRegistry(Arc<Mutex<HashMap<String, Arc<TaskState>>>>);

/// One task.
#[derive(Default)]
pub(crate) struct TaskState {
    /// What it runs; the base library owns it.
    plan: Mutex<Option<Weak<dyn ExecutionPlan>>>,
    partitions_opened: AtomicU32,
    partitions_ended: AtomicU32,
    /// How far the client is that reads the output here, where one does.
    direct: Mutex<Option<DirectReading>>,
    /// Since when that client could fetch something, and has not.
    fetchable_since: Mutex<Option<Instant>>,
    /// Whether the coordinator has ended the task.
    over: CancellationToken,
    /// What a client was told that reads the output here, as an IPC message; empty where none does.
    direct_schema: Bytes,
}

/// A task's place on the board, until it is dropped.
pub(crate) struct Listed {
    board: TaskRegistry,
    name: String,
    state: Arc<TaskState>,
}

impl TaskRegistry {
    /// Lists a task, whose output a client reads in that schema where it is not empty.
    pub(crate) fn list(&self, key: &TaskKey, direct_schema: Bytes) -> Listed {
        let state = Arc::new(TaskState {
            direct_schema,
            ..TaskState::default()
        });
        let name = name(key);
        self.0.lock().insert(name.clone(), Arc::clone(&state));
        Listed {
            board: self.clone(),
            name,
            state,
        }
    }

    /// The task of that name, while it is listed.
    pub(crate) fn get(&self, name: &str) -> Option<Arc<TaskState>> {
        self.0.lock().get(name).cloned()
    }
}

/// A task's name on the board, which fits into a header.
pub(crate) fn name(key: &TaskKey) -> String {
    format!("{}-{}-{}", key.attempt.0, key.stage, key.task)
}

impl Listed {
    /// What is known of the task.
    pub(crate) fn state(&self) -> &Arc<TaskState> {
        &self.state
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.board.0.lock().remove(&self.name);
    }
}

impl TaskState {
    /// The task runs this plan.
    pub(crate) fn runs(&self, plan: &Arc<dyn ExecutionPlan>) {
        *self.plan.lock() = Some(Arc::downgrade(plan));
    }

    /// A partition of the task's output, of which it is noticed when it ends.
    pub(crate) fn watch(
        self: Arc<Self>,
        batches: SendableRecordBatchStream,
    ) -> SendableRecordBatchStream {
        self.partitions_opened.fetch_add(1, Ordering::Relaxed);
        let schema = batches.schema();
        let ended = stream::poll_fn(move |_| {
            self.partitions_ended.fetch_add(1, Ordering::Relaxed);
            Poll::Ready(None)
        });
        Box::pin(RecordBatchStreamAdapter::new(schema, batches.chain(ended)))
    }

    fn progress(&self) -> TaskProgress {
        let plan = self.plan.lock().as_ref().and_then(Weak::upgrade);
        let (mut read_rows, mut read_bytes) = (0, 0);
        if let Some(plan) = plan {
            // The closure never fails.
            let _ = plan.apply(|node| {
                if node.children().is_empty()
                    && let Some(metrics) = node.metrics()
                {
                    let bytes = metrics.sum_by_name(BYTES_SCANNED_METRIC);
                    read_bytes += bytes.map_or(0, |bytes| bytes.as_usize()) as u64;
                    read_rows += metrics.output_rows().unwrap_or(0) as u64;
                }
                Ok(TreeNodeRecursion::Continue)
            });
        }
        let opened = self.partitions_opened.load(Ordering::Relaxed);
        let ended = self.partitions_ended.load(Ordering::Relaxed);
        TaskProgress {
            read_rows,
            read_bytes,
            output_ended: opened > 0 && opened == ended,
            direct: self.direct_reading(),
        }
    }

    /// The coordinator has ended the task, or is gone.
    pub(crate) fn end(&self) {
        self.over.cancel();
    }

    /// Resolves when the task is over.
    pub(crate) fn over(&self) -> CancellationToken {
        self.over.clone()
    }

    /// What a client was told that reads the output here, as an IPC message.
    ///
    /// # Errors
    /// `HandleNotFound` where no client is to read it.
    pub(crate) fn direct_schema(&self) -> Result<Bytes, QueryError> {
        match self.direct_schema.is_empty() {
            true => Err(QueryError::new(
                ErrorCode::HandleNotFound,
                "the task's output is for other nodes",
            )),
            false => Ok(self.direct_schema.clone()),
        }
    }

    /// A client begins to read the output.
    ///
    /// # Errors
    /// `HandleNotFound` where one has done so before: rows are not kept.
    pub(crate) fn begin_direct(&self) -> Result<(), QueryError> {
        let mut direct = self.direct.lock();
        if direct.is_some() {
            let text = "this share of the result has been read, or is being read";
            return Err(QueryError::new(ErrorCode::HandleNotFound, text));
        }
        *direct = Some(DirectReading::default());
        Ok(())
    }

    fn direct_reading(&self) -> Option<DirectReading> {
        let reading = self.direct.lock().clone()?;
        let since = *self.fetchable_since.lock();
        Some(DirectReading {
            stands_still: !reading.ended && since.is_some_and(|at| at.elapsed() >= STANDSTILL),
            ..reading
        })
    }

    /// The client asks for more.
    pub(crate) fn fetched(&self) {
        *self.fetchable_since.lock() = None;
        if let Some(reading) = self.direct.lock().as_mut() {
            reading.fetches += 1;
        }
    }

    /// Something lies ready for the client from now on.
    pub(crate) fn fetchable(&self) {
        *self.fetchable_since.lock() = Some(Instant::now());
    }

    /// Rows are on their way to the client.
    pub(crate) fn add_direct_rows(&self, rows: usize) {
        if let Some(reading) = self.direct.lock().as_mut() {
            reading.rows += rows as u64;
        }
    }

    /// Nothing more will be read. Only the first call counts.
    pub(crate) fn end_direct(&self, failed: Option<QueryError>) {
        if let Some(reading) = self.direct.lock().as_mut().filter(|reading| !reading.ended) {
            reading.ended = true;
            reading.failed = failed.map(|error| error.to_detail());
        }
    }

    /// What is known of the task, now and whenever it has changed.
    pub(crate) fn reports(self: Arc<Self>) -> BoxStream<'static, TaskProgress> {
        let first = TaskProgress::default();
        unfold((self, first), |(state, last)| async move {
            loop {
                tokio::time::sleep(REPORT_INTERVAL).await;
                let progress = state.progress();
                if progress != last {
                    return Some((progress.clone(), (state, progress)));
                }
            }
        })
        .boxed()
    }
}
