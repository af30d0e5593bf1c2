//! The length of intervals: a month is 30 days and a day is 24 hours, as in PostgreSQL and DuckDB.

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array};
use arrow::compute::cast;
use arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DataType, IntervalMonthDayNano, IntervalMonthDayNanoType,
    IntervalUnit,
};
use datafusion::common::{exec_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;
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

    /// So many nanoseconds, as days and a rest of less than a day.
    pub fn of_nanoseconds(nanoseconds: i64) -> Self {
        const DAY: i64 = NANOS_PER_DAY as i64;
        let days = i32::try_from(nanoseconds / DAY).unwrap_or_default();
        Self(IntervalMonthDayNano::new(0, days, nanoseconds % DAY))
    }
}

/// Intervals and durations as intervals of months, days and nanoseconds. Durations have whole days.
pub(super) fn to_intervals(values: &ArrayRef) -> Result<ArrayRef> {
    let wanted = DataType::Interval(IntervalUnit::MonthDayNano);
    let intervals = cast(values, &wanted)?;
    Ok(match values.data_type() {
        DataType::Duration(_) => {
            let intervals = intervals.as_primitive::<IntervalMonthDayNanoType>();
            Arc::new(intervals.unary::<_, IntervalMonthDayNanoType>(|interval| {
                Interval::of_nanoseconds(interval.nanoseconds).0
            }))
        }
        _ => intervals,
    })
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
            [DataType::Interval(_)] => Ok(DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0)),
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
        let split = Interval::of_nanoseconds(-(36 * 3_600_000_000_000));
        assert_eq!(split.0.days, -1);
        assert_eq!(split.0.nanoseconds, -12 * 3_600_000_000_000);
    }
}
