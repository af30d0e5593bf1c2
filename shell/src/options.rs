//! What a caller decides about the shell.

use crate::format::Format;
use skep_client::ClientOptions;
use std::path::PathBuf;

/// All statements ran.
pub const EXIT_OK: i32 = 0;
/// A statement failed, or its result could not be written.
pub const EXIT_ERROR: i32 = 1;
/// The server could not be reached, was lost, or did not let the user in.
pub const EXIT_CONNECTION: i32 = 2;
/// The options are wrong: an address that is none, a script that cannot be read.
pub const EXIT_USAGE: i32 = 3;
/// Ctrl-C ended a script or, twice, the shell.
pub const EXIT_CANCELLED: i32 = 130;

/// The shell's options.
#[derive(Clone, Debug, Default)]
pub struct ShellOptions {
    /// Where the server is: `flight://host:port` or `flights://host:port`.
    pub url: String,
    /// Who is asking, and the connection's limits.
    pub client: ClientOptions,
    /// What to run, in order. Empty for standard input, which is interactive at a terminal.
    pub sources: Vec<Source>,
    /// How results look; by default a table at a terminal and CSV elsewhere.
    pub format: Option<Format>,
    /// Whether the line below a result at a terminal says how long it took.
    pub timing: bool,
    /// Whether colour is unwanted even at a terminal (`NO_COLOR`).
    pub no_color: bool,
    /// Where the lines that were typed are kept; not kept where there is none. Its folder is made.
    pub history_file: Option<PathBuf>,
    /// The version to greet with, e.g. `0.1.0`.
    pub version: String,
    /// What the greeting calls the server; by default its address. For an embedded engine, its data
    /// directory says more.
    pub server_name: Option<String>,
}

/// Where statements come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The text of an option.
    Sql(String),
    /// A file.
    File(PathBuf),
    /// Standard input.
    Stdin,
}

impl Source {
    /// A file by its name as an option has it, where `-` is standard input.
    pub fn from_file_option(name: &str) -> Self {
        if name == "-" {
            Self::Stdin
        } else {
            Self::File(PathBuf::from(name))
        }
    }
}
