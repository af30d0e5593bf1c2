//! What is meant where standard SQL and Hive disagree, and both cannot be had.

use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::dialect::{Dialect as SqlDialect, GenericDialect};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, TokenizerError};
use std::fmt;
use std::str::FromStr;

/// The meaning of double quotes and backslashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// `"a"` is a name, and a backslash stands for itself.
    #[default]
    Standard,
    /// `"a"` is a string, and a backslash takes the meaning from the next character.
    Hive,
}

impl FromStr for Dialect {
    type Err = DataFusionError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name.to_ascii_lowercase().as_str() {
            "standard" => Ok(Self::Standard),
            "hive" => Ok(Self::Hive),
            _ => Err(DataFusionError::Configuration(
                "the dialects are standard and hive".to_owned(),
            )),
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Standard => "standard",
            Self::Hive => "hive",
        })
    }
}

impl Dialect {
    /// The tokens of a statement, white space included.
    pub(super) fn tokenize(self, sql: &str) -> Result<Vec<TokenWithSpan>, TokenizerError> {
        let tokens = match self {
            Self::Standard => Tokenizer::new(&GenericDialect {}, sql).tokenize_with_location()?,
            Self::Hive => {
                let tokens = Tokenizer::new(&HiveTokens, sql).tokenize_with_location()?;
                let as_standard = |token: TokenWithSpan| TokenWithSpan {
                    token: match token.token {
                        Token::DoubleQuotedString(text) => Token::SingleQuotedString(text),
                        other => other,
                    },
                    span: token.span,
                };
                tokens.into_iter().map(as_standard).collect()
            }
        };
        Ok(without_empty_parentheses(tokens))
    }
}

/// Leaves out the parentheses of `current_user()` and its like, which the parser knows without alone.
fn without_empty_parentheses(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut kept: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let is_empty = token.token == Token::LParen
            && tokens.peek().map(|next| &next.token) == Some(&Token::RParen)
            && kept
                .last()
                .is_some_and(|before| names_the_session(&before.token));
        match is_empty {
            true => drop(tokens.next()),
            false => kept.push(token),
        }
    }
    kept
}

fn names_the_session(token: &Token) -> bool {
    let keywords = [
        Keyword::CURRENT_CATALOG,
        Keyword::CURRENT_USER,
        Keyword::SESSION_USER,
    ];
    matches!(token, Token::Word(word) if keywords.contains(&word.keyword))
}

/// How Hive cuts a statement into tokens.
#[derive(Debug)]
struct HiveTokens;

impl SqlDialect for HiveTokens {
    fn is_delimited_identifier_start(&self, letter: char) -> bool {
        letter == '`'
    }

    fn is_identifier_start(&self, letter: char) -> bool {
        GenericDialect {}.is_identifier_start(letter)
    }

    fn is_identifier_part(&self, letter: char) -> bool {
        GenericDialect {}.is_identifier_part(letter)
    }

    fn supports_string_literal_backslash_escape(&self) -> bool {
        true
    }

    fn supports_pipe_operator(&self) -> bool {
        true
    }
}
