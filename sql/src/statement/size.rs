//! Refuses statements that are too large or too deep, by their tokens, before anything walks them.
//!
//! Deep trees overflow stacks. And the parser reads what stands behind some words in two ways when
//! there is a mistake in it, so that its time doubles with every such word that is open: forty nested
//! CASTs with a comma missing would take hours.
//!
//! Decision: The parser takes time that doubles with every open CASE, CAST or NOT when there is a mistake inside:
//! how many may be open is bounded. It reads `a IS DISTINCT FROM b AND c` wrongly: that is refused.

use super::cursor::position;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};
use skep_protocol::{ErrorCode, QueryError};

/// How deep expressions may be nested. The time that it takes to find their types grows with the third power of
/// their depth.
pub(super) const NESTING_MAX: usize = 400;

/// How deep queries may be nested: each takes more of the planner's stack than an expression does.
const QUERIES_MAX: usize = 300;

/// How deep brackets may be nested: types that are deeper cannot be sent.
const BRACKETS_MAX: usize = 100;

/// How many operators one expression list may chain: `a OR b OR …` makes a tree as deep as it is long.
pub(super) const OPERATORS_MAX: usize = 20_000;

/// How many of the words that the parser reads in two ways may be open at a time.
pub(super) const RETRIED_OPEN_MAX: usize = 16;

/// Words that make a tree deeper by one.
const OPERATORS: &[&str] = &["and", "or", "not", "union", "case", "except", "intersect"];

/// Words that the parser tries as the beginning of an expression of their own, then as a name. They are
/// open until the parenthesis behind them is closed.
const RETRIED: &[&str] = &[
    "array",
    "cast",
    "ceil",
    "convert",
    "exists",
    "extract",
    "floor",
    "interval",
    "lambda",
    "map",
    "match",
    "not",
    "overlay",
    "position",
    "prior",
    "safe_cast",
    "struct",
    "substr",
    "substring",
    "trim",
    "try_cast",
    "try_convert",
];

/// What is open at a place in a statement.
#[derive(Default)]
struct Nesting {
    parentheses: Vec<Parenthesis>,
    /// How many of them hold a query, and how many are brackets.
    queries: usize,
    brackets: usize,
    /// How many CASE have no END yet.
    cases: usize,
    /// The words just before this token that are retried, without anything between.
    words: usize,
    operators: usize,
}

/// One that is open.
struct Parenthesis {
    /// How many words that are retried it stands behind.
    retried: usize,
    is_bracket: bool,
    /// Whether a query begins right in it.
    is_query: bool,
}

impl Nesting {
    fn open(&mut self, retried: usize, is_bracket: bool) {
        self.brackets += usize::from(is_bracket);
        self.parentheses.push(Parenthesis {
            retried,
            is_bracket,
            is_query: false,
        });
    }

    fn close(&mut self) {
        if let Some(closed) = self.parentheses.pop() {
            self.brackets -= usize::from(closed.is_bracket);
            self.queries -= usize::from(closed.is_query);
        }
    }

    fn begin_query(&mut self) {
        if let Some(open) = self.parentheses.last_mut()
            && !open.is_query
        {
            open.is_query = true;
            self.queries += 1;
        }
    }

    fn take(&mut self, token: &Token) {
        let words = std::mem::take(&mut self.words);
        match token {
            Token::LParen => self.open(words, false),
            Token::LBracket | Token::LBrace => self.open(words, true),
            Token::RParen | Token::RBracket | Token::RBrace => self.close(),
            Token::Plus | Token::Minus | Token::Mul | Token::Div | Token::StringConcat => {
                self.operators += 1;
            }
            Token::Word(word) if word.quote_style.is_none() => {
                let is = |name: &&str| word.value.eq_ignore_ascii_case(name);
                self.operators += usize::from(OPERATORS.iter().any(is));
                if is(&"select") {
                    self.begin_query();
                } else if is(&"case") {
                    self.cases += 1;
                } else if is(&"end") {
                    self.cases = self.cases.saturating_sub(1);
                }
                if RETRIED.iter().any(is) {
                    self.words = words + 1;
                }
            }
            _ => {}
        }
    }

    fn retried(&self) -> usize {
        let open = self.parentheses.iter();
        open.map(|open| open.retried).sum::<usize>() + self.cases + self.words
    }

    /// What is too much, where something is.
    fn excess(&self) -> Option<String> {
        if self.parentheses.len() > NESTING_MAX {
            return Some(format!(
                "the statement is nested more than {NESTING_MAX} deep"
            ));
        }
        if self.queries > QUERIES_MAX {
            return Some(format!("queries are nested more than {QUERIES_MAX} deep"));
        }
        if self.brackets > BRACKETS_MAX {
            return Some(format!("brackets are nested more than {BRACKETS_MAX} deep"));
        }
        if self.operators > OPERATORS_MAX {
            return Some(format!(
                "the statement has more than {OPERATORS_MAX} operators"
            ));
        }
        (self.retried() > RETRIED_OPEN_MAX).then(|| {
            format!("CASE, CAST, NOT and their like are nested more than {RETRIED_OPEN_MAX} deep")
        })
    }
}

/// Looks at every token once.
///
/// # Errors
/// `StatementTooLarge`, or `Syntax` where a second statement follows, each with its place.
pub(super) fn check(tokens: &[TokenWithSpan]) -> Result<(), QueryError> {
    let mut nesting = Nesting::default();
    for token in tokens {
        let place = position(token.span.start);
        if token.token == Token::SemiColon {
            let text = "one statement at a time: found another one after ';'";
            return Err(QueryError::new(ErrorCode::Syntax, text).at(place));
        }
        nesting.take(&token.token);
        if let Some(text) = nesting.excess() {
            return Err(QueryError::new(ErrorCode::StatementTooLarge, text).at(place));
        }
    }
    Ok(())
}
