//! A partition of a task in this same process: its batches are handed over as they are.
//!
//! What lies ready is bounded and charged like what comes from other nodes, and its end is said like
//! theirs: a producer that stopped without a word is an error, not the end.

use super::partition::READY_BATCHES_MAX;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::error::Result;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use skep_protocol::proto::ExchangeTicket;
use skep_protocol::{ErrorCode, QueryError};
use skep_runtime::error::{from_datafusion, to_datafusion};
use skep_runtime::panic_guard::guard_stream;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::task::AbortOnDropHandle;

/// The tasks of an executor in this process.
#[async_trait]
pub trait LocalTasks: Send + Sync {
    /// Starts one partition of one of them.
    ///
    /// # Errors
    /// Where there is no such task, or its operators fail to start.
    async fn open_local(
        &self,
        ticket: ExchangeTicket,
    ) -> Result<SendableRecordBatchStream, QueryError>;
}

/// What a producer says.
enum Said {
    Batch {
        batch: RecordBatch,
        _place: OwnedSemaphorePermit,
        _charge: Option<MemoryReservation>,
    },
    End,
}

/// The bounds of what lies ready.
pub(super) struct Ready {
    pub(super) bytes_max: u32,
    pub(super) pool: Arc<dyn MemoryPool>,
}

/// Starts producing on the current runtime at once; dropping the stream stops it.
pub(super) fn open(
    tasks: Arc<dyn LocalTasks>,
    ticket: ExchangeTicket,
    ready: Ready,
    node: String,
) -> BoxStream<'static, Result<RecordBatch>> {
    let (sender, receiver) = mpsc::channel(READY_BATCHES_MAX);
    let producing = async move {
        let outcome = produce(tasks, ticket, &ready, &sender).await;
        let last = outcome.map(|()| Said::End);
        // Where nobody listens any more there is nobody to tell.
        let _ = sender.send(last).await;
    };
    let producer = AbortOnDropHandle::new(Handle::current().spawn(producing));
    let state = Some((receiver, producer));
    stream::unfold(state, move |state| {
        let node = node.clone();
        async move {
            let (mut receiver, producer) = state?;
            match receiver.recv().await {
                Some(Ok(Said::Batch { batch, .. })) => {
                    Some((Ok(batch), Some((receiver, producer))))
                }
                Some(Ok(Said::End)) => None,
                Some(Err(error)) => Some((Err(to_datafusion(error.on_node(node))), None)),
                None => {
                    let text = "a task of this process stopped before its end";
                    let error = QueryError::new(ErrorCode::TruncatedExchange, text).on_node(node);
                    Some((Err(to_datafusion(error)), None))
                }
            }
        }
    })
    .boxed()
}

async fn produce(
    tasks: Arc<dyn LocalTasks>,
    ticket: ExchangeTicket,
    ready: &Ready,
    sender: &mpsc::Sender<Result<Said, QueryError>>,
) -> Result<(), QueryError> {
    let places = Arc::new(Semaphore::new(ready.bytes_max as usize));
    let mut batches = guard_stream(tasks.open_local(ticket).await?);
    while let Some(batch) = batches.next().await {
        let batch = batch.map_err(|error| from_datafusion(&error))?;
        let size = batch.get_array_memory_size();
        let charge = MemoryConsumer::new("exchange local buffer").register(&ready.pool);
        // Where memory is short, a batch waits until everything before it has been taken, so that the
        // reader always gets on.
        let (needed, charge) = match charge.try_grow(size) {
            Ok(()) => {
                let size = u32::try_from(size).unwrap_or(u32::MAX);
                (size.min(ready.bytes_max), Some(charge))
            }
            Err(_) => (ready.bytes_max, None),
        };
        let Ok(place) = Arc::clone(&places).acquire_many_owned(needed).await else {
            return Err(QueryError::internal("a local exchange was closed"));
        };
        let said = Said::Batch {
            batch,
            _place: place,
            _charge: charge,
        };
        if sender.send(Ok(said)).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Int64Array};
    use datafusion::execution::memory_pool::{GreedyMemoryPool, UnboundedMemoryPool};
    use datafusion::physical_plan::stream::RecordBatchStreamAdapter;

    /// A task that produces `batches` batches, then panics where it is told to.
    struct Numbers {
        batches: i64,
        panics: bool,
    }

    fn batch(number: i64) -> RecordBatch {
        let column: ArrayRef = Arc::new(Int64Array::from_iter_values(number..number + 100));
        RecordBatch::try_from_iter([("n", column)]).unwrap()
    }

    #[async_trait]
    impl LocalTasks for Numbers {
        async fn open_local(
            &self,
            _ticket: ExchangeTicket,
        ) -> Result<SendableRecordBatchStream, QueryError> {
            let (count, panics) = (self.batches, self.panics);
            let batches = stream::iter(0..=count).filter_map(move |number| async move {
                match number < count {
                    true => Some(Ok(batch(number))),
                    false if panics => panic!("broke at {number}"),
                    false => None,
                }
            });
            let schema = batch(0).schema();
            Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
        }
    }

    async fn read(tasks: Numbers, pool: Arc<dyn MemoryPool>) -> Vec<Result<RecordBatch>> {
        let ready = Ready {
            bytes_max: 2000,
            pool,
        };
        let ticket = ExchangeTicket::default();
        open(Arc::new(tasks), ticket, ready, "h:1".into())
            .collect()
            .await
    }

    #[tokio::test]
    async fn all_batches_arrive_with_much_memory_and_with_none() {
        let pools: [Arc<dyn MemoryPool>; 2] = [
            Arc::new(UnboundedMemoryPool::default()),
            Arc::new(GreedyMemoryPool::new(0)),
        ];
        for pool in pools {
            let numbers = Numbers {
                batches: 500,
                panics: false,
            };
            let read = read(numbers, Arc::clone(&pool)).await;
            assert_eq!(read.len(), 500);
            assert_eq!(read[499].as_ref().unwrap(), &batch(499));
            assert_eq!(pool.reserved(), 0);
        }
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_not_the_end() {
        let numbers = Numbers {
            batches: 3,
            panics: true,
        };
        let read = read(numbers, Arc::new(UnboundedMemoryPool::default())).await;
        assert_eq!(read.len(), 4);
        let error = from_datafusion(read[3].as_ref().unwrap_err());
        assert_eq!(error.code, ErrorCode::Panic);
    }
}
