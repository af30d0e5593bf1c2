//! What a session is in the middle of, so that another one can take its place when the connection is
//! lost.

use skep_sql::Dialect;
use std::collections::BTreeMap;

/// The database of a new session.
const FIRST_DATABASE: &str = "default";

/// How many settings are remembered.
const SETTINGS_MAX: usize = 200;

/// What statements have changed in a session.
pub(super) struct SessionContext {
    /// Where names are looked up.
    pub database: String,
    /// How statements are read.
    pub dialect: Dialect,
    /// `SET` statements by the setting's name.
    settings: BTreeMap<String, String>,
}

impl Default for SessionContext {
    fn default() -> Self {
        Self {
            database: FIRST_DATABASE.to_owned(),
            dialect: Dialect::default(),
            settings: BTreeMap::new(),
        }
    }
}

impl SessionContext {
    /// A statement has run.
    pub(super) fn has_run(&mut self, sql: &str) {
        let pieces = skep_sql::pieces(sql, self.dialect);
        self.dialect = self.dialect.after(sql);
        let mut words = pieces
            .iter()
            .filter(|piece| piece.kind != skep_sql::Kind::Comment)
            .map(|piece| &sql[piece.range.clone()]);
        let Some(first) = words.next() else {
            return;
        };
        match first.to_ascii_lowercase().as_str() {
            "use" => self.database_is(&words.collect::<Vec<_>>()),
            "set" => {
                let name =
                    words.take_while(|word| *word != "=" && !word.eq_ignore_ascii_case("to"));
                let name = name.collect::<String>().to_ascii_lowercase();
                if self.settings.len() < SETTINGS_MAX || self.settings.contains_key(&name) {
                    self.settings.insert(name, sql.to_owned());
                }
            }
            "reset" => {
                let name = words.collect::<String>().to_ascii_lowercase();
                match name.as_str() {
                    "all" | "" => self.settings.clear(),
                    name => drop(self.settings.remove(name)),
                }
            }
            _ => {}
        }
    }

    fn database_is(&mut self, words: &[&str]) {
        let name = match words {
            [word, name]
                if ["database", "schema"]
                    .iter()
                    .any(|w| word.eq_ignore_ascii_case(w)) =>
            {
                name
            }
            [name] => name,
            _ => return,
        };
        let is_quoted = name.starts_with(['"', '`']);
        let name = skep_sql::unquoted(name);
        self.database = match is_quoted {
            true => name,
            false => name.to_lowercase(),
        };
    }

    /// What brings a new session to where this one is.
    pub(super) fn statements(&self) -> Vec<String> {
        let used = (self.database != FIRST_DATABASE)
            .then(|| format!("USE {}", skep_sql::quoted_name(&self.database)));
        used.into_iter()
            .chain(self.settings.values().cloned())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_session_can_be_brought_to_where_the_old_one_was() {
        let mut context = SessionContext::default();
        assert!(context.statements().is_empty());
        for sql in [
            "USE Sales",
            "set a.b = 1",
            "SET a.b TO 2",
            "set c = 'x'",
            "reset c",
            "select 1",
        ] {
            context.has_run(sql);
        }
        assert_eq!(context.database, "sales");
        assert_eq!(context.statements(), ["USE sales", "SET a.b TO 2"]);
        context.has_run("use database \"My Data\"");
        assert_eq!(context.statements()[0], "USE \"My Data\"");
        context.has_run("reset all");
        context.has_run("use default");
        assert!(context.statements().is_empty());
    }
}
