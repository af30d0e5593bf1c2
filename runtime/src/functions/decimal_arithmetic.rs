//! `+`, `-`, `*`, `/` and `%` of decimals, by the rules of [`decimal_type`](super::decimal_type).
//!
//! Arrow's own have other types, cut what they divide, and let sums grow beyond 38 digits. The planner puts
//! these functions in the place of the operators. One call takes any number of values, from the left to the
//! right, as the checked functions of integers do.

use super::decimal_kernel::{Failure, Kernel};
use super::decimal_type::{DecimalOperation, DecimalType};
use crate::error::to_datafusion;
use crate::sql_type::sql_type;
use datafusion::arrow::array::{ArrayRef, AsArray, Decimal128Array, new_null_array};
use datafusion::arrow::compute::kernels::arity;
use datafusion::arrow::datatypes::{DataType, Decimal128Type, DecimalType as _, Field, FieldRef};
use datafusion::arrow::error::ArrowError;
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, Expr, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use skep_protocol::{ErrorCode, QueryError};
use std::sync::{Arc, LazyLock};

static FUNCTIONS: LazyLock<[Arc<ScalarUDF>; 5]> = LazyLock::new(|| {
    DecimalOperation::ALL.map(|operation| {
        Arc::new(ScalarUDF::from(DecimalArithmetic {
            operation,
            signature: Signature::variadic_any(Volatility::Immutable),
        }))
    })
});

impl DecimalOperation {
    const ALL: [Self; 5] = [
        Self::Add,
        Self::Subtract,
        Self::Multiply,
        Self::Divide,
        Self::Modulo,
    ];

    /// What `operator` does to decimals.
    pub fn of(operator: Operator) -> Option<Self> {
        match operator {
            Operator::Plus => Some(Self::Add),
            Operator::Minus => Some(Self::Subtract),
            Operator::Multiply => Some(Self::Multiply),
            Operator::Divide => Some(Self::Divide),
            Operator::Modulo => Some(Self::Modulo),
            _ => None,
        }
    }

    /// The operator that does it.
    pub fn operator(self) -> Operator {
        match self {
            Self::Add => Operator::Plus,
            Self::Subtract => Operator::Minus,
            Self::Multiply => Operator::Multiply,
            Self::Divide => Operator::Divide,
            Self::Modulo => Operator::Modulo,
        }
    }

    /// The function that does it.
    pub fn function(self) -> Arc<ScalarUDF> {
        let [add, subtract, multiply, divide, modulo] = &*FUNCTIONS;
        Arc::clone(match self {
            Self::Add => add,
            Self::Subtract => subtract,
            Self::Multiply => multiply,
            Self::Divide => divide,
            Self::Modulo => modulo,
        })
    }

    /// The operation that `function` does, where it is one of these.
    pub fn of_function(function: &ScalarUDF) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|operation| operation.name() == function.name())
    }

    /// The function's name. It is not meant to be typed, but every executor must know it.
    fn name(self) -> &'static str {
        match self {
            Self::Add => "decimal_add",
            Self::Subtract => "decimal_subtract",
            Self::Multiply => "decimal_multiply",
            Self::Divide => "decimal_divide",
            Self::Modulo => "decimal_modulo",
        }
    }
}

/// All of them, to be registered in every session that plans or runs tasks.
pub(super) fn all() -> impl Iterator<Item = Arc<ScalarUDF>> {
    DecimalOperation::ALL
        .into_iter()
        .map(DecimalOperation::function)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct DecimalArithmetic {
    operation: DecimalOperation,
    signature: Signature,
}

impl ScalarUDFImpl for DecimalArithmetic {
    fn name(&self) -> &str {
        self.operation.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn display_name(&self, arguments: &[Expr]) -> Result<String> {
        let values: Vec<_> = arguments.iter().map(ToString::to_string).collect();
        let operator = self.operation.operator();
        Ok(format!("({})", values.join(&format!(" {operator} "))))
    }

    /// As the operator calls it; an integer that was made a decimal keeps its name.
    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        let name = |argument: &Expr| match argument {
            Expr::Literal(ScalarValue::Decimal128(Some(value), _, 0), _) => {
                format!("Int64({value})")
            }
            other => other.schema_name().to_string(),
        };
        let names: Vec<_> = arguments.iter().map(name).collect();
        Ok(names.join(&format!(" {} ", self.operation.operator())))
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let types: Option<Vec<_>> = arguments.iter().map(DecimalType::of).collect();
        let result = types.and_then(|types| {
            let types = types.into_iter();
            types.reduce(|left, right| left.result(self.operation, right))
        });
        result.map(DecimalType::data_type).ok_or_else(|| {
            let names: Vec<_> = arguments.iter().map(sql_type).collect();
            DataFusionError::Plan(format!(
                "{} takes decimals, not {}",
                self.name(),
                names.join(", ")
            ))
        })
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        let fields = arguments.arg_fields;
        let types: Vec<DataType> = fields
            .iter()
            .map(|field| field.data_type().clone())
            .collect();
        let nullable = fields.iter().any(|field| field.is_nullable());
        let data_type = self.return_type(&types)?;
        Ok(Arc::new(Field::new(self.name(), data_type, nullable)))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let mut values = arguments.args.into_iter().map(as_decimal);
        let Some(first) = values.next() else {
            let text = format!("{} was called without values", self.name());
            return Err(DataFusionError::Internal(text));
        };
        values.try_fold(first?, |left, right| apply(self.operation, &left, &right?))
    }
}

/// Decimals of 128 bits as they are, and other numbers as those.
fn as_decimal(value: ColumnarValue) -> Result<ColumnarValue> {
    let data_type = value.data_type();
    match (&data_type, DecimalType::of(&data_type)) {
        (DataType::Decimal128(_, scale), _) if *scale >= 0 => Ok(value),
        (_, Some(decimal)) => value.cast_to(&decimal.data_type(), None),
        (_, None) => Err(DataFusionError::Internal(format!(
            "{data_type} is not a decimal of up to 38 digits"
        ))),
    }
}

fn type_of(value: &ColumnarValue) -> Result<DecimalType> {
    let data_type = value.data_type();
    DecimalType::of(&data_type)
        .ok_or_else(|| DataFusionError::Internal(format!("{data_type} is not a decimal")))
}

fn apply(
    operation: DecimalOperation,
    left: &ColumnarValue,
    right: &ColumnarValue,
) -> Result<ColumnarValue> {
    let (left_type, right_type) = (type_of(left)?, type_of(right)?);
    let kernel = Kernel::new(operation, left_type, right_type);
    let as_arrow = move |a: i128, b: i128, failure: Failure| {
        as_arrow(failure, operation, (a, left_type), (b, right_type))
    };
    // Two loops, so that the one for products, which are most of what is calculated, is a short one.
    match kernel.is_exact_product() {
        true => apply_each(kernel, left, right, move |a, b| {
            kernel
                .product(a, b)
                .map_err(|failure| as_arrow(a, b, failure))
        }),
        false => apply_each(kernel, left, right, move |a, b| {
            kernel
                .checked(a, b)
                .map_err(|failure| as_arrow(a, b, failure))
        }),
    }
}

/// The results of all pairs; `checked` is the operation where it is not safe.
fn apply_each(
    kernel: Kernel,
    left: &ColumnarValue,
    right: &ColumnarValue,
    checked: impl Fn(i128, i128) -> std::result::Result<i128, ArrowError>,
) -> Result<ColumnarValue> {
    let result = kernel.result.data_type();
    let nulls = |rows| Ok(ColumnarValue::Array(new_null_array(&result, rows)));
    let array = match (left, right) {
        (ColumnarValue::Scalar(left), ColumnarValue::Scalar(right)) => {
            let value = match (unscaled(left), unscaled(right)) {
                (Some(left), Some(right)) => Some(checked(left, right).map_err(named(&result))?),
                _ => None,
            };
            let DecimalType { precision, scale } = kernel.result;
            let value = ScalarValue::Decimal128(value, precision, scale.cast_signed());
            return Ok(ColumnarValue::Scalar(value));
        }
        (ColumnarValue::Array(left), ColumnarValue::Array(right)) => {
            let left = left.as_primitive::<Decimal128Type>();
            let right = right.as_primitive::<Decimal128Type>();
            match kernel.is_safe {
                true => arity::binary(left, right, kernel.unchecked()),
                false => arity::try_binary(left, right, checked),
            }
        }
        (ColumnarValue::Array(left), ColumnarValue::Scalar(right)) => match unscaled(right) {
            None => return nulls(left.len()),
            Some(right) => each(left, kernel, |value| (value, right), checked),
        },
        (ColumnarValue::Scalar(left), ColumnarValue::Array(right)) => match unscaled(left) {
            None => return nulls(right.len()),
            Some(left) => each(right, kernel, |value| (left, value), checked),
        },
    };
    let array: Decimal128Array = array.map_err(named(&result))?;
    Ok(ColumnarValue::Array(Arc::new(array.with_data_type(result))))
}

/// The results for one column, of which `pair` makes both sides.
fn each(
    values: &ArrayRef,
    kernel: Kernel,
    pair: impl Fn(i128) -> (i128, i128),
    checked: impl Fn(i128, i128) -> std::result::Result<i128, ArrowError>,
) -> std::result::Result<Decimal128Array, ArrowError> {
    let values = values.as_primitive::<Decimal128Type>();
    if kernel.is_safe {
        let unchecked = kernel.unchecked();
        return Ok(values.unary(|value| {
            let (left, right) = pair(value);
            unchecked(left, right)
        }));
    }
    values.try_unary(|value| {
        let (left, right) = pair(value);
        checked(left, right)
    })
}

fn unscaled(value: &ScalarValue) -> Option<i128> {
    match value {
        ScalarValue::Decimal128(value, _, _) => *value,
        _ => None,
    }
}

/// A decimal's digits with its point.
pub(super) fn shown(value: i128, decimal: DecimalType) -> String {
    Decimal128Type::format_decimal(value, decimal.precision, decimal.scale.cast_signed())
}

fn as_arrow(
    failure: Failure,
    operation: DecimalOperation,
    (left, left_type): (i128, DecimalType),
    (right, right_type): (i128, DecimalType),
) -> ArrowError {
    match failure {
        Failure::ZeroDivisor => ArrowError::DivideByZero,
        Failure::Overflow => ArrowError::ArithmeticOverflow(format!(
            "{} {} {}",
            shown(left, left_type),
            operation.operator(),
            shown(right, right_type)
        )),
    }
}

/// People want to know which type was too small.
fn named(result: &DataType) -> impl Fn(ArrowError) -> DataFusionError {
    let result = sql_type(result);
    move |error| match error {
        ArrowError::ArithmeticOverflow(numbers) => beyond_range(&numbers, &result),
        other => DataFusionError::from(other),
    }
}

/// The complaint about a value, as SQL writes it, that is too large for its type.
pub(super) fn beyond_range(value: &str, sql_type: &str) -> DataFusionError {
    to_datafusion(QueryError::new(
        ErrorCode::Evaluation,
        format!("{value} is beyond the range of its type {sql_type}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::Array;

    fn array(values: &[Option<i128>], precision: u8, scale: i8) -> ColumnarValue {
        let array = Decimal128Array::from(values.to_vec());
        let array = array.with_precision_and_scale(precision, scale).unwrap();
        ColumnarValue::Array(Arc::new(array) as ArrayRef)
    }

    fn scalar(value: Option<i128>, precision: u8, scale: i8) -> ColumnarValue {
        ColumnarValue::Scalar(ScalarValue::Decimal128(value, precision, scale))
    }

    fn texts(value: &ColumnarValue) -> Vec<String> {
        let array = value.to_array(2).unwrap();
        let shown = |row| match array.is_null(row) {
            true => "NULL".to_owned(),
            false => array.as_primitive::<Decimal128Type>().value_as_string(row),
        };
        (0..2).map(shown).collect()
    }

    #[test]
    fn columns_and_constants_give_the_same() {
        use DecimalOperation::{Add, Divide, Modulo, Multiply, Subtract};
        let both = [Some(725), None];
        for (operation, expected) in [
            (Add, "9.750"),
            (Subtract, "4.750"),
            (Multiply, "18.12500"),
            (Divide, "2.9000000"),
            (Modulo, "2.250"),
        ] {
            let columns = (array(&both, 3, 2), array(&[Some(2500), Some(1)], 4, 3));
            let result = apply(operation, &columns.0, &columns.1).unwrap();
            assert_eq!(texts(&result), [expected, "NULL"], "{operation:?}");
            let result = apply(operation, &columns.0, &scalar(Some(2500), 4, 3)).unwrap();
            assert_eq!(texts(&result), [expected, "NULL"], "{operation:?}");
            let result = apply(operation, &scalar(Some(725), 3, 2), &columns.1).unwrap();
            assert_eq!(texts(&result)[0], expected, "{operation:?}");
            let result = apply(
                operation,
                &scalar(Some(725), 3, 2),
                &scalar(Some(2500), 4, 3),
            );
            assert_eq!(texts(&result.unwrap())[0], expected, "{operation:?}");
            let result = apply(operation, &columns.0, &scalar(None, 4, 3)).unwrap();
            assert_eq!(texts(&result), ["NULL", "NULL"], "{operation:?}");
        }
    }

    #[test]
    fn overflow_names_the_values() {
        let large = scalar(
            Some(60_000_000_000_000_000_000_000_000_000_000_000_000),
            38,
            1,
        );
        let error = apply(DecimalOperation::Add, &large, &large).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains(
                "6000000000000000000000000000000000000.0 + 6000000000000000000000000000000000000.0"
            ),
            "{text}"
        );
    }
}
