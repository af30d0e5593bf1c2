//! The one schema that a statement's rows have on the wire.
//!
//! GetFlightInfo, GetSchema, prepared statements and DoGet must tell the same schema, and many
//! clients know no view types, no dictionaries and no nanoseconds. So the wire schema is a pure
//! function of the engine's schema, and every batch is cast to it. What the engine may say
//! differently before and after planning (nullability, metadata of the files) is not part of it:
//! every column of a result is nullable.

use crate::sql_types::type_metadata;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use skep_coordinator::session::FlightOptions;
use std::collections::HashMap;
use std::sync::Arc;

/// Metadata that says what a column means, which clients may know.
const EXTENSION_PREFIX: &str = "ARROW:extension:";

/// Which types go over the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WireTypes {
    /// Those that every client knows.
    Plain,
    /// Those of the engine, as far as the encoder knows them.
    Native,
}

/// What a session wants.
pub(crate) fn types_of(options: &FlightOptions) -> WireTypes {
    match options.native_types {
        true => WireTypes::Native,
        false => WireTypes::Plain,
    }
}

/// How rows of `schema` are sent.
pub(crate) fn wire_schema(schema: &Schema, types: WireTypes) -> SchemaRef {
    let fields: Fields = schema
        .fields()
        .iter()
        .map(|field| {
            let field = wire_field(field, types);
            let metadata = type_metadata(field.data_type());
            with_metadata(field, metadata)
        })
        .collect();
    Arc::new(Schema::new(fields))
}

/// A column or a part of one. A union has no nulls and the encoder drops its metadata.
fn wire_field(field: &Field, types: WireTypes) -> Field {
    let data_type = wire_type(field.data_type(), types);
    let nullable = !matches!(data_type, DataType::Union(..));
    let extension: HashMap<_, _> = field
        .metadata()
        .iter()
        .filter(|(key, _)| key.starts_with(EXTENSION_PREFIX))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    with_metadata(Field::new(field.name(), data_type, nullable), extension)
}

fn with_metadata(field: Field, more: HashMap<String, String>) -> Field {
    if matches!(field.data_type(), DataType::Union(..)) {
        return field;
    }
    let mut metadata = field.metadata().clone();
    metadata.extend(more);
    field.with_metadata(metadata)
}

fn wire_type(data_type: &DataType, types: WireTypes) -> DataType {
    let item = |item: &Field| Arc::new(wire_field(item, types));
    match data_type {
        // The encoder of large lists writes the schema of small ones, so small ones they are.
        DataType::List(inner) | DataType::LargeList(inner) => DataType::List(item(inner)),
        DataType::FixedSizeList(inner, size) => DataType::FixedSizeList(item(inner), *size),
        DataType::Struct(fields) => DataType::Struct(
            fields
                .iter()
                .map(|field| wire_field(field, types))
                .collect(),
        ),
        DataType::Map(entries, sorted) => {
            DataType::Map(Arc::new(wire_entries(entries, types)), *sorted)
        }
        DataType::ListView(inner) | DataType::LargeListView(inner) => match types {
            WireTypes::Plain => DataType::List(item(inner)),
            WireTypes::Native => data_type.clone(),
        },
        other if types == WireTypes::Native => other.clone(),
        other => plain_type(other),
    }
}

/// What a type without parts becomes for a client that knows few types.
fn plain_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
        DataType::Dictionary(_, values) => wire_type(values, WireTypes::Plain),
        DataType::RunEndEncoded(_, values) => wire_type(values.data_type(), WireTypes::Plain),
        DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::Float16 => DataType::Float32,
        other => other.clone(),
    }
}

/// A map's entries and keys are never null.
fn wire_entries(entries: &Field, types: WireTypes) -> Field {
    let data_type = match entries.data_type() {
        DataType::Struct(fields) => DataType::Struct(
            fields
                .iter()
                .enumerate()
                .map(|(index, field)| wire_field(field, types).with_nullable(index > 0))
                .collect(),
        ),
        other => wire_type(other, types),
    };
    Field::new(entries.name(), data_type, false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{
        Array, ArrayRef, AsArray, DictionaryArray, Int64Array, ListArray, RunArray,
        StringViewArray, StructArray, TimestampNanosecondArray, TimestampSecondArray,
    };
    use arrow::buffer::OffsetBuffer;
    use arrow::datatypes::{Int32Type, TimestampMicrosecondType};
    use arrow::record_batch::{RecordBatch, RecordBatchOptions};
    use skep_coordinator::wire::to_wire;

    fn plain(schema: &Schema) -> SchemaRef {
        wire_schema(schema, WireTypes::Plain)
    }

    fn wire(batch: &RecordBatch) -> Vec<RecordBatch> {
        to_wire(batch, &plain(&batch.schema()), 1 << 20).unwrap()
    }

    fn exotic_batch() -> RecordBatch {
        let views: ArrayRef = Arc::new(StringViewArray::from(vec![
            Some("a string longer than twelve bytes"),
            None,
            Some("b"),
        ]));
        let dictionary: DictionaryArray<Int32Type> = vec!["x", "x", "y"].into_iter().collect();
        let runs: RunArray<Int32Type> = vec!["p", "p", "q"].into_iter().collect();
        let nested = StructArray::from(vec![(
            Arc::new(Field::new("v", DataType::Utf8View, true)),
            views.clone(),
        )]);
        let list = ListArray::new(
            Arc::new(Field::new("item", nested.data_type().clone(), false)),
            OffsetBuffer::from_lengths([2, 0, 1]),
            Arc::new(nested),
            None,
        );
        let nanos = TimestampNanosecondArray::from(vec![1_000, 2_500, -1_000]).with_timezone("UTC");
        RecordBatch::try_from_iter_with_nullable([
            ("views", views, true),
            ("dictionary", Arc::new(dictionary) as ArrayRef, false),
            ("runs", Arc::new(runs) as ArrayRef, false),
            ("list", Arc::new(list) as ArrayRef, false),
            ("nanos", Arc::new(nanos) as ArrayRef, false),
            (
                "plain",
                Arc::new(Int64Array::from(vec![1, 2, 3])) as ArrayRef,
                false,
            ),
        ])
        .unwrap()
    }

    #[test]
    fn views_dictionaries_runs_and_nanoseconds_become_plain() {
        let pieces = wire(&exotic_batch());
        let [batch] = pieces.as_slice() else {
            panic!("{} pieces", pieces.len())
        };
        let types: Vec<String> = batch
            .schema()
            .fields()
            .iter()
            .map(|field| field.data_type().to_string())
            .collect();
        assert_eq!(types[0], "Utf8");
        assert_eq!(types[1], "Utf8");
        assert_eq!(types[2], "Utf8");
        assert_eq!(types[3], "List(Struct(\"v\": Utf8))");
        assert_eq!(types[4], "Timestamp(µs, \"UTC\")");
        let strings = batch.column(0).as_string::<i32>();
        assert_eq!(strings.value(0), "a string longer than twelve bytes");
        assert!(strings.is_null(1));
        assert_eq!(batch.column(2).as_string::<i32>().value(1), "p");
        let micros = batch.column(4).as_primitive::<TimestampMicrosecondType>();
        assert_eq!(micros.values(), &[1, 2, -1]);
    }

    #[test]
    fn native_types_stay_as_they_are() {
        let batch = exotic_batch();
        let native = wire_schema(&batch.schema(), WireTypes::Native);
        for (own, sent) in batch.schema().fields().iter().zip(native.fields()) {
            if !own.data_type().is_nested() {
                assert_eq!(own.data_type(), sent.data_type());
            }
        }
        let pieces = to_wire(&batch, &native, 1 << 20).unwrap();
        assert_eq!(pieces[0].column(0), batch.column(0));
        assert_eq!(pieces[0].column(4), batch.column(4));
    }

    #[test]
    fn a_wire_schema_is_its_own_wire_schema() {
        let once = plain(&exotic_batch().schema());
        assert_eq!(plain(&once), once);
    }

    #[test]
    fn nullability_and_file_metadata_do_not_tell_schemas_apart() {
        let field = Field::new("a", DataType::Int64, false);
        let noted = field
            .clone()
            .with_nullable(true)
            .with_metadata([("PARQUET:field_id".to_owned(), "3".to_owned())].into());
        assert_eq!(
            plain(&Schema::new(vec![field])),
            plain(&Schema::new(vec![noted]))
        );
    }

    #[test]
    fn a_timestamp_that_does_not_fit_is_an_error_and_no_null() {
        let column: ArrayRef = Arc::new(TimestampSecondArray::from(vec![i64::MAX]));
        let batch = RecordBatch::try_from_iter([("t", column)]).unwrap();
        assert!(to_wire(&batch, &plain(&batch.schema()), 1 << 20).is_err());
    }

    #[test]
    fn rows_without_columns_keep_their_count() {
        let options = RecordBatchOptions::new().with_row_count(Some(3));
        let batch =
            RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options).unwrap();
        assert_eq!(wire(&batch)[0].num_rows(), 3);
    }
}
