//! Numbers as the standard reads them: one with a point is an exact decimal, one with an exponent a double, and
//! integers beyond a BIGINT are decimals. More than 38 digits are a double, too.
//!
//! DataFusion's planner makes a decimal of all that is no BIGINT. So doubles are written here as casts of text
//! to FLOAT8, and large integers with a point at their end; [`as_written`] knows them again.

use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, Expr, SetExpr, UnaryOperator, Value, VisitMut, VisitorMut,
};
use std::ops::ControlFlow;

/// How many digits a decimal has at most.
const DIGITS_MAX: usize = 38;

/// The smallest BIGINT without its sign, and with the mark of a large integer.
const SMALLEST_BIGINT: &str = "9223372036854775808";

/// What a number is that the planner would take for something else.
enum Meaning {
    Double(String),
    LargeInteger(String),
}

/// Writes a number so that the planner reads it as what it is.
pub(super) fn rewrite(expression: &mut Expr) {
    match expression {
        Expr::Value(value) => {
            let Value::Number(text, false) = &value.value else {
                return;
            };
            match meaning(text) {
                Some(Meaning::Double(text)) => *expression = double(text),
                Some(Meaning::LargeInteger(text)) => {
                    value.value = Value::Number(format!("{text}."), false);
                }
                None => {}
            }
        }
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } => {
            // With its sign it is a BIGINT.
            if let Expr::Value(value) = expr.as_mut()
                && let Value::Number(text, _) = &mut value.value
                && text.strip_suffix('.') == Some(SMALLEST_BIGINT)
            {
                text.pop();
            }
        }
        _ => {}
    }
}

fn meaning(text: &str) -> Option<Meaning> {
    let text = text.replace('_', "");
    if text.starts_with("0x") || text.starts_with("0X") {
        return None;
    }
    if text.contains(['e', 'E']) {
        return Some(Meaning::Double(text));
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let whole = whole.trim_start_matches('0');
    let digits = match whole {
        "" => fraction.len(),
        whole => whole.len() + fraction.len(),
    };
    if digits > DIGITS_MAX {
        return Some(Meaning::Double(text));
    }
    let is_large = !text.contains('.') && text.parse::<i64>().is_err();
    is_large.then_some(Meaning::LargeInteger(text))
}

fn double(text: String) -> Expr {
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(Expr::value(Value::SingleQuotedString(text))),
        data_type: DataType::Float8,
        format: None,
        array: false,
    }
}

/// Rows of VALUES have doubles in a column in which one of them has: the planner would make decimals of all.
pub(super) fn rewrite_rows(body: &mut SetExpr) {
    match body {
        SetExpr::SetOperation { left, right, .. } => {
            rewrite_rows(left);
            rewrite_rows(right);
        }
        SetExpr::Values(values) => {
            let width = values.rows.iter().map(|row| row.len()).max().unwrap_or(0);
            for column in 0..width {
                let cells = || values.rows.iter().filter_map(|row| row.get(column));
                if cells().any(is_double) {
                    for row in &mut values.rows {
                        if let Some(cell) = row.get_mut(column) {
                            make_double(cell);
                        }
                    }
                }
            }
        }
        _ => {}
    }
}

fn is_double(expression: &Expr) -> bool {
    match expression {
        Expr::Nested(inner) | Expr::UnaryOp { expr: inner, .. } => is_double(inner),
        Expr::Cast { data_type, .. } => matches!(
            data_type,
            DataType::Float8
                | DataType::Float4
                | DataType::Float(_)
                | DataType::Real
                | DataType::Double(_)
                | DataType::DoublePrecision
        ),
        _ => false,
    }
}

fn make_double(expression: &mut Expr) {
    match expression {
        Expr::Nested(inner) | Expr::UnaryOp { expr: inner, .. } => make_double(inner),
        Expr::Value(value) => {
            if let Value::Number(text, false) = &value.value
                && text.contains('.')
            {
                *expression = double(text.trim_end_matches('.').to_owned());
            }
        }
        _ => {}
    }
}

/// An expression as it was written, with its numbers as they were.
pub fn as_written(expression: &Expr) -> String {
    struct Numbers;

    impl VisitorMut for Numbers {
        type Break = ();

        fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
            let number = match expression {
                Expr::Cast {
                    expr,
                    data_type: DataType::Float8,
                    ..
                } => match expr.as_ref() {
                    Expr::Value(value) => match &value.value {
                        Value::SingleQuotedString(text) => Some(text.clone()),
                        _ => None,
                    },
                    _ => None,
                },
                Expr::Value(value) => match &value.value {
                    Value::Number(text, _) => text.strip_suffix('.').map(str::to_owned),
                    _ => None,
                },
                _ => None,
            };
            if let Some(number) = number {
                *expression = Expr::value(Value::Number(number, false));
            }
            ControlFlow::Continue(())
        }
    }

    let mut written = expression.clone();
    let _ = written.visit(&mut Numbers);
    written.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::{ParseOptions, Statement, parse};
    use datafusion::sql::parser::Statement as DataFusionStatement;
    use datafusion::sql::sqlparser::ast::{SelectItem, Statement as SqlStatement};

    /// The body of a query as it is planned.
    fn body(sql: &str) -> SetExpr {
        let options = ParseOptions {
            bytes_max: 1000,
            dialect: Default::default(),
        };
        let Statement::Query(query) = parse(sql, options).unwrap() else {
            panic!("no query: {sql}");
        };
        let DataFusionStatement::Statement(statement) = *query else {
            panic!("no statement: {sql}");
        };
        let SqlStatement::Query(query) = *statement else {
            panic!("no query: {sql}");
        };
        *query.body
    }

    #[test]
    fn numbers_are_planned_as_what_they_are_and_shown_as_written() {
        for (written, planned) in [
            ("1.50", "1.50"),
            ("1", "1"),
            ("1e2", "CAST('1e2' AS FLOAT8)"),
            ("-1.5E-3", "-CAST('1.5E-3' AS FLOAT8)"),
            ("9223372036854775807", "9223372036854775807"),
            ("9223372036854775808", "9223372036854775808."),
            ("-9223372036854775808", "-9223372036854775808"),
            ("-9223372036854775809", "-9223372036854775809."),
            (
                "123456789012345678901234567890123456789",
                "CAST('123456789012345678901234567890123456789' AS FLOAT8)",
            ),
            (
                "0.123456789012345678901234567890123456789",
                "CAST('0.123456789012345678901234567890123456789' AS FLOAT8)",
            ),
            (
                "000000000000000000000000000000000000000000001.5",
                "000000000000000000000000000000000000000000001.5",
            ),
        ] {
            let SetExpr::Select(select) = body(&format!("SELECT {written}")) else {
                panic!("no select: {written}");
            };
            let [
                SelectItem::UnnamedExpr(expression)
                | SelectItem::ExprWithAlias {
                    expr: expression, ..
                },
            ] = select.projection.as_slice()
            else {
                panic!("no expression: {written}");
            };
            assert_eq!(expression.to_string(), planned);
            assert_eq!(as_written(expression), written);
        }
    }

    #[test]
    fn rows_have_doubles_in_columns_with_one() {
        let rows = body("VALUES (1e2, 1.5), (-2.5, 2.5), (3, 3)");
        assert_eq!(
            rows.to_string(),
            "VALUES (CAST('1e2' AS FLOAT8), 1.5), (-CAST('2.5' AS FLOAT8), 2.5), (3, 3)"
        );
    }
}
