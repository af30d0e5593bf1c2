//! Tokens of SQL, as far as an editor and a script have to know them: words, quotes, comments and symbols, and
//! where each stands. No grammar: what is typed is unfinished most of the time.
//!
//! [`Lexer`] reads line by line and keeps what is open from one line to the next; [`pieces`] reads a whole text.

use crate::dialect::Dialect;
use std::ops::Range;

/// What a piece of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// White space.
    Space,
    /// A keyword, a name or a type.
    Word,
    /// A name in quotes.
    QuotedName,
    /// A text in quotes or in dollar quotes.
    Text,
    /// A number.
    Number,
    /// A comment.
    Comment,
    /// `$1` or `${name}`.
    Parameter,
    /// Anything else.
    Symbol,
}

impl Dialect {
    /// What stands between these quotes.
    pub(crate) fn quoted(self, quote: char) -> Kind {
        match quote {
            '\'' => Kind::Text,
            '"' if self == Self::Hive => Kind::Text,
            _ => Kind::QuotedName,
        }
    }
}

/// A piece of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// What it is.
    pub kind: Kind,
    /// Where it stands, in bytes.
    pub range: Range<usize>,
    /// Whether its end is there: a quote may be open still.
    pub is_closed: bool,
}

/// The pieces of a text, in order, without white space.
pub fn pieces(sql: &str, dialect: Dialect) -> Vec<Piece> {
    let mut lexer = Lexer::new(dialect);
    let mut pieces = Vec::new();
    let mut at = 0;
    while at < sql.len() {
        let (kind, length) = lexer.next(&sql[at..]);
        if kind != Kind::Space {
            pieces.push(Piece {
                kind,
                range: at..at + length,
                is_closed: !lexer.is_open() && !is_cut_parameter(kind, &sql[at..at + length]),
            });
        }
        at += length;
    }
    pieces
}

fn is_cut_parameter(kind: Kind, text: &str) -> bool {
    kind == Kind::Parameter && text.starts_with("${") && !text.ends_with('}')
}

/// What is open at the end of what was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Nothing.
    Between,
    /// Quotes of this kind.
    Quoted(char),
    /// A comment in so many comments.
    Comment { depth: usize },
    /// A dollar quote, which this tag, with its dollars, ends.
    Dollar(String),
}

/// Reads a text piece by piece.
#[derive(Clone, Debug)]
pub(crate) struct Lexer {
    pub(crate) dialect: Dialect,
    pub(crate) mode: Mode,
}

impl Lexer {
    pub(crate) fn new(dialect: Dialect) -> Self {
        let mode = Mode::Between;
        Self { dialect, mode }
    }

    /// Whether the last piece goes on in the text that follows.
    pub(crate) fn is_open(&self) -> bool {
        self.mode != Mode::Between
    }

    /// The kind and the length of the next piece of `rest`, which is not empty. Text is given in whole lines: a
    /// piece of several lines that are given one by one comes as several pieces.
    pub(crate) fn next(&mut self, rest: &str) -> (Kind, usize) {
        match &self.mode {
            Mode::Between => self.begin(rest),
            Mode::Quoted(quote) => self.quoted(rest, *quote, 0),
            Mode::Comment { depth } => self.comment(rest, *depth, 0),
            Mode::Dollar(tag) => {
                let tag = tag.clone();
                self.dollar_quoted(rest, &tag, 0)
            }
        }
    }

    fn begin(&mut self, rest: &str) -> (Kind, usize) {
        let first = rest.chars().next().unwrap_or_default();
        if first.is_whitespace() {
            let end = rest.find(|c: char| !c.is_whitespace());
            return (Kind::Space, end.unwrap_or(rest.len()));
        }
        if rest.starts_with("--") {
            return (Kind::Comment, rest.find('\n').unwrap_or(rest.len()));
        }
        if rest.starts_with("/*") {
            return self.comment(rest, 1, 2);
        }
        match first {
            '\'' | '"' | '`' => self.quoted(rest, first, 1),
            '$' => self.dollar(rest),
            _ if first.is_ascii_digit() => {
                let is_part = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '_';
                let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
                (Kind::Number, end)
            }
            _ if is_word(first) => {
                let end = rest.find(|c| !is_word(c) && c != '$').unwrap_or(rest.len());
                // A variable may follow a part of a name.
                let variable = rest[..end].len() - usize::from(rest[..end].ends_with('$'));
                let is_variable = rest[variable..].starts_with("${");
                (Kind::Word, if is_variable { variable } else { end })
            }
            _ => (Kind::Symbol, first.len_utf8()),
        }
    }

    /// Quotes from `at` on: a doubled one does not end them.
    fn quoted(&mut self, rest: &str, quote: char, mut at: usize) -> (Kind, usize) {
        let kind = self.dialect.quoted(quote);
        let has_escapes = self.dialect.has_escapes(quote);
        self.mode = Mode::Quoted(quote);
        let is_mark = |c: char| c == quote || (has_escapes && c == '\\');
        while let Some(found) = rest[at..].find(is_mark).map(|found| at + found) {
            at = found + 1;
            let next = rest[at..].chars().next();
            if !rest[found..].starts_with(quote) {
                at += next.map_or(0, char::len_utf8);
            } else if next == Some(quote) {
                at += quote.len_utf8();
            } else {
                self.mode = Mode::Between;
                return (kind, at);
            }
        }
        (kind, rest.len())
    }

    /// Comments within comments from `at` on.
    fn comment(&mut self, rest: &str, mut depth: usize, mut at: usize) -> (Kind, usize) {
        while let Some(found) = rest[at..].find(['/', '*']).map(|found| at + found) {
            if rest[found..].starts_with("/*") {
                depth += 1;
                at = found + 2;
            } else if rest[found..].starts_with("*/") {
                depth -= 1;
                at = found + 2;
                if depth == 0 {
                    self.mode = Mode::Between;
                    return (Kind::Comment, at);
                }
            } else {
                at = found + 1;
            }
        }
        self.mode = Mode::Comment { depth };
        (Kind::Comment, rest.len())
    }

    /// `${name}`, `$1`, or a dollar quote.
    fn dollar(&mut self, rest: &str) -> (Kind, usize) {
        if rest.starts_with("${") {
            let end = rest.find(['}', '\n']);
            return match end {
                Some(end) if rest[end..].starts_with('}') => (Kind::Parameter, end + 1),
                Some(end) => (Kind::Parameter, end),
                None => (Kind::Parameter, rest.len()),
            };
        }
        let name = rest[1..].find(|c| !is_word(c)).unwrap_or(rest.len() - 1) + 1;
        let starts_with_digit = rest[1..].starts_with(|c: char| c.is_ascii_digit());
        if rest[name..].starts_with('$') && !starts_with_digit {
            let tag = rest[..=name].to_owned();
            return self.dollar_quoted(rest, &tag, tag.len());
        }
        match name {
            1 => (Kind::Symbol, 1),
            _ => (Kind::Parameter, name),
        }
    }

    fn dollar_quoted(&mut self, rest: &str, tag: &str, at: usize) -> (Kind, usize) {
        match rest[at..].find(tag) {
            Some(end) => {
                self.mode = Mode::Between;
                (Kind::Text, at + end + tag.len())
            }
            None => {
                self.mode = Mode::Dollar(tag.to_owned());
                (Kind::Text, rest.len())
            }
        }
    }
}

/// Whether the character may be part of a name without quotes.
pub fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Whether the statement has places for values: `$1`, `$name`.
pub fn has_parameters(sql: &str, dialect: Dialect) -> bool {
    pieces(sql, dialect)
        .iter()
        .any(|piece| piece.kind == Kind::Parameter && !sql[piece.range.clone()].starts_with("${"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_as(sql: &str, dialect: Dialect) -> Vec<(Kind, &str)> {
        let pieces = pieces(sql, dialect).into_iter();
        pieces
            .map(|piece| (piece.kind, &sql[piece.range]))
            .collect()
    }

    fn read(sql: &str) -> Vec<(Kind, &str)> {
        read_as(sql, Dialect::Standard)
    }

    #[test]
    fn pieces_are_told_apart() {
        assert_eq!(
            read("select 'a''b', \"c\" -- d\n + 1.5e3 $1 ${v}"),
            [
                (Kind::Word, "select"),
                (Kind::Text, "'a''b'"),
                (Kind::Symbol, ","),
                (Kind::QuotedName, "\"c\""),
                (Kind::Comment, "-- d"),
                (Kind::Symbol, "+"),
                (Kind::Number, "1.5e3"),
                (Kind::Parameter, "$1"),
                (Kind::Parameter, "${v}"),
            ]
        );
        assert_eq!(
            read("$x$ a;'b $x$ c"),
            [(Kind::Text, "$x$ a;'b $x$"), (Kind::Word, "c")]
        );
        assert_eq!(read("/* a /* b */ c */ d")[1], (Kind::Word, "d"));
        assert_eq!(
            read("x${v}"),
            [(Kind::Word, "x"), (Kind::Parameter, "${v}")]
        );
    }

    #[test]
    fn hive_escapes_in_quotes_and_writes_text_in_both() {
        let sql = r#"'a\'b; c' "d\"; e" `f\` '\\' 'g'"#;
        assert_eq!(
            read_as(sql, Dialect::Hive),
            [
                (Kind::Text, r"'a\'b; c'"),
                (Kind::Text, r#""d\"; e""#),
                (Kind::QuotedName, r"`f\`"),
                (Kind::Text, r"'\\'"),
                (Kind::Text, "'g'"),
            ]
        );
        assert_eq!(read(r"'a\' b")[0], (Kind::Text, r"'a\'"));
    }

    #[test]
    fn what_is_open_is_open() {
        for open in ["'a", "\"a", "`a", "/* a /* b */", "$$ a", "${a"] {
            let pieces = pieces(open, Dialect::Standard);
            assert_eq!(pieces.len(), 1, "{open}");
            assert!(!pieces[0].is_closed, "{open}");
        }
        let escaped = pieces(r"'a\'", Dialect::Hive);
        assert!(!escaped[0].is_closed);
    }

    #[test]
    fn nothing_is_lost_whatever_is_typed() {
        for dialect in [Dialect::Standard, Dialect::Hive] {
            for text in [
                "é'日", "$", "$$$", "a$b$", "/*/", "*/", "'''", "1.", "\\x", "${", "$1$2$", "'\\",
                "'\\é",
            ] {
                let pieces = pieces(text, dialect);
                let covered: usize = pieces.iter().map(|piece| piece.range.len()).sum();
                assert_eq!(covered, text.len(), "{text}");
            }
        }
    }

    #[test]
    fn parameters_are_found_outside_of_quotes() {
        let has = |sql| has_parameters(sql, Dialect::Standard);
        assert!(has("select $1") && has("select $name"));
        assert!(!has("select '$1', ${x} -- $2"));
        assert!(!has_parameters(r"select 'a\' $1'", Dialect::Hive));
    }
}
