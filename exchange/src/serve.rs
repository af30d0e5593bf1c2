//! The producing end of the exchange: one partition of a task's output as a Flight stream.
//!
//! The operators run and the batches are encoded on the node's compute runtime; the connection only
//! takes what lies ready. What lies ready is bounded in bytes and charged to the query. A partition
//! that nobody reads stands still without holding up its siblings.
//!
//! Decision: There is no message for a batch without rows: it is left out before it is counted.

use crate::frame::PartitionCount;
use crate::limits::WireCompression;
use crate::wire::encode;
use arrow_flight::FlightData;
use arrow_ipc::CompressionType;
use arrow_ipc::writer::IpcWriteOptions;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use parking_lot::Mutex;
use prost::Message;
use skep_protocol::QueryError;
use skep_runtime::compact::compact;
use skep_runtime::error::from_datafusion;
use skep_runtime::panic_guard::guard_stream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::task::AbortOnDropHandle;
use tonic::Status;

/// How many encoded messages may lie ready for one partition, besides the bound in bytes.
const READY_MESSAGES_MAX: usize = 64;

/// How one partition is served.
pub struct ServeOptions {
    /// How batches are compressed.
    pub compression: WireCompression,
    /// How many bytes of encoded batches lie ready at most; one larger batch is let through alone.
    pub send_buffer_bytes: u32,
    /// What the ready bytes are charged to.
    pub pool: Arc<dyn MemoryPool>,
    /// Where the operators run.
    pub compute: Handle,
    /// The address of this node, which errors name.
    pub node: String,
    /// Counts the bytes that this node sent.
    pub bytes_sent: Arc<AtomicU64>,
    /// Whether the last message counts what was sent, which only Skep's own readers look for.
    pub is_counted: bool,
}

struct Ready {
    data: FlightData,
    _place: OwnedSemaphorePermit,
    _charge: Option<MemoryReservation>,
}

/// Starts producing `batches` and returns the stream to answer a `DoGet` with. Dropping the answer
/// stops the production.
pub fn serve_partition(
    batches: SendableRecordBatchStream,
    options: ServeOptions,
) -> BoxStream<'static, Result<FlightData, Status>> {
    let (sender, mut receiver) = mpsc::channel(READY_MESSAGES_MAX);
    let compute = options.compute.clone();
    let producer = AbortOnDropHandle::new(compute.spawn(produce(batches, options, sender)));
    stream::poll_fn(move |context| {
        let _alive = &producer;
        receiver.poll_recv(context)
    })
    .map(|ready: Result<Ready, Status>| ready.map(|ready| ready.data))
    .boxed()
}

async fn produce(
    batches: SendableRecordBatchStream,
    options: ServeOptions,
    sender: mpsc::Sender<Result<Ready, Status>>,
) {
    let places = Arc::new(Semaphore::new(options.send_buffer_bytes as usize));
    let count = Arc::new(Mutex::new(PartitionCount::default()));
    let mut messages = match encode_partition(batches, options.compression, Arc::clone(&count)) {
        Ok(messages) => messages,
        Err(error) => {
            let _ = sender.send(Err(error.on_node(options.node).into())).await;
            return;
        }
    };
    while let Some(message) = messages.next().await {
        let item = match message {
            Ok(data) => Ok(make_ready(data, &options, &places).await),
            Err(error) => Err(from_datafusion(&error).on_node(options.node.clone()).into()),
        };
        let failed = item.is_err();
        if sender.send(item).await.is_err() || failed {
            return;
        }
    }
    if !options.is_counted {
        return;
    }
    let end = count.lock().end_message();
    let _ = sender
        .send(Ok(make_ready(end, &options, &places).await))
        .await;
}

/// Waits for a place for `data`. Where the query's memory is short, that is until everything before it
/// has been taken, so that a reader always gets on.
async fn make_ready(data: FlightData, options: &ServeOptions, places: &Arc<Semaphore>) -> Ready {
    let all = options.send_buffer_bytes;
    let size = data.encoded_len();
    options.bytes_sent.fetch_add(size as u64, Ordering::Relaxed);
    let needed = u32::try_from(size).unwrap_or(all).min(all);
    let consumer = MemoryConsumer::new("exchange send buffer");
    let charge = consumer.register(&options.pool);
    let (places_needed, charge) = match charge.try_grow(size) {
        Ok(()) => (needed, Some(charge)),
        Err(_) => (all, None),
    };
    // The semaphore is never closed; without a permit the message would only go uncounted.
    let place = loop {
        if let Ok(place) = Arc::clone(places).acquire_many_owned(places_needed).await {
            break place;
        }
    };
    Ready {
        data,
        _place: place,
        _charge: charge,
    }
}

fn encode_partition(
    batches: SendableRecordBatchStream,
    compression: WireCompression,
    count: Arc<Mutex<PartitionCount>>,
) -> Result<BoxStream<'static, Result<FlightData, DataFusionError>>, QueryError> {
    let compression = match compression {
        WireCompression::None => None,
        WireCompression::Lz4 => Some(CompressionType::LZ4_FRAME),
    };
    let options = IpcWriteOptions::default()
        .try_with_compression(compression)
        .map_err(|error| QueryError::internal(format!("cannot set up the encoder: {error}")))?;
    let schema = batches.schema();
    let batches = guard_stream(batches)
        // There is no message for a batch without rows, which the reader would miss.
        .try_filter(|batch| std::future::ready(batch.num_rows() > 0))
        .and_then(|batch| std::future::ready(compact(batch)))
        .inspect_ok(move |batch| count.lock().add(batch));
    Ok(encode(&schema, batches, options).boxed())
}
