//! `a DIV b`: how often `b` is in `a`, as a BIGINT. What is left over is cut, whatever the numbers are.

use super::decimal_arithmetic::{beyond_range, shown};
use super::decimal_kernel::wide_power;
use super::decimal_type::DecimalType;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use datafusion::arrow::compute::kernels::numeric;
use datafusion::arrow::datatypes::{
    ArrowNativeTypeOp, DataType, Decimal128Type, Float64Type, i256,
};
use datafusion::arrow::error::ArrowError;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;
use std::sync::{Arc, LazyLock};

static INTEGER_DIVISION: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    Arc::new(ScalarUDF::from(IntegerDivision {
        signature: Signature::user_defined(Volatility::Immutable),
    }))
});

/// The function.
pub(super) fn integer_division() -> Arc<ScalarUDF> {
    Arc::clone(&INTEGER_DIVISION)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct IntegerDivision {
    signature: Signature,
}

impl ScalarUDFImpl for IntegerDivision {
    fn name(&self) -> &str {
        "div"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        let [left, right] = arguments else {
            let text = "DIV takes two numbers".to_owned();
            return Err(DataFusionError::Plan(text));
        };
        let is_whole = |data_type: &DataType| data_type.is_integer() || data_type.is_null();
        let whole = |data_type: &DataType| match data_type {
            DataType::UInt64 => None,
            other => is_whole(other).then_some(DataType::Int64),
        };
        if let (Some(left), Some(right)) = (whole(left), whole(right)) {
            return Ok(vec![left, right]);
        }
        let decimal = |data_type: &DataType| match data_type {
            DataType::Null => Some(DataType::Decimal128(1, 0)),
            other => DecimalType::of(other).map(DecimalType::data_type),
        };
        if let (Some(left), Some(right)) = (decimal(left), decimal(right)) {
            return Ok(vec![left, right]);
        }
        Ok(vec![DataType::Float64, DataType::Float64])
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = arguments
            .args
            .iter()
            .all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let rows = if is_constant {
            1
        } else {
            arguments.number_rows
        };
        let [left, right] = arguments.args.as_slice() else {
            let text = "DIV was not called with two values".to_owned();
            return Err(DataFusionError::Internal(text));
        };
        let quotients = divide(&left.to_array(rows)?, &right.to_array(rows)?)?;
        match is_constant {
            true => ScalarValue::try_from_array(&quotients, 0).map(ColumnarValue::Scalar),
            false => Ok(ColumnarValue::Array(quotients)),
        }
    }
}

fn divide(left: &ArrayRef, right: &ArrayRef) -> Result<ArrayRef> {
    match (
        DecimalType::of(left.data_type()),
        DecimalType::of(right.data_type()),
    ) {
        _ if left.data_type() == &DataType::Int64 => {
            numeric::div(left, right).map_err(|error| match error {
                ArrowError::ArithmeticOverflow(_) => {
                    beyond_range("-9223372036854775808 DIV -1", "bigint")
                }
                other => other.into(),
            })
        }
        (Some(left_type), Some(right_type)) => {
            let left = left.as_primitive::<Decimal128Type>().iter();
            let right = right.as_primitive::<Decimal128Type>().iter();
            let quotient =
                |left: i128, right: i128| decimal_quotient((left, left_type), (right, right_type));
            each(left.zip(right), quotient)
        }
        _ => {
            let left = left.as_primitive::<Float64Type>().iter();
            let right = right.as_primitive::<Float64Type>().iter();
            each(left.zip(right), float_quotient)
        }
    }
}

fn each<T>(
    pairs: impl Iterator<Item = (Option<T>, Option<T>)>,
    quotient: impl Fn(T, T) -> Result<i64>,
) -> Result<ArrayRef> {
    let quotients: Int64Array = pairs
        .map(|pair| match pair {
            (Some(left), Some(right)) => quotient(left, right).map(Some),
            _ => Ok(None),
        })
        .collect::<Result<_>>()?;
    Ok(Arc::new(quotients))
}

fn decimal_quotient(
    (left, left_type): (i128, DecimalType),
    (right, right_type): (i128, DecimalType),
) -> Result<i64> {
    if right == 0 {
        return Err(ArrowError::DivideByZero.into());
    }
    let common = left_type.scale.max(right_type.scale);
    let scaled = |value: i128, scale: u8| {
        let factor = wide_power(u32::from(common - scale))?;
        i256::from_i128(value).mul_checked(factor).ok()
    };
    let quotient = scaled(left, left_type.scale)
        .zip(scaled(right, right_type.scale))
        .and_then(|(left, right)| left.div_checked(right).ok())
        .and_then(i256::to_i128)
        .and_then(|quotient| i64::try_from(quotient).ok());
    quotient.ok_or_else(|| {
        let text = format!(
            "{} DIV {}",
            shown(left, left_type),
            shown(right, right_type)
        );
        beyond_range(&text, "bigint")
    })
}

fn float_quotient(left: f64, right: f64) -> Result<i64> {
    if right == 0.0 {
        return Err(ArrowError::DivideByZero.into());
    }
    let quotient = (left / right).trunc();
    // The bounds are powers of two, which floating point has exactly.
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    match (-BEYOND..BEYOND).contains(&quotient) {
        true => Ok(quotient as i64),
        false => Err(beyond_range(&format!("{left} DIV {right}"), "bigint")),
    }
}
