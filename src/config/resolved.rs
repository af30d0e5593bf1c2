//! The values that hold for the keys of the configuration, and where each came from.

use super::ConfigError;
use super::kinds::{Kind, Raw};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// A line of a file.
    File {
        /// Which file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// An environment variable.
    Variable(String),
    /// A flag, as it was written.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// The value that holds for a key, and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// As it was written.
    pub raw: Raw,
    /// By whom.
    pub origin: Origin,
}

/// The values that hold, by the full names of their keys.
#[derive(Debug, PartialEq, Eq)]
pub struct Resolved {
    pub(super) values: BTreeMap<&'static str, Value>,
}

impl Resolved {
    /// The value of a key; `None` while it has not been resolved yet.
    pub fn get(&self, id: &str) -> Option<&Value> {
        self.values.get(id)
    }

    /// The value of `id`, of kind `K`.
    pub fn read<K: Kind>(&self, id: &'static str) -> Result<K::Value, ConfigError> {
        let invalid = |place: String, message| ConfigError::Invalid {
            place,
            key: id,
            message,
        };
        let value = self
            .get(id)
            .ok_or_else(|| invalid("default".to_owned(), "it depends on a later key".to_owned()))?;
        K::parse(&value.raw).map_err(|message| invalid(value.origin.to_string(), message))
    }
}
