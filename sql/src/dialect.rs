//! What is meant where standard SQL and Hive disagree, and both cannot be had.

use datafusion::common::config_field;
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// The meaning of double quotes and backslashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// `"a"` is a name, and a backslash stands for itself.
    #[default]
    Standard,
    /// `"a"` is a string, and a backslash in a string escapes the next character.
    Hive,
}

config_field!(Dialect);

/// A name that no dialect has.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("unknown dialect '{0}': the dialects are standard and hive")]
pub struct UnknownDialect(String);

impl FromStr for Dialect {
    type Err = UnknownDialect;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name.to_ascii_lowercase().as_str() {
            "standard" => Ok(Self::Standard),
            "hive" => Ok(Self::Hive),
            _ => Err(UnknownDialect(name.to_owned())),
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Standard => "standard",
            Self::Hive => "hive",
        })
    }
}

impl Dialect {
    /// Whether a backslash escapes the next character between these quotes.
    pub(crate) fn has_escapes(self, quote: char) -> bool {
        self == Self::Hive && quote != '`'
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_setting() {
        for dialect in [Dialect::Standard, Dialect::Hive] {
            assert_eq!(dialect.to_string().parse(), Ok(dialect));
        }
        assert!("mysql".parse::<Dialect>().is_err());
    }
}
