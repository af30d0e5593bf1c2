//! Brings rows into the schema that a client was told, in messages of a size that clients take.
//!
//! Which schema that is decides the door; rows get it wherever they leave for a client: at the door, or on
//! an executor.

mod split;

pub use split::split;

use arrow::array::ArrayRef;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{FieldRef, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};

/// The most rows that are cast at a time. Casting a view to a string of 32-bit offsets cannot hold
/// more than 2 GiB; batches of the engine are no larger than this anyway.
const CAST_ROWS_MAX: usize = 8192;

/// Brings a batch into the wire schema, in pieces of at most `bytes_max` bytes each.
pub fn to_wire(
    batch: &RecordBatch,
    schema: &SchemaRef,
    bytes_max: usize,
) -> Result<Vec<RecordBatch>, ArrowError> {
    let mut pieces = Vec::with_capacity(1);
    if batch.schema_ref().fields().len() != schema.fields().len() {
        return Err(ArrowError::SchemaError(format!(
            "a batch has {} columns where {} were promised",
            batch.num_columns(),
            schema.fields().len()
        )));
    }
    let is_cast = |(column, field): (&ArrayRef, &FieldRef)| column.data_type() != field.data_type();
    if batch.num_rows() > CAST_ROWS_MAX && batch.columns().iter().zip(schema.fields()).any(is_cast)
    {
        for offset in (0..batch.num_rows()).step_by(CAST_ROWS_MAX) {
            let rows = CAST_ROWS_MAX.min(batch.num_rows() - offset);
            split(
                conform(&batch.slice(offset, rows), schema)?,
                bytes_max,
                &mut pieces,
            )?;
        }
    } else {
        split(conform(batch, schema)?, bytes_max, &mut pieces)?;
    }
    Ok(pieces)
}

fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    // A value that does not fit is an error, not a null.
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    let columns = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(column, field)| {
            if column.data_type() == field.data_type() {
                Ok(column.clone())
            } else {
                cast_with_options(column, field.data_type(), &options)
            }
        })
        .collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
}
