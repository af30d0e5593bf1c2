//! Rows that a client sends, between the client and the tasks that write them.
//!
//! A queue bounded in bytes: while it is full, nobody reads from the client's connection, which makes the
//! client wait. Any number of readers take batches from it, each batch goes to one of them. A queue that is
//! given up before its end is an error for every reader.

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream;
use parking_lot::Mutex;
use skep_protocol::{ErrorCode, QueryError, QueryId};
use skep_runtime::error::to_datafusion;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many bytes of a client's rows wait for a reader at most; one larger batch waits alone.
const WAITING_BYTES_MAX: u32 = 16 << 20;

/// The rows of one statement.
#[derive(Debug)]
pub(crate) struct RowQueue {
    schema: SchemaRef,
    batches: Mutex<Batches>,
    /// One for each batch that waits, and one more when there will be no further ones.
    ready: Semaphore,
    places: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Batches {
    waiting: VecDeque<(RecordBatch, OwnedSemaphorePermit)>,
    ended: Option<Result<(), QueryError>>,
}

impl RowQueue {
    fn new(schema: SchemaRef) -> Self {
        Self {
            schema,
            batches: Mutex::new(Batches::default()),
            ready: Semaphore::new(0),
            places: Arc::new(Semaphore::new(WAITING_BYTES_MAX as usize)),
        }
    }

    /// Waits for a place for `batch`.
    ///
    /// # Errors
    /// Where the queue has been given up.
    pub(crate) async fn push(&self, batch: RecordBatch) -> Result<(), QueryError> {
        let size = u32::try_from(batch.get_array_memory_size()).unwrap_or(u32::MAX);
        let needed = size.min(WAITING_BYTES_MAX);
        let places = Arc::clone(&self.places);
        // It is never closed.
        let place = places.acquire_many_owned(needed).await;
        let place = place.map_err(|error| QueryError::internal(error.to_string()))?;
        self.batches.lock().waiting.push_back((batch, place));
        self.ready.add_permits(1);
        Ok(())
    }

    /// Says that there are no more rows, or why not all of them will come. Only the first call counts.
    pub(crate) fn end(&self, outcome: Result<(), QueryError>) {
        let mut batches = self.batches.lock();
        if batches.ended.is_some() {
            return;
        }
        if outcome.is_err() {
            batches.waiting.clear();
        }
        batches.ended = Some(outcome);
        drop(batches);
        self.ready.add_permits(1);
    }

    /// The next batch for whoever asks first; `None` after the last one.
    async fn take(&self) -> Result<Option<RecordBatch>, QueryError> {
        // It is never closed.
        let ready = self.ready.acquire().await;
        let ready = ready.map_err(|error| QueryError::internal(error.to_string()))?;
        let mut batches = self.batches.lock();
        match (batches.waiting.pop_front(), &batches.ended) {
            (Some((batch, _place)), _) => {
                ready.forget();
                Ok(Some(batch))
            }
            // The end is there for everybody: the next reader needs what woke this one.
            (None, Some(Ok(()))) => Ok(None),
            (None, Some(Err(error))) => Err(error.clone()),
            (None, None) => Err(QueryError::internal(
                "a batch was announced and is not there",
            )),
        }
    }

    /// A share of the rows: as many as its reader asks for.
    fn share(self: Arc<Self>) -> SendableRecordBatchStream {
        let schema = Arc::clone(&self.schema);
        let batches = stream::try_unfold(self, |queue| async move {
            let batch = queue.take().await.map_err(to_datafusion)?;
            Ok(batch.map(|batch| (batch, queue)))
        });
        Box::pin(RecordBatchStreamAdapter::new(schema, batches))
    }
}

/// The queues of the statements that run, one for each attempt: tasks of an earlier attempt get no rows of a
/// later one.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClientRows(Arc<Mutex<HashMap<Attempt, Arc<RowQueue>>>>);

/// A query and the number of one of its attempts.
type Attempt = (QueryId, u32);

/// A queue that readers find, until it is dropped. What has not ended then never does.
pub(crate) struct OpenQueue {
    all: ClientRows,
    attempt: Attempt,
    pub(crate) queue: Arc<RowQueue>,
}

impl Drop for OpenQueue {
    fn drop(&mut self) {
        self.all.0.lock().remove(&self.attempt);
        let text = "the statement that takes these rows has ended";
        self.queue
            .end(Err(QueryError::new(ErrorCode::Canceled, text)));
    }
}

impl ClientRows {
    /// Opens a queue for the rows of an attempt of `query`.
    pub(crate) fn open(&self, query: &QueryId, attempt: u32, schema: SchemaRef) -> OpenQueue {
        let queue = Arc::new(RowQueue::new(schema));
        let attempt = (query.clone(), attempt);
        self.0.lock().insert(attempt.clone(), Arc::clone(&queue));
        OpenQueue {
            all: self.clone(),
            attempt,
            queue,
        }
    }

    /// A share of the rows of an attempt of `query`.
    ///
    /// # Errors
    /// `QueryNotFound` where it has ended.
    pub(crate) fn share(
        &self,
        query: &QueryId,
        attempt: u32,
    ) -> Result<SendableRecordBatchStream, QueryError> {
        let found = self.0.lock().get(&(query.clone(), attempt)).cloned();
        found.map(RowQueue::share).ok_or_else(|| {
            let text = format!("the statement {query} takes no rows (any more)");
            QueryError::new(ErrorCode::QueryNotFound, text)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::Int64Array;
    use arrow::datatypes::{DataType, Field, Schema};
    use futures::{StreamExt, TryStreamExt};
    use skep_runtime::error::from_datafusion;
    use std::time::Duration;

    fn batch(values: std::ops::Range<i64>) -> RecordBatch {
        let schema = Schema::new(vec![Field::new("a", DataType::Int64, true)]);
        let column = Int64Array::from_iter_values(values);
        RecordBatch::try_new(Arc::new(schema), vec![Arc::new(column)]).unwrap()
    }

    fn query() -> QueryId {
        "20261123_230512_00001_k3f9q".parse().unwrap()
    }

    #[tokio::test]
    async fn every_row_goes_to_one_reader() {
        let all = ClientRows::default();
        let open = all.open(&query(), 1, batch(0..0).schema());
        let readers = (0..3).map(|_| all.share(&query(), 1).unwrap().try_collect::<Vec<_>>());
        let readers = futures::future::join_all(readers);
        let feed = async {
            for number in 0..100 {
                open.queue.push(batch(number..number + 1)).await.unwrap();
                tokio::task::yield_now().await;
            }
            open.queue.end(Ok(()));
        };
        let (shares, ()) = tokio::join!(readers, feed);
        let rows = shares.into_iter().flat_map(|share| share.unwrap());
        assert_eq!(rows.map(|batch| batch.num_rows()).sum::<usize>(), 100);
        let late = all
            .share(&query(), 1)
            .unwrap()
            .try_collect::<Vec<_>>()
            .await;
        assert_eq!(late.unwrap().len(), 0);
    }

    #[tokio::test]
    async fn whoever_sends_waits_for_whoever_reads() {
        let all = ClientRows::default();
        let open = all.open(&query(), 1, batch(0..0).schema());
        let large = batch(0..1_000_000);
        let fill = async {
            loop {
                open.queue.push(large.clone()).await.unwrap();
            }
        };
        let filled = tokio::time::timeout(Duration::from_millis(50), fill).await;
        assert!(filled.is_err(), "it is bounded");
        let waiting = open.queue.batches.lock().waiting.len();
        assert_eq!(waiting, 2, "8 MB each");
        let mut share = all.share(&query(), 1).unwrap();
        share.next().await.unwrap().unwrap();
        open.queue.push(large).await.unwrap();
    }

    #[tokio::test]
    async fn what_is_given_up_is_an_error_for_every_reader() {
        let all = ClientRows::default();
        let open = all.open(&query(), 1, batch(0..0).schema());
        open.queue.push(batch(0..1)).await.unwrap();
        let readers: Vec<_> = (0..3).map(|_| all.share(&query(), 1).unwrap()).collect();
        drop(open);
        for reader in readers {
            let error = reader.try_collect::<Vec<_>>().await.unwrap_err();
            assert_eq!(from_datafusion(&error).code, ErrorCode::Canceled);
        }
        assert!(all.share(&query(), 1).is_err());
    }

    #[tokio::test]
    async fn tasks_of_an_earlier_attempt_get_no_rows_of_a_later_one() {
        let all = ClientRows::default();
        let first = all.open(&query(), 1, batch(0..0).schema());
        let reader = all.share(&query(), 1).unwrap();
        drop(first);
        let second = all.open(&query(), 2, batch(0..0).schema());
        second.queue.push(batch(0..1)).await.unwrap();
        second.queue.end(Ok(()));
        assert!(reader.try_collect::<Vec<_>>().await.is_err());
        assert!(all.share(&query(), 1).is_err());
        let rows = all.share(&query(), 2).unwrap().try_collect::<Vec<_>>();
        assert_eq!(rows.await.unwrap().len(), 1);
    }
}
