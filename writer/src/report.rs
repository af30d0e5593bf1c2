//! What a write returns: one row per file.

use arrow::array::{ArrayRef, AsArray, ListBuilder, StringArray, StringBuilder, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt64Type};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use std::sync::{Arc, LazyLock};

/// A file that a task has written.
#[derive(Clone, Debug, PartialEq)]
pub struct WrittenFile {
    /// Its key in the table's store.
    pub path: String,
    /// The values of its partition, as text; `None` is NULL.
    pub partition_values: Vec<Option<String>>,
    /// Its size.
    pub size_bytes: u64,
    /// How many rows it has.
    pub rows: u64,
}

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let value = Field::new_list_field(DataType::Utf8, true);
    Arc::new(Schema::new(vec![
        Field::new("path", DataType::Utf8, false),
        Field::new("partition_values", DataType::List(Arc::new(value)), false),
        Field::new("size_bytes", DataType::UInt64, false),
        Field::new("rows", DataType::UInt64, false),
    ]))
});

/// The columns of a write's result.
pub fn report_schema() -> SchemaRef {
    Arc::clone(&SCHEMA)
}

/// One file as a row.
pub(crate) fn encode_report(file: &WrittenFile) -> Result<RecordBatch, ArrowError> {
    let mut values = ListBuilder::new(StringBuilder::new());
    for value in &file.partition_values {
        values.values().append_option(value.as_deref());
    }
    values.append(true);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec![file.path.as_str()])),
        Arc::new(values.finish()),
        Arc::new(UInt64Array::from(vec![file.size_bytes])),
        Arc::new(UInt64Array::from(vec![file.rows])),
    ];
    RecordBatch::try_new(report_schema(), columns)
}

/// The files of a write's result.
///
/// # Errors
/// `InvalidArgumentError` where the rows are not a write's.
pub fn decode_reports(batch: &RecordBatch) -> Result<Vec<WrittenFile>, ArrowError> {
    let other = || ArrowError::InvalidArgumentError("a write returned something else".to_owned());
    let column = |index: usize| batch.columns().get(index).ok_or_else(other);
    let paths = column(0)?.as_string_opt::<i32>().ok_or_else(other)?;
    let values = column(1)?.as_list_opt::<i32>().ok_or_else(other)?;
    let sizes = column(2)?
        .as_primitive_opt::<UInt64Type>()
        .ok_or_else(other)?;
    let rows = column(3)?
        .as_primitive_opt::<UInt64Type>()
        .ok_or_else(other)?;
    (0..batch.num_rows())
        .map(|row| {
            let of_row = values.value(row);
            let of_row = of_row.as_string_opt::<i32>().ok_or_else(other)?;
            Ok(WrittenFile {
                path: paths.value(row).to_owned(),
                partition_values: of_row
                    .iter()
                    .map(|value| value.map(str::to_owned))
                    .collect(),
                size_bytes: sizes.value(row),
                rows: rows.value(row),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reported_is_read_back() {
        let files = [
            WrittenFile {
                path: "t/ds=1/a.parquet".to_owned(),
                partition_values: vec![Some("1".to_owned()), None],
                size_bytes: 10,
                rows: 3,
            },
            WrittenFile {
                path: "t/b.json".to_owned(),
                partition_values: vec![],
                size_bytes: 0,
                rows: 0,
            },
        ];
        for file in files {
            let batch = encode_report(&file).unwrap();
            assert_eq!(decode_reports(&batch).unwrap(), [file]);
        }
    }

    #[test]
    fn other_rows_are_refused() {
        let batch = RecordBatch::new_empty(Arc::new(Schema::empty()));
        assert!(decode_reports(&batch).is_err());
    }
}
