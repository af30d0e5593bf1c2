//! `skep_round_timestamp(timestamp, digits)`: what a cast to `TIMESTAMP(3)` means. Halves go up.

use super::interval::on_values;
use super::zone::out_of_range;
use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use datafusion::common::{exec_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;
use std::sync::{Arc, LazyLock};

/// As many digits of a second as timestamps have.
const DIGITS_MAX: i64 = 6;

#[derive(Debug, PartialEq, Eq, Hash)]
struct RoundTimestamp {
    signature: Signature,
}

static ROUND_TIMESTAMP: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    Arc::new(ScalarUDF::from(RoundTimestamp {
        signature: Signature::user_defined(Volatility::Immutable),
    }))
});

/// The function.
pub(super) fn round_timestamp() -> Arc<ScalarUDF> {
    Arc::clone(&ROUND_TIMESTAMP)
}

impl ScalarUDFImpl for RoundTimestamp {
    fn name(&self) -> &str {
        "skep_round_timestamp"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [DataType::Timestamp(_, zone), digits] if digits.is_integer() => Ok(vec![
                DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
                DataType::Int64,
            ]),
            _ => plan_err!("skep_round_timestamp takes a timestamp and a number of digits"),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [DataType::Timestamp(_, zone), _] => {
                Ok(DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))
            }
            _ => plan_err!("skep_round_timestamp takes a timestamp and a number of digits"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [
            value,
            ColumnarValue::Scalar(ScalarValue::Int64(Some(digits))),
        ] = args.args.as_slice()
        else {
            return exec_err!("skep_round_timestamp takes a timestamp and a number of digits");
        };
        let places = (DIGITS_MAX - digits).clamp(0, DIGITS_MAX);
        let step = (0..places).fold(1_i64, |step, _| step * 10);
        on_values(value, |values| {
            let timestamps = values.as_primitive::<TimestampMicrosecondType>();
            let rounded: PrimitiveArray<TimestampMicrosecondType> =
                timestamps.try_unary(|value| rounded(value, step))?;
            let rounded: ArrayRef = match timestamps.data_type() {
                DataType::Timestamp(_, zone) => Arc::new(rounded.with_timezone_opt(zone.clone())),
                _ => Arc::new(rounded),
            };
            Ok(rounded)
        })
    }
}

fn rounded(value: i64, step: i64) -> Result<i64> {
    let upwards = value.checked_add(step / 2).ok_or_else(out_of_range)?;
    Ok(upwards - upwards.rem_euclid(step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_go_up() {
        for (value, step, expected) in [
            (123_499, 1_000, 123_000),
            (123_500, 1_000, 124_000),
            (-1_500, 1_000, -1_000),
            (-1_501, 1_000, -2_000),
            (7, 1, 7),
        ] {
            assert_eq!(rounded(value, step).unwrap(), expected, "{value}");
        }
        assert!(rounded(i64::MAX, 1_000).is_err());
    }
}
