//! A reader of tokens for the statements that only Skep has.

use super::TableName;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan};
use skep_protocol::{ErrorCode, Position, QueryError};

/// The tokens of a statement and how far they have been read.
#[derive(Clone, Debug)]
pub struct Cursor {
    tokens: Vec<TokenWithSpan>,
    next: usize,
}

impl Cursor {
    /// At the first of `tokens`, which hold no white space and no comments.
    pub fn new(tokens: Vec<TokenWithSpan>) -> Self {
        Self { tokens, next: 0 }
    }

    /// The tokens that have not been read.
    pub fn rest(&self) -> Vec<TokenWithSpan> {
        self.tokens[self.next..].to_vec()
    }

    fn peek(&self) -> Option<&Token> {
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
pub(super) fn position(location: Location) -> Option<Position> {
    (location.line > 0).then_some(Position {
        line: location.line,
        column: location.column,
    })
}
