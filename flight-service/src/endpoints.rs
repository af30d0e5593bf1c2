//! How rows are announced and sent: endpoints with tickets, schemas and encoded batches.

use crate::errors::DoorError;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::ipc::writer::IpcWriteOptions;
use arrow::record_batch::RecordBatch;
use arrow_flight::sql::Any;
use arrow_flight::{FlightData, FlightEndpoint, IpcMessage, SchemaAsIpc, Ticket};
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, TryStreamExt};
use prost::Message;
use skep_coordinator::wire::encode;
use std::time::{Duration, SystemTime};
use tonic::Status;

/// What DoGet answers with.
pub(crate) type FlightStream = BoxStream<'static, Result<FlightData, Status>>;

/// The one endpoint of every answer: no location, which means this server.
pub(crate) fn ticket_endpoint(command: &Any) -> FlightEndpoint {
    FlightEndpoint::new().with_ticket(Ticket::new(command.encode_to_vec()))
}

/// Says that an endpoint is good for so long.
pub(crate) fn expire_in(endpoint: &mut FlightEndpoint, wait: Duration) {
    let since_epoch = (SystemTime::now() + wait)
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let expiry = endpoint.expiration_time.get_or_insert_default();
    expiry.seconds = i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX);
    expiry.nanos = 0;
}

/// A schema as an IPC message.
pub(crate) fn schema_bytes(schema: &Schema) -> Result<Bytes, DoorError> {
    let options = IpcWriteOptions::default();
    let IpcMessage(bytes) = SchemaAsIpc::new(schema, &options)
        .try_into()
        .map_err(DoorError::Encode)?;
    Ok(bytes)
}

/// Rows as a call's answer. The batches have the schema already and are small enough already.
pub(crate) fn encoded(
    schema: &SchemaRef,
    batches: impl Stream<Item = Result<RecordBatch, DoorError>> + Send + 'static,
) -> FlightStream {
    encode(schema, batches, IpcWriteOptions::default())
        .map_err(Status::from)
        .boxed()
}
