//! A server that has a name.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// A server's profile: what its section says, by the shell's keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    pub(super) values: BTreeMap<&'static str, String>,
    pub(super) path: PathBuf,
}

impl Profile {
    /// What it says for a key such as `shell.user`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }
}
