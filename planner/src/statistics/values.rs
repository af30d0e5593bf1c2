//! Values as numbers, so that it can be said how far apart they are.

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::scalar::ScalarValue;
use skep_catalog::model::BoundValue;

const SECONDS_PER_DAY: f64 = 86_400.0;

/// A constant as a number; dates and timestamps in seconds.
pub(super) fn number(value: &ScalarValue) -> Option<f64> {
    Some(match value {
        ScalarValue::Boolean(value) => f64::from(u8::from((*value)?)),
        ScalarValue::Int8(value) => f64::from((*value)?),
        ScalarValue::Int16(value) => f64::from((*value)?),
        ScalarValue::Int32(value) => f64::from((*value)?),
        ScalarValue::Int64(value) => (*value)? as f64,
        ScalarValue::UInt8(value) => f64::from((*value)?),
        ScalarValue::UInt16(value) => f64::from((*value)?),
        ScalarValue::UInt32(value) => f64::from((*value)?),
        ScalarValue::UInt64(value) => (*value)? as f64,
        ScalarValue::Float32(value) => f64::from((*value)?),
        ScalarValue::Float64(value) => (*value)?,
        ScalarValue::Decimal32(value, _, scale) => scaled(f64::from((*value)?), *scale),
        ScalarValue::Decimal64(value, _, scale) => scaled((*value)? as f64, *scale),
        ScalarValue::Decimal128(value, _, scale) => scaled((*value)? as f64, *scale),
        ScalarValue::Date32(value) => f64::from((*value)?) * SECONDS_PER_DAY,
        ScalarValue::Date64(value) => (*value)? as f64 / 1e3,
        ScalarValue::TimestampSecond(value, _) => (*value)? as f64,
        ScalarValue::TimestampMillisecond(value, _) => (*value)? as f64 / 1e3,
        ScalarValue::TimestampMicrosecond(value, _) => (*value)? as f64 / 1e6,
        ScalarValue::TimestampNanosecond(value, _) => (*value)? as f64 / 1e9,
        _ => return None,
    })
}

/// A bound of a column as such a number.
pub(super) fn bound(value: &BoundValue, data_type: &DataType) -> Option<f64> {
    let unit = unit(data_type)?;
    Some(match value {
        BoundValue::Boolean(value) => f64::from(u8::from(*value)),
        BoundValue::Int(value) => *value as f64 * unit,
        BoundValue::UInt(value) => *value as f64 * unit,
        BoundValue::Float(value) => *value,
        BoundValue::Decimal(value) => value.get() as f64 * unit,
        BoundValue::Text(_) | BoundValue::Binary(_) => return None,
    })
}

/// The least difference of two values of a type: `None` where there is none that matters.
pub(super) fn step(data_type: &DataType) -> Option<f64> {
    match data_type {
        DataType::Float16 | DataType::Float32 | DataType::Float64 => None,
        other => unit(other),
    }
}

/// What one of the units is that values of a type are counted in.
fn unit(data_type: &DataType) -> Option<f64> {
    Some(match data_type {
        DataType::Date32 => SECONDS_PER_DAY,
        DataType::Date64 | DataType::Timestamp(TimeUnit::Millisecond, _) => 1e-3,
        DataType::Timestamp(TimeUnit::Microsecond, _) => 1e-6,
        DataType::Timestamp(TimeUnit::Nanosecond, _) => 1e-9,
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale) => scaled(1.0, *scale),
        DataType::Timestamp(TimeUnit::Second, _) | DataType::Boolean => 1.0,
        other if other.is_numeric() => 1.0,
        _ => return None,
    })
}

fn scaled(value: f64, scale: i8) -> f64 {
    value / 10_f64.powi(i32::from(scale))
}

/// The bytes of a value of a type of which nothing else is known.
pub(super) fn usual_bytes(data_type: &DataType) -> f64 {
    match data_type {
        DataType::Boolean => 1.0,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => 24.0,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => 32.0,
        other => other.primitive_width().map_or(64.0, |width| width as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_timestamps_and_decimals_have_one_scale_each() {
        let day = number(&ScalarValue::Date32(Some(2))).unwrap();
        let time = ScalarValue::TimestampMicrosecond(Some(2 * 86_400_000_000), None);
        assert_eq!(number(&time), Some(day));
        assert_eq!(bound(&BoundValue::Int(2), &DataType::Date32), Some(day));
        let price = number(&ScalarValue::Decimal128(Some(1_234), 10, 2)).unwrap();
        let of_file = bound(
            &BoundValue::Decimal(1_234.into()),
            &DataType::Decimal128(10, 2),
        );
        assert!((price - of_file.unwrap()).abs() < 1e-9);
        assert_eq!(number(&ScalarValue::Int64(None)), None);
        assert_eq!(bound(&BoundValue::Text("a".into()), &DataType::Utf8), None);
    }
}
