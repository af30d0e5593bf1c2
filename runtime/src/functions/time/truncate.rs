//! `date_trunc(field, value)`: timestamps, dates, times of day and intervals cut to a field. DataFusion's own
//! counts in nanoseconds, which end in 2262.

use super::interval::{on_values, to_intervals};
use super::unit::{Unit, bare};
use super::zone;
use crate::error::to_datafusion;
use arrow::array::timezone::Tz;
use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit, Time64NanosecondType,
    TimeUnit, TimestampMicrosecondType,
};
use chrono::{Datelike, NaiveDate};
use datafusion::common::{exec_err, plan_err};
use datafusion::error::Result;
use datafusion::functions::datetime;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::scalar::ScalarValue;
use skep_protocol::{ErrorCode, QueryError};
use std::sync::{Arc, LazyLock};

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 24 * 60 * 60 * MICROS_PER_SECOND;
const DAYS_PER_WEEK: i64 = 7;
/// The day of the epoch, in days after a Monday.
const EPOCH_AFTER_MONDAY: i64 = 3;

#[derive(Debug, PartialEq, Eq, Hash)]
struct DateTrunc {
    stock: Arc<ScalarUDF>,
    aliases: Vec<String>,
    signature: Signature,
}

static DATE_TRUNC: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    Arc::new(ScalarUDF::from(DateTrunc {
        stock: datetime::date_trunc(),
        aliases: vec!["datetrunc".to_owned()],
        signature: Signature::user_defined(Volatility::Immutable),
    }))
});

/// The function.
pub fn date_trunc() -> Arc<ScalarUDF> {
    Arc::clone(&DATE_TRUNC)
}

impl ScalarUDFImpl for DateTrunc {
    fn name(&self) -> &str {
        "date_trunc"
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.stock.documentation()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [field, value] = types else {
            return plan_err!("date_trunc takes a field and a value");
        };
        if !field.is_string() && !field.is_null() {
            return plan_err!("the field of date_trunc is a text, not {field}");
        }
        let value = match value {
            DataType::Timestamp(_, zone) => {
                DataType::Timestamp(TimeUnit::Microsecond, zone.clone())
            }
            DataType::Time32(_) | DataType::Time64(_) => value.clone(),
            DataType::Interval(_) | DataType::Duration(_) => {
                DataType::Interval(IntervalUnit::MonthDayNano)
            }
            DataType::Date32 | DataType::Date64 | DataType::Null => {
                DataType::Timestamp(TimeUnit::Microsecond, None)
            }
            text if text.is_string() => DataType::Timestamp(TimeUnit::Microsecond, None),
            other => return plan_err!("date_trunc takes a timestamp, not {other}"),
        };
        Ok(vec![DataType::Utf8, value])
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [_, value] => Ok(value.clone()),
            _ => plan_err!("date_trunc takes a field and a value"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [field, value] = args.args.as_slice() else {
            return exec_err!("date_trunc takes a field and a value");
        };
        let wanted = args.return_field.data_type();
        if let ColumnarValue::Scalar(field) = field {
            let Some(name) = field.try_as_str().flatten() else {
                return Ok(ColumnarValue::Scalar(ScalarValue::try_from(wanted)?));
            };
            let unit = unit_named(name)?;
            return on_values(value, |values| truncate(values, unit));
        }
        // A field for each row.
        let fields = cast(&field.to_array(args.number_rows)?, &DataType::Utf8)?;
        let fields = fields.as_string::<i32>();
        let values = value.to_array(args.number_rows)?;
        let rows = (0..args.number_rows).map(|row| {
            if fields.is_null(row) {
                return ScalarValue::try_from(wanted);
            }
            let one = truncate(&values.slice(row, 1), unit_named(fields.value(row))?)?;
            ScalarValue::try_from_array(&one, 0)
        });
        let rows = rows.collect::<Result<Vec<_>>>()?;
        Ok(ColumnarValue::Array(match rows.is_empty() {
            true => arrow::array::new_empty_array(wanted),
            false => ScalarValue::iter_to_array(rows)?,
        }))
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        Ok(match inputs {
            [field, value] if field.sort_properties == SortProperties::Singleton => {
                value.sort_properties
            }
            _ => SortProperties::Unordered,
        })
    }
}

fn unit_named(name: &str) -> Result<Unit> {
    Unit::named(name).ok_or_else(|| {
        let text = format!("date_trunc knows no field '{}'", bare(name));
        to_datafusion(QueryError::new(ErrorCode::Evaluation, text))
    })
}

fn truncate(values: &ArrayRef, unit: Unit) -> Result<ArrayRef> {
    match values.data_type() {
        DataType::Timestamp(_, zone) => {
            let timestamps = values.as_primitive::<TimestampMicrosecondType>();
            let found = zone.as_deref().map(zone::parse).transpose()?;
            let cut = |value| match &found {
                Some(zone) => truncate_in_zone(value, unit, zone),
                None => truncate_micros(value, unit),
            };
            let cut: PrimitiveArray<TimestampMicrosecondType> = timestamps.try_unary(cut)?;
            Ok(Arc::new(cut.with_timezone_opt(zone.clone())))
        }
        DataType::Time32(_) | DataType::Time64(_) => truncate_times(values, unit),
        DataType::Interval(_) => {
            let intervals = to_intervals(values)?;
            let intervals = intervals.as_primitive::<IntervalMonthDayNanoType>();
            let cut = intervals
                .unary::<_, IntervalMonthDayNanoType>(|interval| truncate_interval(interval, unit));
            Ok(Arc::new(cut))
        }
        other => exec_err!("date_trunc takes a timestamp, not {other}"),
    }
}

fn truncate_in_zone(value: i64, unit: Unit, zone: &Tz) -> Result<i64> {
    let local = truncate_micros(zone::local_of(value, zone)?, unit)?;
    zone::moment_near(local, value, zone)
}

fn truncate_micros(value: i64, unit: Unit) -> Result<i64> {
    let step = match step_micros(unit) {
        Some(step) => step,
        None => return truncate_day(value.div_euclid(MICROS_PER_DAY), unit),
    };
    value
        .checked_sub(value.rem_euclid(step))
        .ok_or_else(zone::out_of_range)
}

/// How long the field is, where it is always as long.
fn step_micros(unit: Unit) -> Option<i64> {
    Some(match unit {
        Unit::Microsecond => 1,
        Unit::Millisecond => 1_000,
        Unit::Second => MICROS_PER_SECOND,
        Unit::Minute => 60 * MICROS_PER_SECOND,
        Unit::Hour => 60 * 60 * MICROS_PER_SECOND,
        Unit::Day => MICROS_PER_DAY,
        _ => return None,
    })
}

/// The first moment of the week, month and so on that a day is in, in microseconds.
fn truncate_day(day: i64, unit: Unit) -> Result<i64> {
    let first = match unit {
        Unit::Week => day - (day + EPOCH_AFTER_MONDAY).rem_euclid(DAYS_PER_WEEK),
        _ => {
            let date = i32::try_from(day).ok().and_then(NaiveDate::from_epoch_days);
            let date = date.ok_or_else(zone::out_of_range)?;
            let (year, month) = (date.year(), date.month());
            let (year, month) = match unit {
                Unit::Month => (year, month),
                Unit::Quarter => (year, month - (month - 1) % 3),
                Unit::Decade => (year.div_euclid(10) * 10, 1),
                // The first year of a century is 1901, not 1900.
                Unit::Century => ((year - 1).div_euclid(100) * 100 + 1, 1),
                Unit::Millennium => ((year - 1).div_euclid(1000) * 1000 + 1, 1),
                _ => (year, 1),
            };
            let first = NaiveDate::from_ymd_opt(year, month, 1);
            i64::from(first.ok_or_else(zone::out_of_range)?.to_epoch_days())
        }
    };
    first
        .checked_mul(MICROS_PER_DAY)
        .ok_or_else(zone::out_of_range)
}

fn truncate_times(values: &ArrayRef, unit: Unit) -> Result<ArrayRef> {
    let step = match step_micros(unit).filter(|step| *step < MICROS_PER_DAY) {
        Some(step) => step * 1_000,
        None => {
            let text = "a time of day is cut to hours, minutes, seconds or parts of these";
            return Err(to_datafusion(QueryError::new(ErrorCode::Evaluation, text)));
        }
    };
    let nanos = cast(values, &DataType::Time64(TimeUnit::Nanosecond))?;
    let nanos = nanos.as_primitive::<Time64NanosecondType>();
    let cut = nanos.unary::<_, Time64NanosecondType>(|value| value - value.rem_euclid(step));
    Ok(cast(&cut, values.data_type())?)
}

/// Parts of intervals are cut towards zero, each on its own.
fn truncate_interval(interval: IntervalMonthDayNano, unit: Unit) -> IntervalMonthDayNano {
    let IntervalMonthDayNano {
        months,
        days,
        nanoseconds,
    } = interval;
    let months_to = |step: i32| IntervalMonthDayNano::new(months - months % step, 0, 0);
    match unit {
        Unit::Millennium => months_to(12_000),
        Unit::Century => months_to(1_200),
        Unit::Decade => months_to(120),
        Unit::Year => months_to(12),
        Unit::Quarter => months_to(3),
        Unit::Month => months_to(1),
        Unit::Week => IntervalMonthDayNano::new(months, days - days % 7, 0),
        Unit::Day => IntervalMonthDayNano::new(months, days, 0),
        finer => {
            let step = step_micros(finer).unwrap_or(1) * 1_000;
            IntervalMonthDayNano::new(months, days, nanoseconds - nanoseconds % step)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::NaiveDateTime;

    fn micros(text: &str) -> i64 {
        let parsed = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f");
        parsed.unwrap().and_utc().timestamp_micros()
    }

    #[test]
    fn every_field_has_a_beginning() {
        for (unit, value, first) in [
            ("month", "9999-12-31 23:59:59.9", "9999-12-01 00:00:00"),
            ("year", "0001-05-06 00:00:00", "0001-01-01 00:00:00"),
            ("week", "2024-03-10 01:00:00", "2024-03-04 00:00:00"),
            ("week", "1969-12-31 01:00:00", "1969-12-29 00:00:00"),
            ("quarter", "2024-06-30 01:00:00", "2024-04-01 00:00:00"),
            ("century", "2000-06-30 01:00:00", "1901-01-01 00:00:00"),
            ("millennium", "2001-06-30 01:00:00", "2001-01-01 00:00:00"),
            ("decades", "2024-06-30 01:00:00", "2020-01-01 00:00:00"),
            ("hour", "1969-12-31 23:59:59.5", "1969-12-31 23:00:00"),
            ("'Second'", "1969-12-31 23:59:59.5", "1969-12-31 23:59:59"),
        ] {
            let found = truncate_micros(micros(value), unit_named(unit).unwrap()).unwrap();
            assert_eq!(found, micros(first), "{unit} {value}");
        }
        let error = unit_named("fortnight").unwrap_err().to_string();
        assert!(error.contains("'fortnight'"), "{error}");
        assert!(truncate_micros(i64::MIN, Unit::Year).is_err());
    }

    #[test]
    fn days_begin_when_clocks_show_it() {
        let zone = zone::parse("America/New_York").unwrap();
        let cut = |value: &str, unit| truncate_in_zone(micros(value), unit, &zone).unwrap();
        let day = cut("2024-11-03 20:00:00", Unit::Day);
        assert_eq!(day, micros("2024-11-03 04:00:00"));
        let hour = cut("2024-11-03 05:40:00", Unit::Hour);
        assert_eq!(hour, micros("2024-11-03 05:00:00"));
    }

    #[test]
    fn parts_of_intervals_are_cut() {
        let hours = |hours: i64| hours * 3_600_000_000_000;
        let interval = IntervalMonthDayNano::new(-14, 10, hours(5) + 1);
        let cut = |unit| truncate_interval(interval, unit);
        assert_eq!(cut(Unit::Year), IntervalMonthDayNano::new(-12, 0, 0));
        assert_eq!(cut(Unit::Week), IntervalMonthDayNano::new(-14, 7, 0));
        assert_eq!(
            cut(Unit::Hour),
            IntervalMonthDayNano::new(-14, 10, hours(5))
        );
    }
}
