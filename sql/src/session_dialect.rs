//! Which dialect a session speaks, as its statements tell.

use crate::dialect::Dialect;
use crate::lexer::{Kind, pieces};

/// The setting of a session that chooses its dialect.
const SETTING: &str = "skep.sql.dialect";

impl Dialect {
    /// The dialect of a session after `statement` has run in it: another one after `SET skep.sql.dialect` and
    /// `RESET`.
    pub fn after(self, statement: &str) -> Self {
        let begins_with = |word: &str| {
            let head = statement.get(..word.len());
            head.is_some_and(|head| head.eq_ignore_ascii_case(word))
        };
        if !begins_with("set") && !begins_with("reset") {
            return self;
        }
        let pieces = pieces(statement, self);
        let mut words = pieces
            .iter()
            .filter(|piece| piece.kind != Kind::Comment)
            .map(|piece| &statement[piece.range.clone()]);
        let verb = words.next().unwrap_or_default();
        let words: Vec<&str> = words.collect();
        let is_value = |word: &&str| *word == "=" || word.eq_ignore_ascii_case("to");
        let name_end = words.iter().position(is_value).unwrap_or(words.len());
        let name = words[..name_end].concat().to_ascii_lowercase();
        if verb.eq_ignore_ascii_case("reset") {
            return match name.as_str() {
                "all" | "" | SETTING => Self::default(),
                _ => self,
            };
        }
        let value = words
            .get(name_end + 1)
            .map(|word| word.trim_matches(['\'', '"']));
        match value {
            Some(value) if name == SETTING => value.parse().unwrap_or(self),
            _ => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_follows_its_settings() {
        let hive = Dialect::Standard.after("SET skep.sql.dialect = hive");
        assert_eq!(hive, Dialect::Hive);
        for (statement, expected) in [
            ("set skep.sql.dialect to 'Hive'", Dialect::Hive),
            ("SET /* a */ skep.sql.dialect = \"hive\"", Dialect::Hive),
            ("SET skep.sql.dialect = standard", Dialect::Standard),
            ("SET skep.sql.dialect = klingon", Dialect::Hive),
            ("SET skep.sql.dialects = standard", Dialect::Hive),
            ("RESET ALL", Dialect::Standard),
            ("RESET skep.sql.dialect", Dialect::Standard),
            ("RESET skep.scan_partition_bytes", Dialect::Hive),
            ("SELECT 'set skep.sql.dialect = standard'", Dialect::Hive),
        ] {
            assert_eq!(hive.after(statement), expected, "{statement}");
        }
    }
}
