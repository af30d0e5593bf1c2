//! `COPY … TO` and `COPY … FROM`.

use super::query::source_query_of;
use super::tokenize;
use crate::statement::{CopyFrom, CopyOption, CopyTo, Cursor, Dialect, SourceQuery, Statement};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};
use skep_protocol::QueryError;

/// Reads what follows `COPY`.
pub(super) fn copy(cursor: &mut Cursor) -> Result<Statement, QueryError> {
    if cursor.peek() == Some(&Token::LParen) {
        let source = source_query_of(in_parentheses(cursor)?)?;
        cursor.expect(&["to"])?;
        return copy_to(cursor, source);
    }
    let table = cursor.table_name()?;
    let columns = match cursor.peek() {
        Some(Token::LParen) => cursor.parenthesised(|cursor| cursor.name("a column"))?,
        _ => Vec::new(),
    };
    if cursor.accept(&["from"]) {
        let places = match cursor.accept_token(&Token::LBracket) {
            true => {
                let places = cursor.list(|cursor| cursor.string("a file in quotes"))?;
                cursor.expect_token(&Token::RBracket)?;
                places
            }
            false => vec![cursor.string("a file in quotes")?],
        };
        return Ok(Statement::CopyFrom(Box::new(CopyFrom {
            table,
            columns,
            places,
            options: options(cursor)?,
        })));
    }
    if !cursor.accept(&["to"]) {
        return Err(cursor.unexpected("TO or FROM"));
    }
    let quoted = |name: &String| format!("\"{}\"", name.replace('"', "\"\""));
    let listed: Vec<String> = columns.iter().map(quoted).collect();
    let list = match listed.is_empty() {
        true => "*".to_owned(),
        false => listed.join(", "),
    };
    let database = table.database.as_ref().map(|name| quoted(name) + ".");
    let name = quoted(&table.table);
    let sql = format!("SELECT {list} FROM {}{name}", database.unwrap_or_default());
    copy_to(cursor, source_query_of(tokenize(&sql, Dialect::Standard)?)?)
}

fn copy_to(cursor: &mut Cursor, source: SourceQuery) -> Result<Statement, QueryError> {
    Ok(Statement::CopyTo(Box::new(CopyTo {
        place: cursor.string("a file or a directory in quotes")?,
        source,
        options: options(cursor)?,
    })))
}

/// The tokens within the parentheses that come next.
fn in_parentheses(cursor: &mut Cursor) -> Result<Vec<TokenWithSpan>, QueryError> {
    cursor.expect_token(&Token::LParen)?;
    let start = cursor.clone();
    skip_until(cursor, |token| *token == Token::RParen);
    let inner = start.until(cursor.index());
    cursor.expect_token(&Token::RParen)?;
    Ok(inner)
}

/// Goes to the first token outside of further parentheses that ends what comes.
fn skip_until(cursor: &mut Cursor, ends: impl Fn(&Token) -> bool) {
    let mut depth = 0_usize;
    while let Some(token) = cursor.peek() {
        if depth == 0 && ends(token) {
            return;
        }
        match token {
            Token::LParen | Token::LBrace | Token::LBracket => depth += 1,
            Token::RParen | Token::RBrace | Token::RBracket => depth = depth.saturating_sub(1),
            _ => {}
        }
        cursor.skip();
    }
}

/// Reads `(FORMAT csv, HEADER, DELIMITER ';', PARTITION_BY (a, b))` where it comes next.
fn options(cursor: &mut Cursor) -> Result<Vec<CopyOption>, QueryError> {
    cursor.accept(&["with"]);
    match cursor.peek() {
        Some(Token::LParen) => cursor.parenthesised(option),
        _ => Ok(Vec::new()),
    }
}

fn option(cursor: &mut Cursor) -> Result<CopyOption, QueryError> {
    let name = cursor.name("an option")?.to_lowercase();
    let _ = cursor.accept_token(&Token::Eq) || cursor.accept_token(&Token::RArrow);
    let start = cursor.clone();
    skip_until(cursor, |token| {
        matches!(token, Token::Comma | Token::RParen)
    });
    let tokens = start.until(cursor.index());
    let text: Vec<String> = tokens.iter().map(|token| token.token.to_string()).collect();
    let words = tokens.into_iter().filter_map(|token| match token.token {
        Token::Word(word) => Some(word.value),
        Token::SingleQuotedString(text) | Token::DoubleQuotedString(text) => Some(text),
        Token::Number(number, _) => Some(number),
        _ => None,
    });
    Ok(CopyOption {
        name,
        words: words.collect(),
        text: text.join(" "),
    })
}
