//! Who may log in.

use chrono::{DateTime, Utc};
use std::fmt;

/// Somebody who may log in.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// In lower case.
    pub name: String,
    /// The password as whoever checks it has hashed it. The catalog keeps it and never looks at it.
    pub password_hash: String,
    /// Whether they may do everything.
    pub admin: bool,
    /// When they were created.
    pub created_at: DateTime<Utc>,
}

impl fmt::Debug for User {
    /// Leaves the hash out: what is printed ends in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("name", &self.name)
            .field("admin", &self.admin)
            .field("created_at", &self.created_at)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_never_printed() {
        let user = User {
            name: "ada".to_owned(),
            password_hash: "secret".to_owned(),
            admin: true,
            created_at: DateTime::UNIX_EPOCH,
        };
        let text = format!("{user:?}");
        assert!(text.contains("ada") && !text.contains("secret"), "{text}");
    }
}
