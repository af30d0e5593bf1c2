//! A reader of tokens for the statements that only Skep has.

use super::TableName;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan};
use skep_protocol::{ErrorCode, Position, QueryError};
use std::sync::Arc;

/// The tokens of a statement and how far they have been read.
#[derive(Clone, Debug)]
pub struct Cursor {
    tokens: Arc<[TokenWithSpan]>,
    text: Arc<str>,
    next: usize,
}

impl Cursor {
    /// At the first of `tokens`, which hold no white space and no comments, and are those of `text`.
    pub fn new(tokens: Vec<TokenWithSpan>, text: &str) -> Self {
        Self {
            tokens: tokens.into(),
            text: text.into(),
            next: 0,
        }
    }

    /// Goes to the end.
    pub fn skip_rest(&mut self) {
        self.next = self.tokens.len();
    }

    /// The text from the next token to the end of the last one.
    pub fn rest_text(&self) -> &str {
        let start = self.tokens.get(self.next).map(|token| token.span.start);
        let end = self.tokens.last().map(|token| token.span.end);
        let offset = |location: Option<Location>| location.and_then(|at| offset(&self.text, at));
        match (offset(start), offset(end)) {
            (Some(start), Some(end)) => self.text.get(start..end).unwrap_or_default(),
            _ => "",
        }
    }

    /// How many tokens have been read.
    pub fn index(&self) -> usize {
        self.next
    }

    /// The tokens that have not been read, up to the one with the index `end`.
    pub fn until(&self, end: usize) -> Vec<TokenWithSpan> {
        self.tokens[self.next..end.max(self.next)].to_vec()
    }

    /// Reads one token, whatever it is.
    pub fn skip(&mut self) -> Option<Token> {
        let token = self.peek().cloned();
        self.next += usize::from(token.is_some());
        token
    }

    /// The tokens that have not been read.
    pub fn rest(&self) -> Vec<TokenWithSpan> {
        self.tokens[self.next..].to_vec()
    }

    /// The next token.
    pub fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|token| &token.token)
    }

    /// Whether everything has been read.
    pub fn is_at_end(&self) -> bool {
        self.peek().is_none()
    }

    fn is_word(&self, offset: usize, word: &str) -> bool {
        match self
            .tokens
            .get(self.next + offset)
            .map(|token| &token.token)
        {
            Some(Token::Word(found)) => {
                found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word)
            }
            _ => false,
        }
    }

    /// Reads `words` where they come next, all of them or none.
    pub fn accept(&mut self, words: &[&str]) -> bool {
        let found = words
            .iter()
            .enumerate()
            .all(|(offset, word)| self.is_word(offset, word));
        if found {
            self.next += words.len();
        }
        found
    }

    /// Whether `words` come next.
    pub fn is_next(&self, words: &[&str]) -> bool {
        self.clone().accept(words)
    }

    /// Reads `token` where it comes next.
    pub fn accept_token(&mut self, token: &Token) -> bool {
        let found = self.peek() == Some(token);
        if found {
            self.next += 1;
        }
        found
    }

    /// Reads `words`, which have to come next.
    ///
    /// # Errors
    /// `Syntax` where something else does.
    pub fn expect(&mut self, words: &[&str]) -> Result<(), QueryError> {
        match self.accept(words) {
            true => Ok(()),
            false => Err(self.unexpected(&words.join(" "))),
        }
    }

    /// Reads a name.
    ///
    /// # Errors
    /// `Syntax` where something else comes.
    pub fn name(&mut self, what: &str) -> Result<String, QueryError> {
        let name = match self.peek() {
            Some(Token::Word(word)) => match word.quote_style {
                None => word.value.to_lowercase(),
                Some(_) => word.value.clone(),
            },
            _ => return Err(self.unexpected(what)),
        };
        self.next += 1;
        Ok(name)
    }

    /// Reads a token, which has to come next.
    ///
    /// # Errors
    /// `Syntax` where something else does.
    pub fn expect_token(&mut self, token: &Token) -> Result<(), QueryError> {
        match self.accept_token(token) {
            true => Ok(()),
            false => Err(self.unexpected(&format!("'{token}'"))),
        }
    }

    /// Reads `item`s with commas between them.
    ///
    /// # Errors
    /// Those of `item`.
    pub fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, QueryError>,
    ) -> Result<Vec<T>, QueryError> {
        let mut items = vec![item(self)?];
        while self.accept_token(&Token::Comma) {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// Reads `item`s with commas between them, in parentheses.
    ///
    /// # Errors
    /// Those of `item`; `Syntax`.
    pub fn parenthesised<T>(
        &mut self,
        item: impl FnMut(&mut Self) -> Result<T, QueryError>,
    ) -> Result<Vec<T>, QueryError> {
        self.expect_token(&Token::LParen)?;
        let items = self.list(item)?;
        match self.accept_token(&Token::RParen) {
            true => Ok(items),
            false => Err(self.unexpected("',' or ')'")),
        }
    }

    /// Reads a whole number.
    ///
    /// # Errors
    /// `Syntax` where something else comes.
    pub fn number(&mut self, what: &str) -> Result<u32, QueryError> {
        let number = match self.peek() {
            Some(Token::Number(number, _)) => number.parse().ok(),
            _ => None,
        };
        match number {
            Some(number) => {
                self.next += 1;
                Ok(number)
            }
            None => Err(self.unexpected(what)),
        }
    }

    /// Reads a string literal of one character, `'\\t'` and `'\\001'` included.
    ///
    /// # Errors
    /// `Syntax` where something else comes.
    pub fn character(&mut self, what: &str) -> Result<char, QueryError> {
        let mut ahead = self.clone();
        let text = ahead.string(what)?;
        match character(&text) {
            Some(found) => {
                self.next = ahead.next;
                Ok(found)
            }
            None => Err(self.unexpected("one character in quotes")),
        }
    }

    /// Reads a literal as text; `None` for NULL.
    ///
    /// # Errors
    /// `Syntax` where something else comes.
    pub fn literal(&mut self) -> Result<Option<String>, QueryError> {
        if self.accept(&["null"]) {
            return Ok(None);
        }
        for word in ["date", "timestamp"] {
            if self.accept(&[word]) {
                return self.string(&format!("a {word} in quotes")).map(Some);
            }
        }
        for word in ["true", "false"] {
            if self.accept(&[word]) {
                return Ok(Some(word.to_owned()));
            }
        }
        let sign = match self.accept_token(&Token::Minus) {
            true => "-",
            false => "",
        };
        let text = match self.peek() {
            Some(Token::Number(number, _)) => format!("{sign}{number}"),
            Some(Token::SingleQuotedString(text) | Token::DoubleQuotedString(text))
                if sign.is_empty() =>
            {
                text.clone()
            }
            _ => return Err(self.unexpected("a value")),
        };
        self.next += 1;
        Ok(Some(text))
    }

    /// Reads `table` or `database.table`.
    ///
    /// # Errors
    /// `Syntax` where something else comes.
    pub fn table_name(&mut self) -> Result<TableName, QueryError> {
        let first = self.name("a table's name")?;
        if !self.accept_token(&Token::Period) {
            return Ok(TableName {
                database: None,
                table: first,
            });
        }
        let table = self.name("a table's name")?;
        Ok(TableName {
            database: Some(first),
            table,
        })
    }

    /// Reads a string literal.
    ///
    /// # Errors
    /// `Syntax` where something else comes.
    pub fn string(&mut self, what: &str) -> Result<String, QueryError> {
        let text = match self.peek() {
            Some(Token::SingleQuotedString(text) | Token::DoubleQuotedString(text)) => text.clone(),
            _ => return Err(self.unexpected(what)),
        };
        self.next += 1;
        Ok(text)
    }

    /// Reads a setting's name: words with periods between them.
    ///
    /// # Errors
    /// `Syntax` where something else comes.
    pub fn setting_name(&mut self) -> Result<String, QueryError> {
        let mut name = self.name("a setting's name")?;
        while self.accept_token(&Token::Period) {
            name.push('.');
            name.push_str(&self.name("a setting's name")?);
        }
        Ok(name.to_lowercase())
    }

    /// Reads a setting's value: a literal or a word.
    ///
    /// # Errors
    /// `Syntax` where something else comes.
    pub fn setting_value(&mut self) -> Result<String, QueryError> {
        let negative = self.accept_token(&Token::Minus);
        let value = match self.peek() {
            Some(Token::SingleQuotedString(text) | Token::DoubleQuotedString(text)) => text.clone(),
            Some(Token::Number(number, _)) => number.clone(),
            Some(Token::Word(word)) => word.value.clone(),
            _ => return Err(self.unexpected("a value")),
        };
        self.next += 1;
        Ok(if negative { format!("-{value}") } else { value })
    }

    /// Reads the end of the statement.
    ///
    /// # Errors
    /// `Syntax` where something else comes.
    pub fn end(&self) -> Result<(), QueryError> {
        match self.is_at_end() {
            true => Ok(()),
            false => Err(self.unexpected("the end of the statement")),
        }
    }

    /// The error of finding something else than `expected`.
    pub fn unexpected(&self, expected: &str) -> QueryError {
        let found = self.tokens.get(self.next);
        let text = match found {
            Some(token) => format!("expected {expected}, found {}", token.token),
            None => format!("expected {expected}, found the end of the statement"),
        };
        let location = match found {
            Some(token) => Some(token.span.start),
            None => self.tokens.last().map(|token| token.span.end),
        };
        QueryError::new(ErrorCode::Syntax, text).at(location.and_then(position))
    }
}

/// A tokenizer's place as Skep reports it.
pub fn position(location: Location) -> Option<Position> {
    (location.line > 0).then_some(Position {
        line: location.line,
        column: location.column,
    })
}

/// Where in `text` a place is, in bytes.
fn offset(text: &str, at: Location) -> Option<usize> {
    let line_start = match at.line.checked_sub(1)? {
        0 => 0,
        lines => {
            let mut breaks = text.match_indices('\n').map(|(index, _)| index + 1);
            breaks.nth(lines as usize - 1)?
        }
    };
    let column = at.column.checked_sub(1)? as usize;
    let rest = text.get(line_start..)?;
    let within = rest.char_indices().map(|(index, _)| index);
    within
        .chain([rest.len()])
        .nth(column)
        .map(|index| line_start + index)
}

/// The one character that `text` stands for: itself, or an escape of Hive's.
fn character(text: &str) -> Option<char> {
    let mut letters = text.chars();
    match (letters.next(), letters.next()) {
        (Some(letter), None) => Some(letter),
        (Some('\\'), Some(escaped)) => match (escaped, letters.as_str()) {
            ('t', "") => Some('\t'),
            ('n', "") => Some('\n'),
            ('r', "") => Some('\r'),
            ('b', "") => Some('\u{8}'),
            ('Z', "") => Some('\u{1a}'),
            ('\\', "") => Some('\\'),
            ('\'', "") => Some('\''),
            ('"', "") => Some('"'),
            ('u', hexadecimal) => char::from_u32(u32::from_str_radix(hexadecimal, 16).ok()?),
            (first, rest) if first.is_digit(8) && rest.len() == 2 => {
                char::from_u32(u32::from_str_radix(text.get(1..)?, 8).ok()?)
            }
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_and_their_escapes() {
        for (text, expected) in [
            (",", Some(',')),
            ("\\t", Some('\t')),
            ("\\001", Some('\u{1}')),
            ("\\u0001", Some('\u{1}')),
            ("\\", Some('\\')),
            ("\\\\", Some('\\')),
            ("", None),
            ("ab", None),
        ] {
            assert_eq!(character(text), expected, "{text:?}");
        }
    }

    #[test]
    fn places_in_a_text() {
        let text = "SELECT ä,\n  b";
        for (line, column, expected) in [(1, 1, 0), (1, 8, 7), (1, 9, 9), (2, 3, 13), (2, 4, 14)] {
            assert_eq!(offset(text, Location { line, column }), Some(expected));
        }
    }
}
