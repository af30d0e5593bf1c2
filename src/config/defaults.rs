//! What holds where nobody says anything, as far as it depends on the command, the machine, the
//! user or other values.

use super::kinds::Raw;
use super::resolved::Resolved;
use super::{Command, ConfigError, Environment};
use std::path::{Path, PathBuf};

/// The scales for which the benchmark keeps answers.
const SCALES_WITH_ANSWERS: [f64; 2] = [0.01, 1.0];

/// How much of the memory executors take. The rest is for plans, the catalog, buffers of the
/// network and whatever else runs on the machine.
const MEMORY_SHARE_PERCENT: u64 = 70;

/// What an executor needs at least, however small the machine.
const MEMORY_LIMIT_BYTES_MIN: u64 = 64 << 20;

/// A key's default.
pub enum Default {
    /// Always the same.
    Fixed(&'static str),
    /// Its description, and how it is found.
    Computed(&'static str, fn(&Basis) -> Result<String, ConfigError>),
}

impl Default {
    /// The default, for people.
    pub fn describe(&self) -> String {
        match self {
            Self::Fixed("") => "nothing".to_owned(),
            Self::Fixed(text) => format!("`{text}`"),
            Self::Computed(description, _) => (*description).to_owned(),
        }
    }
}

/// What defaults depend on.
pub struct Basis<'a> {
    /// The command that runs.
    pub command: Command,
    /// Where it runs.
    pub environment: &'a Environment,
    /// The keys that come earlier in the table.
    pub earlier: &'a Resolved,
}

impl Basis<'_> {
    fn directory(&self, variable: &str, below_home: &str) -> Result<PathBuf, ConfigError> {
        if let Some(path) = self.environment.variable(variable) {
            // The base directory specification has relative paths ignored.
            if Path::new(path).is_absolute() {
                return Ok(PathBuf::from(path));
            }
        }
        match self.environment.variable("HOME") {
            Some(home) => Ok(Path::new(home).join(below_home)),
            None => Err(ConfigError::NoHome),
        }
    }

    fn executors_per_process(&self) -> Result<usize, ConfigError> {
        match self.command {
            Command::Executor => Ok(1),
            _ => Ok(self
                .earlier
                .read::<super::kinds::Count<0, 64>>("server.executors")?
                .max(1)),
        }
    }
}

fn text(path: &Path) -> Result<String, ConfigError> {
    path.to_str()
        .map(str::to_owned)
        .ok_or_else(|| ConfigError::NotUnicode(path.to_owned()))
}

/// Servers have a known port, engines inside another program must not be in each other's way.
pub fn server_listen(basis: &Basis) -> Result<String, ConfigError> {
    Ok(match basis.command.is_embedded() {
        true => "127.0.0.1:0".to_owned(),
        false => "127.0.0.1:8090".to_owned(),
    })
}

/// `$XDG_DATA_HOME/skep`.
pub fn data_dir(basis: &Basis) -> Result<String, ConfigError> {
    text(
        &basis
            .directory("XDG_DATA_HOME", ".local/share")?
            .join("skep"),
    )
}

/// Two, so that the exchange is used; none beside a coordinator, which has its executors elsewhere.
pub fn executors(basis: &Basis) -> Result<String, ConfigError> {
    Ok(match basis.command {
        Command::Coordinator => "0".to_owned(),
        _ => "2".to_owned(),
    })
}

/// A known port for an executor by itself.
pub fn executor_listen(basis: &Basis) -> Result<String, ConfigError> {
    Ok(match basis.command {
        Command::Executor => "127.0.0.1:8091".to_owned(),
        _ => "127.0.0.1:0".to_owned(),
    })
}

/// All cores, divided by the executors of the process.
pub fn cores(basis: &Basis) -> Result<String, ConfigError> {
    let cores = basis.environment.machine.cores / basis.executors_per_process()?;
    Ok(cores.max(1).to_string())
}

/// Most of the memory, divided by the executors of the process.
pub fn memory_limit(basis: &Basis) -> Result<String, ConfigError> {
    let executors = u64::try_from(basis.executors_per_process()?).unwrap_or(u64::MAX);
    // Divided first: not even a petabyte would overflow, and what is lost is rounded off below anyway.
    let bytes = basis.environment.machine.memory_bytes / executors / 100 * MEMORY_SHARE_PERCENT;
    // In whole mebibytes, for people to read.
    let bytes = (bytes >> 20 << 20).max(MEMORY_LIMIT_BYTES_MIN);
    Ok(bytes.to_string())
}

/// `$XDG_CACHE_HOME/skep/work`.
pub fn work_dir(basis: &Basis) -> Result<String, ConfigError> {
    text(
        &basis
            .directory("XDG_CACHE_HOME", ".cache")?
            .join("skep/work"),
    )
}

/// What <https://no-color.org> asks for.
pub fn color(basis: &Basis) -> Result<String, ConfigError> {
    Ok(match basis.environment.variable("NO_COLOR") {
        Some(_) => "never".to_owned(),
        None => "auto".to_owned(),
    })
}

/// What the user leafs through long texts with.
pub fn pager(basis: &Basis) -> Result<String, ConfigError> {
    let pager = basis.environment.variable("PAGER");
    // Unless the user has options of their own, `less` shows colours as they are meant.
    Ok(pager.unwrap_or("LESS=${LESS-R} less -S").to_owned())
}

/// What the user edits texts with.
pub fn editor(basis: &Basis) -> Result<String, ConfigError> {
    let variable = |name| {
        basis
            .environment
            .variable(name)
            .filter(|text| !text.is_empty())
    };
    let editor = variable("VISUAL").or_else(|| variable("EDITOR"));
    Ok(editor.unwrap_or("vi").to_owned())
}

/// `$XDG_CONFIG_HOME/skep/init.sql`.
pub fn init_file(basis: &Basis) -> Result<String, ConfigError> {
    text(
        &basis
            .directory("XDG_CONFIG_HOME", ".config")?
            .join("skep/init.sql"),
    )
}

/// `$XDG_STATE_HOME/skep/history`.
pub fn history_file(basis: &Basis) -> Result<String, ConfigError> {
    text(
        &basis
            .directory("XDG_STATE_HOME", ".local/state")?
            .join("skep/history"),
    )
}

/// Below the data directory, one directory per scale.
pub fn tpch_output(basis: &Basis) -> Result<String, ConfigError> {
    let directory = basis
        .earlier
        .read::<super::kinds::Directory>("server.data_dir")?;
    let scale = basis.earlier.read::<super::kinds::Scale>("tpch.scale")?;
    text(&directory.join(format!("tpch/sf{scale}")))
}

/// Answers where they are kept.
pub fn verify(basis: &Basis) -> Result<String, ConfigError> {
    let scale = basis.earlier.read::<super::kinds::Scale>("tpch.scale")?;
    Ok(match SCALES_WITH_ANSWERS.contains(&scale) {
        true => "answers".to_owned(),
        false => "oracle".to_owned(),
    })
}

/// Servers tell what they do, other commands what is wrong.
pub fn log_level(basis: &Basis) -> Result<String, ConfigError> {
    Ok(match basis.command.is_server() {
        true => "info".to_owned(),
        false => "warn".to_owned(),
    })
}

impl From<String> for Raw {
    fn from(text: String) -> Self {
        Self::One(text)
    }
}
