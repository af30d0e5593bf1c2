//! Parameters: `?` and `$1`.
//!
//! The planner knows `$1`, `$2`, …; a `?` becomes the next of these by its place in the text.

use super::cursor::position;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};
use skep_protocol::{ErrorCode, QueryError};

/// The highest number that a parameter may have.
const NUMBER_MAX: usize = 10_000;

/// Gives every `?` its number.
///
/// # Errors
/// `Syntax` where both spellings are mixed, or a parameter has no number or too high a one.
pub(super) fn number(tokens: &mut [TokenWithSpan]) -> Result<(), QueryError> {
    let mut questions = 0;
    let mut numbered = false;
    for token in tokens {
        let Token::Placeholder(name) = &token.token else {
            continue;
        };
        let wrong = |text: String| {
            Err(QueryError::new(ErrorCode::Syntax, text).at(position(token.span.start)))
        };
        if name == "?" {
            questions += 1;
            if questions > NUMBER_MAX {
                return wrong(format!("a statement has at most {NUMBER_MAX} parameters"));
            }
        } else {
            let number = name.strip_prefix('$').and_then(|text| text.parse().ok());
            if !number.is_some_and(|number: usize| (1..=NUMBER_MAX).contains(&number)) {
                return wrong(format!(
                    "'{name}' is not a parameter: write ? or $1 to ${NUMBER_MAX}"
                ));
            }
            numbered = true;
        }
        if questions > 0 && numbered {
            let text = "parameters are all written ? or all written $1, $2, …".to_owned();
            return wrong(text);
        }
        if name == "?" {
            token.token = Token::Placeholder(format!("${questions}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::statement::{Dialect, ParseOptions, Statement};
    use skep_protocol::QueryError;

    fn parse(sql: &str, bytes_max: usize) -> Result<Statement, QueryError> {
        let dialect = Dialect::Standard;
        crate::statement::parse(sql, ParseOptions { bytes_max, dialect })
    }

    fn shown(sql: &str) -> String {
        match parse(sql, 1000) {
            Ok(Statement::Query(statement)) => statement.to_string(),
            other => panic!("{sql}: {other:?}"),
        }
    }

    #[test]
    fn question_marks_are_numbered_by_their_place() {
        assert_eq!(
            shown("SELECT ?, '?', a FROM t WHERE b IN (?,?) LIMIT ?"),
            "SELECT $1, '?', a FROM t WHERE b IN ($2, $3) LIMIT $4"
        );
        assert_eq!(shown("SELECT $2, $1"), "SELECT $2, $1");
    }

    #[test]
    fn what_is_no_parameter_is_refused_with_its_place() {
        for (sql, column) in [
            ("SELECT ?, $1", 11),
            ("SELECT $1, ?", 12),
            ("SELECT $0", 8),
            ("SELECT $x", 8),
            ("SELECT $10001", 8),
            ("SELECT ?3", 8),
        ] {
            let error = parse(sql, 1000).unwrap_err();
            assert_eq!(
                error.position.map(|place| place.column),
                Some(column),
                "{sql}: {error}"
            );
        }
    }
}
