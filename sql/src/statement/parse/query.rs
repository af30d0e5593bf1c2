//! Queries: DataFusion's own parser on Skep's tokens.

use super::{balance, rewrite, tokens, unplanned};
use crate::statement::cursor::position;
use crate::statement::{Cursor, SourceQuery};
use datafusion::error::DataFusionError;
use datafusion::sql::parser::{DFParserBuilder, Statement as DataFusionStatement};
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Spanned, Statement as SqlStatement, visit_expressions,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};
use skep_functions::WithLambdas;
use skep_protocol::{ErrorCode, Position, QueryError};
use std::ops::ControlFlow;

/// The recursion limit of the parser; every level of nesting takes a few of its levels.
const PARSER_RECURSION_MAX: usize = 4_000;

/// Reads the rest as a query that is part of another statement.
///
/// # Errors
/// As [`parse_datafusion`]; `Unsupported` where it is another statement.
pub(super) fn source_query(cursor: &mut Cursor) -> Result<SourceQuery, QueryError> {
    if cursor.is_at_end() {
        return Err(cursor.unexpected("a query"));
    }
    let sql = cursor.rest_text().to_owned();
    let query = source_query_of(cursor.rest())?;
    cursor.skip_rest();
    Ok(SourceQuery { sql, ..query })
}

/// Reads the rest as what stands behind `beginning` in a query.
///
/// # Errors
/// As [`source_query`].
pub(super) fn source_query_behind(
    beginning: &str,
    cursor: &mut Cursor,
) -> Result<SourceQuery, QueryError> {
    let mut tokens = tokens_of(beginning)?;
    tokens.extend(cursor.rest());
    let query = source_query_of(tokens)?;
    cursor.skip_rest();
    Ok(query)
}

/// The tokens of a text that nobody has written.
pub(super) fn tokens_of(text: &str) -> Result<Vec<TokenWithSpan>, QueryError> {
    let tokens = Tokenizer::new(&GenericDialect {}, text).tokenize_with_location();
    let mut tokens = tokens.map_err(|error| QueryError::internal(error.to_string()))?;
    tokens.retain(|token| !matches!(token.token, Token::Whitespace(_)));
    Ok(tokens)
}

/// Reads tokens as a query that is part of another statement.
///
/// # Errors
/// As [`source_query`].
pub(super) fn source_query_of(tokens: Vec<TokenWithSpan>) -> Result<SourceQuery, QueryError> {
    let statement = parse_datafusion(tokens)?;
    check_is_query(&statement)?;
    Ok(SourceQuery {
        sql: statement.to_string(),
        statement: Box::new(statement),
    })
}

/// Reads one statement of DataFusion's.
///
/// # Errors
/// `Syntax` with its place.
pub(super) fn parse_datafusion(
    tokens: Vec<TokenWithSpan>,
) -> Result<DataFusionStatement, QueryError> {
    let end = tokens.last().and_then(|token| position(token.span.end));
    // What the parser misses at the end has no place of its own.
    let placed = |error: DataFusionError| {
        let error = syntax_error(&error);
        match error.position {
            None if error.code == ErrorCode::Syntax => error.at(end),
            _ => error,
        }
    };
    let mut parser = DFParserBuilder::new(tokens::rewrite(tokens)?)
        .with_dialect(&WithLambdas)
        .with_recursion_limit(PARSER_RECURSION_MAX)
        .build()
        .map_err(placed)?;
    let mut statements = parser.parse_statements().map_err(placed)?;
    match (statements.pop_front(), statements.is_empty()) {
        (Some(mut statement), true) => {
            check_precedence(&statement)?;
            if let DataFusionStatement::Statement(inner) = &mut statement {
                unplanned::check(inner)?;
                balance::balance(inner);
                rewrite::rewrite(inner)?;
            }
            Ok(statement)
        }
        _ => Err(QueryError::new(ErrorCode::Syntax, "expected one statement")),
    }
}

/// The parser takes all of `b AND c` for the right side of `a IS DISTINCT FROM b AND c`, which would be
/// a wrong result without an error.
fn check_precedence(statement: &DataFusionStatement) -> Result<(), QueryError> {
    let DataFusionStatement::Statement(statement) = statement else {
        return Ok(());
    };
    let is_misread = |expression: &Expr| match expression {
        Expr::IsDistinctFrom(_, right) | Expr::IsNotDistinctFrom(_, right) => {
            let connects = |op: &BinaryOperator| {
                matches!(
                    op,
                    BinaryOperator::And | BinaryOperator::Or | BinaryOperator::Xor
                )
            };
            matches!(right.as_ref(), Expr::BinaryOp { op, .. } if connects(op))
        }
        _ => false,
    };
    let found = visit_expressions(statement.as_ref(), |expression| {
        match is_misread(expression) {
            true => ControlFlow::Break(expression.span().start),
            false => ControlFlow::Continue(()),
        }
    });
    match found {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(location) => {
            let text = "put parentheses around 'a IS DISTINCT FROM b' where AND or OR follows it";
            Err(QueryError::new(ErrorCode::Syntax, text).at(position(location)))
        }
    }
}

/// Refuses by name what is not supported, rather than letting it fail somewhere inside.
pub(super) fn check_is_query(statement: &DataFusionStatement) -> Result<(), QueryError> {
    let refused = match statement {
        DataFusionStatement::Statement(statement) => match statement.as_ref() {
            SqlStatement::Query(_) => return Ok(()),
            other => first_words(&other.to_string()),
        },
        DataFusionStatement::CopyTo(_) => "COPY".to_owned(),
        DataFusionStatement::CreateExternalTable(_) => "CREATE EXTERNAL TABLE here".to_owned(),
        DataFusionStatement::Explain(_) => "EXPLAIN of EXPLAIN".to_owned(),
        DataFusionStatement::Reset(_) => "RESET here".to_owned(),
    };
    let text = format!("{refused} is not supported");
    Err(QueryError::new(ErrorCode::Unsupported, text))
}

/// The words that name a statement, e.g. `CREATE VIEW`.
fn first_words(sql: &str) -> String {
    sql.split_whitespace()
        .take(2)
        .take_while(|word| word.chars().all(|letter| letter.is_ascii_uppercase()))
        .collect::<Vec<_>>()
        .join(" ")
}

fn syntax_error(error: &DataFusionError) -> QueryError {
    match error {
        DataFusionError::SQL(inner, _) => match inner.as_ref() {
            ParserError::RecursionLimitExceeded => QueryError::new(
                ErrorCode::StatementTooLarge,
                "the statement is nested too deep",
            ),
            ParserError::ParserError(text) | ParserError::TokenizerError(text) => {
                let (text, position) = split_position(text);
                let text = text.replace("found: EOF", "found: the end of the statement");
                QueryError::new(ErrorCode::Syntax, lower_first(&text)).at(position)
            }
        },
        DataFusionError::Diagnostic(_, inner) => syntax_error(inner),
        other => skep_runtime::error::from_datafusion(other),
    }
}

/// The parser keeps its place only as the end of its text: ` at Line: 1, Column: 8`.
fn split_position(text: &str) -> (&str, Option<Position>) {
    let Some((message, place)) = text.rsplit_once(" at Line: ") else {
        return (text, None);
    };
    let parsed = place.split_once(", Column: ").and_then(|(line, column)| {
        Some(Position {
            line: line.trim().parse().ok()?,
            column: column.trim().parse().ok()?,
        })
    });
    match parsed {
        Some(position) if position.line > 0 => (message, Some(position)),
        _ => (message, None),
    }
}

pub(super) fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => String::new(),
    }
}
