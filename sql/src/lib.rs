//! SQL from text to a statement: dialects, tokens, the statements of a script, and the parser of one statement.
//!
//! Two readers share the dialects. The lexer reads text that may be unfinished: the shell highlights and completes
//! with it, scripts are split with it. [`statement::parse`] reads one whole statement. Neither knows the engine or
//! a session.

mod dialect;
mod lexer;
mod script;
mod session_dialect;
pub mod statement;
mod words;

pub use dialect::{Dialect, UnknownDialect};
pub use lexer::{Kind, Piece, has_parameters, is_word, pieces};
pub use script::{Open, ScriptStatement, Splitter, split};
pub use words::{KEYWORDS, is_keyword, literal, quoted_name, unquoted};
