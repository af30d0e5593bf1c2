//! Brings rows into the schema that a client was told, in messages of a size that clients take.
//!
//! Which schema that is decides the door; rows get it wherever they leave for a client: at the door, or on
//! an executor.

mod messages;
mod split;
mod together;
mod views;

pub use messages::encode;
pub use split::split;
pub use together::wire_rows;

use arrow::array::{Array, ArrayRef};
use arrow::compute::{CastOptions, cast_with_options, concat};
use arrow::datatypes::{FieldRef, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use skep_runtime::compact::compact_column;
use views::{is_without_views, without_views};

/// The most rows that are cast at a time, where a value may become larger by that: a dictionary's, say.
const CAST_ROWS_MAX: usize = 8192;

/// Brings a batch into the wire schema, in pieces of at most `bytes_max` bytes each.
///
/// # Errors
/// Where a value is none of its column's type there.
pub fn to_wire(
    batch: &RecordBatch,
    schema: &SchemaRef,
    bytes_max: usize,
) -> Result<Vec<RecordBatch>, ArrowError> {
    check_columns(batch, schema)?;
    let mut parts = Vec::with_capacity(1);
    split(batch.clone(), bytes_max, &mut parts)?;
    let is_cast = |(column, field): (&ArrayRef, &FieldRef)| {
        let (from, to) = (column.data_type(), field.data_type());
        from != to && !is_without_views(from, to)
    };
    let grows = batch.columns().iter().zip(schema.fields()).any(is_cast);
    let mut pieces = Vec::with_capacity(parts.len());
    for part in parts {
        let rows_max = if grows {
            CAST_ROWS_MAX
        } else {
            part.num_rows()
        };
        // A part without rows is one piece, too.
        for offset in (0..part.num_rows().max(1)).step_by(rows_max.max(1)) {
            let rows = rows_max.min(part.num_rows() - offset);
            let piece = conform(&[part.slice(offset, rows)], schema)?;
            match grows {
                true => split(piece, bytes_max, &mut pieces)?,
                false => pieces.push(piece),
            }
        }
    }
    Ok(pieces)
}

fn check_columns(batch: &RecordBatch, schema: &SchemaRef) -> Result<(), ArrowError> {
    let (has, promised) = (batch.num_columns(), schema.fields().len());
    match has == promised {
        true => Ok(()),
        false => Err(ArrowError::SchemaError(format!(
            "a batch has {has} columns where {promised} were promised"
        ))),
    }
}

/// Batches as one, in the wire schema.
fn conform(batches: &[RecordBatch], schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let rows = batches.iter().map(RecordBatch::num_rows).sum();
    let columns = schema.fields().iter().enumerate().map(|(index, field)| {
        let columns: Vec<_> = batches.iter().map(|batch| batch.column(index)).collect();
        conform_column(&columns, field)
    });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
}

fn conform_column(columns: &[&ArrayRef], field: &FieldRef) -> Result<ArrayRef, ArrowError> {
    if let Some(joined) = without_views(columns, field.data_type()) {
        return joined;
    }
    let cast = |column: &&ArrayRef| match column.data_type() == field.data_type() {
        true => Ok(ArrayRef::clone(column)),
        false => {
            // A value that does not fit is an error, not a null.
            let options = CastOptions {
                safe: false,
                ..CastOptions::default()
            };
            cast_with_options(column, field.data_type(), &options)
        }
    };
    let joined = match columns {
        [column] => cast(column)?,
        columns => {
            let cast: Vec<_> = columns.iter().map(cast).collect::<Result<_, _>>()?;
            let cast: Vec<&dyn Array> = cast.iter().map(|column| column.as_ref()).collect();
            concat(&cast)?
        }
    };
    // Views that stay views would take along all that they were cut from.
    Ok(compact_column(joined))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{AsArray, StringViewArray};
    use std::sync::Arc;

    #[test]
    fn views_that_stay_views_leave_behind_what_they_were_cut_from() {
        let texts = (0..10_000).map(|number| format!("a text that is not short {number}"));
        let texts: ArrayRef = Arc::new(StringViewArray::from_iter_values(texts));
        let batch = RecordBatch::try_from_iter([("text", texts)]).unwrap();
        let few = batch.slice(7_000, 10);
        let held = |batch: &RecordBatch| {
            let buffers = batch.column(0).as_string_view().data_buffers().iter();
            buffers.map(|buffer| buffer.len()).sum::<usize>()
        };
        let pieces = to_wire(&few, &batch.schema(), 1 << 20).unwrap();
        assert_eq!(pieces, std::slice::from_ref(&few));
        assert!(held(&few) > 100_000 && held(&pieces[0]) < 1_000);
        let together = conform(&[few.clone(), few], &batch.schema()).unwrap();
        assert!(held(&together) < 1_000);
    }
}
