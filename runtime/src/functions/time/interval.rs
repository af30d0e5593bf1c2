//! The length of intervals: a month is 30 days and a day is 24 hours, as in PostgreSQL and DuckDB.

use crate::error::to_datafusion;
use arrow::array::{ArrayRef, AsArray, Decimal128Array, PrimitiveArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DataType, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType,
    IntervalUnit, TimeUnit,
};
use datafusion::common::{exec_err, plan_err};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;
use skep_protocol::{ErrorCode, QueryError};
use std::sync::{Arc, LazyLock};

const NANOS_PER_DAY: i128 = 24 * 60 * 60 * 1_000_000_000;
const DAYS_PER_MONTH: i128 = 30;

/// An interval with an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval(pub IntervalMonthDayNano);

impl From<IntervalMonthDayNano> for Interval {
    fn from(value: IntervalMonthDayNano) -> Self {
        Self(value)
    }
}

impl Interval {
    /// How long it is.
    pub fn nanoseconds(self) -> i128 {
        let days = i128::from(self.0.months) * DAYS_PER_MONTH + i128::from(self.0.days);
        days * NANOS_PER_DAY + i128::from(self.0.nanoseconds)
    }
}

/// Intervals and durations as intervals of months, days and nanoseconds. Durations have whole days.
pub(super) fn to_intervals(values: &ArrayRef) -> Result<ArrayRef> {
    let wanted = DataType::Interval(IntervalUnit::MonthDayNano);
    let DataType::Duration(unit) = values.data_type() else {
        return Ok(cast(values, &wanted)?);
    };
    let nanos_per_tick = nanos_per_tick(unit);
    let ticks_per_day = (NANOS_PER_DAY as i64) / nanos_per_tick;
    let ticks = cast(values, &DataType::Int64)?;
    let ticks = ticks.as_primitive::<Int64Type>();
    let intervals: PrimitiveArray<IntervalMonthDayNanoType> = ticks.try_unary(|ticks| {
        let days = i32::try_from(ticks / ticks_per_day).map_err(|_| out_of_range());
        days.map(|days| IntervalMonthDayNano::new(0, days, ticks % ticks_per_day * nanos_per_tick))
    })?;
    Ok(Arc::new(intervals))
}

fn nanos_per_tick(unit: &TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    }
}

/// The error about an interval that has no place in its type.
pub(super) fn out_of_range() -> DataFusionError {
    let text = "an interval is beyond the range of its type";
    to_datafusion(QueryError::new(ErrorCode::Evaluation, text))
}

/// `skep_interval_of_duration(duration)`: an interval of days and a rest, where a cast would have no days.
#[derive(Debug, PartialEq, Eq, Hash)]
struct IntervalOfDuration {
    signature: Signature,
}

static INTERVAL_OF_DURATION: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    Arc::new(ScalarUDF::from(IntervalOfDuration {
        signature: Signature::any(1, Volatility::Immutable),
    }))
});

/// The function.
pub fn interval_of_duration() -> Arc<ScalarUDF> {
    Arc::clone(&INTERVAL_OF_DURATION)
}

impl ScalarUDFImpl for IntervalOfDuration {
    fn name(&self) -> &str {
        "skep_interval_of_duration"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [DataType::Duration(_)] => Ok(DataType::Interval(IntervalUnit::MonthDayNano)),
            _ => plan_err!("skep_interval_of_duration takes a duration"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.as_slice() {
            [value] => on_values(value, to_intervals),
            _ => exec_err!("skep_interval_of_duration takes a duration"),
        }
    }
}

/// `skep_interval_length(interval)`: nanoseconds. The planner puts it where intervals are compared.
#[derive(Debug, PartialEq, Eq, Hash)]
struct IntervalLength {
    signature: Signature,
}

static INTERVAL_LENGTH: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    Arc::new(ScalarUDF::from(IntervalLength {
        signature: Signature::any(1, Volatility::Immutable),
    }))
});

/// The function.
pub fn interval_length() -> Arc<ScalarUDF> {
    Arc::clone(&INTERVAL_LENGTH)
}

impl ScalarUDFImpl for IntervalLength {
    fn name(&self) -> &str {
        "skep_interval_length"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [DataType::Interval(_) | DataType::Duration(_) | DataType::Null] => {
                Ok(DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0))
            }
            _ => plan_err!("skep_interval_length takes an interval"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value] = args.args.as_slice() else {
            return exec_err!("skep_interval_length takes an interval");
        };
        let lengths = |values: &ArrayRef| -> Result<ArrayRef> {
            let intervals = to_intervals(values)?;
            let intervals = intervals.as_primitive::<IntervalMonthDayNanoType>();
            let lengths = intervals
                .iter()
                .map(|interval| Some(Interval(interval?).nanoseconds()));
            let lengths: Decimal128Array = lengths.collect();
            let lengths = lengths.with_precision_and_scale(DECIMAL128_MAX_PRECISION, 0)?;
            Ok(Arc::new(lengths))
        };
        on_values(value, lengths)
    }
}

/// Applies a function to a column or a constant.
pub(super) fn on_values(
    value: &ColumnarValue,
    function: impl Fn(&ArrayRef) -> Result<ArrayRef>,
) -> Result<ColumnarValue> {
    Ok(match value {
        ColumnarValue::Array(values) => ColumnarValue::Array(function(values)?),
        ColumnarValue::Scalar(value) => {
            let values = function(&value.to_array()?)?;
            ColumnarValue::Scalar(ScalarValue::try_from_array(&values, 0)?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::DurationMicrosecondArray;

    #[test]
    fn intervals_have_a_length() {
        let length = |months, days, nanoseconds| {
            Interval(IntervalMonthDayNano::new(months, days, nanoseconds)).nanoseconds()
        };
        assert_eq!(length(1, 0, 0), length(0, 30, 0));
        assert_eq!(length(0, 1, 0), length(0, 0, 86_400_000_000_000));
        assert!(length(0, 0, 36 * 3_600_000_000_000) > length(0, 1, 0));
        assert!(length(i32::MAX, i32::MAX, i64::MAX) > 0);
        assert_eq!(length(1, -30, 0), 0);
        let hours = DurationMicrosecondArray::from(vec![-36 * 3_600_000_000, i64::MAX]);
        let split = to_intervals(&(Arc::new(hours) as ArrayRef)).unwrap();
        let split = split.as_primitive::<IntervalMonthDayNanoType>();
        let expected = IntervalMonthDayNano::new(0, -1, -12 * 3_600_000_000_000);
        assert_eq!(split.value(0), expected);
        assert!(split.value(1).days > 100_000_000);
    }
}
