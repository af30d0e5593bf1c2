//! What can be wrong with the configuration. All of it is a usage error to scripts.

use std::path::PathBuf;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {path}: {source}", path = path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{path}:{line}: {message}", path = path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What the parser says.
        message: String,
    },
    /// Nothing of that name can be configured.
    #[error("{place}: unknown {what} {name:?}{}", suggestion(.nearest))]
    Unknown {
        /// Where it was said.
        place: String,
        /// `key`, `section` or `variable`.
        what: &'static str,
        /// The name.
        name: String,
        /// The nearest name that there is.
        nearest: Option<String>,
    },
    /// A value is not one of its key's.
    #[error("{place}: invalid value for {key}: {message}")]
    Invalid {
        /// Where it was said.
        place: String,
        /// The key's full name.
        key: &'static str,
        /// What is wrong.
        message: String,
    },
    /// A variable of ours is not text.
    #[error("the environment variable {0} is not unicode")]
    VariableNotUnicode(String),
    /// `--set` without an equals sign.
    #[error("--set {0}: expected KEY=VALUE")]
    NoValue(String),
    /// Two values that do not go together.
    #[error("{0}")]
    Contradiction(String),
    /// Nowhere to keep things.
    #[error("the environment variable HOME is not set: name the directories in the configuration")]
    NoHome,
    /// A path cannot be written down.
    #[error("the path {path} is not unicode", path = .0.display())]
    NotUnicode(PathBuf),
}

fn suggestion(nearest: &Option<String>) -> String {
    match nearest {
        Some(name) => format!("; did you mean {name:?}?"),
        None => String::new(),
    }
}

/// The candidate that `name` most likely was meant to be, if one is near enough.
pub fn nearest<S: AsRef<str>>(
    name: &str,
    candidates: impl IntoIterator<Item = S>,
) -> Option<String> {
    let near = |candidate: S| {
        let likeness = strsim::jaro_winkler(name, candidate.as_ref());
        (likeness >= 0.7).then(|| (likeness, candidate.as_ref().to_owned()))
    };
    candidates
        .into_iter()
        .filter_map(near)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| name)
}
