//! Cuts batches into pieces that fit into one message.

use arrow::array::{Array, AsArray, GenericByteViewArray};
use arrow::datatypes::{ByteViewType, DataType};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

/// Halves a batch until every piece is small enough, or is a single row. Rows differ in size, so each
/// half is measured.
///
/// # Errors
/// Where a column has a size that Arrow cannot tell.
pub fn split(
    batch: RecordBatch,
    bytes_max: usize,
    pieces: &mut Vec<RecordBatch>,
) -> Result<(), ArrowError> {
    let rows = batch.num_rows();
    if rows <= 1 || batch_bytes(&batch)? <= bytes_max {
        pieces.push(batch);
        return Ok(());
    }
    let half = rows / 2;
    split(batch.slice(0, half), bytes_max, pieces)?;
    split(batch.slice(half, rows - half), bytes_max, pieces)
}

/// The bytes of exactly these rows, as they will be written.
///
/// # Errors
/// As [`split`].
pub(super) fn batch_bytes(batch: &RecordBatch) -> Result<usize, ArrowError> {
    batch.columns().iter().map(|column| bytes(column)).sum()
}

/// Arrow's own measure counts all elements of a sliced list's buffer, not just those of its rows, so
/// that a list would be cut into single rows.
fn bytes(array: &dyn Array) -> Result<usize, ArrowError> {
    let offset_bytes = array.len() * size_of::<i32>();
    Ok(match array.data_type() {
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let (first, length) = range(list.value_offsets());
            offset_bytes + bytes(&list.values().slice(first, length))?
        }
        DataType::Map(..) => {
            let map = array.as_map();
            let (first, length) = range(map.value_offsets());
            offset_bytes + bytes(&map.entries().slice(first, length))?
        }
        DataType::FixedSizeList(..) => bytes(array.as_fixed_size_list().values())?,
        DataType::Struct(_) => array
            .as_struct()
            .columns()
            .iter()
            .map(|column| bytes(column))
            .sum::<Result<usize, ArrowError>>()?,
        DataType::Utf8View => offset_bytes + viewed_bytes(array.as_string_view()),
        DataType::BinaryView => offset_bytes + viewed_bytes(array.as_binary_view()),
        // Every piece of a union is written with all of its children, so cutting makes it no smaller.
        DataType::Union(..) => array.len(),
        _ => array.to_data().get_slice_memory_size()?,
    })
}

/// The bytes of all values, which Arrow's own measure leaves out.
fn viewed_bytes<V: ByteViewType>(array: &GenericByteViewArray<V>) -> usize {
    array.lengths().map(|length| length as usize).sum()
}

/// The first element and the number of elements between the first and the last offset.
fn range(offsets: &[i32]) -> (usize, usize) {
    let at =
        |offset: Option<&i32>| offset.map_or(0, |offset| usize::try_from(*offset).unwrap_or(0));
    let first = at(offsets.first());
    (first, at(offsets.last()).saturating_sub(first))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{
        ArrayRef, Int64Array, ListArray, MapBuilder, StringArray, StringBuilder, StringViewArray,
    };
    use arrow::datatypes::{Int64Type, Schema};
    use std::sync::Arc;

    fn pieces(column: ArrayRef, bytes_max: usize) -> Vec<RecordBatch> {
        let batch = RecordBatch::try_from_iter([("c", column)]).unwrap();
        let rows = batch.num_rows();
        let mut pieces = vec![];
        split(batch, bytes_max, &mut pieces).unwrap();
        let sum: usize = pieces.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(sum, rows);
        pieces
    }

    #[test]
    fn large_batches_are_split_by_the_size_of_their_rows() {
        let mut values = vec!["x".to_owned(); 4_000];
        values[17] = "y".repeat(100_000);
        let pieces = pieces(Arc::new(StringArray::from(values)), 10_000);
        let too_large: Vec<_> = pieces
            .iter()
            .filter(|piece| batch_bytes(piece).unwrap() > 10_000)
            .collect();
        assert_eq!(too_large.len(), 1, "only the row that cannot be split");
        assert_eq!(too_large[0].num_rows(), 1);
    }

    #[test]
    fn a_slice_of_a_large_buffer_is_not_split() {
        let column = Int64Array::from_iter_values(0..1_000_000);
        let slice = column.slice(500_000, 1_000);
        assert_eq!(pieces(Arc::new(slice), 10_000).len(), 1);
    }

    #[test]
    fn lists_and_maps_are_split_no_further_than_needed() {
        let rows = (0..1_000_i64).map(|row| Some((0..10).map(move |n| Some(row + n))));
        let lists = ListArray::from_iter_primitive::<Int64Type, _, _>(rows);
        // 84 kB; halving until 10 kB makes 16 pieces.
        assert_eq!(pieces(Arc::new(lists), 10_000).len(), 16);
        let mut maps = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
        for _ in 0..1_000 {
            for key in ["a", "b"] {
                maps.keys().append_value(key);
                maps.values().append_value("thirty bytes of value, or so..");
            }
            maps.append(true).unwrap();
        }
        assert_eq!(pieces(Arc::new(maps.finish()), 10_000).len(), 16);
    }

    #[test]
    fn the_values_of_views_count() {
        let long = "y".repeat(1_000);
        let values = (0..100).map(|number| if number % 2 == 0 { "x" } else { &long });
        let views = StringViewArray::from_iter_values(values);
        // 50 kB; halving until 10 kB makes 8 pieces.
        assert_eq!(pieces(Arc::new(views), 10_000).len(), 8);
    }

    #[test]
    fn no_rows_are_one_piece() {
        let mut pieces = vec![];
        let nothing = RecordBatch::new_empty(Arc::new(Schema::empty()));
        split(nothing, 1, &mut pieces).unwrap();
        assert_eq!(pieces.len(), 1);
    }
}
