//! The text of SQL: its dialects, its tokens, and where the statements of a script end.
//!
//! There is one lexer. The shell colours and completes with it, scripts are split with it, so that they agree
//! about what is quoted. It knows neither the engine nor a session.

mod dialect;
mod lexer;
mod script;
mod words;

pub use dialect::{Dialect, UnknownDialect};
pub use lexer::{Kind, Piece, has_parameters, is_word, pieces};
pub use script::{Open, Splitter, Statement, split};
pub use words::{KEYWORDS, is_keyword, literal, quoted_name, unquoted};
