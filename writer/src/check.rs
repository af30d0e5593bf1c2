//! What a table demands of the values of its columns.

use crate::spec::WriteColumn;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use datafusion::error::Result;
use skep_protocol::{ErrorCode, QueryError};
use skep_runtime::error::to_datafusion;

/// Refuses values that their column cannot hold.
///
/// # Errors
/// `Semantic` naming the column.
pub(crate) fn check_values(batch: &RecordBatch, columns: &[WriteColumn]) -> Result<()> {
    for (values, column) in batch.columns().iter().zip(columns) {
        if !column.nullable && values.logical_null_count() > 0 {
            let text = format!("column '{}' is NOT NULL, and a row has NULL", column.label);
            return Err(to_datafusion(QueryError::new(ErrorCode::Semantic, text)));
        }
        if let Some(length_max) = column.length_max
            && let Some(length) = longer_than(values, length_max)?
        {
            let unit = match is_bytes(values.data_type()) {
                true => "bytes",
                false => "characters",
            };
            let text = format!(
                "a value of column '{}' has {length} {unit}, {length_max} are allowed",
                column.label
            );
            return Err(to_datafusion(QueryError::new(ErrorCode::Semantic, text)));
        }
    }
    Ok(())
}

fn is_bytes(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView
    )
}

/// The length of the first text that has more than `length_max` characters, or of the first bytes that are
/// more. Blanks at the end of a text do not count.
fn longer_than(values: &ArrayRef, length_max: usize) -> Result<Option<usize>> {
    if is_bytes(values.data_type()) {
        let bytes = cast(values, &DataType::BinaryView)?;
        let mut lengths = bytes.as_binary_view().iter().flatten().map(<[u8]>::len);
        return Ok(lengths.find(|length| *length > length_max));
    }
    let texts = cast(values, &DataType::Utf8View)?;
    let length = |text: &str| text.trim_end_matches(' ').chars().count();
    Ok(texts
        .as_string_view()
        .iter()
        .flatten()
        // No text has more characters than bytes.
        .filter(|text| text.len() > length_max)
        .map(length)
        .find(|length| *length > length_max))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::StringArray;
    use std::sync::Arc;

    fn check(
        values: Vec<Option<&str>>,
        nullable: bool,
        length_max: Option<usize>,
    ) -> Option<String> {
        let values: ArrayRef = Arc::new(StringArray::from(values));
        let batch = RecordBatch::try_from_iter_with_nullable([("a", values, true)]).unwrap();
        let column = WriteColumn {
            name: "a".to_owned(),
            label: "a".to_owned(),
            nullable,
            length_max,
        };
        let checked = check_values(&batch, &[column]);
        checked.err().map(|error| error.to_string())
    }

    #[test]
    fn a_column_that_is_not_null_refuses_null() {
        assert_eq!(check(vec![None], true, None), None);
        assert!(
            check(vec![None], false, None)
                .unwrap()
                .contains("'a' is NOT NULL")
        );
    }

    #[test]
    fn lengths_are_counted_in_characters() {
        assert_eq!(check(vec![Some("äöü"), Some("ab   ")], true, Some(3)), None);
        let refused = check(vec![Some("abcd")], true, Some(3)).unwrap();
        assert!(
            refused.contains("has 4 characters, 3 are allowed"),
            "{refused}"
        );
    }
}
