//! The statements about users.

use super::Dialect;
use super::Statement;
use super::cursor::Cursor;
use super::parse::tokenize;
use skep_protocol::{ErrorCode, QueryError};
use std::borrow::Cow;
use std::fmt;

/// A password in a statement.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(pub String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A statement about users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserStatement {
    /// `CREATE USER [IF NOT EXISTS] name PASSWORD '…' [ADMIN]`.
    Create {
        /// Their name.
        name: String,
        /// Their password.
        password: Password,
        /// Whether they may manage users.
        admin: bool,
        /// Whether it is no error that they are there.
        if_not_exists: bool,
    },
    /// `ALTER USER name PASSWORD '…'`.
    Alter {
        /// Their name.
        name: String,
        /// Their new password.
        password: Password,
    },
    /// `DROP USER [IF EXISTS] name`.
    Drop {
        /// Their name.
        name: String,
        /// Whether it is no error that they are not there.
        if_exists: bool,
    },
}

/// Reads a statement about users, where one comes next.
///
/// # Errors
/// `Syntax` where it begins like one and goes on otherwise.
pub(super) fn parse(cursor: &mut Cursor) -> Result<Option<Statement>, QueryError> {
    let statement = if cursor.accept(&["create", "user"]) {
        let if_not_exists = cursor.accept(&["if", "not", "exists"]);
        UserStatement::Create {
            name: user_name(cursor)?,
            password: password(cursor)?,
            admin: cursor.accept(&["admin"]),
            if_not_exists,
        }
    } else if cursor.accept(&["alter", "user"]) {
        let name = user_name(cursor)?;
        cursor.accept(&["set"]);
        UserStatement::Alter {
            name,
            password: password(cursor)?,
        }
    } else if cursor.accept(&["drop", "user"]) {
        let if_exists = cursor.accept(&["if", "exists"]);
        UserStatement::Drop {
            name: user_name(cursor)?,
            if_exists,
        }
    } else {
        return Ok(None);
    };
    Ok(Some(Statement::User(statement)))
}

/// A user's name, as a name or, for `ada@example.com`, in quotes.
fn user_name(cursor: &mut Cursor) -> Result<String, QueryError> {
    let what = "a user's name";
    let name = cursor.clone().name(what);
    match name {
        Ok(_) => cursor.name(what),
        Err(_) => cursor.string(what),
    }
}

fn password(cursor: &mut Cursor) -> Result<Password, QueryError> {
    // What stands where the word should is perhaps the password, which messages must not repeat.
    if !cursor.accept(&["password"]) {
        let text = "expected PASSWORD and a password in quotes after the user's name";
        return Err(QueryError::new(ErrorCode::Syntax, text));
    }
    cursor.string("a password in quotes").map(Password)
}

/// The text of a statement as it may be shown to others.
pub fn without_secrets(sql: &str) -> Cow<'_, str> {
    let lower = sql.to_ascii_lowercase();
    if !lower.contains("user") || !lower.contains("password") {
        return Cow::Borrowed(sql);
    }
    let is_about_users = match tokenize(sql, Dialect::Standard) {
        Ok(tokens) => {
            let mut cursor = Cursor::new(tokens, sql);
            cursor.accept(&["create", "user"]) || cursor.accept(&["alter", "user"])
        }
        // A quote is open, say: it may well be around a password.
        Err(_) => true,
    };
    match lower.find("password") {
        Some(at) if is_about_users => Cow::Owned(format!("{} ***", &sql[..at + "password".len()])),
        _ => Cow::Borrowed(sql),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::{ParseOptions, parse};

    fn parse_statement(sql: &str, bytes_max: usize) -> Result<Statement, QueryError> {
        let dialect = Dialect::Standard;
        parse(sql, ParseOptions { bytes_max, dialect })
    }

    fn parsed(sql: &str) -> UserStatement {
        match parse_statement(sql, 1 << 20) {
            Ok(Statement::User(statement)) => statement,
            other => panic!("{sql}: {other:?}"),
        }
    }

    #[test]
    fn statements_about_users() {
        assert_eq!(
            parsed("CREATE USER IF NOT EXISTS Ada PASSWORD 'it''s' ADMIN;"),
            UserStatement::Create {
                name: "ada".into(),
                password: Password("it's".into()),
                admin: true,
                if_not_exists: true,
            }
        );
        for sql in [
            "ALTER USER 'ada@example.com' PASSWORD 'x'",
            "alter user 'ada@example.com' set password 'x'",
        ] {
            assert_eq!(
                parsed(sql),
                UserStatement::Alter {
                    name: "ada@example.com".into(),
                    password: Password("x".into()),
                }
            );
        }
        assert_eq!(
            parsed("DROP USER IF EXISTS ada"),
            UserStatement::Drop {
                name: "ada".into(),
                if_exists: true,
            }
        );
    }

    #[test]
    fn a_password_is_shown_nowhere() {
        let sql = "CREATE USER ada PASSWORD 'geheim' ADMIN";
        assert!(!format!("{:?}", parsed(sql)).contains("geheim"));
        for sql in [
            sql,
            "/* x */ alter User ada\nset password\n'geheim'",
            "CREATE USER ada PASSWORD 'geheim",
            "CREATE USER ada PASSWORD \"geheim\"",
        ] {
            assert!(!without_secrets(sql).contains("geheim"), "{sql}");
            assert!(without_secrets(sql).ends_with("***"), "{sql}");
        }
        let error = parse_statement("CREATE USER ada 'geheim'", 100).unwrap_err();
        assert!(!error.message.contains("geheim"));
        let query = "SELECT password FROM users";
        assert_eq!(without_secrets(query), query);
    }

    #[test]
    fn a_table_may_be_called_user() {
        assert!(parse_statement("SELECT * FROM user", 100).is_ok());
        assert!(parse_statement("SELECT user FROM t", 100).is_ok());
    }
}
