//! Which of a number of buckets a value belongs to: the same on every node and in every version.

use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{exec_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::{Arc, LazyLock};

/// `skep_bucket_of(value, count)`: 0 to `count` - 1; that of NULL is 0. Integers go by their remainder,
/// everything else by a hash of its text (FNV-1a, 64 bits).
#[derive(Debug, PartialEq, Eq, Hash)]
struct BucketOf {
    signature: Signature,
}

static BUCKET_OF: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    Arc::new(ScalarUDF::from(BucketOf {
        signature: Signature::any(2, Volatility::Immutable),
    }))
});

/// The function.
pub fn bucket_of() -> Arc<ScalarUDF> {
    Arc::clone(&BUCKET_OF)
}

impl ScalarUDFImpl for BucketOf {
    fn name(&self) -> &str {
        "skep_bucket_of"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [_, count] if count.is_integer() => Ok(DataType::Int64),
            _ => plan_err!("skep_bucket_of takes a value and a number of buckets"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [values, counts] = arrays.as_slice() else {
            return exec_err!("skep_bucket_of takes two arguments");
        };
        let counts = cast(counts, &DataType::Int64)?;
        let counts = counts.as_primitive::<Int64Type>();
        let codes = codes(values)?;
        let buckets = codes.iter().enumerate().map(|(row, code)| {
            let count = counts.value(row).max(1);
            code.rem_euclid(count)
        });
        Ok(ColumnarValue::Array(Arc::new(
            Int64Array::from_iter_values(buckets),
        )))
    }
}

fn codes(values: &ArrayRef) -> Result<Vec<i64>> {
    if values.data_type().is_integer() {
        let values = cast(values, &DataType::Int64)?;
        let values = values.as_primitive::<Int64Type>();
        return Ok(values.iter().map(Option::unwrap_or_default).collect());
    }
    let texts = cast(values, &DataType::Utf8)?;
    let texts = texts.as_string::<i32>();
    Ok((0..texts.len())
        .map(|row| match texts.is_valid(row) {
            true => fnv1a(texts.value(row).as_bytes()) as i64,
            false => 0,
        })
        .collect())
}

/// Fowler, Noll and Vo's hash 1a with 64 bits (RFC 9923).
fn fnv1a(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::StringArray;

    #[test]
    fn the_hash_is_the_published_one() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn numbers_go_by_their_remainder_and_null_is_in_the_first() {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(7), None, Some(-1)]));
        assert_eq!(codes(&numbers).unwrap(), [7, 0, -1]);
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None]));
        assert_eq!(codes(&texts).unwrap()[1], 0);
    }
}
