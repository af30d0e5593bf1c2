//! How far this executor's tasks are, for as long as they run: what their scans have read, and whether
//! all of their output has been fetched.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, stream::unfold};
use parking_lot::Mutex;
use skep_protocol::TaskKey;
use skep_protocol::proto::TaskProgress;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::Duration;

/// How often a task reports.
const REPORT_INTERVAL: Duration = Duration::from_millis(300);

/// The metric in which readers of files count bytes.
const BYTES_SCANNED_METRIC: &str = "bytes_scanned";

/// The tasks of this executor that run.
#[derive(Clone, Default)]
pub(crate) struct TaskBoard(Arc<Mutex<HashMap<String, Arc<TaskState>>>>);

/// One task.
#[derive(Default)]
pub(crate) struct TaskState {
    /// What it runs; the base library owns it.
    plan: Mutex<Option<Weak<dyn ExecutionPlan>>>,
    partitions_opened: AtomicU32,
    partitions_ended: AtomicU32,
}

/// A task's place on the board, until it is dropped.
pub(crate) struct Listed {
    board: TaskBoard,
    name: String,
    state: Arc<TaskState>,
}

impl TaskBoard {
    /// Lists a task.
    pub(crate) fn list(&self, key: &TaskKey) -> Listed {
        let state = Arc::<TaskState>::default();
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
                    return Some((progress, (state, progress)));
                }
            }
        })
        .boxed()
    }
}
