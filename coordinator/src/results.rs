//! Runs a planned query and streams its rows to its client.
//!
//! The rows that lie ready are bounded: a client that does not read holds up the query, and nothing
//! else. A client that goes away drops the stream, which drops the plan's own streams, which frees
//! everything on the executors.
//!
//! Rows are held back until the query is done or some lie ready (`skep.result_holdback`): as long as none has
//! left, the query can be started again where an attempt fails for a reason that is not its own.

mod held;

use crate::attempts::{Deadline, QueryAttempts};
use crate::query::admission::{AdmissionPermit, LENDING_AFTER, wait_for_client};
use crate::query::{Profile, QueryHandle};
use arrow::array::RecordBatchOptions;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};
use held::{Charged, Held};
use skep_exchange::monitor::AttemptMonitor;
use skep_planner::{PlannedQuery, PlanningContext};
use skep_protocol::{ErrorCode, QueryError};
use skep_runtime::error::from_datafusion;
use skep_writer::{WrittenFile, decode_reports};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::task::AbortOnDropHandle;

/// A query that is ready to run.
pub(crate) struct Run {
    pub(crate) planned: PlannedQuery,
    /// Held for as long as the query runs; a statement of several runs holds one itself.
    pub(crate) place: Option<AdmissionPermit>,
    pub(crate) monitor: Arc<AttemptMonitor>,
    pub(crate) deadline: Option<Deadline>,
}

/// Plans a query once more, for another attempt.
pub(crate) type Replan = Box<
    dyn Fn(PlanningContext) -> BoxFuture<'static, Result<PlannedQuery, QueryError>> + Send + Sync,
>;

/// A query whose rows a client reads.
pub(crate) struct Reading {
    pub(crate) run: Run,
    pub(crate) attempts: QueryAttempts,
    pub(crate) replan: Replan,
    /// How many bytes of rows are held back.
    pub(crate) holdback_bytes: usize,
}

type Rows = BoxStream<'static, Result<RecordBatch, QueryError>>;

/// How many batches lie ready for a client at most, besides the bound in bytes.
const READY_BATCHES_MAX: usize = 256;

/// How many batches may be on their way from the operators to a statement that takes them itself.
const HANDED_OVER_MAX: usize = 4;

/// Rows that lie ready, with the place that they take and the memory that they are charged.
struct Ready {
    rows: Charged,
    _place: OwnedSemaphorePermit,
}

/// How much lies ready for a client, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReaderLimits {
    /// At most so many bytes, or one larger batch alone.
    pub(crate) bytes_max: u32,
    /// How long the query waits for a client that reads nothing.
    pub(crate) wait_max: Duration,
}

/// Where rows lie ready.
struct ReadyRows {
    sender: mpsc::Sender<Result<Ready, QueryError>>,
    places: Arc<Semaphore>,
    limits: ReaderLimits,
}

impl ReadyRows {
    /// Waits for a place for `rows`; false where the client is gone. Where memory is short, that is until
    /// everything before them has been taken.
    async fn send(&self, rows: Charged) -> bool {
        let size = u32::try_from(rows.bytes()).unwrap_or(u32::MAX);
        let needed = match rows.is_charged() {
            true => size.min(self.limits.bytes_max),
            false => self.limits.bytes_max,
        };
        let Ok(place) = Arc::clone(&self.places).acquire_many_owned(needed).await else {
            return false;
        };
        let ready = Ready {
            rows,
            _place: place,
        };
        self.sender.send(Ok(ready)).await.is_ok()
    }

    /// The same, for as long as a client may read nothing.
    async fn send_in_time(
        &self,
        rows: Charged,
        place: &mut Option<AdmissionPermit>,
    ) -> Result<bool, QueryError> {
        let wait_max = self.limits.wait_max;
        let sent = wait_for_client(self.send(rows), place, wait_max).await;
        sent.ok_or_else(|| {
            let seconds = wait_max.as_secs_f32();
            let text = format!("the client read nothing for {seconds} s (query.client_wait)");
            QueryError::new(ErrorCode::Canceled, text)
        })
    }
}

/// Starts `reading` on `compute` and returns its rows.
pub(crate) fn start(
    reading: Reading,
    handle: QueryHandle,
    limits: ReaderLimits,
    compute: &Handle,
) -> Rows {
    let (sender, mut receiver) = mpsc::channel(READY_BATCHES_MAX);
    let bytes_max = limits.bytes_max.max(1);
    let rows = ReadyRows {
        sender,
        places: Arc::new(Semaphore::new(bytes_max as usize)),
        limits: ReaderLimits {
            bytes_max,
            ..limits
        },
    };
    let task = AbortOnDropHandle::new(compute.spawn(drive(reading, handle, rows)));
    stream::poll_fn(move |context| {
        let _alive = &task;
        receiver.poll_recv(context)
    })
    .map(|ready: Result<Ready, QueryError>| ready.map(|ready| ready.rows.into_batch()))
    .boxed()
}

async fn drive(mut reading: Reading, handle: QueryHandle, ready: ReadyRows) {
    let mut place = reading.run.place.take();
    let outcome = loop {
        let sent = send_rows(&mut reading, &handle, &ready, &mut place).await;
        let Err(error) = sent else {
            break Ok(());
        };
        if let Err(error) = again(&mut reading, &handle, error).await {
            break Err(error);
        }
    };
    let planned = reading.run.planned;
    drop(place);
    if let Some(direct) = planned.direct() {
        handle.add_rows(usize::try_from(direct.rows()).unwrap_or(usize::MAX));
    }
    match outcome {
        Ok(()) => {
            handle.keep_profile(profile(planned));
            handle.finished();
        }
        Err(error) => {
            let error = handle.failed(error);
            // Where nobody listens any more there is nobody to tell.
            let _ = ready.sender.send(Err(error)).await;
        }
    }
}

/// Prepares another attempt of a query that has failed with `error`.
///
/// # Errors
/// Why there is none.
async fn again(
    reading: &mut Reading,
    handle: &QueryHandle,
    error: QueryError,
) -> Result<(), QueryError> {
    let error = first_cause(&reading.run.monitor, handle, error);
    let deadline = reading.run.deadline;
    let planning = async {
        let context = reading.attempts.next(error, handle).await?;
        let monitor = Arc::clone(&context.monitor);
        let planned = (reading.replan)(context).await?;
        handle.planned(Arc::clone(&monitor), planned.shape());
        Ok(Run {
            planned,
            place: None,
            monitor,
            deadline,
        })
    };
    let planned = tokio::select! {
        planned = planning => planned,
        stopped = stop_waiting(deadline, handle) => Err(stopped),
    };
    reading.run = planned?;
    Ok(())
}

/// Why an attempt failed with `error`: the loss of an executor is noticed in several places, and what
/// operators say of it may be less clear than what the transport does.
pub(crate) fn first_cause(
    monitor: &AttemptMonitor,
    handle: &QueryHandle,
    error: QueryError,
) -> QueryError {
    match monitor.failure_now() {
        Some(cause) if !handle.cancellation().is_cancelled() => cause,
        _ => error,
    }
}

/// What the steps of a plan did that has run: found out beside the query, since the statistics of the
/// last tasks may be under way still.
fn profile(planned: PlannedQuery) -> Profile {
    let text = Handle::current().spawn(async move { planned.explain_analyze_text().await });
    let text = AbortOnDropHandle::new(text).map(|text| {
        text.unwrap_or_else(|_| Err(QueryError::internal("gathering the statistics failed")))
    });
    text.boxed().shared()
}

async fn send_rows(
    reading: &mut Reading,
    handle: &QueryHandle,
    ready: &ReadyRows,
    place: &mut Option<AdmissionPermit>,
) -> Result<(), QueryError> {
    let Reading {
        run,
        attempts,
        holdback_bytes,
        ..
    } = reading;
    let mut batches = run.planned.execute()?;
    let mut held = Held::new(*holdback_bytes, run.planned.memory_pool());
    while let Some(batch) = next_or_lend(run, handle, &mut batches, place).await? {
        let batch = with_schema(batch, run.planned.schema())?;
        let Some(released) = held.add(batch) else {
            continue;
        };
        if !attempts.release() {
            return Err(QueryError::internal("an attempt that is over has rows"));
        }
        for rows in released {
            let count = rows.row_count();
            tokio::select! {
                sent = ready.send_in_time(rows, place) => match sent? {
                    true => handle.add_rows(count),
                    false => return Err(handle.canceled_error()),
                },
                stopped = stop(run, handle) => return Err(stopped),
            }
        }
    }
    attempts.succeeded(handle);
    // The plan has run to its end: nothing but the client and the deadline matters any more.
    for rows in held.rest() {
        let count = rows.row_count();
        tokio::select! {
            sent = ready.send_in_time(rows, place) => match sent? {
                true => handle.add_rows(count),
                false => return Err(handle.canceled_error()),
            },
            stopped = stop_waiting(run.deadline, handle) => return Err(stopped),
        }
    }
    Ok(())
}

/// Runs a query on `compute` for its statistics alone; returns how many rows it had.
pub(crate) async fn drain(
    run: &Run,
    handle: &QueryHandle,
    compute: &Handle,
) -> Result<u64, QueryError> {
    let mut rows = 0;
    run_through(run, handle, compute, |batch| {
        rows += batch.num_rows() as u64;
        Ok(())
    })
    .await?;
    Ok(rows)
}

/// Runs a query on `compute` for the few rows that it has.
pub(crate) async fn collect(
    run: &Run,
    handle: &QueryHandle,
    compute: &Handle,
) -> Result<Vec<RecordBatch>, QueryError> {
    let mut batches = Vec::new();
    run_through(run, handle, compute, |batch| {
        batches.push(batch);
        Ok(())
    })
    .await?;
    Ok(batches)
}

/// Runs a query that writes on `compute`; returns the files that it has written.
pub(crate) async fn collect_written(
    run: &Run,
    handle: &QueryHandle,
    compute: &Handle,
) -> Result<Vec<WrittenFile>, QueryError> {
    let mut files = Vec::new();
    run_through(run, handle, compute, |batch| {
        let more = decode_reports(&batch);
        files.extend(more.map_err(|error| QueryError::internal(error.to_string()))?);
        Ok(())
    })
    .await?;
    Ok(files)
}

/// Runs a query on `compute` to its end, and gives all of its batches to `take`, where the caller is. The
/// caller may be on a thread for planning, which no operator is to have.
async fn run_through(
    run: &Run,
    handle: &QueryHandle,
    compute: &Handle,
    mut take: impl FnMut(RecordBatch) -> Result<(), QueryError>,
) -> Result<(), QueryError> {
    let (sender, mut receiver) = mpsc::channel(HANDED_OVER_MAX);
    let start = run.planned.starter();
    let _running = AbortOnDropHandle::new(compute.spawn(async move {
        // Where nobody listens any more there is nobody to tell.
        let _ = match start() {
            Ok(batches) => hand_over(batches, &sender).await,
            Err(error) => sender.send(Err(error)).await.map_err(|_| ()),
        };
    }));
    loop {
        let next = tokio::select! {
            next = receiver.recv() => next,
            stopped = stop(run, handle) => return Err(stopped),
        };
        match next {
            Some(Ok(Some(batch))) => take(batch)?,
            Some(Ok(None)) => return Ok(()),
            Some(Err(error)) => return Err(error),
            // The end is said: what stops without it has lost something.
            None => return Err(QueryError::internal("a query stopped before its end")),
        }
    }
}

/// Sends all batches, and behind the last one that there are no more.
async fn hand_over(
    mut batches: SendableRecordBatchStream,
    sender: &mpsc::Sender<Result<Option<RecordBatch>, QueryError>>,
) -> Result<(), ()> {
    while let Some(batch) = batches.next().await {
        let batch = batch.map(Some).map_err(|error| from_datafusion(&error));
        let failed = batch.is_err();
        sender.send(batch).await.map_err(|_| ())?;
        if failed {
            return Ok(());
        }
    }
    sender.send(Ok(None)).await.map_err(|_| ())
}

/// The next batch. Where clients read from executors, there is none, and a query that only waits for
/// them has no `place` after a while.
async fn next_or_lend(
    run: &Run,
    handle: &QueryHandle,
    batches: &mut SendableRecordBatchStream,
    place: &mut Option<AdmissionPermit>,
) -> Result<Option<RecordBatch>, QueryError> {
    let waiting = async {
        match run.planned.direct() {
            Some(direct) => direct.wait_for_clients(LENDING_AFTER).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        next = next_batch(run, handle, batches) => return next,
        () = waiting, if place.is_some() => drop(place.take()),
    }
    next_batch(run, handle, batches).await
}

async fn next_batch(
    run: &Run,
    handle: &QueryHandle,
    batches: &mut SendableRecordBatchStream,
) -> Result<Option<RecordBatch>, QueryError> {
    tokio::select! {
        batch = batches.next() => match batch {
            Some(Ok(batch)) => Ok(Some(batch)),
            Some(Err(error)) => Err(from_datafusion(&error)),
            None => Ok(None),
        },
        stopped = stop(run, handle) => Err(stopped),
    }
}

/// Resolves when the attempt is not to go on.
async fn stop(run: &Run, handle: &QueryHandle) -> QueryError {
    tokio::select! {
        failure = run.monitor.failure() => failure,
        stopped = stop_waiting(run.deadline, handle) => stopped,
    }
}

/// Resolves when the query is not to go on, whatever becomes of its attempts.
async fn stop_waiting(deadline: Option<Deadline>, handle: &QueryHandle) -> QueryError {
    let late = async {
        match deadline {
            Some(deadline) => {
                tokio::time::sleep_until(deadline.at).await;
                deadline
            }
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = handle.cancellation().cancelled() => handle.canceled_error(),
        deadline = late => deadline.error(),
    }
}

/// The batch with the schema that the client was told: operators differ in what they say of NULLs.
fn with_schema(batch: RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, QueryError> {
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let (_, columns, _) = batch.into_parts();
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).map_err(|error| {
        QueryError::internal(format!("the result is not what the plan said: {error}"))
    })
}
