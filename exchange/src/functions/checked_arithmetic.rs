//! `+`, `-` and `*` of integers that refuse to overflow.
//!
//! DataFusion's operators wrap around, and nothing in a plan can tell them not to: the switch that an
//! operator has is lost when a plan is sent. So the planner puts these functions in their place.

use crate::error::to_datafusion;
use datafusion::arrow::compute::kernels::numeric;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::arrow::error::ArrowError;
use datafusion::error::{DataFusionError, Result};
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
        let arguments = match arithmetic {
            Arithmetic::Negate => 1,
            _ => 2,
        };
        Self {
            arithmetic,
            signature: Signature::any(arguments, Volatility::Immutable),
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
            [left, right] => format!("({left} {symbol} {right})"),
            [value] => format!("({symbol} {value})"),
            _ => self.name().to_owned(),
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
        let result = match (self.arithmetic, arguments.args.as_slice()) {
            (Arithmetic::Add, [left, right]) => apply(left, right, numeric::add),
            (Arithmetic::Subtract, [left, right]) => apply(left, right, numeric::sub),
            (Arithmetic::Multiply, [left, right]) => apply(left, right, numeric::mul),
            (Arithmetic::Negate, [ColumnarValue::Array(values)]) => numeric::neg(values)
                .map(ColumnarValue::Array)
                .map_err(DataFusionError::from),
            (Arithmetic::Negate, [ColumnarValue::Scalar(value)]) => value
                .to_array()
                .and_then(|values| Ok(numeric::neg(&values)?))
                .and_then(|values| ScalarValue::try_from_array(&values, 0))
                .map(ColumnarValue::Scalar),
            _ => Err(DataFusionError::Internal(format!(
                "{} was called with {} arguments",
                self.name(),
                arguments.args.len()
            ))),
        };
        result.map_err(|error| out_of_range(error, arguments.return_field.data_type()))
    }
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
                format!("{numbers} is beyond the range of its type {data_type}"),
            ))
        }
        other => other,
    }
}
