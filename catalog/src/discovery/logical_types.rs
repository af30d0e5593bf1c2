//! Types without regard to how files lay their values out.

use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use std::sync::Arc;

/// A type without regard to how its values are laid out in memory, about which files written by
/// different programs disagree.
pub(super) fn logical_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Dictionary(_, values) => logical_type(values),
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView => DataType::Binary,
        DataType::LargeList(item) | DataType::List(item) => DataType::List(logical_field(item)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(logical_field).collect()),
        DataType::Map(entries, is_sorted) => DataType::Map(logical_field(entries), *is_sorted),
        DataType::Date64 => DataType::Date32,
        other => other.clone(),
    }
}

/// The type with microseconds in place of nanoseconds.
pub(super) fn in_microseconds(data_type: &DataType) -> DataType {
    let field = |field: &FieldRef| -> FieldRef {
        let data_type = in_microseconds(field.data_type());
        Arc::new(field.as_ref().clone().with_data_type(data_type))
    };
    match data_type {
        DataType::Timestamp(TimeUnit::Nanosecond, zone) => {
            DataType::Timestamp(TimeUnit::Microsecond, zone.clone())
        }
        DataType::List(item) => DataType::List(field(item)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(field).collect()),
        DataType::Map(entries, is_sorted) => DataType::Map(field(entries), *is_sorted),
        other => other.clone(),
    }
}

fn logical_field(field: &FieldRef) -> FieldRef {
    let data_type = logical_type(field.data_type());
    Arc::new(Field::new(field.name(), data_type, field.is_nullable()))
}
