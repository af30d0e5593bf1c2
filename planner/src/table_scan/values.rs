//! The catalog's types and values as DataFusion's.

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::scalar::ScalarValue;
use skep_catalog::model::BoundValue;

/// How values of a type are laid out when files are read. Views save copying text out of Parquet's
/// pages.
pub(super) fn scan_type(data_type: &DataType, uses_views: bool) -> DataType {
    match data_type {
        DataType::Utf8 if uses_views => DataType::Utf8View,
        DataType::Binary if uses_views => DataType::BinaryView,
        other => other.clone(),
    }
}

/// The value as one of `data_type`, if it is one.
pub(super) fn scalar(value: &BoundValue, data_type: &DataType) -> Option<ScalarValue> {
    match value {
        BoundValue::Boolean(value) => {
            (*data_type == DataType::Boolean).then_some(ScalarValue::Boolean(Some(*value)))
        }
        BoundValue::Int(value) => int_scalar(*value, data_type),
        BoundValue::UInt(value) => Some(match data_type {
            DataType::UInt8 => ScalarValue::UInt8(Some((*value).try_into().ok()?)),
            DataType::UInt16 => ScalarValue::UInt16(Some((*value).try_into().ok()?)),
            DataType::UInt32 => ScalarValue::UInt32(Some((*value).try_into().ok()?)),
            DataType::UInt64 => ScalarValue::UInt64(Some(*value)),
            _ => return None,
        }),
        BoundValue::Float(value) => Some(match data_type {
            DataType::Float32 => ScalarValue::Float32(Some(*value as f32)),
            DataType::Float64 => ScalarValue::Float64(Some(*value)),
            _ => return None,
        }),
        BoundValue::Decimal(value) => match data_type {
            DataType::Decimal128(precision, scale) => Some(ScalarValue::Decimal128(
                Some(value.get()),
                *precision,
                *scale,
            )),
            _ => None,
        },
        BoundValue::Text(value) => Some(match data_type {
            DataType::Utf8 => ScalarValue::Utf8(Some(value.to_string())),
            DataType::Utf8View => ScalarValue::Utf8View(Some(value.to_string())),
            _ => return None,
        }),
        BoundValue::Binary(value) => Some(match data_type {
            DataType::Binary => ScalarValue::Binary(Some(value.to_vec())),
            DataType::BinaryView => ScalarValue::BinaryView(Some(value.to_vec())),
            _ => return None,
        }),
    }
}

fn int_scalar(value: i64, data_type: &DataType) -> Option<ScalarValue> {
    Some(match data_type {
        DataType::Int8 => ScalarValue::Int8(Some(value.try_into().ok()?)),
        DataType::Int16 => ScalarValue::Int16(Some(value.try_into().ok()?)),
        DataType::Int32 => ScalarValue::Int32(Some(value.try_into().ok()?)),
        DataType::Int64 => ScalarValue::Int64(Some(value)),
        DataType::Date32 => ScalarValue::Date32(Some(value.try_into().ok()?)),
        DataType::Date64 => ScalarValue::Date64(Some(value)),
        DataType::Time32(TimeUnit::Second) => {
            ScalarValue::Time32Second(Some(value.try_into().ok()?))
        }
        DataType::Time32(TimeUnit::Millisecond) => {
            ScalarValue::Time32Millisecond(Some(value.try_into().ok()?))
        }
        DataType::Time64(TimeUnit::Microsecond) => ScalarValue::Time64Microsecond(Some(value)),
        DataType::Time64(TimeUnit::Nanosecond) => ScalarValue::Time64Nanosecond(Some(value)),
        DataType::Timestamp(unit, zone) => {
            let zone = zone.clone();
            match unit {
                TimeUnit::Second => ScalarValue::TimestampSecond(Some(value), zone),
                TimeUnit::Millisecond => ScalarValue::TimestampMillisecond(Some(value), zone),
                TimeUnit::Microsecond => ScalarValue::TimestampMicrosecond(Some(value), zone),
                TimeUnit::Nanosecond => ScalarValue::TimestampNanosecond(Some(value), zone),
            }
        }
        _ => return None,
    })
}
