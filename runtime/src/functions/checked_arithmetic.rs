//! `+`, `-` and `*` of integers that refuse to overflow.
//!
//! DataFusion's operators wrap around, and nothing in a plan can tell them not to: the switch that an
//! operator has is lost when a plan is sent. So the planner puts these functions in their place. One call
//! adds any number of values, from the left to the right: a call for each `+` of a hundred columns' sum
//! would be nested deeper than a plan that is sent may be.

use crate::error::to_datafusion;
use crate::sql_type::sql_type;
use datafusion::arrow::array::{ArrayRef, Datum};
use datafusion::arrow::compute::kernels::numeric;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::arrow::error::ArrowError;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::{
    ColumnarValue, Expr, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use datafusion::physical_expr_common::datum::apply;
use datafusion::scalar::ScalarValue;
use skep_protocol::{ErrorCode, QueryError};
use std::sync::{Arc, LazyLock};

/// An operation on integers that may leave their type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arithmetic {
    /// `a + b`
    Add,
    /// `a - b`
    Subtract,
    /// `a * b`
    Multiply,
    /// `-a`
    Negate,
}

static FUNCTIONS: LazyLock<[Arc<ScalarUDF>; 4]> = LazyLock::new(|| {
    Arithmetic::ALL.map(|arithmetic| Arc::new(ScalarUDF::from(CheckedArithmetic::new(arithmetic))))
});

impl Arithmetic {
    const ALL: [Self; 4] = [Self::Add, Self::Subtract, Self::Multiply, Self::Negate];

    /// What `operator` does to integers; `None` where it cannot overflow or is checked anyway.
    pub fn of(operator: Operator) -> Option<Self> {
        match operator {
            Operator::Plus => Some(Self::Add),
            Operator::Minus => Some(Self::Subtract),
            Operator::Multiply => Some(Self::Multiply),
            _ => None,
        }
    }

    /// The function that does it.
    pub fn function(self) -> Arc<ScalarUDF> {
        let [add, subtract, multiply, negate] = &*FUNCTIONS;
        Arc::clone(match self {
            Self::Add => add,
            Self::Subtract => subtract,
            Self::Multiply => multiply,
            Self::Negate => negate,
        })
    }

    /// The function's name. It is not meant to be typed, but every executor must know it.
    fn name(self) -> &'static str {
        match self {
            Self::Add => "checked_add",
            Self::Subtract => "checked_subtract",
            Self::Multiply => "checked_multiply",
            Self::Negate => "checked_negate",
        }
    }

    fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract | Self::Negate => "-",
            Self::Multiply => "*",
        }
    }
}

/// All of them, to be registered in every session that plans or runs tasks.
pub(super) fn all() -> impl Iterator<Item = Arc<ScalarUDF>> {
    Arithmetic::ALL.into_iter().map(Arithmetic::function)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct CheckedArithmetic {
    arithmetic: Arithmetic,
    signature: Signature,
}

impl CheckedArithmetic {
    fn new(arithmetic: Arithmetic) -> Self {
        let signature = match arithmetic {
            Arithmetic::Negate => Signature::any(1, Volatility::Immutable),
            _ => Signature::variadic_any(Volatility::Immutable),
        };
        Self {
            arithmetic,
            signature,
        }
    }
}

impl ScalarUDFImpl for CheckedArithmetic {
    fn name(&self) -> &str {
        self.arithmetic.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn display_name(&self, arguments: &[Expr]) -> Result<String> {
        let symbol = self.arithmetic.symbol();
        Ok(match arguments {
            [value] => format!("({symbol} {value})"),
            values => {
                let values: Vec<_> = values.iter().map(ToString::to_string).collect();
                format!("({})", values.join(&format!(" {symbol} ")))
            }
        })
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [first, rest @ ..] if first.is_integer() && rest.iter().all(|next| next == first) => {
                Ok(first.clone())
            }
            other => Err(DataFusionError::Plan(format!(
                "{} takes integers of one type, not {other:?}",
                self.name()
            ))),
        }
    }

    /// Unknown, but of the result's type: functions above, such as `abs`, fail over bounds of none.
    fn evaluate_bounds(&self, arguments: &[&Interval]) -> Result<Interval> {
        let first = arguments.first().map(|bounds| bounds.data_type());
        Interval::make_unbounded(&first.unwrap_or(DataType::Null))
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
        let values = arguments.args.as_slice();
        let result = match self.arithmetic {
            Arithmetic::Add => fold(values, numeric::add),
            Arithmetic::Subtract => fold(values, numeric::sub),
            Arithmetic::Multiply => fold(values, numeric::mul),
            Arithmetic::Negate => negate(values),
        };
        result.map_err(|error| out_of_range(error, arguments.return_field.data_type()))
    }
}

/// Applies an operation of two values to the first two, to what comes of that and the third, and so on.
fn fold(
    values: &[ColumnarValue],
    operation: fn(&dyn Datum, &dyn Datum) -> Result<ArrayRef, ArrowError>,
) -> Result<ColumnarValue> {
    let [first, others @ ..] = values else {
        return Err(wrong_number(values));
    };
    let mut others = others.iter();
    others.try_fold(first.clone(), |left, right| apply(&left, right, operation))
}

fn negate(values: &[ColumnarValue]) -> Result<ColumnarValue> {
    match values {
        [ColumnarValue::Array(values)] => Ok(ColumnarValue::Array(numeric::neg(values)?)),
        [ColumnarValue::Scalar(value)] => {
            let negated = numeric::neg(&value.to_array()?)?;
            ScalarValue::try_from_array(&negated, 0).map(ColumnarValue::Scalar)
        }
        values => Err(wrong_number(values)),
    }
}

fn wrong_number(values: &[ColumnarValue]) -> DataFusionError {
    let text = format!("arithmetic was called with {} values", values.len());
    DataFusionError::Internal(text)
}

/// Arrow says which two numbers; people also want to know which range.
fn out_of_range(error: DataFusionError, data_type: &DataType) -> DataFusionError {
    match error {
        DataFusionError::ArrowError(inner, _)
            if matches!(*inner, ArrowError::ArithmeticOverflow(_)) =>
        {
            let ArrowError::ArithmeticOverflow(text) = *inner else {
                return DataFusionError::ArrowError(inner, None);
            };
            let numbers = text.rsplit_once(": ").map_or(text.as_str(), |(_, end)| end);
            to_datafusion(QueryError::new(
                ErrorCode::Evaluation,
                format!(
                    "{numbers} is beyond the range of its type {}",
                    sql_type(data_type)
                ),
            ))
        }
        other => other,
    }
}
