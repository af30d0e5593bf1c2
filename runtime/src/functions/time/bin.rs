//! `date_bin(width, timestamp[, origin])`: the beginning of the bin that a timestamp is in. DataFusion's own counts
//! in nanoseconds, which end in 2262; it is asked for times of day.

use super::zone;
use crate::error::to_datafusion;
use arrow::array::{Array, ArrayRef, AsArray, TimestampMicrosecondArray};
use arrow::datatypes::{
    DataType, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit, TimeUnit,
    TimestampMicrosecondType,
};
use chrono::{Datelike, Months};
use datafusion::common::plan_err;
use datafusion::error::Result;
use datafusion::functions::datetime;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use skep_protocol::{ErrorCode, QueryError};
use std::sync::{Arc, LazyLock};

const NANOS_PER_DAY: i128 = 24 * 60 * 60 * 1_000_000_000;
const NANOS_PER_MICRO: i128 = 1_000;

#[derive(Debug, PartialEq, Eq, Hash)]
struct DateBin {
    stock: Arc<ScalarUDF>,
    signature: Signature,
}

static DATE_BIN: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    Arc::new(ScalarUDF::from(DateBin {
        stock: datetime::date_bin(),
        signature: Signature::user_defined(Volatility::Immutable),
    }))
});

/// The function.
pub(super) fn date_bin() -> Arc<ScalarUDF> {
    Arc::clone(&DATE_BIN)
}

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

impl ScalarUDFImpl for DateBin {
    fn name(&self) -> &str {
        "date_bin"
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.stock.documentation()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let (value, count) = match types {
            [_, value] => (value, 2),
            [_, value, _] => (value, 3),
            _ => return plan_err!("date_bin takes a width, a timestamp and perhaps an origin"),
        };
        let value = match value {
            DataType::Timestamp(_, zone) => {
                DataType::Timestamp(TimeUnit::Microsecond, zone.clone())
            }
            DataType::Time32(_) | DataType::Time64(_) => value.clone(),
            DataType::Date32 | DataType::Date64 | DataType::Null => {
                DataType::Timestamp(TimeUnit::Microsecond, None)
            }
            text if text.is_string() => DataType::Timestamp(TimeUnit::Microsecond, None),
            other => return plan_err!("date_bin takes a timestamp, not {other}"),
        };
        let values = std::iter::repeat_n(value, count - 1);
        Ok(std::iter::once(INTERVAL).chain(values).collect())
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [_, value, ..] => Ok(value.clone()),
            _ => plan_err!("date_bin takes a width and a timestamp"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if !matches!(args.return_field.data_type(), DataType::Timestamp(_, _)) {
            return self.stock.invoke_with_args(args);
        }
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [widths, values, origins @ ..] = arrays.as_slice() else {
            return plan_err!("date_bin takes a width and a timestamp");
        };
        let widths = widths.as_primitive::<IntervalMonthDayNanoType>();
        let values = values.as_primitive::<TimestampMicrosecondType>();
        let origins = origins
            .first()
            .map(|origins| origins.as_primitive::<TimestampMicrosecondType>());
        let origin_of = |row: usize| match origins {
            Some(origins) => origins.is_valid(row).then(|| origins.value(row)),
            None => Some(0),
        };
        let bins = (0..values.len()).map(|row| {
            if widths.is_null(row) || values.is_null(row) {
                return Ok(None);
            }
            let bin = |origin| bin(widths.value(row), values.value(row), origin);
            origin_of(row).map(bin).transpose()
        });
        let bins = bins.collect::<Result<TimestampMicrosecondArray>>()?;
        let zone = match args.return_field.data_type() {
            DataType::Timestamp(_, zone) => zone.clone(),
            _ => None,
        };
        let bins: ArrayRef = Arc::new(bins.with_timezone_opt(zone));
        Ok(ColumnarValue::Array(bins))
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        let is_constant =
            |input: &ExprProperties| input.sort_properties == SortProperties::Singleton;
        Ok(match inputs {
            [width, value, origin @ ..] if is_constant(width) && origin.iter().all(is_constant) => {
                value.sort_properties
            }
            _ => SortProperties::Unordered,
        })
    }
}

fn bin(width: IntervalMonthDayNano, value: i64, origin: i64) -> Result<i64> {
    let invalid = |text: &str| Err(to_datafusion(QueryError::new(ErrorCode::Evaluation, text)));
    let nanos = i128::from(width.days) * NANOS_PER_DAY + i128::from(width.nanoseconds);
    match (width.months, nanos) {
        (0, nanos) if nanos > 0 => {
            let from_origin = (i128::from(value) - i128::from(origin)) * NANOS_PER_MICRO;
            let first = from_origin - from_origin.rem_euclid(nanos);
            let first = i128::from(origin) + first.div_euclid(NANOS_PER_MICRO);
            i64::try_from(first).map_err(|_| zone::out_of_range())
        }
        (months, 0) if months > 0 => bin_of_months(i64::from(months), value, origin),
        (0, _) | (_, 0) => invalid("the width of a bin is more than nothing"),
        _ => invalid("the width of a bin has either months or days and parts of a day"),
    }
}

fn bin_of_months(months: i64, value: i64, origin: i64) -> Result<i64> {
    let (date, first) = (zone::utc(value)?, zone::utc(origin)?);
    let count = |date: &chrono::DateTime<chrono::Utc>| {
        i64::from(date.year()) * 12 + i64::from(date.month())
    };
    let between = count(&date) - count(&first);
    let whole = between - between.rem_euclid(months);
    let shifted = |by: i64| {
        let months = Months::new(u32::try_from(by.unsigned_abs()).unwrap_or(u32::MAX));
        let shifted = match by < 0 {
            true => first.checked_sub_months(months),
            false => first.checked_add_months(months),
        };
        shifted.ok_or_else(zone::out_of_range)
    };
    let begin = shifted(whole)?;
    // Where the origin is not the first moment of its month.
    let begin = match begin > date {
        true => shifted(whole - months)?,
        false => begin,
    };
    Ok(begin.timestamp_micros())
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::NaiveDateTime;

    fn micros(text: &str) -> i64 {
        let parsed = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S");
        parsed.unwrap().and_utc().timestamp_micros()
    }

    #[test]
    fn bins_begin_before_and_after_their_origin() {
        let day = IntervalMonthDayNano::new(0, 1, 0);
        let quarter_hour = IntervalMonthDayNano::new(0, 0, 900 * 1_000_000_000);
        let quarter = IntervalMonthDayNano::new(3, 0, 0);
        for (width, value, origin, first) in [
            (
                day,
                "9999-12-31 23:00:00",
                "1970-01-01 00:00:00",
                "9999-12-31 00:00:00",
            ),
            (
                day,
                "0001-01-01 02:00:00",
                "1970-01-01 03:00:00",
                "0000-12-31 03:00:00",
            ),
            (
                quarter_hour,
                "1969-12-31 23:59:59",
                "1970-01-01 00:00:00",
                "1969-12-31 23:45:00",
            ),
            (
                quarter,
                "3000-06-30 00:00:00",
                "1970-01-01 00:00:00",
                "3000-04-01 00:00:00",
            ),
            (
                quarter,
                "2024-04-14 00:00:00",
                "1970-01-15 00:00:00",
                "2024-01-15 00:00:00",
            ),
            (
                quarter,
                "1969-12-31 00:00:00",
                "1970-01-01 00:00:00",
                "1969-10-01 00:00:00",
            ),
        ] {
            let found = bin(width, micros(value), micros(origin)).unwrap();
            assert_eq!(found, micros(first), "{value}");
        }
        assert!(bin(IntervalMonthDayNano::new(1, 1, 0), 0, 0).is_err());
        assert!(bin(IntervalMonthDayNano::new(0, 0, 0), 0, 0).is_err());
        assert!(bin(IntervalMonthDayNano::new(0, -1, 0), 0, 0).is_err());
    }
}
