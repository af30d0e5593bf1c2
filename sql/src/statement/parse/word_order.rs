//! Clauses whose words the parser does not know in their place: units of intervals, EXCLUDE of window frames, and
//! DuckDB's ASOF JOIN.

use super::unsupported;
use crate::statement::cursor::position;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Word};
use skep_protocol::{ErrorCode, QueryError};

/// Units of intervals in every spelling; the ones that the parser knows, and some more that the reader of
/// intervals does.
const UNITS: &[&str] = &[
    "century",
    "centuries",
    "day",
    "days",
    "decade",
    "decades",
    "hour",
    "hours",
    "microsecond",
    "microseconds",
    "millenium",
    "millennia",
    "millennium",
    "millenniums",
    "millisecond",
    "milliseconds",
    "minute",
    "minutes",
    "month",
    "months",
    "nanosecond",
    "nanoseconds",
    "quarter",
    "quarters",
    "second",
    "seconds",
    "week",
    "weeks",
    "year",
    "years",
];

/// Words that are fields of dates and no units, and yet follow an interval as if they were.
const NO_UNITS: &[Keyword] = &[
    Keyword::DATE,
    Keyword::DATETIME,
    Keyword::DAYOFWEEK,
    Keyword::DAYOFYEAR,
    Keyword::DOW,
    Keyword::DOY,
    Keyword::EPOCH,
    Keyword::ISODOW,
    Keyword::ISOWEEK,
    Keyword::ISOYEAR,
    Keyword::JULIAN,
    Keyword::TIME,
    Keyword::TIMEZONE,
    Keyword::TIMEZONE_HOUR,
    Keyword::TIMEZONE_MINUTE,
];

/// Puts such clauses into words that the parser knows.
///
/// # Errors
/// `Syntax` for what is no unit of an interval, `Unsupported` for EXCLUDE in a frame and GLOBAL JOIN.
pub(super) fn rewrite(tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>, QueryError> {
    let mut tokens = without_pairs(join_units(tokens)?);
    let mut index = 0;
    while index < tokens.len() {
        if let Some(length) = frame_exclusion(&tokens, index)? {
            tokens.drain(index..index + length);
            continue;
        }
        if word_at(&tokens, index, "global") && is_join(&tokens, index + 1) {
            let at = tokens.get(index).and_then(|it| position(it.span.start));
            return Err(unsupported("GLOBAL JOIN").at(at));
        }
        if word_at(&tokens, index, "asof")
            && is_join(&tokens, index + 1)
            && !has_match_condition(&tokens, index)
            && let Some(token) = tokens.get_mut(index)
        {
            // See `planner/src/resolution/names/asof.rs`.
            token.token = word("GLOBAL", Keyword::GLOBAL);
            index += 1;
        }
        index += 1;
    }
    Ok(tokens)
}

fn word(value: &str, keyword: Keyword) -> Token {
    Token::Word(Word {
        value: value.to_owned(),
        quote_style: None,
        keyword,
    })
}

fn unquoted(tokens: &[TokenWithSpan], index: usize) -> Option<&Word> {
    match tokens.get(index).map(|token| &token.token) {
        Some(Token::Word(word)) if word.quote_style.is_none() => Some(word),
        _ => None,
    }
}

fn word_at(tokens: &[TokenWithSpan], index: usize, wanted: &str) -> bool {
    unquoted(tokens, index).is_some_and(|word| word.value.eq_ignore_ascii_case(wanted))
}

fn words_at(tokens: &[TokenWithSpan], index: usize, wanted: &[&str]) -> bool {
    let mut wanted = wanted.iter().enumerate();
    wanted.all(|(offset, wanted)| word_at(tokens, index + offset, wanted))
}

/// `INTERVAL '3' days` as `INTERVAL '3 days'`, also with several units, and with ones that the parser does not know.
fn join_units(tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>, QueryError> {
    let mut joined: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let mut index = 0;
    while let Some(token) = tokens.get(index) {
        joined.push(token.clone());
        index += 1;
        if !word_at(&tokens, index - 1, "interval") {
            continue;
        }
        check_unit(&tokens, index)?;
        let (parts, end) = parts(&tokens, index);
        let is_known = parts
            .iter()
            .all(|(_, unit)| unit.keyword != Keyword::NoKeyword);
        if parts.is_empty() || (parts.len() == 1 && is_known) {
            continue;
        }
        let text = parts
            .iter()
            .map(|(count, unit)| format!("{count} {}", unit.value));
        let text = text.collect::<Vec<_>>().join(" ");
        if let Some(first) = tokens.get(index) {
            joined.push(TokenWithSpan {
                token: Token::SingleQuotedString(text),
                span: first.span,
            });
        }
        index = end;
    }
    Ok(joined)
}

/// A number before a unit, and how many tokens it has.
fn count(tokens: &[TokenWithSpan], index: usize) -> Option<(String, usize)> {
    let (sign, index, length) = match tokens.get(index).map(|token| &token.token) {
        Some(Token::Minus) => ("-", index + 1, 2),
        _ => ("", index, 1),
    };
    match tokens.get(index).map(|token| &token.token) {
        Some(Token::Number(number, false)) => Some((format!("{sign}{number}"), length)),
        Some(Token::SingleQuotedString(text)) if is_number(text) => {
            let text = text.trim();
            match (sign, text.strip_prefix('-')) {
                ("-", Some(positive)) => Some((positive.to_owned(), length)),
                _ => Some((format!("{sign}{text}"), length)),
            }
        }
        _ => None,
    }
}

fn is_number(text: &str) -> bool {
    let text = text.trim();
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    !digits.is_empty()
        && digits
            .chars()
            .all(|letter| letter.is_ascii_digit() || letter == '.')
}

/// The numbers with units behind INTERVAL, and where they end.
fn parts(tokens: &[TokenWithSpan], start: usize) -> (Vec<(String, Word)>, usize) {
    let mut parts = Vec::new();
    let mut index = start;
    while let Some((number, length)) = count(tokens, index) {
        let Some(unit) = unquoted(tokens, index + length) else {
            break;
        };
        let is_unit = UNITS
            .iter()
            .any(|known| unit.value.eq_ignore_ascii_case(known));
        // `DAY TO SECOND` is the standard's, and `SECOND (3)` has a precision.
        let goes_on = word_at(tokens, index + length + 1, "to")
            || tokens.get(index + length + 1).map(|it| &it.token) == Some(&Token::LParen);
        if !is_unit || goes_on {
            break;
        }
        parts.push((number, unit.clone()));
        index += length + 1;
    }
    (parts, index)
}

/// The parser takes a word that is no unit for the name of a column, and the number for seconds.
fn check_unit(tokens: &[TokenWithSpan], index: usize) -> Result<(), QueryError> {
    let Some((_, length)) = count(tokens, index) else {
        return Ok(());
    };
    let Some(unit) = unquoted(tokens, index + length) else {
        return Ok(());
    };
    let is_unit = UNITS
        .iter()
        .any(|known| unit.value.eq_ignore_ascii_case(known));
    let is_taken = unit.keyword == Keyword::NoKeyword || NO_UNITS.contains(&unit.keyword);
    match !is_unit && is_taken {
        true => {
            let at = tokens.get(index + length);
            Err(no_unit(&unit.value).at(at.and_then(|it| position(it.span.start))))
        }
        false => Ok(()),
    }
}

/// The error about a word that is no unit of an interval.
pub(super) fn no_unit(word: &str) -> QueryError {
    let text = format!("'{word}' is no unit of an interval");
    QueryError::new(ErrorCode::Syntax, text)
}

/// The tokens of `EXCLUDE NO OTHERS` behind a frame, which excludes nothing.
fn frame_exclusion(tokens: &[TokenWithSpan], index: usize) -> Result<Option<usize>, QueryError> {
    let ends_frame = |word: &Word| {
        ["preceding", "following", "row"]
            .iter()
            .any(|end| word.value.eq_ignore_ascii_case(end))
    };
    let follows_frame = index
        .checked_sub(1)
        .and_then(|before| unquoted(tokens, before))
        .is_some_and(ends_frame);
    if !follows_frame || !word_at(tokens, index, "exclude") {
        return Ok(None);
    }
    if words_at(tokens, index + 1, &["no", "others"]) {
        return Ok(Some(3));
    }
    let excluded = [
        (&["current", "row"][..], "EXCLUDE CURRENT ROW"),
        (&["group"][..], "EXCLUDE GROUP"),
        (&["ties"][..], "EXCLUDE TIES"),
    ];
    let found = excluded
        .iter()
        .find(|(words, _)| words_at(tokens, index + 1, words));
    match found {
        None => Ok(None),
        Some((_, name)) => {
            let at = tokens.get(index).and_then(|it| position(it.span.start));
            Err(unsupported(&format!("{name} in a window's frame")).at(at))
        }
    }
}

/// `JSON_OBJECT (KEY 'a' VALUE 1, 'b': 2)` as `JSON_OBJECT ('a', 1, 'b', 2)`.
fn without_pairs(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut written: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    // For each open parenthesis whether it is that of a JSON object.
    let mut open: Vec<bool> = Vec::new();
    for index in 0..tokens.len() {
        let Some(token) = tokens.get(index) else {
            continue;
        };
        let is_within = open.last() == Some(&true);
        match &token.token {
            Token::LParen | Token::LBracket | Token::LBrace => {
                let before = index.checked_sub(1);
                open.push(before.is_some_and(|before| word_at(&tokens, before, "json_object")));
            }
            Token::RParen | Token::RBracket | Token::RBrace => drop(open.pop()),
            Token::Colon if is_within => {
                written.push(TokenWithSpan {
                    token: Token::Comma,
                    span: token.span,
                });
                continue;
            }
            Token::Word(_)
                if is_within && word_at(&tokens, index, "value") && ends_value(&written) =>
            {
                written.push(TokenWithSpan {
                    token: Token::Comma,
                    span: token.span,
                });
                continue;
            }
            Token::Word(_) if is_within && word_at(&tokens, index, "key") => {
                let before = index.checked_sub(1).and_then(|before| tokens.get(before));
                let begins = before
                    .is_some_and(|before| matches!(before.token, Token::LParen | Token::Comma));
                let behind = tokens.get(index + 1).map(|behind| &behind.token);
                let is_column = matches!(
                    behind,
                    Some(Token::Comma | Token::Colon | Token::RParen | Token::Period) | None
                );
                if begins && !is_column && !word_at(&tokens, index + 1, "value") {
                    continue;
                }
            }
            _ => {}
        }
        written.push(token.clone());
    }
    written
}

/// Whether a value stands last, rather than what begins another.
fn ends_value(written: &[TokenWithSpan]) -> bool {
    written
        .last()
        .is_some_and(|last| !matches!(last.token, Token::LParen | Token::Comma))
}

fn is_join(tokens: &[TokenWithSpan], index: usize) -> bool {
    [
        "join", "left", "right", "inner", "full", "semi", "anti", "cross",
    ]
    .iter()
    .any(|kind| word_at(tokens, index, kind))
}

/// Whether an ASOF JOIN is written as Snowflake's, before what may follow its table.
fn has_match_condition(tokens: &[TokenWithSpan], asof: usize) -> bool {
    let mut depth = 0_usize;
    let mut joins = 0_usize;
    for index in asof + 1..tokens.len() {
        match tokens.get(index).map(|token| &token.token) {
            Some(Token::LParen) => depth += 1,
            Some(Token::RParen) if depth == 0 => return false,
            Some(Token::RParen) => depth -= 1,
            _ if depth > 0 => {}
            _ if word_at(tokens, index, "match_condition") => return true,
            _ if word_at(tokens, index, "on") || word_at(tokens, index, "using") => return false,
            _ if word_at(tokens, index, "join") => {
                joins += 1;
                if joins > 1 {
                    return false;
                }
            }
            _ => {}
        }
    }
    false
}
