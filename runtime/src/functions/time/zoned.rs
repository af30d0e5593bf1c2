//! `timezone(zone, value)`, which is what `value AT TIME ZONE zone` means: the moment at which clocks in the zone
//! show a timestamp without a zone, and what they show at the moment that one with a zone is.

use super::DEFAULT_ZONE;
use super::interval::Interval;
use super::zone;
use arrow::array::timezone::Tz;
use arrow::array::{Array, ArrayRef, AsArray, TimestampMicrosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, IntervalMonthDayNanoType, IntervalUnit, TimeUnit, TimestampMicrosecondType,
};
use datafusion::common::{exec_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

#[derive(Debug, PartialEq, Eq, Hash)]
struct Zoned {
    signature: Signature,
    /// In which zone moments are shown.
    session_zone: Arc<str>,
}

static TIMEZONE: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| Arc::new(timezone_in(&Arc::from(DEFAULT_ZONE))));

/// The function in sessions that have not set a zone.
pub fn timezone() -> Arc<ScalarUDF> {
    Arc::clone(&TIMEZONE)
}

/// The function in sessions of a zone.
pub(super) fn timezone_in(session_zone: &Arc<str>) -> ScalarUDF {
    ScalarUDF::from(Zoned {
        signature: Signature::user_defined(Volatility::Immutable),
        session_zone: Arc::clone(session_zone),
    })
}

impl ScalarUDFImpl for Zoned {
    fn name(&self) -> &str {
        "timezone"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [zone, value] = types else {
            return plan_err!("timezone takes a time zone and a timestamp");
        };
        let zone = match zone {
            DataType::Interval(_) | DataType::Duration(_) => {
                DataType::Interval(IntervalUnit::MonthDayNano)
            }
            DataType::Null => DataType::Utf8,
            text if text.is_string() => DataType::Utf8,
            other => return plan_err!("a time zone is a text or an interval, not {other}"),
        };
        let value = match value {
            DataType::Timestamp(_, zone) => {
                DataType::Timestamp(TimeUnit::Microsecond, zone.clone())
            }
            DataType::Date32 | DataType::Date64 | DataType::Null => {
                DataType::Timestamp(TimeUnit::Microsecond, None)
            }
            text if text.is_string() => DataType::Timestamp(TimeUnit::Microsecond, None),
            other => return plan_err!("AT TIME ZONE takes a timestamp, not {other}"),
        };
        Ok(vec![zone, value])
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let zone = match types {
            [_, DataType::Timestamp(_, Some(_))] => None,
            _ => Some(Arc::clone(&self.session_zone)),
        };
        Ok(DataType::Timestamp(TimeUnit::Microsecond, zone))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = args
            .args
            .iter()
            .all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let rows = match is_scalar {
            true => 1,
            false => args.number_rows,
        };
        let [zones, values] = args.args.as_slice() else {
            return exec_err!("timezone takes a time zone and a timestamp");
        };
        let values = values.to_array(rows)?;
        let has_zone = matches!(values.data_type(), DataType::Timestamp(_, Some(_)));
        let values = values.as_primitive::<TimestampMicrosecondType>();
        let convert = |value: i64, zone: &Tz| match has_zone {
            true => zone::local_of(value, zone),
            false => zone::moment_of(value, zone),
        };
        let converted: TimestampMicrosecondArray = match zones {
            ColumnarValue::Scalar(zone) => match zone_at(&zone.to_array()?, 0)? {
                Some(zone) => values.try_unary(|value| convert(value, &zone))?,
                None => TimestampMicrosecondArray::new_null(rows),
            },
            ColumnarValue::Array(zones) => {
                let mut known = HashMap::new();
                let converted = (0..rows).map(|row| {
                    if values.is_null(row) {
                        return Ok(None);
                    }
                    let zone = known_zone(zones, row, &mut known)?;
                    zone.map(|zone| convert(values.value(row), &zone))
                        .transpose()
                });
                converted.collect::<Result<_>>()?
            }
        };
        let converted: ArrayRef = Arc::new(converted);
        let converted = match args.return_field.data_type() {
            same if same == converted.data_type() => converted,
            zoned => with_zone(&converted, zoned),
        };
        match is_scalar {
            true => Ok(ColumnarValue::Scalar(
                datafusion::scalar::ScalarValue::try_from_array(&converted, 0)?,
            )),
            false => Ok(ColumnarValue::Array(converted)),
        }
    }
}

/// The same values, said to be moments that are shown in the zone of a type.
fn with_zone(values: &ArrayRef, zoned: &DataType) -> ArrayRef {
    let zone = match zoned {
        DataType::Timestamp(_, zone) => zone.clone(),
        _ => None,
    };
    let values = values.as_primitive::<TimestampMicrosecondType>().clone();
    Arc::new(values.with_timezone_opt(zone))
}

fn zone_at(zones: &ArrayRef, row: usize) -> Result<Option<Tz>> {
    if zones.is_null(row) {
        return Ok(None);
    }
    match zones.data_type() {
        DataType::Interval(_) => {
            let zones = zones.as_primitive::<IntervalMonthDayNanoType>();
            let nanos = Interval::from(zones.value(row)).nanoseconds();
            let seconds = i32::try_from(nanos / 1_000_000_000).unwrap_or(i32::MAX);
            zone::fixed(seconds).map(Some)
        }
        _ => {
            let texts = cast(zones, &DataType::Utf8)?;
            zone::parse(texts.as_string::<i32>().value(row)).map(Some)
        }
    }
}

/// As [`zone_at`], where the zones of a column are looked up once.
fn known_zone(zones: &ArrayRef, row: usize, known: &mut HashMap<String, Tz>) -> Result<Option<Tz>> {
    let Some(texts) = zones.as_string_opt::<i32>() else {
        return zone_at(zones, row);
    };
    if texts.is_null(row) {
        return Ok(None);
    }
    if let Some(zone) = known.get(texts.value(row)) {
        return Ok(Some(*zone));
    }
    let zone = zone::parse(texts.value(row))?;
    known.insert(texts.value(row).to_owned(), zone);
    Ok(Some(zone))
}
