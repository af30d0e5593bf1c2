//! `EXPLAIN`.

use super::clauses::unsupported;
use super::query::source_query;
use crate::statement::{Cursor, Explain, ExplainFormat, Statement};
use datafusion::sql::sqlparser::tokenizer::Token;
use skep_protocol::QueryError;

/// Reads what follows `EXPLAIN`.
pub(super) fn explain(cursor: &mut Cursor) -> Result<Statement, QueryError> {
    for (word, name) in [
        ("extended", "EXPLAIN EXTENDED; write EXPLAIN VERBOSE"),
        (
            "formatted",
            "EXPLAIN FORMATTED; write EXPLAIN (FORMAT JSON)",
        ),
        ("cbo", "EXPLAIN CBO"),
        ("cost", "EXPLAIN COST"),
        ("vectorization", "EXPLAIN VECTORIZATION"),
        ("dependency", "EXPLAIN DEPENDENCY"),
        ("authorization", "EXPLAIN AUTHORIZATION"),
        ("ast", "EXPLAIN AST"),
        ("locks", "EXPLAIN LOCKS"),
        ("codegen", "EXPLAIN CODEGEN"),
    ] {
        if cursor.is_next(&[word]) {
            return Err(unsupported(name));
        }
    }
    let mut explain = (false, false, ExplainFormat::Text);
    let is_query = |cursor: &Cursor| {
        let mut inner = cursor.clone();
        inner.accept_token(&Token::LParen);
        ["select", "with", "values", "from", "("]
            .iter()
            .any(|word| inner.is_next(&[word]))
    };
    if !is_query(cursor) && cursor.accept_token(&Token::LParen) {
        loop {
            option(cursor, &mut explain)?;
            if !cursor.accept_token(&Token::Comma) {
                break;
            }
        }
        if !cursor.accept_token(&Token::RParen) {
            return Err(cursor.unexpected("',' or ')'"));
        }
    } else {
        while ["analyze", "verbose", "format"]
            .iter()
            .any(|word| cursor.is_next(&[word]))
        {
            option(cursor, &mut explain)?;
        }
    }
    let statement = source_query(cursor)?.statement;
    let (analyze, verbose, format) = explain;
    Ok(Statement::Explain(Explain {
        analyze,
        verbose,
        format,
        statement,
    }))
}

fn option(
    cursor: &mut Cursor,
    (analyze, verbose, format): &mut (bool, bool, ExplainFormat),
) -> Result<(), QueryError> {
    if cursor.accept(&["analyze"]) {
        *analyze = true;
    } else if cursor.accept(&["verbose"]) {
        *verbose = true;
    } else if cursor.accept(&["format"]) {
        *format = if cursor.accept(&["json"]) {
            ExplainFormat::Json
        } else if cursor.accept(&["text"]) {
            ExplainFormat::Text
        } else {
            return Err(cursor.unexpected("TEXT or JSON"));
        };
    } else {
        return Err(cursor.unexpected("ANALYZE, VERBOSE or FORMAT"));
    }
    Ok(())
}
