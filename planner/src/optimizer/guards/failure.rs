//! Whether an expression may fail, decided from its operators and types alone.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{BinaryExpr, Case, Expr, ExprSchemable, Operator};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::scalar::ScalarValue;

/// How an expression may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Failure {
    /// It has a value for all operands.
    Never,
    /// It fails where a result leaves its type. Only conditions on the same columns guard against that, and no
    /// other condition is worth a slower plan.
    Overflow,
    /// It fails over values that are not unusual: a zero, a text that is no number.
    Value,
}

/// How `expression` may fail over rows of `schema`.
pub(crate) fn failure(expression: &Expr, schema: &DFSchema) -> Failure {
    failure_after(expression, schema, &[])
}

/// As [`failure`], where `known` holds.
fn failure_after(expression: &Expr, schema: &DFSchema, known: &[&Expr]) -> Failure {
    match expression {
        Expr::Case(case) => of_case(case, schema, known),
        Expr::Literal(..) | Expr::Column(_) => Failure::Never,
        computed => {
            let own = of_operator(computed, schema, known);
            let mut worst = own;
            // The closure never fails.
            let _ = computed.apply_children(|part| {
                worst = worst.max(failure_after(part, schema, known));
                Ok(TreeNodeRecursion::Continue)
            });
            match worst > Failure::Never && is_valid_constant(computed) {
                true => Failure::Never,
                false => worst,
            }
        }
    }
}

/// A branch of a CASE is evaluated where its condition holds.
fn of_case(case: &Case, schema: &DFSchema, known: &[&Expr]) -> Failure {
    let mut worst = Failure::Never;
    for (when, then) in &case.when_then_expr {
        worst = worst.max(failure_after(when, schema, known));
        let mut known = known.to_vec();
        if case.expr.is_none() {
            known.extend(split_conjunction(when));
        }
        worst = worst.max(failure_after(then, schema, &known));
    }
    for part in case.expr.iter().chain(&case.else_expr) {
        worst = worst.max(failure_after(part, schema, known));
    }
    worst
}

/// How the operator itself may fail, given operands.
fn of_operator(expression: &Expr, schema: &DFSchema, known: &[&Expr]) -> Failure {
    // A text is what most things fail over.
    let type_of = |part: &Expr| part.get_type(schema).unwrap_or(DataType::Utf8);
    match expression {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let has_remainder = matches!(op, Operator::Divide | Operator::Modulo);
            if has_remainder && !is_nonzero(right, known) {
                return of_division(&type_of(left), &type_of(right));
            }
            of_binary(*op, &type_of(left), &type_of(right), is_constant(right))
        }
        Expr::Cast(cast) => of_cast(&type_of(&cast.expr), cast.field.data_type()),
        Expr::Negative(value) => of_negation(&type_of(value)),
        Expr::ScalarFunction(call) => of_function(call.name(), || call.args.first().map(type_of)),
        Expr::HigherOrderFunction(_) => Failure::Value,
        _ => Failure::Never,
    }
}

/// How `left op right` may fail. A divisor is not zero here.
pub(super) fn of_binary(
    op: Operator,
    left: &DataType,
    right: &DataType,
    right_is_constant: bool,
) -> Failure {
    use Operator::{
        Divide, Minus, Modulo, Multiply, Plus, RegexIMatch, RegexMatch, RegexNotIMatch,
        RegexNotMatch,
    };
    match op {
        Plus | Minus | Multiply | Divide | Modulo if left.is_floating() && right.is_floating() => {
            Failure::Never
        }
        // Only the smallest integer divided by -1 overflows.
        Divide | Modulo if left.is_integer() && right_is_constant => Failure::Never,
        Modulo if right_is_constant => Failure::Never,
        Plus | Minus | Multiply | Divide | Modulo => Failure::Overflow,
        RegexMatch | RegexIMatch | RegexNotMatch | RegexNotIMatch if !right_is_constant => {
            Failure::Value
        }
        _ => Failure::Never,
    }
}

/// How a division by what may be zero may fail.
pub(super) fn of_division(left: &DataType, right: &DataType) -> Failure {
    match left.is_floating() && right.is_floating() {
        true => Failure::Never,
        false => Failure::Value,
    }
}

/// How `-value` may fail.
pub(super) fn of_negation(value: &DataType) -> Failure {
    match value.is_floating() {
        true => Failure::Never,
        false => Failure::Overflow,
    }
}

/// How a cast may fail.
pub(super) fn of_cast(from: &DataType, to: &DataType) -> Failure {
    use DataType::{Boolean, Date32, Date64, Null, Timestamp};
    if from == to || *from == Null || to.is_string() || to.is_binary() {
        return Failure::Never;
    }
    match (from, to) {
        (DataType::Dictionary(_, from), _) => of_cast(from, to),
        (_, DataType::Dictionary(_, to)) => of_cast(from, to),
        (Boolean, to) if to.is_numeric() => Failure::Never,
        (from, Boolean) if from.is_integer() || from.is_floating() => Failure::Never,
        (from, to) if from.is_numeric() && to.is_numeric() => of_numeric_cast(from, to),
        (Timestamp(..), Date32 | Date64) | (Date32, Date64) | (Date64, Date32) => Failure::Never,
        (Date32 | Date64 | Timestamp(..), Timestamp(..)) => Failure::Overflow,
        _ => Failure::Value,
    }
}

fn of_numeric_cast(from: &DataType, to: &DataType) -> Failure {
    let fits = match (from, to) {
        (_, to) if to.is_floating() => true,
        (from, to) if from.is_integer() && to.is_integer() => {
            let (from_bits, to_bits) = (from.primitive_width(), to.primitive_width());
            match (from.is_signed_integer(), to.is_signed_integer()) {
                (true, false) => false,
                (false, true) => from_bits < to_bits,
                _ => from_bits <= to_bits,
            }
        }
        (from, DataType::Decimal128(digits, scale)) => {
            let whole = i32::from(*digits) - i32::from(*scale);
            whole_digits(from).is_some_and(|needed| needed <= whole)
                && scale_of(from) <= i32::from(*scale)
        }
        _ => false,
    };
    match fits {
        true => Failure::Never,
        false => Failure::Overflow,
    }
}

/// How many digits before the point a number of this type may have.
fn whole_digits(data_type: &DataType) -> Option<i32> {
    match data_type {
        DataType::Int8 | DataType::UInt8 => Some(3),
        DataType::Int16 | DataType::UInt16 => Some(5),
        DataType::Int32 | DataType::UInt32 => Some(10),
        DataType::Int64 => Some(19),
        DataType::UInt64 => Some(20),
        DataType::Decimal128(digits, scale) => Some(i32::from(*digits) - i32::from(*scale)),
        _ => None,
    }
}

fn scale_of(data_type: &DataType) -> i32 {
    match data_type {
        DataType::Decimal128(_, scale) => i32::from(*scale),
        _ => 0,
    }
}

/// Functions that have a value for all operands of their types. What is not listed may fail.
const TOTAL: &[&str] = &[
    "array_contains",
    "array_has",
    "array_length",
    "ascii",
    "bit_length",
    "btrim",
    "cardinality",
    "ceil",
    "char_length",
    "character_length",
    "coalesce",
    "concat",
    "concat_ws",
    "contains",
    "crc32",
    "date_part",
    "date_trunc",
    "datediff",
    "day",
    "dayofmonth",
    "dayofweek",
    "dayofyear",
    "ends_with",
    "floor",
    "get_field",
    "get_json_object",
    "guarded",
    "guarded_or",
    "hash",
    "hour",
    "if",
    "ifnull",
    "initcap",
    "instr",
    "isnan",
    "isnotnull",
    "isnull",
    "last_day",
    "lcase",
    "left",
    "len",
    "length",
    "levenshtein",
    "lower",
    "lpad",
    "ltrim",
    "md5",
    "minute",
    "month",
    "nullif",
    "nvl",
    "nvl2",
    "octet_length",
    "position",
    "quarter",
    "regexp_count",
    "regexp_extract",
    "regexp_like",
    "regexp_replace",
    "replace",
    "reverse",
    "right",
    "rpad",
    "rtrim",
    "second",
    "sha1",
    "sha2",
    "sha256",
    "size",
    "skep_bucket_of",
    "skep_interval_length",
    "skep_interval_text",
    "skep_round_timestamp",
    "soundex",
    "split_part",
    "starts_with",
    "strpos",
    "struct",
    "substr",
    "substring",
    "translate",
    "trim",
    "ucase",
    "upper",
    "weekday",
    "weekofyear",
    "year",
];

/// Functions of floating point numbers that return infinities and NaN.
const TOTAL_OF_FLOATS: &[&str] = &[
    "abs", "acos", "asin", "atan", "atan2", "cbrt", "cos", "cosh", "degrees", "exp", "ln", "log10",
    "log2", "power", "radians", "round", "signum", "sin", "sinh", "sqrt", "tan", "tanh", "trunc",
];

/// Functions that fail where a result leaves its type.
const BOUNDED: &[&str] = &[
    "abs",
    "checked_add",
    "checked_multiply",
    "checked_negate",
    "checked_subtract",
    "date_bin",
    "decimal_add",
    "decimal_ceil",
    "decimal_floor",
    "decimal_multiply",
    "decimal_round",
    "decimal_subtract",
    "decimal_truncate",
    "round",
    "signum",
    "skep_interval_divide",
    "skep_interval_multiply",
    "timezone",
    "trunc",
];

/// Functions that divide by their second argument.
pub(super) const DIVISIONS: &[&str] = &["decimal_divide", "decimal_modulo", "div", "mod", "pmod"];

/// How a function may fail.
pub(super) fn of_function(name: &str, first: impl FnOnce() -> Option<DataType>) -> Failure {
    if TOTAL.contains(&name) || name.starts_with("try_") {
        return Failure::Never;
    }
    let first = first();
    let is = |of_type: fn(&DataType) -> bool| first.as_ref().is_some_and(of_type);
    match name {
        total if TOTAL_OF_FLOATS.contains(&total) && is(DataType::is_floating) => Failure::Never,
        bounded if BOUNDED.contains(&bounded) => Failure::Overflow,
        "rounded_cast" if is(DataType::is_numeric) => Failure::Overflow,
        _ => Failure::Value,
    }
}

/// Whether it has no column, and a value: `DATE '1995-01-01' + INTERVAL '1' YEAR`.
fn is_valid_constant(expression: &Expr) -> bool {
    if expression.any_column_refs() || expression.is_volatile() || has_subquery(expression) {
        return false;
    }
    let context = SimplifyContext::builder().build();
    let simplified = ExprSimplifier::new(context).simplify(expression.clone());
    simplified.is_ok_and(|simplified| is_constant(&simplified))
}

pub(super) fn has_subquery(expression: &Expr) -> bool {
    let is_subquery = |part: &Expr| {
        Ok(matches!(
            part,
            Expr::ScalarSubquery(_)
                | Expr::InSubquery(_)
                | Expr::Exists(_)
                | Expr::SetComparison(_)
                | Expr::OuterReferenceColumn(..)
        ))
    };
    // The closure never fails.
    expression.exists(is_subquery).unwrap_or(true)
}

fn is_constant(expression: &Expr) -> bool {
    match expression {
        Expr::Literal(..) => true,
        Expr::Cast(cast) => is_constant(&cast.expr),
        _ => false,
    }
}

/// Whether a divisor is not zero, nor -1, whenever `known` holds.
fn is_nonzero(divisor: &Expr, known: &[&Expr]) -> bool {
    match divisor {
        Expr::Literal(value, _) => is_nonzero_value(value),
        Expr::Cast(cast) => is_nonzero(&cast.expr, known),
        Expr::ScalarFunction(call) if call.name() == "nullif" => {
            matches!(call.args.as_slice(), [_, other] if is_zero(other))
        }
        other => known
            .iter()
            .any(|condition| excludes_zero(condition, other)),
    }
}

/// Whether `condition` is `value <> 0`, `value > 1`, `0 < value` or the like.
fn excludes_zero(condition: &Expr, value: &Expr) -> bool {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = condition else {
        return false;
    };
    let (op, bound) = match () {
        () if without_casts(left) == without_casts(value) => (Some(*op), right),
        () if without_casts(right) == without_casts(value) => (op.swap(), left),
        () => return false,
    };
    matches!(op, Some(Operator::Gt | Operator::Lt | Operator::NotEq)) && is_zero(bound)
}

fn without_casts(expression: &Expr) -> &Expr {
    match expression {
        Expr::Cast(cast) => without_casts(&cast.expr),
        other => other,
    }
}

fn is_zero(expression: &Expr) -> bool {
    match without_casts(expression) {
        Expr::Literal(value, _) => {
            !value.is_null()
                && ScalarValue::new_zero(&value.data_type()).is_ok_and(|zero| zero == *value)
        }
        _ => false,
    }
}

fn is_nonzero_value(value: &ScalarValue) -> bool {
    let data_type = value.data_type();
    let is =
        |other: datafusion::error::Result<ScalarValue>| other.is_ok_and(|other| other == *value);
    value.is_null()
        || !(is(ScalarValue::new_zero(&data_type)) || is(ScalarValue::new_negative_one(&data_type)))
}
