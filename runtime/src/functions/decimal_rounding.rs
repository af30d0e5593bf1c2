//! Casts of decimals and floating point that round half up, and `round`, `ceil`, `floor` and `trunc` of decimals.
//!
//! Arrow's casts cut what is made an integer, and DataFusion's optimizer compares the values before a cast
//! instead of those after it, which is right for no cast that rounds. So the planner puts these functions in the
//! place of casts that may round or overflow. The type that they yield is that of their last argument, a NULL:
//! it can depend on nothing that the optimizer changes.

use super::decimal_arithmetic::{beyond_range, shown};
use super::decimal_kernel::{divide_rounded, largest, power_of_ten};
use super::decimal_text::{self, NoDecimal};
use super::decimal_type::{DIGITS_MAX, DecimalType};
use crate::error::to_datafusion;
use crate::sql_type::sql_type;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Float64Array};
use datafusion::arrow::compute::{CastOptions, cast, cast_with_options};
use datafusion::arrow::datatypes::{
    DataType, Decimal128Type, Field, FieldRef, Float32Type, Float64Type, Int64Type,
};
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::scalar::ScalarValue;
use skep_protocol::{ErrorCode, QueryError};
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

/// How a decimal's digits are taken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rounding {
    /// To the nearest; away from zero from the middle.
    HalfUp,
    /// To the next larger.
    Up,
    /// To the next smaller.
    Down,
    /// To the next that is nearer to zero.
    TowardZero,
}

/// One of the functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    /// `CAST(value AS type)`: value, NULL of the type.
    Cast,
    /// `TRY_CAST`, which yields NULL for what its type cannot hold.
    TryCast,
    /// Value, number of digits after the point that stay, NULL of the type.
    Round(Rounding),
}

static FUNCTIONS: LazyLock<[Arc<ScalarUDF>; 6]> = LazyLock::new(|| {
    Kind::ALL.map(|kind| {
        Arc::new(ScalarUDF::from(DecimalRounding {
            kind,
            signature: Signature::variadic_any(Volatility::Immutable),
        }))
    })
});

/// All of them, to be registered in every session that plans or runs tasks.
pub(super) fn all() -> impl Iterator<Item = Arc<ScalarUDF>> {
    FUNCTIONS.iter().map(Arc::clone)
}

/// A call that casts `value`, a number or text, to another type of number.
///
/// # Errors
/// DataFusion's where there is no NULL of the type.
pub fn rounded_cast(value: Expr, to: &DataType, is_try: bool) -> Result<Expr> {
    let [cast, try_cast, ..] = &*FUNCTIONS;
    let function = if is_try { try_cast } else { cast };
    Ok(function.call(vec![value, null(to)?]))
}

/// A call that rounds `value`, a decimal, to `places` digits after the point.
///
/// # Errors
/// DataFusion's where there is no NULL of the type.
pub fn rounded(rounding: Rounding, value: Expr, places: Expr, to: &DataType) -> Result<Expr> {
    let [_, _, half_up, up, down, toward_zero] = &*FUNCTIONS;
    let function = match rounding {
        Rounding::HalfUp => half_up,
        Rounding::Up => up,
        Rounding::Down => down,
        Rounding::TowardZero => toward_zero,
    };
    Ok(function.call(vec![value, places, null(to)?]))
}

fn null(of: &DataType) -> Result<Expr> {
    Ok(Expr::Literal(ScalarValue::try_from(of)?, None))
}

impl Kind {
    const ALL: [Self; 6] = [
        Self::Cast,
        Self::TryCast,
        Self::Round(Rounding::HalfUp),
        Self::Round(Rounding::Up),
        Self::Round(Rounding::Down),
        Self::Round(Rounding::TowardZero),
    ];

    /// The function's name. It is not meant to be typed, but every executor must know it.
    fn name(self) -> &'static str {
        match self {
            Self::Cast => "rounded_cast",
            Self::TryCast => "try_rounded_cast",
            Self::Round(Rounding::HalfUp) => "decimal_round",
            Self::Round(Rounding::Up) => "decimal_ceil",
            Self::Round(Rounding::Down) => "decimal_floor",
            Self::Round(Rounding::TowardZero) => "decimal_truncate",
        }
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct DecimalRounding {
    kind: Kind,
    signature: Signature,
}

impl ScalarUDFImpl for DecimalRounding {
    fn name(&self) -> &str {
        self.kind.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn display_name(&self, arguments: &[Expr]) -> Result<String> {
        let shown = arguments.iter().take(arguments.len().saturating_sub(1));
        let shown: Vec<_> = shown.map(ToString::to_string).collect();
        Ok(format!("{}({})", self.name(), shown.join(", ")))
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let expected = match self.kind {
            Kind::Cast | Kind::TryCast => 2,
            Kind::Round(_) => 3,
        };
        match arguments.last() {
            Some(last) if arguments.len() == expected => Ok(last.clone()),
            _ => Err(DataFusionError::Plan(format!(
                "{} takes {expected} arguments",
                self.name()
            ))),
        }
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        let fields = arguments.arg_fields;
        let types: Vec<DataType> = fields
            .iter()
            .map(|field| field.data_type().clone())
            .collect();
        let data_type = self.return_type(&types)?;
        let given = fields.iter().take(fields.len().saturating_sub(1));
        let nullable =
            self.kind == Kind::TryCast || given.into_iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(self.name(), data_type, nullable)))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let to = arguments.return_field.data_type();
        let is_constant = arguments
            .args
            .iter()
            .all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let rows = if is_constant {
            1
        } else {
            arguments.number_rows
        };
        let result = match (self.kind, arguments.args.as_slice()) {
            (Kind::Cast, [value, _]) => cast_rounded(&value.to_array(rows)?, to, false),
            (Kind::TryCast, [value, _]) => cast_rounded(&value.to_array(rows)?, to, true),
            (Kind::Round(rounding), [value, places, _]) => {
                round(rounding, &value.to_array(rows)?, places, rows, to)
            }
            _ => Err(DataFusionError::Internal(format!(
                "{} was called with {} values",
                self.name(),
                arguments.args.len()
            ))),
        }?;
        match is_constant {
            true => ScalarValue::try_from_array(&result, 0).map(ColumnarValue::Scalar),
            false => Ok(ColumnarValue::Array(result)),
        }
    }
}

/// The digits of a decimal with another number of them after the point.
#[derive(Clone, Copy)]
struct Rescale {
    rounding: Rounding,
    from: DecimalType,
    /// How many digits after the point may be other than zero.
    places: i64,
    to: DecimalType,
}

impl Rescale {
    /// `None` where the result is beyond its type.
    fn apply(self, value: i128) -> Option<i128> {
        let dropped = i64::from(self.from.scale) - self.places;
        let (value, scale) = match u32::try_from(dropped) {
            Ok(dropped) if dropped > 0 => {
                // More than all digits: nothing, or one unit, is left.
                let kept = match power_of_ten(dropped) {
                    Some(unit) => self.divide(value, unit),
                    None => self.divide(value.signum(), 10),
                };
                (kept, self.places)
            }
            _ => (value, i64::from(self.from.scale)),
        };
        let more = i64::from(self.to.scale) - scale;
        let rescaled = match u32::try_from(more) {
            Ok(_) if value == 0 => Some(0),
            Ok(more) => value.checked_mul(power_of_ten(more)?),
            // The digits that go are zeros.
            Err(_) => {
                let fewer = u32::try_from(-more).ok()?;
                Some(value / power_of_ten(fewer)?)
            }
        };
        rescaled.filter(|value| value.unsigned_abs() <= largest(self.to))
    }

    fn divide(self, value: i128, unit: i128) -> i128 {
        match self.rounding {
            Rounding::HalfUp => divide_rounded(value, unit),
            Rounding::TowardZero => value / unit,
            Rounding::Down => value.div_euclid(unit),
            Rounding::Up => -(-value).div_euclid(unit),
        }
    }
}

fn round(
    rounding: Rounding,
    value: &ArrayRef,
    places: &ColumnarValue,
    rows: usize,
    to: &DataType,
) -> Result<ArrayRef> {
    let from = DecimalType::of(value.data_type());
    let target = DecimalType::of(to).filter(|_| matches!(to, DataType::Decimal128(_, _)));
    let (Some(from), Some(target)) = (from, target) else {
        let text = format!("{} is not a decimal", sql_type(value.data_type()));
        return Err(DataFusionError::Plan(text));
    };
    let value = cast(value, &from.data_type())?;
    let values = value.as_primitive::<Decimal128Type>();
    let rescale = |places: i64| Rescale {
        rounding,
        from,
        places,
        to: target,
    };
    let checked = |value: i128, places: i64| {
        let rounded = rescale(places).apply(value);
        rounded.ok_or_else(|| beyond_range(&shown(value, from), &sql_type(to)))
    };
    let places = match places {
        ColumnarValue::Scalar(places) => {
            places.cast_to(&DataType::Int64)?.to_array_of_size(rows)?
        }
        ColumnarValue::Array(places) => cast(places, &DataType::Int64)?,
    };
    let places = places.as_primitive::<Int64Type>();
    let rounded = values.iter().zip(places.iter());
    let rounded: Decimal128Array = rounded
        .map(|pair| match pair {
            (Some(value), Some(places)) => checked(value, places).map(Some),
            _ => Ok(None),
        })
        .collect::<Result<_>>()?;
    Ok(Arc::new(rounded.with_data_type(to.clone())))
}

/// Casts a column of numbers, and rounds half up.
fn cast_rounded(value: &ArrayRef, to: &DataType, is_try: bool) -> Result<ArrayRef> {
    let whole = DecimalType {
        precision: DIGITS_MAX,
        scale: 0,
    };
    match (value.data_type(), to) {
        (DataType::Decimal128(..), DataType::Decimal128(..)) => {
            let (from, to) = both(value.data_type(), to)?;
            rescaled(value, from, to, is_try)
        }
        (DataType::Decimal128(..), to) if to.is_integer() => {
            let (from, _) = both(value.data_type(), &whole.data_type())?;
            let digits = rescaled(value, from, whole, is_try)?;
            plain(&digits, to, is_try)
        }
        (DataType::Float16 | DataType::Float32 | DataType::Float64, to) if to.is_integer() => {
            let value = cast(value, &DataType::Float64)?;
            let rounded: Float64Array = value.as_primitive::<Float64Type>().unary(f64::round);
            plain(&(Arc::new(rounded) as ArrayRef), to, is_try)
        }
        (DataType::Decimal128(..), DataType::Float32 | DataType::Float64) => nearest(value, to),
        (from, DataType::Decimal128(..)) if from.is_string() => from_text(value, to, is_try),
        _ => plain(value, to, is_try),
    }
}

/// The floating point that is nearest to each decimal.
fn nearest(value: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let (from, _) = both(value.data_type(), value.data_type())?;
    let values = value.as_primitive::<Decimal128Type>();
    Ok(match to {
        DataType::Float32 => {
            Arc::new(values.unary::<_, Float32Type>(|value| nearest_to(value, from)))
        }
        _ => Arc::new(
            values.unary::<_, Float64Type>(|value| match exact_quotient(value, from) {
                Some(quotient) => quotient,
                None => nearest_to(value, from),
            }),
        ),
    })
}

/// A quotient of two numbers that doubles have exactly is rounded once, and so right.
fn exact_quotient(value: i128, from: DecimalType) -> Option<f64> {
    const WHOLE_MAX: u64 = 1 << 53;
    const POWER_MAX: u8 = 22;
    let magnitude = u64::try_from(value.unsigned_abs()).ok()?;
    let is_exact = magnitude <= WHOLE_MAX && from.scale <= POWER_MAX;
    is_exact.then(|| value as f64 / 10_f64.powi(i32::from(from.scale)))
}

/// What the digits are read as.
fn nearest_to<F: FromStr + Default>(value: i128, from: DecimalType) -> F {
    let digits = format!("{value}e-{}", from.scale);
    digits.parse().unwrap_or_default()
}

/// Decimals that are written in text.
fn from_text(value: &ArrayRef, to: &DataType, is_try: bool) -> Result<ArrayRef> {
    let (_, decimal) = both(to, to)?;
    let texts = cast(value, &DataType::Utf8)?;
    let decimals = texts.as_string::<i32>().iter().map(|text| {
        let Some(text) = text else {
            return Ok(None);
        };
        match decimal_text::parse(text, decimal) {
            Ok(value) => Ok(Some(value)),
            Err(_) if is_try => Ok(None),
            Err(NoDecimal::TooLarge) => Err(beyond_range(text.trim(), &sql_type(to))),
            Err(NoDecimal::NoNumber) => Err(to_datafusion(QueryError::new(
                ErrorCode::Evaluation,
                format!("cannot cast string '{text}' to {}", sql_type(to)),
            ))),
        }
    });
    let decimals: Decimal128Array = decimals.collect::<Result<_>>()?;
    Ok(Arc::new(decimals.with_data_type(to.clone())))
}

fn both(from: &DataType, to: &DataType) -> Result<(DecimalType, DecimalType)> {
    let of = |data_type: &DataType| {
        DecimalType::of(data_type).ok_or_else(|| {
            DataFusionError::Plan(format!("{} is not a decimal", sql_type(data_type)))
        })
    };
    Ok((of(from)?, of(to)?))
}

fn rescaled(
    value: &ArrayRef,
    from: DecimalType,
    to: DecimalType,
    is_try: bool,
) -> Result<ArrayRef> {
    let values = value.as_primitive::<Decimal128Type>();
    let rescale = Rescale {
        rounding: Rounding::HalfUp,
        from,
        places: i64::from(to.scale),
        to,
    };
    let rescaled: Decimal128Array = match is_try {
        true => values.unary_opt(|value| rescale.apply(value)),
        false => values
            .iter()
            .map(|value| match value {
                None => Ok(None),
                Some(value) => rescale
                    .apply(value)
                    .map(Some)
                    .ok_or_else(|| beyond_range(&shown(value, from), &sql_type(&to.data_type()))),
            })
            .collect::<Result<_>>()?,
    };
    Ok(Arc::new(rescaled.with_data_type(to.data_type())))
}

/// Arrow's cast, with an error that names the value.
fn plain(value: &ArrayRef, to: &DataType, is_try: bool) -> Result<ArrayRef> {
    let options = CastOptions {
        safe: true,
        ..CastOptions::default()
    };
    let result = cast_with_options(value, to, &options)?;
    if is_try || result.null_count() == value.null_count() {
        return Ok(result);
    }
    let lost = (0..value.len()).find(|row| result.is_null(*row) && !value.is_null(*row));
    let text = lost
        .map(|row| array_value_to_string(value, row))
        .transpose()?;
    Err(beyond_range(
        text.as_deref().unwrap_or("a value"),
        &sql_type(to),
    ))
}
