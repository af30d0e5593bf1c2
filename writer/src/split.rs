//! Cuts batches where the partition changes.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::{cast, partition};
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use datafusion::error::Result;
use skep_protocol::{ErrorCode, QueryError};
use skep_runtime::error::to_datafusion;

/// Rows of one partition.
#[derive(Debug)]
pub(crate) struct Piece {
    /// The partition's values as text; `None` is NULL.
    pub(crate) values: Vec<Option<String>>,
    /// The rows, without the partition columns.
    pub(crate) rows: RecordBatch,
}

/// Cuts `batch`, whose last columns, as many as there are `names`, are those of the partition.
///
/// # Errors
/// `Semantic` where a value cannot be a directory's.
pub(crate) fn split(batch: &RecordBatch, names: &[String]) -> Result<Vec<Piece>> {
    let stored = batch.num_columns().saturating_sub(names.len());
    let rows = batch.project(&(0..stored).collect::<Vec<_>>())?;
    if names.is_empty() {
        return Ok(vec![Piece {
            values: vec![],
            rows,
        }]);
    }
    let keys: Vec<ArrayRef> = batch.columns().iter().skip(stored).cloned().collect();
    let texts = keys
        .iter()
        .map(|key| Ok(cast(key, &DataType::Utf8)?))
        .collect::<Result<Vec<_>>>()?;
    partition(&keys)?
        .ranges()
        .into_iter()
        .map(|range| {
            let values = keys
                .iter()
                .zip(&texts)
                .zip(names)
                .map(|((key, text), name)| value_at(key, text, range.start, name))
                .collect::<Result<_>>()?;
            Ok(Piece {
                values,
                rows: rows.slice(range.start, range.len()),
            })
        })
        .collect()
}

fn value_at(key: &ArrayRef, text: &ArrayRef, row: usize, name: &str) -> Result<Option<String>> {
    let Some(text) = text
        .as_string_opt::<i32>()
        .filter(|text| text.is_valid(row))
    else {
        return Ok(None);
    };
    let value = text.value(row);
    if value.is_empty() {
        // Its directory would be read as that of NULL.
        let text = format!(
            "column '{name}' is a partition column, and the empty string cannot be a partition's \
             value; use NULL or nullif({name}, '')"
        );
        return Err(to_datafusion(QueryError::new(ErrorCode::Semantic, text)));
    }
    Ok(Some(match key.data_type() {
        DataType::Timestamp(_, _) => value.replacen('T', " ", 1),
        _ => value.to_owned(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int32Array, StringArray, TimestampMicrosecondArray};
    use std::sync::Arc;

    fn batch(keys: Vec<Option<&str>>) -> RecordBatch {
        let numbers: ArrayRef = Arc::new(Int32Array::from_iter_values(0..keys.len() as i32));
        let keys: ArrayRef = Arc::new(StringArray::from(keys));
        RecordBatch::try_from_iter([("a", numbers), ("ds", keys)]).unwrap()
    }

    #[test]
    fn a_batch_is_cut_where_the_partition_changes() {
        let names = ["ds".to_owned()];
        let keys = vec![Some("x"), Some("x"), None, None, Some("y")];
        let pieces = split(&batch(keys), &names).unwrap();
        let found: Vec<_> = pieces
            .iter()
            .map(|piece| (piece.values[0].as_deref(), piece.rows.num_rows()))
            .collect();
        assert_eq!(found, [(Some("x"), 2), (None, 2), (Some("y"), 1)]);
        assert_eq!(pieces[0].rows.num_columns(), 1);
    }

    #[test]
    fn the_empty_string_is_no_partition() {
        let error = split(&batch(vec![Some("")]), &["ds".to_owned()]).unwrap_err();
        assert!(error.to_string().contains("'ds'"), "{error}");
    }

    #[test]
    fn times_are_written_as_hive_writes_them() {
        let keys: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![1_704_067_200_000_000]));
        let batch = RecordBatch::try_from_iter([("ts", keys)]).unwrap();
        let pieces = split(&batch, &["ts".to_owned()]).unwrap();
        assert_eq!(pieces[0].values[0].as_deref(), Some("2024-01-01 00:00:00"));
    }
}
