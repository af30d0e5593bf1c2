//! Statements with parameters: prepared, bound and forgotten in one go.

use crate::client::{Client, ResultMetadata, schema_of};
use crate::error::ClientError;
use crate::result::StatementResult;
use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{Field, Schema};
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::sql::{
    ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest,
    ActionCreatePreparedStatementResult, Any, CommandPreparedStatementQuery,
    CommandPreparedStatementUpdate, DoPutUpdateResult, ProstMessageExt,
};
use arrow_flight::{Action, FlightData, FlightDescriptor, IpcMessage};
use bytes::Bytes;
use futures::{TryStreamExt, stream};
use prost::Message;
use skep_protocol::{ErrorCode, QueryError};
use std::sync::Arc;

impl Client {
    /// Runs a statement with values for `$1`, `$2`, …, given as text and read as the types that the
    /// server wants; `None` is NULL.
    ///
    /// # Errors
    /// As for [`Client::execute`]; `InvalidArgument` where a value is not of its type, or their number
    /// is not right.
    pub async fn execute_with(
        &mut self,
        sql: &str,
        values: &[Option<String>],
    ) -> Result<StatementResult, ClientError> {
        let prepared = self.prepare(sql).await?;
        let handle = prepared.prepared_statement_handle.clone();
        let result = self.run_prepared(prepared, values).await;
        // What runs does not need it any more. Where it cannot be forgotten, the session's end does it.
        let request = ActionClosePreparedStatementRequest {
            prepared_statement_handle: handle,
        };
        let _ = self.act("ClosePreparedStatement", &request).await;
        result
    }

    async fn prepare(
        &mut self,
        sql: &str,
    ) -> Result<ActionCreatePreparedStatementResult, ClientError> {
        let request = ActionCreatePreparedStatementRequest {
            query: sql.to_owned(),
            transaction_id: None,
        };
        let answer = self.act("CreatePreparedStatement", &request).await?;
        let unreadable = |what: String| ClientError::Protocol(format!("bad answer: {what}"));
        let any = Any::decode(answer).map_err(|error| unreadable(error.to_string()))?;
        let result = any
            .unpack()
            .map_err(|error| unreadable(error.to_string()))?;
        result.ok_or_else(|| unreadable(any.type_url))
    }

    async fn run_prepared(
        &mut self,
        prepared: ActionCreatePreparedStatementResult,
        values: &[Option<String>],
    ) -> Result<StatementResult, ClientError> {
        let schema = parameter_schema(&prepared.parameter_schema)?;
        let row = one_row(&schema, values)?;
        let handle = prepared.prepared_statement_handle;
        if prepared.dataset_schema.is_empty() {
            let command = CommandPreparedStatementUpdate {
                prepared_statement_handle: handle,
            };
            let answer = self.put_row(&command, row).await?;
            let result = DoPutUpdateResult::decode(answer)
                .map_err(|error| ClientError::Protocol(error.to_string()))?;
            let rows = Some(result.record_count).filter(|count| *count >= 0);
            return Ok(StatementResult::new(
                None,
                rows,
                Arc::new(Schema::empty()),
                None,
            ));
        }
        let command = CommandPreparedStatementQuery {
            prepared_statement_handle: handle,
        };
        if !values.is_empty() {
            self.put_row(&command, row).await?;
        }
        let info = self.flight_info(&command).await?;
        let metadata = ResultMetadata::of(&info)?;
        let schema = schema_of(&info)?;
        let rows = self.rows(info).await?;
        Ok(StatementResult::new(
            metadata.query_id,
            metadata.affected_rows,
            schema,
            Some(rows),
        ))
    }

    /// Carries out an action and returns the first message of its answer.
    async fn act(
        &mut self,
        name: &str,
        request: &impl ProstMessageExt,
    ) -> Result<Bytes, ClientError> {
        let action = Action::new(name, request.as_any().encode_to_vec());
        Ok(self.action(action).await?.unwrap_or_default())
    }

    async fn put_row(
        &mut self,
        command: &impl ProstMessageExt,
        row: RecordBatch,
    ) -> Result<Bytes, ClientError> {
        let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
        let messages: Vec<FlightData> = FlightDataEncoderBuilder::new()
            .with_flight_descriptor(Some(descriptor))
            .with_schema(row.schema())
            .build(stream::iter([Ok(row)]))
            .try_collect()
            .await
            .map_err(|error| ClientError::Protocol(error.to_string()))?;
        self.put(stream::iter(messages)).await
    }
}

fn parameter_schema(bytes: &Bytes) -> Result<Schema, ClientError> {
    if bytes.is_empty() {
        return Ok(Schema::empty());
    }
    Schema::try_from(IpcMessage(bytes.clone()))
        .map_err(|error| ClientError::Protocol(format!("bad schema of parameters: {error}")))
}

/// The values as one row of the parameters' types.
fn one_row(schema: &Schema, values: &[Option<String>]) -> Result<RecordBatch, ClientError> {
    let wrong =
        |message: String| ClientError::Query(QueryError::new(ErrorCode::InvalidArgument, message));
    let wanted = schema.fields().len();
    if wanted != values.len() {
        return Err(wrong(format!(
            "the statement has {wanted} parameters, and {} values were given",
            values.len()
        )));
    }
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    let mut columns: Vec<(String, ArrayRef, bool)> = Vec::with_capacity(wanted);
    for (field, value) in schema.fields().iter().zip(values) {
        columns.push((field.name().clone(), cast(field, value, &options)?, true));
    }
    if columns.is_empty() {
        return Ok(RecordBatch::new_empty(Arc::new(Schema::empty())));
    }
    RecordBatch::try_from_iter_with_nullable(columns).map_err(|error| wrong(error.to_string()))
}

fn cast(
    field: &Field,
    value: &Option<String>,
    options: &CastOptions,
) -> Result<ArrayRef, ClientError> {
    let text: ArrayRef = Arc::new(StringArray::from(vec![value.as_deref()]));
    cast_with_options(&text, field.data_type(), options).map_err(|error| {
        let value = value.as_deref().unwrap_or("NULL");
        let (name, kind) = (field.name(), field.data_type());
        let message =
            format!("'{value}' is not a valid value for {name}, which is a {kind}: {error}");
        ClientError::Query(QueryError::new(ErrorCode::InvalidArgument, message))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::AsArray;
    use arrow::datatypes::{DataType, Date32Type, Int64Type};

    fn parameters(types: &[DataType]) -> Schema {
        let fields = types.iter().enumerate();
        let fields =
            fields.map(|(at, kind)| Field::new(format!("${}", at + 1), kind.clone(), true));
        Schema::new(fields.collect::<Vec<_>>())
    }

    fn texts(values: &[&str]) -> Vec<Option<String>> {
        values
            .iter()
            .map(|value| Some((*value).to_owned()))
            .collect()
    }

    #[test]
    fn values_are_read_as_the_types_that_the_server_wants() {
        let schema = parameters(&[DataType::Int64, DataType::Date32, DataType::Utf8]);
        let row = one_row(&schema, &texts(&["42", "1998-12-01", "1"])).unwrap();
        assert_eq!(row.column(0).as_primitive::<Int64Type>().value(0), 42);
        assert_eq!(row.column(1).as_primitive::<Date32Type>().value(0), 10_561);
        assert_eq!(row.column(2).as_string::<i32>().value(0), "1");
        let null = one_row(&parameters(&[DataType::Int64]), &[None]).unwrap();
        assert_eq!(null.column(0).null_count(), 1);
    }

    #[test]
    fn wrong_values_and_numbers_are_named() {
        let schema = parameters(&[DataType::Int64]);
        let message = one_row(&schema, &texts(&["x"])).unwrap_err().to_string();
        assert!(
            message.contains("'x' is not a valid value for $1"),
            "{message}"
        );
        let message = one_row(&schema, &[]).unwrap_err().to_string();
        assert!(message.contains("1 parameters, and 0"), "{message}");
    }
}
