//! `CAST(x AS STRUCT<a:INT>)` and its like: the parser of queries knows these types in other spellings,
//! if at all. They are read here as everywhere else and handed through the parser as one word.

use super::types::parse_type;
use crate::statement::Cursor;
use datafusion::arrow::datatypes::DataType;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Whitespace, Word};
use skep_protocol::QueryError;

/// How the word begins that stands for a type.
const TYPE_PREFIX: &str = "skep type ";

/// Puts one word in place of every nested type behind AS or `::`.
///
/// # Errors
/// Those of reading a type.
pub(super) fn name_types(tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>, QueryError> {
    let is_nested = |index: usize| is_nested_type(&tokens, index);
    if !(0..tokens.len()).any(is_nested) {
        return Ok(tokens);
    }
    let mut result = Vec::with_capacity(tokens.len());
    let mut next = 0;
    while let Some(token) = tokens.get(next) {
        if !is_nested(next) {
            result.push(token.clone());
            next += 1;
            continue;
        }
        let mut cursor = Cursor::new(tokens[next..].to_vec(), "");
        parse_type(&mut cursor)?;
        let end = next + cursor.index();
        let text: Vec<String> = tokens[next..end]
            .iter()
            .map(|token| token.token.to_string())
            .collect();
        let name = Token::Word(Word {
            value: format!("{TYPE_PREFIX}{}", text.join(" ")),
            quote_style: Some('"'),
            keyword: Keyword::NoKeyword,
        });
        let span = token.span;
        result.push(TokenWithSpan { token: name, span });
        next = end;
    }
    Ok(result)
}

fn is_nested_type(tokens: &[TokenWithSpan], index: usize) -> bool {
    let token = |index: usize| tokens.get(index).map(|token| &token.token);
    let is_word = |index: usize, words: &[&str]| {
        matches!(token(index), Some(Token::Word(word)) if word.quote_style.is_none()
            && words.iter().any(|found| word.value.eq_ignore_ascii_case(found)))
    };
    let follows_as = index.checked_sub(1).is_some_and(|before| {
        is_word(before, &["as"]) || token(before) == Some(&Token::DoubleColon)
    });
    follows_as
        && is_word(index, &["array", "map", "struct"])
        && token(index + 1) == Some(&Token::Lt)
}

/// The type that a word stands for, if it stands for one.
///
/// # Errors
/// Those of reading a type.
pub fn named_type(word: &str) -> Result<Option<DataType>, QueryError> {
    let Some(text) = word.strip_prefix(TYPE_PREFIX) else {
        return Ok(own_name(word));
    };
    read(text).map(Some)
}

/// A type that has a name of Hive's or Spark's: `LONG`, `TIMESTAMP_LTZ`.
fn own_name(word: &str) -> Option<DataType> {
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let is_name = !word.is_empty() && word.chars().all(is_word);
    is_name.then(|| read(word).ok())?
}

fn read(text: &str) -> Result<DataType, QueryError> {
    let tokens = Tokenizer::new(&GenericDialect {}, text).tokenize_with_location();
    let mut tokens = tokens.map_err(|error| QueryError::internal(error.to_string()))?;
    tokens.retain(|token| !matches!(token.token, Token::Whitespace(Whitespace::Space)));
    let mut cursor = Cursor::new(tokens, text);
    parse_type(&mut cursor).map(|found| found.data_type)
}
