//! Where a catalog's database is.

use crate::error::CatalogError;
use sqlx::postgres::PgConnectOptions;
use std::fmt;
use std::str::FromStr;

/// Where a catalog's database is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CatalogLocation {
    /// A file in the data directory, which belongs to one process at a time.
    #[default]
    Sqlite,
    /// A PostgreSQL server, whose database several coordinators may share.
    Postgres(DatabaseUrl),
}

/// The address of a PostgreSQL database: `postgres://user:password@host:port/database`. Printed without
/// its password.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// The address with the password, which is not to be printed.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    pub(super) fn options(&self) -> Result<PgConnectOptions, CatalogError> {
        PgConnectOptions::from_str(&self.0)
            .map_err(|error| CatalogError::InvalidDatabaseUrl(error.to_string()))
    }
}

impl FromStr for DatabaseUrl {
    type Err = CatalogError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            let reason = "it must begin with postgres://".to_owned();
            return Err(CatalogError::InvalidDatabaseUrl(reason));
        }
        let url = Self(text.to_owned());
        url.options()?;
        Ok(url)
    }
}

impl fmt::Display for DatabaseUrl {
    /// Without the password, nor the parameters, which may have one, too.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.split(['?', '#']).next().unwrap_or_default();
        let (scheme, rest) = shown.split_once("://").unwrap_or(("postgres", shown));
        let Some((user, place)) = rest.rsplit_once('@') else {
            return write!(f, "{scheme}://{rest}");
        };
        let name = user.split(':').next().unwrap_or_default();
        write!(f, "{scheme}://{name}@{place}")
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_printed() {
        for text in [
            "postgres://ada:secret@db.example.org:5433/skep",
            "postgresql://ada:se%40cret@db/skep?sslmode=require",
            "postgres://ada@db/skep?password=secret",
        ] {
            let url: DatabaseUrl = text.parse().unwrap();
            let printed = format!("{url} {url:?} {:?}", CatalogLocation::Postgres(url.clone()));
            assert!(!printed.contains("cret"), "{printed}");
            assert!(printed.contains("ada@db"), "{printed}");
            assert_eq!(url.reveal(), text);
        }
    }

    #[test]
    fn what_is_no_address_is_refused_without_being_repeated() {
        for text in [
            "mysql://ada:secret@db",
            "postgres://ada:secret@db:port/x",
            "",
        ] {
            let error = text.parse::<DatabaseUrl>().unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
