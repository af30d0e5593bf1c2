//! Keys within expressions.

use datafusion::common::DFSchema;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{
    AggregateFunction, Between, Case, InList, ScalarFunction, Sort, WindowFunction,
};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Operator};
use datafusion::scalar::ScalarValue;
use skep_runtime::functions::{float_bound, float_key, holds_floats, is_ordered, key_of};

/// Functions that compare their arguments.
const COMPARING: &[&str] = &[
    "array_distinct",
    "array_except",
    "array_has",
    "array_has_all",
    "array_has_any",
    "array_intersect",
    "array_max",
    "array_min",
    "array_position",
    "array_positions",
    "array_remove",
    "array_remove_all",
    "array_sort",
    "array_union",
    "greatest",
    "least",
    "nullif",
];

/// Aggregates that compare their arguments, whether or not they are DISTINCT.
const ORDERING: &[&str] = &[
    "approx_distinct",
    "approx_median",
    "max",
    "max_by",
    "median",
    "min",
    "min_by",
    "mode",
];

/// What a value is compared by.
pub(super) fn key(value: Expr, schema: &DFSchema) -> Result<Expr> {
    match value {
        Expr::Alias(mut alias) => {
            *alias.expr = key(*alias.expr, schema)?;
            Ok(Expr::Alias(alias))
        }
        Expr::Literal(constant, metadata) => Ok(Expr::Literal(
            match holds_floats(&constant.data_type()) {
                true => key_of(&constant)?,
                false => constant,
            },
            metadata,
        )),
        value if !may_differ(&value, schema) => Ok(value),
        value => Ok(Expr::ScalarFunction(ScalarFunction::new_udf(
            float_key(),
            vec![value],
        ))),
    }
}

/// Whether a value may be another than its key.
fn may_differ(value: &Expr, schema: &DFSchema) -> bool {
    let is_float = |value: &Expr| {
        let data_type = value.get_type(schema);
        data_type.is_ok_and(|data_type| holds_floats(&data_type))
    };
    match value {
        Expr::ScalarFunction(call) if call.func == float_key() => false,
        // Integers, decimals and dates have one zero, and no NaN.
        Expr::Cast(cast) if is_float(value) => may_differ_in_text(&cast.expr, schema),
        Expr::TryCast(cast) if is_float(value) => may_differ_in_text(&cast.expr, schema),
        value => is_float(value),
    }
}

fn may_differ_in_text(value: &Expr, schema: &DFSchema) -> bool {
    let data_type = value.get_type(schema);
    !data_type.is_ok_and(|data_type| data_type.is_integer() || data_type.is_decimal())
}

/// Keys within a condition that holds or does not, and that nothing negates.
pub(super) fn in_condition(condition: Expr, schema: &DFSchema) -> Result<Expr> {
    match condition {
        Expr::BinaryExpr(BinaryExpr { left, op, right })
            if matches!(op, Operator::And | Operator::Or) =>
        {
            Ok(Expr::BinaryExpr(BinaryExpr {
                left: Box::new(in_condition(*left, schema)?),
                op,
                right: Box::new(in_condition(*right, schema)?),
            }))
        }
        condition if is_decided_by_values(&condition) => Ok(condition),
        condition => in_value(condition, schema),
    }
}

/// Whether a condition says of values what it says of keys: that a column is one of numbers that are neither NaN
/// nor zero.
fn is_decided_by_values(condition: &Expr) -> bool {
    match condition {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            *op == Operator::Eq
                && (is_column(left) && is_plain(right) || is_plain(left) && is_column(right))
        }
        Expr::InList(list) => {
            !list.negated && is_column(&list.expr) && list.list.iter().all(is_plain)
        }
        _ => false,
    }
}

fn is_column(value: &Expr) -> bool {
    matches!(value, Expr::Column(_))
}

/// The number that a constant is, if it is finite.
fn finite(value: &Expr) -> Option<f64> {
    let Expr::Literal(constant, _) = value else {
        return None;
    };
    let number = match constant {
        ScalarValue::Float32(number) => number.map(f64::from),
        ScalarValue::Float64(number) => *number,
        _ => None,
    };
    number.filter(|number| number.is_finite())
}

fn is_plain(value: &Expr) -> bool {
    finite(value).is_some_and(|number| number != 0.0)
}

/// Keys within a value.
pub(super) fn in_value(value: Expr, schema: &DFSchema) -> Result<Expr> {
    value
        .transform_up(|part| in_part(part, schema).map(Transformed::yes))
        .data()
}

fn is_comparison(op: Operator) -> bool {
    matches!(
        op,
        Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom
    )
}

/// Whether an expression compares anything.
pub(super) fn holds_comparison(value: &Expr) -> Result<bool> {
    value.exists(|part| {
        Ok(match part {
            Expr::BinaryExpr(operation) => is_comparison(operation.op),
            Expr::Case(case) => case.expr.is_some(),
            Expr::ScalarFunction(call) => COMPARING.contains(&call.name()),
            Expr::Between(_)
            | Expr::InList(_)
            | Expr::AggregateFunction(_)
            | Expr::WindowFunction(_) => true,
            _ => false,
        })
    })
}

fn in_part(part: Expr, schema: &DFSchema) -> Result<Expr> {
    let boxed = |value: Box<Expr>| key(*value, schema).map(Box::new);
    let all = |values: Vec<Expr>| {
        let keys = values.into_iter().map(|value| key(value, schema));
        keys.collect::<Result<Vec<_>>>()
    };
    Ok(match part {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_comparison(op) => {
            Expr::BinaryExpr(BinaryExpr {
                left: boxed(left)?,
                op,
                right: boxed(right)?,
            })
        }
        Expr::Between(between) => Expr::Between(Between {
            expr: boxed(between.expr)?,
            negated: between.negated,
            low: boxed(between.low)?,
            high: boxed(between.high)?,
        }),
        Expr::InList(list) => Expr::InList(InList {
            expr: boxed(list.expr)?,
            list: all(list.list)?,
            negated: list.negated,
        }),
        Expr::Case(Case {
            expr: Some(value),
            when_then_expr,
            else_expr,
        }) => {
            let branches = when_then_expr.into_iter();
            let branches = branches.map(|(when, then)| Ok((boxed(when)?, then)));
            Expr::Case(Case {
                expr: Some(boxed(value)?),
                when_then_expr: branches.collect::<Result<_>>()?,
                else_expr,
            })
        }
        Expr::ScalarFunction(mut call) if COMPARING.contains(&call.name()) => {
            call.args = all(call.args)?;
            Expr::ScalarFunction(call)
        }
        Expr::AggregateFunction(call) => Expr::AggregateFunction(in_aggregate(call, schema)?),
        Expr::WindowFunction(call) => in_window(*call, schema)?,
        other => other,
    })
}

/// Whether an aggregate compares its arguments.
fn compares(name: &str, is_distinct: bool) -> bool {
    is_distinct || ORDERING.contains(&name)
}

fn keys(values: &mut [Expr], schema: &DFSchema) -> Result<()> {
    for value in values {
        *value = key(std::mem::take(value), schema)?;
    }
    Ok(())
}

/// Of functions whose last argument is what their rows are ordered by.
fn last_key(values: &mut [Expr], schema: &DFSchema) -> Result<()> {
    match values.split_last_mut() {
        Some((last, _)) => keys(std::slice::from_mut(last), schema),
        None => Ok(()),
    }
}

fn sort_keys(sorts: &mut [Sort], schema: &DFSchema) -> Result<()> {
    for sort in sorts {
        sort.expr = key(std::mem::take(&mut sort.expr), schema)?;
    }
    Ok(())
}

fn in_aggregate(mut call: AggregateFunction, schema: &DFSchema) -> Result<AggregateFunction> {
    // Rules put DataFusion's own into plans, which do not know NaN.
    if let Some(bound) = float_bound(call.func.name()) {
        call.func = bound;
    }
    let params = &mut call.params;
    if compares(call.func.name(), params.distinct) {
        keys(&mut params.args, schema)?;
    } else if is_ordered(call.func.name()) {
        last_key(&mut params.args, schema)?;
    }
    sort_keys(&mut params.order_by, schema)?;
    Ok(call)
}

fn in_window(mut call: WindowFunction, schema: &DFSchema) -> Result<Expr> {
    let name = call.fun.name().to_owned();
    let params = &mut call.params;
    if compares(&name, params.distinct) {
        keys(&mut params.args, schema)?;
    } else if is_ordered(&name) {
        last_key(&mut params.args, schema)?;
    }
    keys(&mut params.partition_by, schema)?;
    sort_keys(&mut params.order_by, schema)?;
    Ok(Expr::WindowFunction(Box::new(call)))
}
