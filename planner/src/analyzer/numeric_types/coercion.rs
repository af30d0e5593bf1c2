//! The type in which numbers are compared, and that of a column into which several of them go.
//!
//! Decimals meet in a decimal that holds both, of up to 76 digits where they are compared. A decimal meets
//! floating point as a double, as in Hive and Spark. What is not a number is left to DataFusion.

use super::arithmetic::{decimal_literal, integer_literal, is_decimal};
use super::rounding::cast_to;
use datafusion::arrow::compute::kernels::cast_utils::parse_decimal;
use datafusion::arrow::datatypes::{DataType, Decimal128Type};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{InList, ScalarFunction, WindowFunction};
use datafusion::logical_expr::{
    Between, BinaryExpr, Case, Expr, ExprSchemable, Operator, ScalarUDF,
};
use skep_runtime::functions::{DIGITS_MAX, common_decimal};
use std::sync::Arc;

/// What numbers are brought together for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Nothing but the comparison sees them.
    Comparison,
    /// They are values of one column.
    Result,
}

/// The type in which numbers of these types meet; `None` where DataFusion decides.
pub(super) fn common_type(types: &[DataType], purpose: Purpose) -> Option<DataType> {
    let known: Vec<&DataType> = types.iter().filter(|one| !one.is_null()).collect();
    if !known.iter().all(|one| one.is_numeric()) {
        return None;
    }
    if known.iter().any(|one| is_decimal(one)) {
        if known.iter().any(|one| one.is_floating()) {
            return Some(DataType::Float64);
        }
        let (first, rest) = known.split_first()?;
        let start = (*first).clone();
        let common = rest
            .iter()
            .try_fold(start, |common, next| wider(&common, next))?;
        return Some(match (common, purpose) {
            // What does not fit is an error when it comes.
            (DataType::Decimal256(_, scale), Purpose::Result) => {
                DataType::Decimal128(DIGITS_MAX, scale)
            }
            (common, _) => common,
        });
    }
    // Plans that are sent make constants of 16 bits ones of 32, so that not even these are left among themselves.
    if !known.iter().any(|one| is_half(one)) {
        return None;
    }
    let is_small = |one: &&DataType| {
        matches!(
            one,
            DataType::Float16
                | DataType::Float32
                | DataType::Int8
                | DataType::UInt8
                | DataType::Int16
                | DataType::UInt16
        )
    };
    Some(match known.iter().all(is_small) {
        true => DataType::Float32,
        false => DataType::Float64,
    })
}

fn is_half(data_type: &DataType) -> bool {
    *data_type == DataType::Float16
}

fn wider(one: &DataType, other: &DataType) -> Option<DataType> {
    let DataType::Decimal256(precision, scale) = one else {
        return common_decimal(one, other);
    };
    // It has more than 38 digits: those of the other are added to it.
    let DataType::Decimal128(digits, digits_after) =
        common_decimal(other, &DataType::Decimal128(1, 0))?
    else {
        return None;
    };
    let integers = (precision.cast_signed() - scale).max(digits.cast_signed() - digits_after);
    let scale = *scale.max(&digits_after);
    let precision = u8::try_from(integers + scale).ok()?;
    Some(DataType::Decimal256(precision, scale))
}

/// The operand as it meets decimals: an integer that is written down has no more digits than one sees, and
/// text that is written down is the number that it says.
fn operand(expression: Expr, meets_decimal: bool) -> Expr {
    if !meets_decimal {
        return expression;
    }
    if let Some(value) = integer_literal(&expression) {
        return decimal_literal(value);
    }
    match &expression {
        Expr::Literal(
            ScalarValue::Utf8(Some(text))
            | ScalarValue::Utf8View(Some(text))
            | ScalarValue::LargeUtf8(Some(text)),
            _,
        ) => decimal_in(text).unwrap_or(expression),
        _ => expression,
    }
}

/// A decimal that is written in text, with all of its digits.
fn decimal_in(text: &str) -> Option<Expr> {
    let text = text.trim();
    let number = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let is_number = !number.is_empty()
        && number != "."
        && whole
            .chars()
            .chain(fraction.chars())
            .all(|one| one.is_ascii_digit());
    let scale = u8::try_from(fraction.len()).ok()?;
    let precision = u8::try_from(whole.trim_start_matches('0').len().max(1)).ok()? + scale;
    if !is_number || precision > DIGITS_MAX {
        return None;
    }
    let scale = scale.cast_signed();
    let value = parse_decimal::<Decimal128Type>(text, precision, scale).ok()?;
    let value = ScalarValue::Decimal128(Some(value), precision, scale);
    Some(Expr::Literal(value, None))
}

/// Brings numbers to their common type; `None` where they have it or DataFusion decides.
fn unified(
    expressions: Vec<Expr>,
    schema: &DFSchema,
    purpose: Purpose,
) -> Result<(Vec<Expr>, bool)> {
    let types = |expressions: &[Expr]| -> Option<Vec<DataType>> {
        let types = expressions.iter().map(|one| one.get_type(schema).ok());
        types.collect()
    };
    let Some(before) = types(&expressions) else {
        return Ok((expressions, false));
    };
    let meets_decimal = before.iter().any(is_decimal);
    let is_text = before.iter().any(|one| !one.is_null() && !one.is_numeric());
    if is_text && purpose == Purpose::Result {
        return Ok((expressions, false));
    }
    if is_text && before.iter().any(is_half) {
        let single = |one: Expr| match one.get_type(schema) {
            Ok(DataType::Float16) => cast_to(one, &DataType::Float32, schema),
            _ => Ok(one),
        };
        let singles = expressions.into_iter().map(single);
        return Ok((singles.collect::<Result<_>>()?, true));
    }
    let exact: Vec<Expr> = expressions
        .iter()
        .map(|one| operand(one.clone(), meets_decimal))
        .collect();
    let common = types(&exact).and_then(|types| common_type(&types, purpose));
    let Some(common) = common else {
        return Ok((expressions, false));
    };
    if before.iter().all(|one| *one == common) {
        return Ok((expressions, false));
    }
    let cast = exact.into_iter().map(|one| cast_to(one, &common, schema));
    Ok((cast.collect::<Result<_>>()?, true))
}

pub(super) fn transformed(expression: Expr, changed: bool) -> Transformed<Expr> {
    match changed {
        true => Transformed::yes(expression),
        false => Transformed::no(expression),
    }
}

fn pair(
    left: Expr,
    right: Expr,
    schema: &DFSchema,
    purpose: Purpose,
) -> Result<(Box<Expr>, Box<Expr>, bool)> {
    let (unified, changed) = unified(vec![left, right], schema, purpose)?;
    let [left, right] = <[Expr; 2]>::try_from(unified).unwrap_or_else(|_| {
        let null = Expr::Literal(ScalarValue::Null, None);
        [null.clone(), null]
    });
    Ok((Box::new(left), Box::new(right), changed))
}

fn is_comparison(operator: Operator) -> bool {
    matches!(
        operator,
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

/// Both sides of a comparison. Of arithmetic with numbers of 16 bits, too, which DataFusion does not have.
pub(super) fn comparison(binary: BinaryExpr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let BinaryExpr { left, op, right } = binary;
    let purpose = if is_comparison(op) {
        Purpose::Comparison
    } else if op.is_numerical_operators() {
        Purpose::Result
    } else {
        let same = Expr::BinaryExpr(BinaryExpr { left, op, right });
        return Ok(Transformed::no(same));
    };
    let (left, right, changed) = pair(*left, *right, schema, purpose)?;
    let same = Expr::BinaryExpr(BinaryExpr { left, op, right });
    Ok(transformed(same, changed))
}

pub(super) fn between(between: Between, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let Between {
        expr,
        negated,
        low,
        high,
    } = between;
    let (all, changed) = unified(vec![*expr, *low, *high], schema, Purpose::Comparison)?;
    let mut all = all.into_iter().map(Box::new);
    match (all.next(), all.next(), all.next()) {
        (Some(expr), Some(low), Some(high)) => {
            let same = Expr::Between(Between::new(expr, negated, low, high));
            Ok(transformed(same, changed))
        }
        _ => datafusion::common::internal_err!("BETWEEN has three operands"),
    }
}

pub(super) fn in_list(list: InList, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let InList {
        expr,
        list,
        negated,
    } = list;
    let all = std::iter::once(*expr).chain(list).collect();
    let (mut all, changed) = unified(all, schema, Purpose::Comparison)?;
    let list = all.split_off(1);
    match all.pop() {
        Some(expr) => {
            let same = Expr::InList(InList::new(Box::new(expr), list, negated));
            Ok(transformed(same, changed))
        }
        None => datafusion::common::internal_err!("IN has an operand"),
    }
}

pub(super) fn case(case: Case, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let Case {
        expr,
        when_then_expr,
        else_expr,
    } = case;
    let (whens, thens): (Vec<Expr>, Vec<Expr>) = when_then_expr
        .into_iter()
        .map(|(when, then)| (*when, *then))
        .unzip();
    let branches = whens.len();
    let (expr, whens, is_compared) = match expr {
        None => (None, whens, false),
        Some(expr) => {
            let all = std::iter::once(*expr).chain(whens).collect();
            let (mut all, changed) = unified(all, schema, Purpose::Comparison)?;
            let whens = all.split_off(1);
            (all.pop().map(Box::new), whens, changed)
        }
    };
    let results = thens
        .into_iter()
        .chain(else_expr.map(|other| *other))
        .collect();
    let (mut thens, changed) = unified(results, schema, Purpose::Result)?;
    let else_expr = thens.split_off(branches).pop().map(Box::new);
    let branches = whens.into_iter().map(Box::new);
    let branches = branches.zip(thens.into_iter().map(Box::new)).collect();
    let same = Expr::Case(Case::new(expr, branches, else_expr));
    Ok(transformed(same, changed || is_compared))
}

/// Functions whose result is one of their arguments, and from which argument on that is so.
const ONE_OF_ITS_ARGUMENTS: &[(&str, usize)] = &[
    ("coalesce", 0),
    ("greatest", 0),
    ("least", 0),
    ("nvl", 0),
    ("ifnull", 0),
    ("nvl2", 1),
    ("if", 1),
    ("make_array", 0),
];

/// Functions that calculate with doubles. DataFusion has some of them for decimals, with a result that has no
/// more digits than their argument.
const OF_DOUBLES: &[&str] = &["power", "pow", "log"];

pub(super) fn arguments(call: ScalarFunction, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let ScalarFunction { func, mut args } = call;
    let name = func.name();
    let same = |args| Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(&func), args));
    if name == "nullif" && args.len() == 2 {
        return null_if(func, args, schema);
    }
    if OF_DOUBLES.contains(&name) {
        let is_decimal = |one: &Expr| one.get_type(schema).is_ok_and(|one| is_decimal(&one));
        if !args.iter().any(is_decimal) {
            return Ok(Transformed::no(same(args)));
        }
        let doubles = args.into_iter().map(|one| match is_decimal(&one) {
            true => cast_to(one, &DataType::Float64, schema),
            false => Ok(one),
        });
        return Ok(Transformed::yes(same(doubles.collect::<Result<_>>()?)));
    }
    let known = ONE_OF_ITS_ARGUMENTS
        .iter()
        .find(|(known, _)| *known == name);
    let Some((_, from)) = known.filter(|(_, from)| *from <= args.len()) else {
        return Ok(Transformed::no(same(args)));
    };
    let (values, changed) = unified(args.split_off(*from), schema, Purpose::Result)?;
    args.extend(values);
    Ok(transformed(same(args), changed))
}

/// `nullif(a, b)` compares both and yields the first as it is.
fn null_if(
    function: Arc<ScalarUDF>,
    args: Vec<Expr>,
    schema: &DFSchema,
) -> Result<Transformed<Expr>> {
    let (compared, changed) = unified(args.clone(), schema, Purpose::Comparison)?;
    match (<[Expr; 2]>::try_from(args), <[Expr; 2]>::try_from(compared)) {
        (Ok([value, _]), Ok([left, right])) if changed => {
            let null = ScalarValue::try_from(value.get_type(schema)?)?;
            let is_equal = Expr::BinaryExpr(BinaryExpr::new(
                Box::new(left),
                Operator::Eq,
                Box::new(right),
            ));
            let branches = vec![(Box::new(is_equal), Box::new(Expr::Literal(null, None)))];
            let case = Case::new(None, branches, Some(Box::new(value)));
            Ok(Transformed::yes(Expr::Case(case)))
        }
        (Ok(args), _) => {
            let same = ScalarFunction::new_udf(function, args.into());
            Ok(Transformed::no(Expr::ScalarFunction(same)))
        }
        (Err(_), _) => datafusion::common::internal_err!("nullif has two arguments"),
    }
}

/// `lag(a, n, b)` and `lead` yield either of two values.
pub(super) fn neighbour(mut call: WindowFunction, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let is_neighbour = matches!(call.fun.name(), "lag" | "lead");
    let [value, _, other] = call.params.args.as_slice() else {
        return Ok(Transformed::no(Expr::from(call)));
    };
    if !is_neighbour {
        return Ok(Transformed::no(Expr::from(call)));
    }
    let (value, other) = (value.clone(), other.clone());
    let (value, other, changed) = pair(value, other, schema, Purpose::Result)?;
    if let [first, _, last] = call.params.args.as_mut_slice() {
        (*first, *last) = (*value, *other);
    }
    Ok(transformed(Expr::from(call), changed))
}
