//! Bulk ingest: rows that a client streams into a table by DoPut.
//!
//! Nothing is gathered here. Messages are decoded as the engine asks for batches, so that a full engine
//! makes the client wait, and a client that goes away ends the statement.

use crate::door::Door;
use crate::engine::{ClientBatches, IfExists, IfMissing, IngestRequest, IngestTarget};
use crate::errors::{DoorError, decode_error};
use crate::sessions::Session;
use crate::wire_schema::{WireTypes, wire_schema};
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use arrow_flight::FlightData;
use arrow_flight::decode::{DecodedPayload, FlightDataDecoder};
use arrow_flight::error::FlightError;
use arrow_flight::sql::{
    CommandStatementIngest, TableDefinitionOptions, TableExistsOption, TableNotExistOption,
};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use skep_coordinator::wire::to_wire;
use skep_protocol::QueryError;
use std::sync::Arc;
use tonic::Status;

/// Batches go to the writers in pieces of at most so many bytes, so that one large message keeps all of
/// them busy.
const PIECE_BYTES_MAX: usize = 8 << 20;

impl Door {
    /// Writes what follows `first` into the table that `command` names; returns how many rows there were.
    pub(crate) async fn ingest(
        &self,
        session: Arc<Session>,
        command: CommandStatementIngest,
        first: FlightData,
        rest: impl Stream<Item = Result<FlightData, Status>> + Send + 'static,
    ) -> Result<i64, DoorError> {
        let (if_missing, if_exists) = modes(command.table_definition_options.as_ref())?;
        check(&command)?;
        self.check_catalog(&session, command.catalog.as_deref())
            .await?;
        let first = (!first.data_header.is_empty()).then_some(Ok(first));
        let messages = stream::iter(first).chain(rest).map_err(FlightError::from);
        let mut decoder = FlightDataDecoder::new(messages.boxed());
        let schema = read_schema(&mut decoder).await?;
        let request = IngestRequest {
            session: session.id.clone(),
            target: IngestTarget {
                database: command.schema.filter(|name| !name.is_empty()),
                table: command.table,
                temporary: command.temporary,
            },
            if_missing,
            if_exists,
            batches: batches(decoder, Arc::clone(&schema), session),
            schema,
        };
        let rows = self.service.ingest(request).await?;
        Ok(i64::try_from(rows).unwrap_or(i64::MAX))
    }

    async fn check_catalog(
        &self,
        session: &Session,
        catalog: Option<&str>,
    ) -> Result<(), DoorError> {
        let Some(catalog) = catalog.filter(|name| !name.is_empty()) else {
            return Ok(());
        };
        let metadata = self.service.metadata(&session.id).await?;
        match metadata.catalog == catalog {
            true => Ok(()),
            false => {
                let known = &metadata.catalog;
                let text = format!("there is no catalog '{catalog}'; the one catalog is '{known}'");
                let code = skep_protocol::ErrorCode::DatabaseNotFound;
                Err(QueryError::new(code, text).into())
            }
        }
    }
}

/// What is asked for and cannot be had.
fn check(command: &CommandStatementIngest) -> Result<(), DoorError> {
    let transaction = command.transaction_id.as_ref();
    if transaction.is_some_and(|id| !id.is_empty()) {
        let what = "ingest in a transaction";
        return Err(DoorError::Unsupported(what.to_owned()));
    }
    if command.table.is_empty() {
        let text = "the ingest names no table";
        return Err(DoorError::BadRequest(text.to_owned()));
    }
    match command.options.keys().min() {
        None => Ok(()),
        Some(option) => Err(DoorError::Unsupported(format!(
            "the ingest option '{option}'"
        ))),
    }
}

/// What happens where the table is missing, and where it is there. A client that says neither appends.
fn modes(options: Option<&TableDefinitionOptions>) -> Result<(IfMissing, IfExists), DoorError> {
    let Some(options) = options else {
        return Ok((IfMissing::Fail, IfExists::Append));
    };
    let if_missing = match options.if_not_exist() {
        TableNotExistOption::Create => IfMissing::Create,
        TableNotExistOption::Fail => IfMissing::Fail,
        TableNotExistOption::Unspecified => return Err(unspecified("if_not_exist")),
    };
    let if_exists = match options.if_exists() {
        TableExistsOption::Fail => IfExists::Fail,
        TableExistsOption::Append => IfExists::Append,
        TableExistsOption::Replace => IfExists::Replace,
        TableExistsOption::Unspecified => return Err(unspecified("if_exists")),
    };
    Ok((if_missing, if_exists))
}

fn unspecified(option: &str) -> DoorError {
    DoorError::BadRequest(format!("the ingest does not say '{option}'"))
}

/// The schema that comes ahead of the rows, with types that every node handles.
async fn read_schema(decoder: &mut FlightDataDecoder) -> Result<SchemaRef, DoorError> {
    while let Some(decoded) = decoder.try_next().await.map_err(decode_error)? {
        if let DecodedPayload::Schema(schema) = decoded.payload {
            return Ok(table_schema(&schema));
        }
    }
    let text = "the ingest has neither a schema nor rows";
    Err(DoorError::BadRequest(text.to_owned()))
}

/// Without what a client notes on its fields.
fn table_schema(schema: &Schema) -> SchemaRef {
    let plain = wire_schema(schema, WireTypes::Plain);
    let fields: Vec<Field> = plain
        .fields()
        .iter()
        .map(|field| Field::new(field.name(), field.data_type().clone(), true))
        .collect();
    Arc::new(Schema::new(fields))
}

fn batches(decoder: FlightDataDecoder, schema: SchemaRef, session: Arc<Session>) -> ClientBatches {
    decoder
        .map(move |decoded| {
            session.touch();
            let pieces = decoded
                .map_err(decode_error)
                .and_then(|decoded| pieces(decoded.payload, &schema).map_err(DoorError::Rows));
            let pieces: BoxStream<'static, Result<RecordBatch, QueryError>> = match pieces {
                Ok(pieces) => stream::iter(pieces.into_iter().map(Ok)).boxed(),
                Err(error) => stream::iter([Err(error.into())]).boxed(),
            };
            pieces
        })
        .flatten()
        .boxed()
}

fn pieces(
    payload: DecodedPayload,
    schema: &SchemaRef,
) -> Result<Vec<RecordBatch>, arrow::error::ArrowError> {
    match payload {
        DecodedPayload::RecordBatch(batch) => to_wire(&batch, schema, PIECE_BYTES_MAX),
        DecodedPayload::None | DecodedPayload::Schema(_) => Ok(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(if_not_exist: i32, if_exists: i32) -> TableDefinitionOptions {
        TableDefinitionOptions {
            if_not_exist,
            if_exists,
        }
    }

    #[test]
    fn the_modes_of_adbc() {
        use TableExistsOption::{Append, Fail, Replace};
        let create = TableNotExistOption::Create as i32;
        for (exists, expected) in [
            (Fail, IfExists::Fail),
            (Append, IfExists::Append),
            (Replace, IfExists::Replace),
        ] {
            let found = modes(Some(&options(create, exists as i32))).unwrap();
            assert_eq!(found, (IfMissing::Create, expected));
        }
        assert_eq!(modes(None).unwrap(), (IfMissing::Fail, IfExists::Append));
        assert!(modes(Some(&options(0, Append as i32))).is_err());
        assert!(modes(Some(&options(create, 0))).is_err());
        assert!(modes(Some(&options(create, 99))).is_err());
    }

    #[test]
    fn what_is_not_supported_is_refused_by_name() {
        let plain = CommandStatementIngest {
            table: "t".into(),
            ..Default::default()
        };
        assert!(check(&plain).is_ok());
        let refused = [
            CommandStatementIngest {
                transaction_id: Some(vec![1].into()),
                ..plain.clone()
            },
            CommandStatementIngest {
                options: [("compress".to_owned(), "yes".to_owned())].into(),
                ..plain.clone()
            },
            CommandStatementIngest {
                table: String::new(),
                ..plain
            },
        ];
        let texts = refused.map(|command| check(&command).unwrap_err().to_string());
        let names = ["transaction", "compress", "no table"];
        for (text, name) in texts.iter().zip(names) {
            assert!(text.contains(name), "{text}");
        }
    }
}
