//! Rows that go into a table without a statement: Flight SQL's bulk ingest.

use crate::client::Client;
use crate::error::ClientError;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::sql::{
    CommandStatementIngest, DoPutUpdateResult, ProstMessageExt, TableDefinitionOptions,
    TableExistsOption, TableNotExistOption,
};
use arrow_flight::{FlightData, FlightDescriptor};
use futures::{Stream, StreamExt, stream};
use prost::Message;
use tokio::sync::oneshot;

/// What happens where the table is there, or is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IngestMode {
    /// It is created, and must not be there.
    Create,
    /// It must be there.
    Append,
    /// It is created anew, whether it is there or not.
    Replace,
    /// It is created where it is not there.
    CreateOrAppend,
}

impl IngestMode {
    fn options(self) -> TableDefinitionOptions {
        use TableExistsOption as Exists;
        use TableNotExistOption as Missing;
        let (missing, exists) = match self {
            Self::Create => (Missing::Create, Exists::Fail),
            Self::Append => (Missing::Fail, Exists::Append),
            Self::Replace => (Missing::Create, Exists::Replace),
            Self::CreateOrAppend => (Missing::Create, Exists::Append),
        };
        TableDefinitionOptions {
            if_not_exist: missing.into(),
            if_exists: exists.into(),
        }
    }
}

impl Client {
    /// Writes `batches`, all of which have `schema`, into a table; returns how many rows there were. The
    /// stream is read as fast as the server writes. A table is named as `table` or `database.table`.
    ///
    /// # Errors
    /// As for [`Client::execute`]. Nothing of the rows is visible then.
    pub async fn ingest(
        &mut self,
        table: &str,
        mode: IngestMode,
        schema: SchemaRef,
        batches: impl Stream<Item = RecordBatch> + Send + 'static,
    ) -> Result<i64, ClientError> {
        let (database, table) = match table.split_once('.') {
            Some((database, table)) => (Some(database.to_owned()), table),
            None => (None, table),
        };
        let command = CommandStatementIngest {
            table_definition_options: Some(mode.options()),
            table: table.to_owned(),
            schema: database,
            ..Default::default()
        };
        let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
        let first = FlightData {
            flight_descriptor: Some(descriptor),
            ..Default::default()
        };
        let (broken, breaks) = oneshot::channel();
        let encoded = FlightDataEncoderBuilder::new()
            .with_schema(schema)
            .build(batches.map(Ok));
        // A stream that ended at a batch that cannot be sent would look like a whole one, so it goes on
        // without end until the call is dropped.
        let rows = stream::unfold((encoded, broken), |(mut encoded, broken)| async move {
            match encoded.next().await? {
                Ok(message) => Some((message, (encoded, broken))),
                Err(error) => {
                    let _ = broken.send(error);
                    std::future::pending().await
                }
            }
        });
        let answer = tokio::select! {
            answer = self.put(stream::iter([first]).chain(rows)) => answer?,
            Ok(error) = breaks => {
                let text = format!("the rows cannot be sent: {error}");
                return Err(ClientError::Unsendable(text));
            }
        };
        let result = DoPutUpdateResult::decode(answer)
            .map_err(|error| ClientError::Protocol(error.to_string()))?;
        Ok(result.record_count)
    }
}
