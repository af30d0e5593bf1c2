//! Operators on intervals that DataFusion's planner has no types for: `interval * number`, `interval / number`, and
//! comparisons with text; and `date + interval`, which is a timestamp where the interval has parts of a day. EXTRACT
//! is the function of that name that sessions have, which knows more fields.

use datafusion::arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use datafusion::common::DFSchema;
use datafusion::error::Result;
use datafusion::logical_expr::expr::{Cast, ScalarFunction};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Operator, ScalarUDF};
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::BinaryOperator;
use skep_runtime::functions::time::{date_part, interval_divide, interval_multiply};
use std::sync::Arc;

/// The planner of these operators. It belongs before DataFusion's.
#[derive(Debug)]
pub(crate) struct IntervalOperators;

impl ExprPlanner for IntervalOperators {
    fn plan_extract(&self, arguments: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        let call = ScalarFunction::new_udf(date_part(), arguments);
        Ok(PlannerResult::Planned(Expr::ScalarFunction(call)))
    }

    fn plan_binary_op(
        &self,
        expression: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let types = (
            expression.left.get_type(schema),
            expression.right.get_type(schema),
        );
        let (Ok(left), Ok(right)) = types else {
            return Ok(PlannerResult::Original(expression));
        };
        let RawBinaryExpr {
            op,
            left: one,
            right: other,
        } = expression;
        Ok(match op {
            BinaryOperator::Multiply if is_interval(&left) && is_number(&right) => {
                call(interval_multiply(), one, other)
            }
            BinaryOperator::Multiply if is_number(&left) && is_interval(&right) => {
                call(interval_multiply(), other, one)
            }
            BinaryOperator::Divide if is_interval(&left) && is_number(&right) => {
                call(interval_divide(), one, other)
            }
            BinaryOperator::Plus
                if is_date(&left) && is_interval(&right) && is_fine(&other, schema) =>
            {
                arithmetic(timestamp(one), Operator::Plus, other)
            }
            BinaryOperator::Plus
                if is_interval(&left) && is_date(&right) && is_fine(&one, schema) =>
            {
                arithmetic(one, Operator::Plus, timestamp(other))
            }
            BinaryOperator::Minus
                if is_date(&left) && is_interval(&right) && is_fine(&other, schema) =>
            {
                arithmetic(timestamp(one), Operator::Minus, other)
            }
            op if is_comparison(&op) && is_interval(&left) && right.is_string() => {
                original(op, one, interval(other))
            }
            op if is_comparison(&op) && left.is_string() && is_interval(&right) => {
                original(op, interval(one), other)
            }
            op => original(op, one, other),
        })
    }
}

fn original(op: BinaryOperator, left: Expr, right: Expr) -> PlannerResult<RawBinaryExpr> {
    PlannerResult::Original(RawBinaryExpr { op, left, right })
}

fn call(function: Arc<ScalarUDF>, interval: Expr, number: Expr) -> PlannerResult<RawBinaryExpr> {
    let call = ScalarFunction::new_udf(function, vec![interval, number]);
    PlannerResult::Planned(Expr::ScalarFunction(call))
}

fn arithmetic(left: Expr, op: Operator, right: Expr) -> PlannerResult<RawBinaryExpr> {
    let (left, right) = (Box::new(left), Box::new(right));
    PlannerResult::Planned(Expr::BinaryExpr(BinaryExpr { left, op, right }))
}

fn cast(expression: Expr, data_type: DataType) -> Expr {
    Expr::Cast(Cast::new(Box::new(expression), data_type))
}

fn timestamp(date: Expr) -> Expr {
    cast(date, DataType::Timestamp(TimeUnit::Microsecond, None))
}

fn interval(text: Expr) -> Expr {
    cast(text, DataType::Interval(IntervalUnit::MonthDayNano))
}

fn is_interval(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Interval(_) | DataType::Duration(_))
}

fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric() || data_type.is_null()
}

fn is_date(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Date32 | DataType::Date64)
}

fn is_comparison(operator: &BinaryOperator) -> bool {
    matches!(
        operator,
        BinaryOperator::Eq
            | BinaryOperator::NotEq
            | BinaryOperator::Lt
            | BinaryOperator::LtEq
            | BinaryOperator::Gt
            | BinaryOperator::GtEq
    )
}

/// Whether an interval may have parts of a day. A date and whole days or months are a date.
fn is_fine(interval: &Expr, schema: &DFSchema) -> bool {
    match interval {
        Expr::Literal(ScalarValue::IntervalMonthDayNano(value), _) => {
            value.is_some_and(|value| value.nanoseconds != 0)
        }
        Expr::Literal(ScalarValue::IntervalYearMonth(_), _) => false,
        Expr::Negative(inner) => is_fine(inner, schema),
        Expr::Alias(alias) => is_fine(&alias.expr, schema),
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::Plus | Operator::Minus,
            right,
        }) => is_fine(left, schema) || is_fine(right, schema),
        Expr::ScalarFunction(call) if call.func == interval_multiply() => {
            let is_whole = |number: &Expr| {
                let data_type = number.get_type(schema);
                data_type.is_ok_and(|data_type| data_type.is_integer())
            };
            match call.args.as_slice() {
                [interval, number] => is_fine(interval, schema) || !is_whole(number),
                _ => true,
            }
        }
        _ => true,
    }
}
