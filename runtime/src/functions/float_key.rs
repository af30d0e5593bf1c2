//! What floating point numbers are compared by.
//!
//! Arrow compares them in IEEE 754's total order, in which -0.0 is less than 0.0, and the NaNs with a sign, which
//! processors make of `0.0 / 0.0`, less than everything. SQL knows one zero and one NaN, which is greater than
//! everything. Values that equal each other in SQL have the same key, and keys are in SQL's order.

use datafusion::arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, FixedSizeListArray, GenericListArray,
    OffsetSizeTrait, PrimitiveArray, StructArray,
};
use datafusion::arrow::datatypes::{DataType, FieldRef, Float16Type, Float32Type, Float64Type};
use datafusion::common::{internal_datafusion_err, internal_err};
use datafusion::error::Result;
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::scalar::ScalarValue;
use std::sync::{Arc, LazyLock};

/// The function's name; only plans use it.
const NAME: &str = "skep_float_key";

static FLOAT_KEY: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    Arc::new(ScalarUDF::from(FloatKey {
        signature: Signature::any(1, Volatility::Immutable),
    }))
});

/// The function from a value to its key, which has the same type.
pub fn float_key() -> Arc<ScalarUDF> {
    Arc::clone(&FLOAT_KEY)
}

/// Whether values of a type may differ from their keys.
pub fn holds_floats(data_type: &DataType) -> bool {
    match data_type {
        DataType::Float16 | DataType::Float32 | DataType::Float64 => true,
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            holds_floats(item.data_type())
        }
        DataType::Struct(fields) => fields.iter().any(|field| holds_floats(field.data_type())),
        _ => false,
    }
}

/// The key of a constant.
///
/// # Errors
/// Arrow's, where an array cannot be made of it.
pub fn key_of(value: &ScalarValue) -> Result<ScalarValue> {
    ScalarValue::try_from_array(&keys(&value.to_array()?)?, 0)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct FloatKey {
    signature: Signature,
}

impl ScalarUDFImpl for FloatKey {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [value] => Ok(value.clone()),
            _ => internal_err!("{NAME} takes one value"),
        }
    }

    /// Unknown, but of the result's type: functions above, such as `abs`, fail over bounds of none.
    fn evaluate_bounds(&self, arguments: &[&Interval]) -> Result<Interval> {
        let first = arguments.first().map(|bounds| bounds.data_type());
        Interval::make_unbounded(&first.unwrap_or(DataType::Null))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        match args.arg_fields {
            [value] => Ok(Arc::clone(value)),
            _ => internal_err!("{NAME} takes one value"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.as_slice() {
            [ColumnarValue::Array(values)] => Ok(ColumnarValue::Array(keys(values)?)),
            [ColumnarValue::Scalar(value)] => Ok(ColumnarValue::Scalar(key_of(value)?)),
            _ => internal_err!("{NAME} takes one value"),
        }
    }
}

fn keys(values: &ArrayRef) -> Result<ArrayRef> {
    match values.data_type() {
        DataType::Float16 => Ok(primitive_keys::<Float16Type>(values, |value| {
            type Half = <Float16Type as ArrowPrimitiveType>::Native;
            match value {
                value if value.is_nan() => Half::NAN,
                value if value == Half::ZERO => Half::ZERO,
                value => value,
            }
        })),
        DataType::Float32 => Ok(primitive_keys::<Float32Type>(values, |value| {
            if value.is_nan() {
                f32::NAN
            } else {
                value + 0.0
            }
        })),
        DataType::Float64 => Ok(primitive_keys::<Float64Type>(values, |value| {
            if value.is_nan() {
                f64::NAN
            } else {
                value + 0.0
            }
        })),
        data_type if !holds_floats(data_type) => Ok(Arc::clone(values)),
        DataType::List(item) => list_keys::<i32>(values, item),
        DataType::LargeList(item) => list_keys::<i64>(values, item),
        DataType::FixedSizeList(item, size) => {
            let list = values
                .as_any()
                .downcast_ref::<FixedSizeListArray>()
                .ok_or_else(|| internal_datafusion_err!("{NAME} got another array"))?;
            let items = keys(list.values())?;
            Ok(Arc::new(FixedSizeListArray::try_new(
                Arc::clone(item),
                *size,
                items,
                list.nulls().cloned(),
            )?))
        }
        DataType::Struct(fields) => {
            let columns = values.as_struct().columns().iter().map(keys);
            Ok(Arc::new(StructArray::try_new_with_length(
                fields.clone(),
                columns.collect::<Result<_>>()?,
                values.nulls().cloned(),
                values.len(),
            )?))
        }
        other => internal_err!("{NAME} does not know {other}"),
    }
}

fn primitive_keys<T: ArrowPrimitiveType>(
    values: &ArrayRef,
    key: impl Fn(T::Native) -> T::Native,
) -> ArrayRef {
    let keys: PrimitiveArray<T> = values.as_primitive::<T>().unary(key);
    Arc::new(keys)
}

fn list_keys<O: OffsetSizeTrait>(values: &ArrayRef, item: &FieldRef) -> Result<ArrayRef> {
    let list = values.as_list::<O>();
    Ok(Arc::new(GenericListArray::<O>::try_new(
        Arc::clone(item),
        list.offsets().clone(),
        keys(list.values())?,
        list.nulls().cloned(),
    )?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{Float32Array, Float64Array, ListArray};

    #[test]
    fn there_is_one_zero_and_one_nan() {
        let values: ArrayRef = Arc::new(Float64Array::from(vec![
            Some(-0.0),
            Some(0.0),
            Some(-f64::NAN),
            Some(f64::NAN),
            None,
            Some(-1.5),
            Some(f64::NEG_INFINITY),
        ]));
        let found = keys(&values).unwrap();
        let found = found.as_primitive::<Float64Type>();
        let bits = |row: usize| found.value(row).to_bits();
        assert_eq!(bits(0), 0.0_f64.to_bits());
        assert_eq!(bits(0), bits(1));
        assert_eq!(bits(2), f64::NAN.to_bits());
        assert_eq!(bits(2), bits(3));
        assert!(found.is_null(4));
        assert_eq!(bits(5), (-1.5_f64).to_bits());
        assert_eq!(bits(6), f64::NEG_INFINITY.to_bits());
        let single: ArrayRef = Arc::new(Float32Array::from(vec![-0.0]));
        let single = keys(&single).unwrap();
        assert!(
            single
                .as_primitive::<Float32Type>()
                .value(0)
                .is_sign_positive()
        );
    }

    #[test]
    fn what_is_nested_has_keys_too() {
        let list = ListArray::from_iter_primitive::<Float64Type, _, _>(vec![
            Some(vec![Some(-0.0), None]),
            None,
        ]);
        let list: ArrayRef = Arc::new(list);
        assert!(holds_floats(list.data_type()));
        let found = keys(&list).unwrap();
        assert_eq!(found.data_type(), list.data_type());
        assert!(found.is_null(1));
        let items = found.as_list::<i32>().value(0);
        let items = items.as_primitive::<Float64Type>();
        assert!(items.value(0).is_sign_positive());
        assert!(items.is_null(1));
        assert!(!holds_floats(&DataType::Int64));
    }
}
