//! `${name}` in a statement, as `--var`, `--hivevar` and `\set` define it. The text is replaced as it
//! is, within quotes too, so that a value can be a part of a name or of a text.

use skep_protocol::Position;
use skep_sql::{Dialect, Kind};
use std::collections::BTreeMap;

/// The prefixes with which Hive's scripts write a variable.
const PREFIXES: [&str; 2] = ["hivevar:", "var:"];

/// The user's variables.
#[derive(Clone, Debug, Default)]
pub(crate) struct Variables(BTreeMap<String, String>);

/// A statement with values in place of its variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Substituted {
    /// The statement that is sent.
    pub text: String,
    /// For each value, in order: where it stands in `text`, where its variable stood, and how long
    /// that was, in characters.
    replaced: Vec<Replaced>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Replaced {
    /// In `text`, in bytes.
    start: usize,
    end: usize,
    /// How many bytes the variable had.
    original: usize,
}

impl Variables {
    /// Those of options: `name=value`.
    pub(crate) fn new(pairs: &[(String, String)]) -> Self {
        Self(pairs.iter().cloned().collect())
    }

    /// Sets a variable. The error is a message for the user.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        if !is_variable_name(name) {
            return Err(format!(
                "'{name}' is not a name of a variable: letters, digits, _ and . may be in one"
            ));
        }
        self.0.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    /// Forgets a variable; false where there was none.
    pub(crate) fn unset(&mut self, name: &str) -> bool {
        self.0.remove(name).is_some()
    }

    /// All of them, by name.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The statement with values in place of its variables. One that is not set stays as it is in
    /// quotes and comments, where it may be data, and is an error elsewhere.
    pub(crate) fn substitute(&self, sql: &str, dialect: Dialect) -> Result<Substituted, String> {
        let mut substituted = Substituted {
            text: String::with_capacity(sql.len()),
            replaced: Vec::new(),
        };
        if !sql.contains("${") {
            substituted.text.push_str(sql);
            return Ok(substituted);
        }
        let mut copied = 0;
        for piece in skep_sql::pieces(sql, dialect) {
            let mut at = piece.range.start;
            while let Some(start) = sql[at..piece.range.end].find("${").map(|found| at + found) {
                let Some(end) = sql[start..].find('}').map(|found| start + found + 1) else {
                    break;
                };
                at = end;
                let name = bare(&sql[start + 2..end - 1]);
                let Some(value) = self.0.get(name) else {
                    if piece.kind == Kind::Parameter {
                        return Err(self.unknown(name));
                    }
                    continue;
                };
                substituted.text.push_str(&sql[copied..start]);
                let value_start = substituted.text.len();
                substituted.text.push_str(value);
                substituted.replaced.push(Replaced {
                    start: value_start,
                    end: substituted.text.len(),
                    original: end - start,
                });
                copied = end;
                if end >= piece.range.end {
                    break;
                }
            }
        }
        substituted.text.push_str(&sql[copied..]);
        Ok(substituted)
    }

    fn unknown(&self, name: &str) -> String {
        let nearest = self
            .0
            .keys()
            .min_by_key(|known| strsim::damerau_levenshtein(known, name));
        match nearest.filter(|known| strsim::damerau_levenshtein(known, name) <= 2) {
            Some(near) => format!("variable '{name}' is not set: did you mean '{near}'?"),
            None => format!("variable '{name}' is not set: see --var and \\set"),
        }
    }
}

fn bare(name: &str) -> &str {
    let name = name.trim();
    let prefix = PREFIXES.iter().find(|prefix| name.starts_with(**prefix));
    prefix.map_or(name, |prefix| &name[prefix.len()..])
}

/// Whether a variable may be called that.
pub fn is_variable_name(name: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
    !name.is_empty() && name.chars().all(is_part)
}

impl Substituted {
    /// Where a place in the statement that was sent stands in the one that was written: a place within
    /// a value is where its variable begins.
    pub(crate) fn original_position(&self, original: &str, position: Position) -> Position {
        if self.replaced.is_empty() {
            return position;
        }
        let (mut sent, mut written) = (offset(&self.text, position), 0);
        let mut before = 0;
        for replaced in &self.replaced {
            if sent < replaced.start {
                break;
            }
            written += replaced.start - before;
            if sent < replaced.end {
                (sent, before) = (replaced.end, replaced.end);
                break;
            }
            written += replaced.original;
            before = replaced.end;
        }
        written += sent.saturating_sub(before);
        place(original, written.min(original.len()))
    }
}

/// The byte at which a place stands, or the text's end.
fn offset(text: &str, position: Position) -> usize {
    let mut start = 0;
    for _ in 1..position.line {
        match text[start..].find('\n') {
            Some(end) => start += end + 1,
            None => return text.len(),
        }
    }
    let column = usize::try_from(position.column.saturating_sub(1)).unwrap_or(usize::MAX);
    let line = text[start..].split('\n').next().unwrap_or_default();
    line.char_indices()
        .nth(column)
        .map_or(start + line.len(), |(at, _)| start + at)
}

fn place(text: &str, offset: usize) -> Position {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    Position {
        line: 1 + before.matches('\n').count() as u64,
        column: 1 + before[line_start..].chars().count() as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> Variables {
        let mut variables = Variables::default();
        variables.set("day", "1998-12-01").unwrap();
        variables.set("t", "orders").unwrap();
        variables.set("two", "a\n, b").unwrap();
        variables
    }

    fn sent(sql: &str) -> String {
        variables().substitute(sql, Dialect::Standard).unwrap().text
    }

    #[test]
    fn values_stand_where_their_names_stood() {
        assert_eq!(
            sent("select '${day}' from ${t}_${hivevar:day} -- ${ t }"),
            "select '1998-12-01' from orders_1998-12-01 -- orders"
        );
        assert_eq!(sent("select 1"), "select 1");
        assert_eq!(
            sent("select \"${t}\", $$${t}$$"),
            "select \"orders\", $$orders$$"
        );
    }

    #[test]
    fn what_is_not_set_is_an_error_unless_it_may_be_data() {
        let error = |sql: &str| variables().substitute(sql, Dialect::Standard).unwrap_err();
        assert!(error("select ${dya}").contains("did you mean 'day'?"));
        assert!(error("select ${xyz}").contains("--var"));
        assert_eq!(
            sent("select '${xyz}' -- ${xyz}"),
            "select '${xyz}' -- ${xyz}"
        );
        assert_eq!(sent("select '${xyz} ${t}'"), "select '${xyz} orders'");
    }

    #[test]
    fn places_are_found_in_what_was_written() {
        let sql = "select ${two}, c\nfrom ${t} where x";
        let substituted = variables().substitute(sql, Dialect::Standard).unwrap();
        let at = |line, column| {
            let found = substituted.original_position(sql, Position { line, column });
            (found.line, found.column)
        };
        assert_eq!(at(1, 1), (1, 1));
        assert_eq!(at(1, 8), (1, 8));
        assert_eq!(at(2, 3), (1, 8));
        assert_eq!(at(2, 6), (1, 16));
        assert_eq!(at(3, 19), (2, 17));
        assert_eq!(at(9, 9), (2, 18));
    }

    #[test]
    fn names_of_variables() {
        assert!(is_variable_name("a.b_1") && !is_variable_name("") && !is_variable_name("a b"));
        assert!(Variables::default().set("a}", "x").is_err());
    }
}
