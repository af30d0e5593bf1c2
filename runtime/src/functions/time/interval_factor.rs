//! `interval * number` and `interval / number`. What remains of a month is counted in days of 30, what remains
//! of a day in hours, as in PostgreSQL.

use super::interval::{out_of_range, to_intervals};
use crate::error::to_datafusion;
use arrow::array::{ArrayRef, AsArray, IntervalMonthDayNanoArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Float64Type, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit,
};
use datafusion::common::{exec_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use skep_protocol::{ErrorCode, QueryError};
use std::sync::{Arc, LazyLock};

const NANOS_PER_DAY: f64 = 24.0 * 60.0 * 60.0 * 1e9;
const NANOS_PER_MICRO: f64 = 1_000.0;
const DAYS_PER_MONTH: f64 = 30.0;
const NEARLY_NOTHING: f64 = 1e-9;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Operation {
    Multiply,
    Divide,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct IntervalFactor {
    operation: Operation,
    signature: Signature,
}

fn function(operation: Operation) -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(IntervalFactor {
        operation,
        signature: Signature::user_defined(Volatility::Immutable),
    }))
}

static MULTIPLY: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| function(Operation::Multiply));
static DIVIDE: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| function(Operation::Divide));

/// `skep_interval_multiply(interval, number)`.
pub fn interval_multiply() -> Arc<ScalarUDF> {
    Arc::clone(&MULTIPLY)
}

/// `skep_interval_divide(interval, number)`.
pub fn interval_divide() -> Arc<ScalarUDF> {
    Arc::clone(&DIVIDE)
}

impl ScalarUDFImpl for IntervalFactor {
    fn name(&self) -> &str {
        match self.operation {
            Operation::Multiply => "skep_interval_multiply",
            Operation::Divide => "skep_interval_divide",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [interval, number] = types else {
            return plan_err!("{} takes an interval and a number", self.name());
        };
        let interval = match interval {
            same @ DataType::Duration(_) => same.clone(),
            _ => DataType::Interval(IntervalUnit::MonthDayNano),
        };
        let number = match (self.operation, number) {
            (Operation::Multiply, number) if number.is_integer() => DataType::Int64,
            _ => DataType::Float64,
        };
        Ok(vec![interval, number])
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Interval(IntervalUnit::MonthDayNano))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [intervals, numbers] = arrays.as_slice() else {
            return exec_err!("{} takes an interval and a number", self.name());
        };
        let intervals = to_intervals(intervals)?;
        let intervals = intervals.as_primitive::<IntervalMonthDayNanoType>();
        let product: IntervalMonthDayNanoArray = match numbers.as_primitive_opt::<Int64Type>() {
            Some(numbers) => {
                let rows = intervals.iter().zip(numbers.iter());
                rows.map(|(interval, number)| match interval.zip(number) {
                    Some((interval, number)) => times(interval, number).map(Some),
                    None => Ok(None),
                })
                .collect::<Result<_>>()?
            }
            None => {
                let numbers = cast(numbers, &DataType::Float64)?;
                let numbers = numbers.as_primitive::<Float64Type>();
                let rows = intervals.iter().zip(numbers.iter());
                rows.map(|(interval, number)| match interval.zip(number) {
                    Some((interval, number)) => scaled(interval, number, self.operation).map(Some),
                    None => Ok(None),
                })
                .collect::<Result<_>>()?
            }
        };
        let product: ArrayRef = Arc::new(product);
        Ok(ColumnarValue::Array(product))
    }
}

fn times(interval: IntervalMonthDayNano, number: i64) -> Result<IntervalMonthDayNano> {
    let part = |part: i32| {
        let product = i64::from(part).checked_mul(number)?;
        i32::try_from(product).ok()
    };
    let product = part(interval.months)
        .zip(part(interval.days))
        .zip(interval.nanoseconds.checked_mul(number))
        .map(|((months, days), nanos)| IntervalMonthDayNano::new(months, days, nanos));
    product.ok_or_else(out_of_range)
}

fn scaled(
    interval: IntervalMonthDayNano,
    number: f64,
    operation: Operation,
) -> Result<IntervalMonthDayNano> {
    if operation == Operation::Divide && number == 0.0 {
        let text = "division of an interval by zero";
        return Err(to_datafusion(QueryError::new(ErrorCode::Evaluation, text)));
    }
    let scale = |part: f64| match operation {
        Operation::Multiply => part * number,
        Operation::Divide => part / number,
    };
    let months = scale(f64::from(interval.months));
    let days = scale(f64::from(interval.days));
    // A third of a month is ten days, whatever the last digit of a double says.
    let settle = |part: f64| match (part - part.round()).abs() < NEARLY_NOTHING {
        true => part.round(),
        false => part,
    };
    let rest_of_months = settle((months - months.trunc()) * DAYS_PER_MONTH);
    let rest_of_days = settle(days - days.trunc() + (rest_of_months - rest_of_months.trunc()));
    let nanos = scale(interval.nanoseconds as f64) + rest_of_days * NANOS_PER_DAY;
    let nanos = (nanos / NANOS_PER_MICRO).round() * NANOS_PER_MICRO;
    let days = days.trunc() + rest_of_months.trunc();
    let fits = |part: f64| part.abs() <= f64::from(i32::MAX);
    // Not the largest of all, which a double cannot tell from one more.
    if !fits(months) || !fits(days) || nanos.is_nan() || nanos.abs() >= i64::MAX as f64 {
        return Err(out_of_range());
    }
    Ok(IntervalMonthDayNano::new(
        months.trunc() as i32,
        days as i32,
        nanos as i64,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000_000;

    fn interval(months: i32, days: i32, hours: i64) -> IntervalMonthDayNano {
        IntervalMonthDayNano::new(months, days, hours * HOUR)
    }

    #[test]
    fn what_remains_goes_to_smaller_parts() {
        for (parts, number, product) in [
            (interval(1, 0, 0), 1.5, interval(1, 15, 0)),
            (interval(0, 1, 0), 0.5, interval(0, 0, 12)),
            (interval(13, 1, 2), -2.0, interval(-26, -2, -4)),
            (interval(1, 1, 1), 0.0, interval(0, 0, 0)),
        ] {
            let found = scaled(parts, number, Operation::Multiply).unwrap();
            assert_eq!(found, product, "{parts:?} {number}");
        }
        let third = scaled(interval(1, 0, 0), 3.0, Operation::Divide).unwrap();
        assert_eq!(third, interval(0, 10, 0));
        let seventh = scaled(interval(0, 1, 0), 7.0, Operation::Divide).unwrap();
        assert_eq!(seventh, IntervalMonthDayNano::new(0, 0, 12_342_857_143_000));
        assert!(scaled(interval(1, 0, 0), 0.0, Operation::Divide).is_err());
        assert!(scaled(interval(1, 0, 0), f64::NAN, Operation::Multiply).is_err());
        assert!(scaled(interval(1, 0, 0), 1e12, Operation::Multiply).is_err());
        assert_eq!(times(interval(1, 2, 3), 4).unwrap(), interval(4, 8, 12));
        assert!(times(interval(1, 2, 3), i64::MAX).is_err());
    }
}
