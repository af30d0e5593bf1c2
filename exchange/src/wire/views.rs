//! Columns of views as columns with offsets, which every client knows.
//!
//! Most strings of results are short, and a short one lies in its view: sixteen bytes are copied whatever
//! its length, and the next string is written over what was too much. Arrow's own cast appends string by
//! string, which took a sixth of the server's time for a result with one such column in four.

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanBufferBuilder, ByteView, GenericByteArray,
    GenericByteViewArray,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    BinaryType, BinaryViewType, ByteArrayType, ByteViewType, DataType, StringViewType, Utf8Type,
};
use arrow::error::ArrowError;
use std::sync::Arc;

/// How long a value may be to lie in its view, in bytes, behind how many bits it then lies there, and the
/// bytes of a view.
const INLINE_BYTES_MAX: usize = 12;
const INLINE_AT: u32 = 32;
const VIEW_BYTES: usize = size_of::<u128>();

/// Whether [`without_views`] makes `to` of `from`.
pub(super) fn is_without_views(from: &DataType, to: &DataType) -> bool {
    matches!(
        (from, to),
        (DataType::Utf8View, DataType::Utf8) | (DataType::BinaryView, DataType::Binary)
    )
}

/// The values of `columns`, one column after the other, as a column of type `to`; `None` where these are no
/// views that become strings or bytes with offsets of 32 bits.
///
/// # Errors
/// Where the values are more than 2 GiB.
pub(super) fn without_views(
    columns: &[&ArrayRef],
    to: &DataType,
) -> Option<Result<ArrayRef, ArrowError>> {
    match to {
        DataType::Utf8 => joined::<StringViewType, Utf8Type>(columns),
        DataType::Binary => joined::<BinaryViewType, BinaryType>(columns),
        _ => None,
    }
}

fn joined<V: ByteViewType, B: ByteArrayType<Offset = i32>>(
    columns: &[&ArrayRef],
) -> Option<Result<ArrayRef, ArrowError>> {
    let columns: Option<Vec<_>> = columns
        .iter()
        .map(|column| column.as_byte_view_opt::<V>())
        .collect();
    Some(join::<V, B>(&columns?).map(|joined| Arc::new(joined) as ArrayRef))
}

fn join<V: ByteViewType, B: ByteArrayType<Offset = i32>>(
    columns: &[&GenericByteViewArray<V>],
) -> Result<GenericByteArray<B>, ArrowError> {
    let rows = columns.iter().map(|column| column.len()).sum::<usize>();
    let mut offsets = Vec::with_capacity(rows + 1);
    let mut end = 0_usize;
    offsets.push(0);
    for column in columns {
        append_ends(column, &mut end, &mut offsets);
    }
    if i32::try_from(end).is_err() {
        return Err(ArrowError::OffsetOverflowError(end));
    }
    let mut values = vec![0; end + VIEW_BYTES];
    let (mut from, mut ends) = (0, &offsets[1..]);
    for column in columns {
        let (own, others) = ends.split_at(column.len());
        from = copy_values(column, own, from, &mut values);
        ends = others;
    }
    values.truncate(end);
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    GenericByteArray::try_new(offsets, Buffer::from_vec(values), joined_nulls(columns))
}

/// Appends where each value ends, the first of them beginning at `end`. A null has no bytes, whatever its
/// view says. Ends beyond 2 GiB are wrong, which `end` tells.
fn append_ends<V: ByteViewType>(
    column: &GenericByteViewArray<V>,
    end: &mut usize,
    ends: &mut Vec<i32>,
) {
    let mut next = |length: u32| {
        *end += length as usize;
        *end as i32
    };
    match column.nulls().filter(|nulls| nulls.null_count() > 0) {
        None => ends.extend(column.lengths().map(next)),
        Some(nulls) => {
            let lengths = column.lengths().zip(nulls);
            ends.extend(lengths.map(|(length, is_valid)| next(if is_valid { length } else { 0 })));
        }
    }
}

/// Copies the values that end at `ends`, the first of them to `from`; returns where the last one ends.
fn copy_values<V: ByteViewType>(
    column: &GenericByteViewArray<V>,
    ends: &[i32],
    mut from: usize,
    values: &mut [u8],
) -> usize {
    for (view, end) in column.views().iter().zip(ends) {
        let end = *end as usize;
        if end - from <= INLINE_BYTES_MAX {
            // What is too much here is written over by the next one.
            let inline = (view >> INLINE_AT).to_le_bytes();
            values[from..from + VIEW_BYTES].copy_from_slice(&inline);
        } else {
            let view = ByteView::from(*view);
            let buffer = &column.data_buffers()[view.buffer_index as usize];
            let value = &buffer[view.offset as usize..];
            values[from..end].copy_from_slice(&value[..end - from]);
        }
        from = end;
    }
    from
}

fn joined_nulls<V: ByteViewType>(columns: &[&GenericByteViewArray<V>]) -> Option<NullBuffer> {
    if let [column] = columns {
        return column.nulls().cloned();
    }
    if columns.iter().all(|column| column.null_count() == 0) {
        return None;
    }
    let rows = columns.iter().map(|column| column.len()).sum();
    let mut valid = BooleanBufferBuilder::new(rows);
    for column in columns {
        match column.nulls() {
            Some(nulls) => valid.append_buffer(nulls.inner()),
            None => valid.append_n(column.len(), true),
        }
    }
    Some(NullBuffer::new(valid.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{BinaryViewArray, StringArray, StringViewArray};
    use arrow::compute::{cast, concat};

    /// Short, of the longest length that is short, long, empty, null, and more than one byte a letter.
    fn texts() -> Vec<Option<String>> {
        let mut texts = vec![
            Some("a".to_owned()),
            Some("twelve bytes".to_owned()),
            None,
            Some("thirteen byte".to_owned()),
            Some(String::new()),
            Some("ärger — überall — größer".to_owned()),
        ];
        texts.extend((0..2000).map(|number| (number % 7 > 0).then(|| "xyz".repeat(number % 11))));
        texts
    }

    fn views() -> ArrayRef {
        Arc::new(StringViewArray::from_iter(texts()))
    }

    fn joined(columns: &[&ArrayRef], to: &DataType) -> ArrayRef {
        without_views(columns, to).unwrap().unwrap()
    }

    #[test]
    fn views_become_strings() {
        let all = views();
        assert_eq!(
            joined(&[&all], &DataType::Utf8).as_string::<i32>(),
            &StringArray::from(texts())
        );
        let parts = [all.slice(0, 3), all.slice(3, 0), all.slice(4, 1700)];
        let parts: Vec<_> = parts.iter().collect();
        let expected = concat(&[&all.slice(0, 3), &all.slice(4, 1700)]).unwrap();
        let expected = cast(&expected, &DataType::Utf8).unwrap();
        assert_eq!(&joined(&parts, &DataType::Utf8), &expected);
        let empty = all.slice(5, 0);
        assert_eq!(joined(&[&empty], &DataType::Utf8).len(), 0);
    }

    #[test]
    fn views_of_bytes_become_bytes() {
        let values = (0..100_u8).map(|n| (n % 9 > 0).then(|| vec![255 - n; n.into()]));
        let values: Vec<_> = values.collect();
        let bytes: ArrayRef = Arc::new(BinaryViewArray::from_iter(values.clone()));
        let joined = joined(&[&bytes, &bytes], &DataType::Binary);
        let expected: Vec<_> = values
            .iter()
            .chain(&values)
            .map(|value| value.as_deref())
            .collect();
        assert_eq!(
            joined.as_binary::<i32>().iter().collect::<Vec<_>>(),
            expected
        );
    }

    #[test]
    fn what_a_null_hides_is_not_shown() {
        let all = views();
        let hidden = StringViewArray::new(
            all.as_string_view().views().clone(),
            all.as_string_view().data_buffers().to_vec(),
            Some(NullBuffer::new_null(all.len())),
        );
        let joined = joined(&[&(Arc::new(hidden) as ArrayRef)], &DataType::Utf8);
        assert_eq!(joined.null_count(), all.len());
        assert_eq!(joined.as_string::<i32>().values().len(), 0);
    }

    #[test]
    fn other_columns_are_left_to_others() {
        let all = views();
        let strings = joined(&[&all], &DataType::Utf8);
        assert!(without_views(&[&strings], &DataType::Utf8).is_none());
        assert!(without_views(&[&all, &strings], &DataType::Utf8).is_none());
        assert!(without_views(&[&all], &DataType::LargeUtf8).is_none());
        let types = [DataType::Utf8, DataType::Binary, DataType::LargeUtf8];
        for to in &types {
            let is_done = without_views(&[&all], to).is_some();
            assert_eq!(is_without_views(all.data_type(), to), is_done, "{to}");
        }
    }

    #[test]
    fn more_than_two_gibibytes_are_an_error() {
        let long = "x".repeat(64 << 20);
        let long: ArrayRef = Arc::new(StringViewArray::from_iter_values(vec![long]));
        let many = vec![&long; 33];
        assert!(without_views(&many, &DataType::Utf8).unwrap().is_err());
    }
}
