//! Decimal operators become calls of functions, whose types are those of Hive and Spark.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, cast};
use datafusion::sql::sqlparser::ast::BinaryOperator;
use skep_runtime::functions::{DecimalOperation, DecimalType};

/// Gives operators their types where statements are planned, as far as they are known there: what the planner
/// keeps of them, in the columns of VALUES and in what subqueries take from outside, is not looked at again.
#[derive(Debug)]
pub(crate) struct DecimalPlanner;

impl ExprPlanner for DecimalPlanner {
    fn plan_binary_op(
        &self,
        expression: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let operation = match expression.op {
            BinaryOperator::Plus => DecimalOperation::Add,
            BinaryOperator::Minus => DecimalOperation::Subtract,
            BinaryOperator::Multiply => DecimalOperation::Multiply,
            BinaryOperator::Divide => DecimalOperation::Divide,
            BinaryOperator::Modulo => DecimalOperation::Modulo,
            _ => return Ok(PlannerResult::Original(expression)),
        };
        // What is a number of another kind here may be a decimal when all types are known.
        let is_final = |side: &Expr| {
            let data_type = side.get_type(schema);
            matches!(data_type, Ok(DataType::Decimal128(..))) || integer_literal(side).is_some()
        };
        let call = match is_final(&expression.left) && is_final(&expression.right) {
            true => calculate(operation, &expression.left, &expression.right, schema),
            false => None,
        };
        Ok(match call {
            Some(call) => PlannerResult::Planned(call),
            None => PlannerResult::Original(expression),
        })
    }
}

/// What an operator on decimals becomes; `None` for all others.
pub(super) fn operator(binary: &BinaryExpr, schema: &DFSchema) -> Option<Expr> {
    let operation = DecimalOperation::of(binary.op)?;
    calculate(operation, &binary.left, &binary.right, schema)
}

/// A call whose operands' types may have changed since it was made; `None` where it may stay. What are no
/// decimals any more gets its operator back. The function `mod` is an operator, too.
pub(super) fn call(call: &ScalarFunction, schema: &DFSchema) -> Option<Expr> {
    if call.func.name() == "mod" {
        let [left, right] = call.args.as_slice() else {
            return None;
        };
        return calculate(DecimalOperation::Modulo, left, right, schema);
    }
    let operation = DecimalOperation::of_function(&call.func)?;
    let is_plain = |argument: &Expr| {
        let data_type = argument.get_type(schema);
        matches!(data_type, Ok(DataType::Decimal128(_, scale)) if scale >= 0)
    };
    if call.args.iter().all(is_plain) {
        return None;
    }
    let values = call.args.iter().cloned();
    values.reduce(|left, right| {
        calculate(operation, &left, &right, schema).unwrap_or_else(|| {
            let (left, right) = (Box::new(left), Box::new(right));
            Expr::BinaryExpr(BinaryExpr::new(left, operation.operator(), right))
        })
    })
}

fn calculate(
    operation: DecimalOperation,
    left: &Expr,
    right: &Expr,
    schema: &DFSchema,
) -> Option<Expr> {
    let types = (left.get_type(schema).ok()?, right.get_type(schema).ok()?);
    if !is_decimal(&types.0) && !is_decimal(&types.1) {
        return None;
    }
    let function = operation.function();
    let left_type = if types.0.is_null() {
        &types.1
    } else {
        &types.0
    };
    let right_type = if types.1.is_null() {
        &types.0
    } else {
        &types.1
    };
    let mut arguments = match left {
        // `(a + b) + c` is `a + b + c`.
        Expr::ScalarFunction(call) if call.func == function => call.args.clone(),
        left => vec![operand(left, left_type)?],
    };
    arguments.push(operand(right, right_type)?);
    let call = ScalarFunction::new_udf(function, arguments);
    Some(Expr::ScalarFunction(call))
}

/// Whether it is a decimal of up to 38 digits.
pub(super) fn is_decimal(data_type: &DataType) -> bool {
    !data_type.is_integer() && DecimalType::of(data_type).is_some()
}

/// A number as a decimal of 128 bits.
fn operand(expression: &Expr, data_type: &DataType) -> Option<Expr> {
    if let Some(value) = integer_literal(expression) {
        return Some(decimal_literal(value));
    }
    match data_type {
        DataType::Decimal128(_, scale) if *scale >= 0 && !is_null(expression) => {
            Some(expression.clone())
        }
        other => {
            let decimal = DecimalType::of(other)?;
            Some(cast(expression.clone(), decimal.data_type()))
        }
    }
}

fn is_null(expression: &Expr) -> bool {
    matches!(expression, Expr::Literal(ScalarValue::Null, _))
}

/// The value of an integer that is written down.
pub(super) fn integer_literal(expression: &Expr) -> Option<i128> {
    let Expr::Literal(value, _) = expression else {
        return None;
    };
    match value {
        ScalarValue::Int8(Some(value)) => Some(i128::from(*value)),
        ScalarValue::Int16(Some(value)) => Some(i128::from(*value)),
        ScalarValue::Int32(Some(value)) => Some(i128::from(*value)),
        ScalarValue::Int64(Some(value)) => Some(i128::from(*value)),
        ScalarValue::UInt8(Some(value)) => Some(i128::from(*value)),
        ScalarValue::UInt16(Some(value)) => Some(i128::from(*value)),
        ScalarValue::UInt32(Some(value)) => Some(i128::from(*value)),
        ScalarValue::UInt64(Some(value)) => Some(i128::from(*value)),
        _ => None,
    }
}

/// An integer as a decimal with no more digits than it has.
pub(super) fn decimal_literal(value: i128) -> Expr {
    let digits = value.unsigned_abs().checked_ilog10().unwrap_or(0) + 1;
    let precision = u8::try_from(digits).unwrap_or(u8::MAX);
    Expr::Literal(ScalarValue::Decimal128(Some(value), precision, 0), None)
}
