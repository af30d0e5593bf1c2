//! What a length or a number of digits in a type does to a value that is cast to it: `VARBINARY(n)` cuts,
//! `TIME(p)` rounds.

use arrow::array::{Array, ArrayRef, AsArray, Time64MicrosecondArray};
use arrow::compute::cast;
use arrow::compute::kernels::substring::substring;
use arrow::datatypes::{DataType, Int64Type, Time64MicrosecondType, TimeUnit};
use datafusion::common::{ScalarValue, exec_err};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::{Arc, LazyLock};

/// `skep_cut_bytes(bytes, n)`: the first `n` bytes.
pub const CUT_BYTES: &str = "skep_cut_bytes";

/// `skep_round_time(time, p)`: the time with `p` digits of a second.
pub const ROUND_TIME: &str = "skep_round_time";

/// As many digits of a second as times have.
const DIGITS_MAX: u32 = 6;

/// How many microseconds a day has.
const DAY_MICROSECONDS: i64 = 86_400_000_000;

static FUNCTIONS: LazyLock<[Arc<ScalarUDF>; 2]> = LazyLock::new(|| {
    let sized = |name, data_type: DataType| {
        let types = vec![data_type, DataType::Int64];
        Arc::new(ScalarUDF::from(SizedValue {
            name,
            signature: Signature::exact(types, Volatility::Immutable),
        }))
    };
    [
        sized(CUT_BYTES, DataType::Binary),
        sized(ROUND_TIME, DataType::Time64(TimeUnit::Microsecond)),
    ]
});

/// The functions.
pub(super) fn all() -> impl Iterator<Item = Arc<ScalarUDF>> {
    FUNCTIONS.iter().cloned()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct SizedValue {
    name: &'static str,
    signature: Signature,
}

impl ScalarUDFImpl for SizedValue {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(match self.name {
            CUT_BYTES => DataType::Binary,
            _ => DataType::Time64(TimeUnit::Microsecond),
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [values, ColumnarValue::Scalar(size)] = args.args.as_slice() else {
            return exec_err!("the size of a type is a number");
        };
        let size = size.to_array()?;
        let size = cast(&size, &DataType::Int64)?;
        let size = size.as_primitive::<Int64Type>().value(0);
        let is_scalar = matches!(values, ColumnarValue::Scalar(_));
        let values = values.to_array(args.number_rows)?;
        let sized = match self.name {
            CUT_BYTES => cut(&values, size)?,
            _ => rounded(&values, size)?,
        };
        Ok(match is_scalar && !sized.is_empty() {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&sized, 0)?),
            false => ColumnarValue::Array(sized),
        })
    }
}

fn cut(values: &ArrayRef, length: i64) -> Result<ArrayRef> {
    let values = cast(values, &DataType::Binary)?;
    Ok(substring(&values, 0, u64::try_from(length).ok())?)
}

fn rounded(values: &ArrayRef, digits: i64) -> Result<ArrayRef> {
    let missing = DIGITS_MAX.saturating_sub(u32::try_from(digits).unwrap_or(DIGITS_MAX));
    let unit = 10_i64.pow(missing);
    let values = values.as_primitive::<Time64MicrosecondType>();
    // Half of a unit before midnight is midnight again.
    let round = |value: i64| ((value + unit / 2) / unit * unit) % DAY_MICROSECONDS;
    let rounded: Time64MicrosecondArray = values.unary(round);
    Ok(Arc::new(rounded))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::BinaryArray;

    #[test]
    fn bytes_are_cut_and_times_rounded() {
        let bytes: ArrayRef = Arc::new(BinaryArray::from_opt_vec(vec![Some(b"abc"), None]));
        let cut = cut(&bytes, 2).unwrap();
        assert_eq!(cut.as_binary::<i32>().value(0), b"ab");
        assert!(cut.is_null(1));

        let times: ArrayRef = Arc::new(Time64MicrosecondArray::from(vec![
            Some(1_500_000),
            Some(1_499_999),
            Some(DAY_MICROSECONDS - 1),
            None,
        ]));
        let seconds = rounded(&times, 0).unwrap();
        let expected = vec![Some(2_000_000), Some(1_000_000), Some(0), None];
        assert_eq!(
            seconds.as_primitive::<Time64MicrosecondType>(),
            &Time64MicrosecondArray::from(expected)
        );
    }
}
