//! Arrays row by row: where the items of each lie, and arrays that are put together from items.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, ListArray, UInt64Array, UInt64Builder};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::exec_err;
use datafusion::error::Result;
use std::ops::Range;
use std::sync::Arc;

/// An argument that is an array.
pub struct Lists {
    list: ListArray,
}

impl Lists {
    /// Reads it.
    ///
    /// # Errors
    /// Where it is none.
    pub fn open(array: &ArrayRef) -> Result<Self> {
        match array.as_list_opt::<i32>() {
            Some(list) => Ok(Self { list: list.clone() }),
            None => exec_err!("an argument is not an array"),
        }
    }

    /// All items of all rows.
    pub fn items(&self) -> &ArrayRef {
        self.list.values()
    }

    /// Where those of one row are; `None` for NULL.
    pub fn at(&self, row: usize) -> Option<Range<usize>> {
        let offsets = self.list.value_offsets();
        let (start, end) = (offsets.get(row)?, offsets.get(row + 1)?);
        let range = usize::try_from(*start).ok()?..usize::try_from(*end).ok()?;
        self.list.is_valid(row).then_some(range)
    }

    /// The field of the items.
    pub fn field(&self) -> FieldRef {
        match self.list.data_type() {
            DataType::List(field) => Arc::clone(field),
            _ => crate::value::item(self.list.value_type()),
        }
    }
}

/// Arrays of the items of `items` with the indices that each row has; `None` is NULL.
///
/// # Errors
/// Where there are too many.
pub fn list_of(
    rows: Vec<Option<Vec<Option<usize>>>>,
    items: &ArrayRef,
    field: FieldRef,
) -> Result<ArrayRef> {
    let mut indices = UInt64Builder::new();
    let mut lengths = Vec::with_capacity(rows.len());
    let mut valid = Vec::with_capacity(rows.len());
    for row in rows {
        valid.push(row.is_some());
        let row = row.unwrap_or_default();
        lengths.push(row.len());
        row.into_iter()
            .for_each(|index| indices.append_option(index.map(|index| index as u64)));
    }
    let items = take(items, &indices.finish(), None)?;
    list_from(items, lengths, valid, field)
}

/// Arrays of so many items each.
///
/// # Errors
/// Where items and lengths do not fit.
pub fn list_from(
    items: ArrayRef,
    lengths: Vec<usize>,
    valid: Vec<bool>,
    field: FieldRef,
) -> Result<ArrayRef> {
    let nulls = NullBuffer::from(valid);
    let nulls = (nulls.null_count() > 0).then_some(nulls);
    let field = Arc::new(field.as_ref().clone().with_nullable(true));
    Ok(Arc::new(ListArray::try_new(
        field,
        OffsetBuffer::from_lengths(lengths),
        items,
        nulls,
    )?))
}

/// The items with these indices.
///
/// # Errors
/// Where there is none at an index.
pub fn items_at(items: &ArrayRef, indices: Vec<Option<usize>>) -> Result<ArrayRef> {
    let indices = indices
        .into_iter()
        .map(|index| index.map(|index| index as u64));
    Ok(take(items, &UInt64Array::from_iter(indices), None)?)
}

/// The type with items that may be NULL.
pub fn nullable_list(data_type: &DataType) -> DataType {
    match data_type {
        DataType::List(field) => {
            DataType::List(Arc::new(field.as_ref().clone().with_nullable(true)))
        }
        other => other.clone(),
    }
}
