//! How a dialect cuts a statement into the parser's tokens.

use crate::dialect::Dialect;
use datafusion::sql::sqlparser::dialect::{Dialect as SqlDialect, GenericDialect};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, TokenizerError};

impl Dialect {
    /// The parser's tokens of a statement, white space included.
    pub fn parser_tokens(self, sql: &str) -> Result<Vec<TokenWithSpan>, TokenizerError> {
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
