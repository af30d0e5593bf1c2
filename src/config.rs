//! Everything that can be configured, typed. This module alone reads configuration files and
//! environment variables; what each value means is told in [`keys`], the one table of all keys.

mod defaults;
mod error;
mod file;
pub mod keys;
pub mod kinds;
mod machine;
mod profile;
mod profiles;
mod resolve;
mod resolved;
pub mod show;

#[cfg(test)]
mod tests;

pub use error::{ConfigError, nearest};
pub use keys::Config;
pub use machine::Machine;
pub use profile::Profile;
pub use resolve::FILE_VARIABLE;
pub use resolved::Resolved;

use kinds::Raw;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// What the program was started for, as far as flags and defaults depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// The shell on an engine of its own.
    Skep,
    /// A coordinator with executors in one process.
    Standalone,
    /// A coordinator.
    Coordinator,
    /// An executor.
    Executor,
    /// The shell on a server.
    Shell,
    /// Makes the benchmark's data.
    TpchGenerate,
    /// Runs the benchmark.
    TpchRun,
    /// Checks or moves a catalog.
    Catalog,
}

impl Command {
    /// Every command.
    pub const ALL: [Command; 8] = [
        Command::Skep,
        Command::Standalone,
        Command::Coordinator,
        Command::Executor,
        Command::Shell,
        Command::TpchGenerate,
        Command::TpchRun,
        Command::Catalog,
    ];

    /// As it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Skep => "skep",
            Self::Standalone => "skep standalone",
            Self::Coordinator => "skep coordinator",
            Self::Executor => "skep executor",
            Self::Shell => "skep shell",
            Self::TpchGenerate => "skep tpch generate",
            Self::TpchRun => "skep tpch run",
            Self::Catalog => "skep catalog",
        }
    }

    /// Whether it has an engine of its own that serves nobody else.
    pub fn is_embedded(self) -> bool {
        matches!(self, Self::Skep | Self::TpchRun)
    }

    /// Whether it runs until it is stopped, for others.
    pub fn is_server(self) -> bool {
        matches!(self, Self::Standalone | Self::Coordinator | Self::Executor)
    }
}

/// What the program finds around itself.
#[derive(Clone, Debug)]
pub struct Environment {
    variables: BTreeMap<OsString, OsString>,
    machine: Machine,
}

impl Environment {
    /// That of this process.
    pub fn of_this_process() -> Self {
        Self::new(std::env::vars_os(), Machine::detect())
    }

    /// One with these variables on this machine.
    pub fn new(
        variables: impl IntoIterator<Item = (OsString, OsString)>,
        machine: Machine,
    ) -> Self {
        Self {
            variables: variables.into_iter().collect(),
            machine,
        }
    }

    /// The value of a variable that is set, not empty and text.
    pub fn variable(&self, name: &str) -> Option<&str> {
        let value = self.variables.get(OsStr::new(name))?.to_str()?;
        (!value.is_empty()).then_some(value)
    }

    /// The variables that are text and whose names begin with one of `prefixes`.
    pub fn variables_beginning(&self, prefixes: &[&str]) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().filter_map(move |(name, value)| {
            let name = name.to_str()?;
            let wanted = prefixes.iter().any(|prefix| name.starts_with(prefix));
            wanted.then_some((name, value.to_str()?))
        })
    }

    /// The variables of ours, whose names begin with `prefix`; the value is an error where it is not text.
    fn variables_with_prefix(
        &self,
        prefix: &str,
    ) -> impl Iterator<Item = (&str, Result<&str, ()>)> {
        self.variables.iter().filter_map(move |(name, value)| {
            let name = name.to_str().filter(|name| name.starts_with(prefix))?;
            Some((name, value.to_str().ok_or(())))
        })
    }
}

/// A value that was given on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// The full name of its key.
    pub key: &'static str,
    /// How it was given, e.g. `--listen`.
    pub flag: String,
    /// The value.
    pub raw: Raw,
}

impl Given {
    /// From the text of `--set KEY=VALUE`.
    ///
    /// # Errors
    /// When it has no equals sign or there is no such key.
    pub fn from_assignment(text: &str) -> Result<Self, ConfigError> {
        let (name, value) = text
            .split_once('=')
            .ok_or_else(|| ConfigError::NoValue(text.to_owned()))?;
        let name = name.trim();
        let key = keys::all()
            .find(|key| key.id == name)
            .ok_or_else(|| ConfigError::Unknown {
                place: "--set".to_owned(),
                what: "key",
                name: name.to_owned(),
                nearest: nearest(name, keys::all().map(|key| key.id)),
            })?;
        Ok(Self {
            key: key.id,
            flag: format!("--set {}", key.id),
            raw: Raw::One(value.to_owned()),
        })
    }
}

/// Finds, reads and checks the configuration of `command`.
///
/// # Errors
/// Whatever is wrong with it, naming the place.
pub fn load(
    command: Command,
    flags: &[Given],
    file: Option<&Path>,
    environment: &Environment,
) -> Result<(Config, Resolved), ConfigError> {
    let (mut entries, profiles) = match file.map(Path::to_owned).or_else(|| find_file(environment))
    {
        Some(path) => (file::read(&path)?, profiles::read(&path)?),
        None => (BTreeMap::new(), BTreeMap::new()),
    };
    let mut resolved = resolve::resolve(command, flags, &entries, environment)?;
    let mut config = Config::from_resolved(&resolved)?;
    if let Some(name) = &config.shell.profile {
        profiles::apply(name, &profiles, &mut entries)?;
        resolved = resolve::resolve(command, flags, &entries, environment)?;
        config = Config::from_resolved(&resolved)?;
    }
    config.profiles = profiles;
    check(&config)?;
    Ok((config, resolved))
}

/// The file that `SKEP_CONFIG` names, or the user's, where there is one.
fn find_file(environment: &Environment) -> Option<PathBuf> {
    if let Some(path) = environment.variable(FILE_VARIABLE) {
        return Some(PathBuf::from(path));
    }
    let directory = match environment.variable("XDG_CONFIG_HOME") {
        Some(path) if Path::new(path).is_absolute() => PathBuf::from(path),
        _ => Path::new(environment.variable("HOME")?).join(".config"),
    };
    let path = directory.join("skep/skep.toml");
    path.exists().then_some(path)
}

/// What no single value can be blamed for.
fn check(config: &Config) -> Result<(), ConfigError> {
    match config.tpch.format {
        // The generator has no other. Whoever gives it one has to tell them apart.
        kinds::DataFormat::Parquet => {}
    }
    let cluster = &config.cluster;
    if cluster.heartbeat_timeout < cluster.heartbeat_interval * 2 {
        return Err(ConfigError::Contradiction(
            "cluster.heartbeat_timeout must be at least twice cluster.heartbeat_interval: \
             one late report must not lose an executor"
                .to_owned(),
        ));
    }
    Ok(())
}
