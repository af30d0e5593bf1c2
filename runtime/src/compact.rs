//! Batches that hold no more memory than they show.

use crate::error::to_datafusion;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{ByteViewType, DataType};
use datafusion::error::DataFusionError;
use skep_protocol::QueryError;
use std::sync::Arc;

/// Drops bytes that `batch` holds and does not show. A filtered batch of string views still holds the
/// buffers of all the rows that it was cut from, and the encoder would send them all.
///
/// # Errors
/// `Internal`; the columns are those of the batch.
pub fn compact(batch: RecordBatch) -> Result<RecordBatch, DataFusionError> {
    let wasteful = |column: &ArrayRef| {
        matches!(
            column.data_type(),
            DataType::Utf8View | DataType::BinaryView
        )
    };
    if !batch.columns().iter().any(wasteful) {
        return Ok(batch);
    }
    let (schema, columns, rows) = batch.into_parts();
    let columns = columns.into_iter().map(compact_column).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema, columns, &options)
        .map_err(|error| to_datafusion(QueryError::internal(format!("cannot compact: {error}"))))
}

/// As [`compact`], of one column.
pub fn compact_column(column: ArrayRef) -> ArrayRef {
    fn compact_views<T: ByteViewType>(column: &ArrayRef) -> Option<ArrayRef> {
        let views = column.as_byte_view_opt::<T>()?;
        let held: usize = views.data_buffers().iter().map(|buffer| buffer.len()).sum();
        let shown = views.total_buffer_bytes_used();
        (held > 2 * shown && held > 4096).then(|| Arc::new(views.gc()) as ArrayRef)
    }
    let compacted = match column.data_type() {
        DataType::Utf8View => compact_views::<arrow::datatypes::StringViewType>(&column),
        DataType::BinaryView => compact_views::<arrow::datatypes::BinaryViewType>(&column),
        _ => None,
    };
    compacted.unwrap_or(column)
}
