//! Casts of numbers that may round or overflow, and the functions that round decimals.
//!
//! Decision: Casts that may round are functions whose last argument is a NULL of the target type: DataFusion moves
//! a plain cast to the other side of a comparison, and a type that depends on a constant changes when the constant
//! is folded.

use super::arithmetic::{integer_literal, is_decimal};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::expr::{AggregateFunction, ScalarFunction};
use datafusion::logical_expr::{Cast, Expr, ExprSchemable, TryCast, lit};
use skep_runtime::functions::{DIGITS_MAX, DecimalType, Rounding, rounded, rounded_cast};

/// Whether a cast of numbers may change a value or fail, and how does matter.
fn may_round(from: &DataType, to: &DataType, is_try: bool) -> bool {
    if is_decimal(from) && matches!(to, DataType::Float32 | DataType::Float64) {
        // Arrow rounds twice where a double does not have all of the digits.
        return DecimalType::of(from).is_some_and(|from| {
            *to == DataType::Float32 || from.precision > 15 || from.scale > 22
        });
    }
    let is_exact = to.is_integer() || is_decimal(to);
    if !is_exact || from == to {
        return false;
    }
    if from.is_floating() || (from.is_string() && is_decimal(to)) {
        return true;
    }
    if to.is_integer() {
        return is_decimal(from) || (is_try && from.is_integer());
    }
    match (DecimalType::of(from), DecimalType::of(to)) {
        (Some(from), Some(to)) => !to.holds(from),
        _ => false,
    }
}

/// A cast that rounds half up where it may round, and names the value that is too large.
pub(super) fn cast(expression: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let (value, to, is_try) = match &expression {
        Expr::Cast(Cast { expr, field }) => (expr, field.data_type(), false),
        Expr::TryCast(TryCast { expr, field }) => (expr, field.data_type(), true),
        _ => return Ok(Transformed::no(expression)),
    };
    match value.get_type(schema) {
        Ok(DataType::Boolean) if is_decimal(to) => {
            let number = Expr::Cast(Cast::new(value.clone(), DataType::Int8));
            cast_to(number, to, schema).map(Transformed::yes)
        }
        Ok(from) if is_decimal(&from) && *to == DataType::Boolean => {
            let zero = cast_to(lit(0_i64), &from, schema)?;
            Ok(Transformed::yes(value.as_ref().clone().not_eq(zero)))
        }
        Ok(from) if may_round(&from, to, is_try) => {
            rounded_cast(value.as_ref().clone(), to, is_try).map(Transformed::yes)
        }
        _ => Ok(Transformed::no(expression)),
    }
}

/// `value` in another type: a constant as a constant where nothing is lost.
pub(super) fn cast_to(value: Expr, to: &DataType, schema: &DFSchema) -> Result<Expr> {
    let from = value.get_type(schema)?;
    if from == *to {
        return Ok(value);
    }
    if may_round(&from, to, false) {
        return rounded_cast(value, to, false);
    }
    match &value {
        Expr::Literal(constant, _) => match constant.cast_to(to) {
            Ok(constant) => Ok(Expr::Literal(constant, None)),
            Err(_) => Ok(Expr::Cast(Cast::new(Box::new(value), to.clone()))),
        },
        _ => Ok(Expr::Cast(Cast::new(Box::new(value), to.clone()))),
    }
}

/// The median of an even number of decimals is between two of them, and needs one more digit.
pub(super) fn median(mut call: AggregateFunction, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let decimal = |value: &Expr| match value.get_type(schema) {
        Ok(data_type) if is_decimal(&data_type) => DecimalType::of(&data_type),
        _ => None,
    };
    let finer = match call.params.args.as_slice() {
        [value] if call.func.name() == "median" => decimal(value),
        _ => None,
    };
    match (finer, call.params.args.pop()) {
        (Some(decimal), Some(value)) if decimal.precision < DIGITS_MAX => {
            let finer = DecimalType {
                precision: decimal.precision + 1,
                scale: decimal.scale + 1,
            };
            let value = cast_to(value, &finer.data_type(), schema)?;
            call.params.args.push(value);
            Ok(Transformed::yes(Expr::AggregateFunction(call)))
        }
        (_, value) => {
            call.params.args.extend(value);
            Ok(Transformed::no(Expr::AggregateFunction(call)))
        }
    }
}

/// How many digits after the point a call of `round` or `trunc` leaves.
enum Places {
    /// A number that is written down.
    Constant(i128),
    /// Each row has its own.
    Computed(Expr),
}

impl Places {
    fn of(argument: Option<&Expr>) -> Self {
        let constant = |expression: &Expr| integer_literal(expression).map(Self::Constant);
        match argument {
            None => Self::Constant(0),
            Some(Expr::Cast(Cast { expr, .. })) if constant(expr).is_some() => {
                integer_literal(expr).map_or(Self::Constant(0), Self::Constant)
            }
            Some(other) => constant(other).unwrap_or_else(|| Self::Computed(other.clone())),
        }
    }
}

/// What a call becomes that rounds a decimal; `None` for all others.
pub(super) fn function(call: &ScalarFunction, schema: &DFSchema) -> Result<Option<Expr>> {
    let rounding = match call.func.name() {
        "round" => Rounding::HalfUp,
        "trunc" => Rounding::TowardZero,
        "ceil" => Rounding::Up,
        "floor" => Rounding::Down,
        _ => return Ok(None),
    };
    let (value, places) = match call.args.as_slice() {
        [value] => (value, Places::of(None)),
        [value, places] => (value, Places::of(Some(places))),
        _ => return Ok(None),
    };
    let Ok(data_type) = value.get_type(schema) else {
        return Ok(None);
    };
    if !is_decimal(&data_type) {
        return Ok(None);
    }
    let Some(of) = DecimalType::of(&data_type) else {
        return Ok(None);
    };
    // Rounding away from zero can carry into a new digit.
    let carry = u8::from(rounding != Rounding::TowardZero);
    let digits = |integers: u8, scale: u8| DecimalType {
        precision: (integers + carry + scale).clamp(1, DIGITS_MAX),
        scale,
    };
    let integers = of.integer_digits();
    let (places, result) = match places {
        Places::Constant(places) if places >= i128::from(of.scale) => {
            return Ok(Some(value.clone()));
        }
        Places::Constant(places) => {
            let scale = u8::try_from(places.max(0)).unwrap_or(0);
            let places = i64::try_from(places).unwrap_or(i64::MIN / 2);
            (lit(places), digits(integers, scale))
        }
        Places::Computed(places) => match places {
            Expr::Literal(ref null, _) if !null.is_null() => return Ok(None),
            places => (places, digits(integers, of.scale)),
        },
    };
    rounded(rounding, value.clone(), places, &result.data_type()).map(Some)
}
