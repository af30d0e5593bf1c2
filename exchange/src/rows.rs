//! Rows that only the coordinator has, because a client is sending them, on their way to the executors.
//!
//! They have no place in storage and no stage of their own. Tasks fetch them from the coordinator: each
//! partition of each task asks for a share, and every row goes to whichever asks first. So whoever writes
//! faster gets more, and nobody's share is known beforehand. The end of each share is said and counted as
//! in the exchange.

mod codec;
mod exec;

pub use codec::RowsCodec;
pub use exec::CoordinatorRowsExec;

use crate::serve::{ServeOptions, serve_partition};
use arrow_flight::FlightData;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use futures::stream::BoxStream;
use skep_protocol::proto::RowsMessage;
use tonic::Status;

/// The answer to a request for a share, whose batches are `batches`.
pub fn serve_rows(
    batches: SendableRecordBatchStream,
    options: ServeOptions,
) -> BoxStream<'static, Result<RowsMessage, Status>> {
    serve_partition(batches, options)
        .map(|message| message.map(from_flight))
        .boxed()
}

fn from_flight(data: FlightData) -> RowsMessage {
    RowsMessage {
        data_header: data.data_header,
        app_metadata: data.app_metadata,
        data_body: data.data_body,
    }
}

pub(crate) fn to_flight(message: RowsMessage) -> FlightData {
    FlightData {
        data_header: message.data_header,
        app_metadata: message.app_metadata,
        data_body: message.data_body,
        ..FlightData::default()
    }
}
