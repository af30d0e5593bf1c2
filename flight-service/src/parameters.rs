//! Values for the parameters of a prepared statement, as clients send them by DoPut.
//!
//! Values keep the type in which they came: the planner coerces them, with the rules that hold for
//! literals. Casting here could change a value, e.g. 1.5 to 1.

use crate::errors::{DoorError, decode_error};
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use arrow_flight::FlightData;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use datafusion::error::DataFusionError;
use datafusion::scalar::ScalarValue;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use tonic::Status;

/// One row of values per execution.
pub(crate) type ParameterRows = Vec<Vec<ScalarValue>>;

/// Reads the rows that follow a DoPut's first message. `None` where the client binds nothing: it
/// sent no schema, or one without columns.
pub(crate) async fn read_parameters(
    first: FlightData,
    rest: impl Stream<Item = Result<FlightData, Status>> + Send + 'static,
    rows_max: usize,
) -> Result<Option<ParameterRows>, DoorError> {
    // The command may travel in a message of its own, ahead of the schema.
    let first = (!first.data_header.is_empty()).then_some(Ok(first));
    let messages = stream::iter(first)
        .chain(rest)
        .map_err(FlightError::from)
        .boxed();
    let mut batches = FlightRecordBatchStream::new_from_flight_data(messages);
    let mut rows = ParameterRows::new();
    let mut columns = 0;
    while let Some(batch) = batches.try_next().await.map_err(decode_error)? {
        columns = columns.max(batch.num_columns());
        if rows.len() + batch.num_rows() > rows_max {
            return Err(DoorError::TooMany {
                what: "rows of parameters",
                limit: rows_max,
            });
        }
        append_rows(&batch, &mut rows)?;
    }
    let columns = batches
        .schema()
        .map_or(columns, |schema| schema.fields().len());
    Ok((columns > 0).then_some(rows))
}

fn append_rows(batch: &RecordBatch, rows: &mut ParameterRows) -> Result<(), DoorError> {
    for row in 0..batch.num_rows() {
        let values = batch
            .columns()
            .iter()
            .map(|column| scalar(column, row))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| DoorError::BadRequest(format!("unreadable parameter: {error}")))?;
        rows.push(values);
    }
    Ok(())
}

/// The plain value at `row`: clients may wrap it in a dictionary, or in a union of all types that
/// they know.
fn scalar(column: &ArrayRef, row: usize) -> Result<ScalarValue, DataFusionError> {
    match column.data_type() {
        DataType::Union(..) => {
            let union = column.as_union();
            let child = union.child(union.type_id(row));
            scalar(child, union.value_offset(row))
        }
        _ => ScalarValue::try_from_array(column, row).map(|value| match value {
            ScalarValue::Dictionary(_, value) => *value,
            other => other,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{DictionaryArray, Int64Array, StringArray, UnionArray};
    use arrow::buffer::ScalarBuffer;
    use arrow::datatypes::{Field, Int8Type, Schema, UnionFields};
    use arrow_flight::encode::FlightDataEncoderBuilder;
    use std::sync::Arc;

    async fn bind(
        batches: Vec<RecordBatch>,
        rows_max: usize,
    ) -> Result<Option<ParameterRows>, DoorError> {
        let messages: Vec<FlightData> = FlightDataEncoderBuilder::new()
            .with_schema(batches[0].schema())
            .build(stream::iter(batches.into_iter().map(Ok)))
            .try_collect()
            .await
            .unwrap();
        let mut messages = messages.into_iter();
        let first = messages.next().unwrap();
        let rest: Vec<_> = messages.map(Ok).collect();
        read_parameters(first, stream::iter(rest), rows_max).await
    }

    #[tokio::test]
    async fn unions_are_unwrapped() {
        let union = UnionArray::try_new(
            UnionFields::from_fields([
                Field::new("int", DataType::Int64, true),
                Field::new("text", DataType::Utf8, true),
            ]),
            ScalarBuffer::from(vec![1_i8, 0, 0]),
            Some(ScalarBuffer::from(vec![0, 0, 1])),
            vec![
                Arc::new(Int64Array::from(vec![Some(7), None])),
                Arc::new(StringArray::from(vec!["a"])),
            ],
        )
        .unwrap();
        let batch = RecordBatch::try_from_iter([("1", Arc::new(union) as ArrayRef)]).unwrap();
        let rows = bind(vec![batch], 10).await.unwrap().unwrap();
        assert_eq!(
            rows,
            [
                [ScalarValue::from("a")],
                [ScalarValue::Int64(Some(7))],
                [ScalarValue::Int64(None)],
            ]
        );
    }

    #[test]
    fn dictionaries_are_unwrapped() {
        let dictionary: DictionaryArray<Int8Type> =
            vec![Some("x"), None, Some("y")].into_iter().collect();
        let column: ArrayRef = Arc::new(dictionary);
        assert_eq!(scalar(&column, 2).unwrap(), ScalarValue::from("y"));
        assert_eq!(scalar(&column, 1).unwrap(), ScalarValue::Utf8(None));
    }

    #[tokio::test]
    async fn no_schema_and_no_columns_bind_nothing() {
        let nothing = read_parameters(FlightData::default(), stream::empty(), 1).await;
        assert!(nothing.unwrap().is_none());
        let empty = RecordBatch::new_empty(Arc::new(Schema::empty()));
        assert!(bind(vec![empty], 1).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn no_rows_are_something_else_than_no_parameters() {
        let column: ArrayRef = Arc::new(Int64Array::from(Vec::<i64>::new()));
        let batch = RecordBatch::try_from_iter([("1", column)]).unwrap();
        assert_eq!(bind(vec![batch], 1).await.unwrap(), Some(vec![]));
    }

    #[tokio::test]
    async fn rows_are_bounded() {
        let column: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
        let batch = RecordBatch::try_from_iter([("1", column)]).unwrap();
        assert!(bind(vec![batch.clone()], 3).await.is_ok());
        assert!(matches!(
            bind(vec![batch], 2).await,
            Err(DoorError::TooMany { limit: 2, .. })
        ));
    }

    #[tokio::test]
    async fn garbage_is_the_clients_mistake() {
        let garbage = FlightData {
            data_header: vec![1, 2, 3].into(),
            ..FlightData::default()
        };
        let error = read_parameters(garbage, stream::empty(), 1)
            .await
            .unwrap_err();
        assert_eq!(error.code(), skep_protocol::ErrorCode::InvalidArgument);
    }
}
