//! What DataFusion's parser does not know of Hive's queries, put into words that it knows.

use super::clauses::unsupported;
use super::nested_types::name_types;
use super::word_order;
use crate::statement::cursor::position;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Word};
use skep_protocol::QueryError;

/// Words that a query cannot go on with, and what is called by them.
const REFUSED: &[(&[&str], &str)] = &[
    (&["for", "system_time"], "FOR SYSTEM_TIME AS OF"),
    (&["for", "system_version"], "FOR SYSTEM_VERSION AS OF"),
    (&["version", "as", "of"], "VERSION AS OF"),
    (&["timestamp", "as", "of"], "TIMESTAMP AS OF"),
    (&["select", "transform"], "TRANSFORM"),
];

/// Words that follow a table and are not its alias.
const FOLLOWS_TABLE: &[&str] = &[
    "anti",
    "cluster",
    "cross",
    "distribute",
    "except",
    "fetch",
    "for",
    "full",
    "group",
    "having",
    "inner",
    "insert",
    "intersect",
    "join",
    "lateral",
    "left",
    "limit",
    "minus",
    "natural",
    "offset",
    "on",
    "order",
    "qualify",
    "right",
    "select",
    "semi",
    "sort",
    "union",
    "using",
    "where",
    "window",
];

/// Rewrites the tokens of a query.
///
/// # Errors
/// `Unsupported` with its place.
pub(super) fn rewrite(tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>, QueryError> {
    let mut tokens = word_order::rewrite(name_types(tokens)?)?;
    for index in 0..tokens.len() {
        if let Some((_, name)) = REFUSED
            .iter()
            .find(|(words, _)| are_words(&tokens, index, words))
            && !is_call_of_transform(&tokens, index)
        {
            let at = tokens
                .get(index)
                .and_then(|token| position(token.span.start));
            return Err(unsupported(name).at(at));
        }
    }
    tokens = super::lambdas::mark(tokens);
    put_samples_behind_aliases(&mut tokens);
    leave_local_out(&mut tokens);
    for index in 0..tokens.len() {
        let follows_operand = index > 0 && tokens.get(index - 1).is_some_and(ends_operand);
        let Some(token) = tokens.get_mut(index) else {
            continue;
        };
        if follows_operand && is_word(&token.token, "div") {
            // The one operator of the same precedence that nobody uses.
            token.token = Token::DuckIntDiv;
        } else if !follows_operand && token.token == Token::ExclamationMark {
            token.token = Token::Word(Word {
                value: "NOT".to_owned(),
                quote_style: None,
                keyword: Keyword::NOT,
            });
        }
    }
    Ok(tokens)
}

/// Whether `SELECT transform(…)` calls the function: what runs a script goes on with USING.
fn is_call_of_transform(tokens: &[TokenWithSpan], select: usize) -> bool {
    let end = are_words(tokens, select, &["select", "transform"])
        .then(|| closing(tokens, select + 2))
        .flatten();
    end.is_some_and(|end| {
        !are_words(tokens, end + 1, &["using"]) && !are_words(tokens, end + 1, &["row"])
    })
}

fn is_word(token: &Token, word: &str) -> bool {
    matches!(token, Token::Word(found)
        if found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word))
}

fn are_words(tokens: &[TokenWithSpan], start: usize, words: &[&str]) -> bool {
    words.iter().enumerate().all(|(offset, word)| {
        tokens
            .get(start + offset)
            .is_some_and(|token| is_word(&token.token, word))
    })
}

/// Whether an operand may end with the token, so that an operator follows it.
fn ends_operand(token: &TokenWithSpan) -> bool {
    match &token.token {
        Token::Word(word) => {
            word.quote_style.is_some() || {
                !matches!(
                    word.keyword,
                    Keyword::SELECT
                        | Keyword::WHERE
                        | Keyword::AND
                        | Keyword::OR
                        | Keyword::NOT
                        | Keyword::ON
                        | Keyword::WHEN
                        | Keyword::THEN
                        | Keyword::ELSE
                        | Keyword::CASE
                        | Keyword::HAVING
                        | Keyword::BY
                        | Keyword::DISTINCT
                        | Keyword::BETWEEN
                        | Keyword::IN
                )
            }
        }
        Token::Number(_, _)
        | Token::SingleQuotedString(_)
        | Token::RParen
        | Token::RBracket
        | Token::Placeholder(_) => true,
        _ => false,
    }
}

/// `TIMESTAMP WITH LOCAL TIME ZONE` is the one type of timestamps with a zone that there is.
fn leave_local_out(tokens: &mut Vec<TokenWithSpan>) {
    let mut index = 0;
    while index < tokens.len() {
        if are_words(tokens, index, &["with", "local", "time", "zone"]) {
            tokens.remove(index + 1);
        }
        index += 1;
    }
}

/// Hive writes `t TABLESAMPLE (…) alias`; the parser wants the alias first.
fn put_samples_behind_aliases(tokens: &mut [TokenWithSpan]) {
    for start in 0..tokens.len() {
        let opens = tokens.get(start + 1).map(|token| &token.token) == Some(&Token::LParen);
        let is_sample = tokens
            .get(start)
            .is_some_and(|token| is_word(&token.token, "tablesample"));
        if !is_sample || !opens {
            continue;
        }
        let Some(end) = closing(tokens, start + 1) else {
            continue;
        };
        let mut alias = end + 1;
        if are_words(tokens, alias, &["as"]) {
            alias += 1;
        }
        let is_alias = match tokens.get(alias).map(|token| &token.token) {
            Some(Token::Word(word)) => {
                word.quote_style.is_some()
                    || !FOLLOWS_TABLE
                        .iter()
                        .any(|follows| word.value.eq_ignore_ascii_case(follows))
            }
            _ => false,
        };
        if is_alias && let Some(moved) = tokens.get_mut(start..=alias) {
            moved.rotate_right(alias - end);
        }
    }
}

/// The index of the parenthesis that closes the one at `open`.
fn closing(tokens: &[TokenWithSpan], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(index);
                }
            }
            _ => {}
        }
    }
    None
}
