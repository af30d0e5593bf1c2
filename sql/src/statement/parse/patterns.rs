//! `LIKE … ESCAPE` and `SIMILAR TO`: the planner takes no escape character but a backslash, and looks for what
//! is similar anywhere in a text. Patterns are written so that what it does is right.

use super::calls::call;
use crate::statement::cursor::position;
use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Spanned, Value, ValueWithSpan};
use skep_protocol::{ErrorCode, QueryError};
use skep_runtime::functions::{LIKE_PATTERN, SIMILAR_PATTERN, like_pattern, similar_pattern};

/// The escape character where none is written.
const ESCAPE_DEFAULT: &str = "\\";

/// Rewrites an expression if it matches a pattern.
///
/// # Errors
/// `Semantic` where the pattern is written out and wrong, with its place.
pub(super) fn rewrite(expression: &mut Expr) -> Result<(), QueryError> {
    match expression {
        Expr::Like {
            pattern,
            escape_char,
            any: false,
            ..
        }
        | Expr::ILike {
            pattern,
            escape_char,
            any: false,
            ..
        } => {
            if let Some(escape) = escape_char.take() {
                let written = std::mem::replace(pattern.as_mut(), nothing());
                **pattern = translated(written, escape, LIKE_PATTERN)?;
            }
        }
        Expr::SimilarTo {
            negated,
            expr,
            pattern,
            escape_char,
        } => {
            let escape = escape_char.take().unwrap_or_else(|| {
                ValueWithSpan::from(Value::SingleQuotedString(ESCAPE_DEFAULT.to_owned()))
            });
            let written = std::mem::replace(pattern.as_mut(), nothing());
            let right = translated(written, escape, SIMILAR_PATTERN)?;
            *expression = Expr::BinaryOp {
                left: Box::new(std::mem::replace(expr.as_mut(), nothing())),
                op: match negated {
                    true => BinaryOperator::PGRegexNotMatch,
                    false => BinaryOperator::PGRegexMatch,
                },
                right: Box::new(right),
            };
        }
        _ => {}
    }
    Ok(())
}

fn nothing() -> Expr {
    Expr::value(Value::Null)
}

/// A pattern that is written out at once, and any other when its value is known.
fn translated(pattern: Expr, escape: ValueWithSpan, function: &str) -> Result<Expr, QueryError> {
    let text = |expression: &Expr| match expression {
        Expr::Value(value) => text_of(&value.value).map(str::to_owned),
        _ => None,
    };
    let (Some(written), Some(character)) = (text(&pattern), text_of(&escape.value)) else {
        return Ok(call(function, vec![pattern, Expr::Value(escape)]));
    };
    let translated = match function {
        LIKE_PATTERN => like_pattern(&written, character),
        _ => similar_pattern(&written, character),
    };
    match translated {
        Ok(text) => Ok(Expr::value(Value::SingleQuotedString(text))),
        Err(error) => {
            let at = position(pattern.span().start);
            Err(QueryError::new(ErrorCode::Semantic, error.to_string()).at(at))
        }
    }
}

fn text_of(value: &Value) -> Option<&str> {
    match value {
        Value::SingleQuotedString(text)
        | Value::DoubleQuotedString(text)
        | Value::EscapedStringLiteral(text) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::sql::sqlparser::dialect::GenericDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    fn rewritten(sql: &str) -> Result<String, QueryError> {
        let mut parser = Parser::new(&GenericDialect {}).try_with_sql(sql).unwrap();
        let mut expression = parser.parse_expr().unwrap();
        rewrite(&mut expression)?;
        Ok(expression.to_string())
    }

    #[test]
    fn patterns_are_those_of_the_planner() {
        for (sql, expected) in [
            ("a LIKE 'x!_' ESCAPE '!'", "a LIKE 'x\\_'"),
            ("a NOT ILIKE 'x!_' ESCAPE '!'", "a NOT ILIKE 'x\\_'"),
            ("a LIKE 'x\\_'", "a LIKE 'x\\_'"),
            ("a LIKE b ESCAPE '!'", "a LIKE skep_like_pattern(b, '!')"),
            ("a SIMILAR TO 'b%'", "a ~ '(?s)^(?:b(?:.*))$'"),
            ("a NOT SIMILAR TO b", "a !~ skep_similar_pattern(b, '\\')"),
        ] {
            assert_eq!(rewritten(sql).unwrap(), expected, "{sql}");
        }
        assert_eq!(
            rewritten("a LIKE 'x!' ESCAPE '!'").unwrap_err().message,
            "a pattern must not end in its escape character"
        );
    }
}
