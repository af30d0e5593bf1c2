//! One partition of another task's output, read from its node.

use super::task::lost_or_typed;
use crate::frame::{PartitionCount, parse_end};
use crate::metrics::EXCHANGE_BYTES_METRIC;
use arrow::record_batch::RecordBatch;
use arrow_flight::decode::{DecodedPayload, FlightDataDecoder};
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::{FlightData, Ticket};
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder, Time};
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use parking_lot::Mutex;
use prost::Message;
use skep_protocol::QueryError;
use skep_protocol::proto::EndOfPartition;
use skep_runtime::error::to_datafusion;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;
use tonic::transport::Channel;
use tonic::{Request, Status};

/// How many batches of one partition may lie ready on the same node, besides the bound in bytes.
pub(super) const READY_BATCHES_MAX: usize = 64;

/// What answers a request for a partition.
pub(super) type Messages = BoxStream<'static, Result<FlightData, Status>>;

/// Where a partition comes from.
pub(super) struct Source {
    pub(super) io: Handle,
    pub(super) node: String,
    pub(super) window_bytes: usize,
}

/// The request for a partition of a task's output.
pub(super) async fn request(channel: Channel, call: Request<Ticket>) -> Result<Messages, Status> {
    let mut client = FlightServiceClient::new(channel).max_decoding_message_size(usize::MAX);
    let response = client.do_get(call).await?;
    Ok(response.into_inner().boxed())
}

/// Asks for the partition at once, and reads it when the stream is polled. The bytes that may be under
/// way are charged to the query as long as the stream is open.
///
/// # Errors
/// `ResourcesExhausted` where the query has no memory for the window.
pub(super) fn open(
    source: Source,
    request: impl Future<Output = Result<Messages, Status>> + Send + 'static,
    partition: usize,
    metrics: &ExecutionPlanMetricsSet,
    context: &Arc<TaskContext>,
) -> Result<BoxStream<'static, Result<RecordBatch>>> {
    let reservation = MemoryConsumer::new("exchange window").register(context.memory_pool());
    reservation.try_grow(source.window_bytes)?;
    let bytes_read = MetricBuilder::new(metrics).counter(EXCHANGE_BYTES_METRIC, partition);
    let elapsed_compute = MetricBuilder::new(metrics).elapsed_compute(partition);
    let reader = Reader {
        opening: Some(AbortOnDropHandle::new(source.io.spawn(request))),
        decoder: None,
        end: Arc::new(Mutex::new(None)),
        count: PartitionCount::default(),
        node: source.node,
        bytes_read,
        _window: reservation,
    };
    let batches = stream::try_unfold(reader, |mut reader| async move {
        let batch = reader.next().await.map_err(to_datafusion)?;
        Ok(batch.map(|batch| (batch, reader)))
    });
    Ok(Timed {
        inner: batches.boxed(),
        elapsed_compute,
    }
    .boxed())
}

type Opening = AbortOnDropHandle<Result<Messages, Status>>;

struct Reader {
    opening: Option<Opening>,
    decoder: Option<FlightDataDecoder>,
    end: Arc<Mutex<Option<EndOfPartition>>>,
    count: PartitionCount,
    node: String,
    bytes_read: Count,
    _window: MemoryReservation,
}

impl Reader {
    async fn next(&mut self) -> Result<Option<RecordBatch>, QueryError> {
        let mut decoder = match self.decoder.take() {
            Some(decoder) => decoder,
            None => self.connect().await?,
        };
        loop {
            let Some(decoded) = decoder.next().await else {
                let end = self.end.lock().take();
                return match self.count.verify(end) {
                    Ok(()) => Ok(None),
                    Err(error) => Err(error.on_node(self.node.clone())),
                };
            };
            let decoded = decoded.map_err(|error| self.failure(error))?;
            if let DecodedPayload::RecordBatch(batch) = decoded.payload {
                self.count.add(&batch);
                self.decoder = Some(decoder);
                return Ok(Some(batch));
            }
        }
    }

    async fn connect(&mut self) -> Result<FlightDataDecoder, QueryError> {
        let Some(opening) = self.opening.take() else {
            return Err(QueryError::internal(
                "an exchange stream was read after its end",
            ));
        };
        let messages = opening
            .await
            .map_err(|error| QueryError::internal(format!("an exchange request failed: {error}")))?
            .map_err(|status| lost_or_typed(&status, &self.node))?;
        let end = Arc::clone(&self.end);
        let bytes_read = self.bytes_read.clone();
        let batches = messages.filter_map(move |message| {
            let kept = match message {
                Ok(data) => {
                    bytes_read.add(data.encoded_len());
                    match parse_end(&data) {
                        Some(found) => {
                            *end.lock() = Some(found);
                            None
                        }
                        None => Some(Ok(data)),
                    }
                }
                Err(status) => Some(Err(FlightError::Tonic(Box::new(status)))),
            };
            std::future::ready(kept)
        });
        Ok(FlightDataDecoder::new(batches))
    }

    fn failure(&self, error: FlightError) -> QueryError {
        match error {
            FlightError::Tonic(status) => lost_or_typed(&status, &self.node),
            other => QueryError::internal(format!("cannot decode an exchange message: {other}"))
                .on_node(self.node.clone()),
        }
    }
}

/// Counts the time that decoding takes: polls never wait.
struct Timed {
    inner: BoxStream<'static, Result<RecordBatch>>,
    elapsed_compute: Time,
}

impl Stream for Timed {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let elapsed = self.elapsed_compute.clone();
        let _timer = elapsed.timer();
        self.inner.poll_next_unpin(context)
    }
}
