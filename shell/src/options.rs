//! What a caller decides about the shell.

use crate::format::Format;
use async_trait::async_trait;
use skep_client::ClientOptions;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

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
#[derive(Clone, Default)]
pub struct ShellOptions {
    /// The server, and who is asking.
    pub server: ServerOptions,
    /// Other servers that `\c NAME` connects to, by name.
    pub profiles: BTreeMap<String, ServerOptions>,
    /// What to run, in order. Empty for standard input, which is interactive at a terminal.
    pub sources: Vec<Source>,
    /// What to run before anything else, and whether it was asked for on the command line: the user's
    /// own file runs at a terminal alone, so that a script does the same for everybody.
    pub init: Vec<PathBuf>,
    /// See [`ShellOptions::init`]: the file that runs at a terminal, where it exists.
    pub interactive_init: Option<PathBuf>,
    /// Variables for `${name}`.
    pub variables: Vec<(String, String)>,
    /// Values of `$1`, `$2`, …; `None` is NULL.
    pub parameters: Vec<Option<String>>,
    /// Whether a script goes on after an error.
    pub continue_on_error: bool,
    /// Whether greetings and remarks about results are unwanted.
    pub quiet: bool,
    /// Whether results have no line with the columns' names.
    pub no_header: bool,
    /// How results look; by default a table at a terminal and CSV elsewhere.
    pub format: Option<Format>,
    /// Whether the line below a result at a terminal says how long it took.
    pub timing: bool,
    /// Whether colour is unwanted even at a terminal (`NO_COLOR`).
    pub no_color: bool,
    /// Whether the terminal knows no escape sequences (`TERM=dumb`).
    pub dumb_terminal: bool,
    /// The command, for `sh`, that long results at a terminal go through; none for no pager.
    pub pager: Option<String>,
    /// The command, for `sh`, that `\e` opens a file with.
    pub editor: String,
    /// Where the lines that were typed are kept; not kept where there is none. Its folder is made.
    pub history_file: Option<PathBuf>,
    /// The version to greet with, e.g. `0.1.0`.
    pub version: String,
    /// Who makes the data of `\demo`; none where the server's files are not this machine's.
    pub demo: Option<Arc<dyn DemoData>>,
}

/// A server, and who is asking.
#[derive(Clone, Debug, Default)]
pub struct ServerOptions {
    /// Where it is: `flight://host:port` or `flights://host:port`.
    pub url: String,
    /// Who is asking, and the connection's limits.
    pub client: ClientOptions,
    /// What the greeting calls it; by default its address. For an embedded engine, its data directory
    /// says more.
    pub name: Option<String>,
    /// What the prompt calls it; by default its host and port.
    pub short_name: Option<String>,
}

/// Makes the data of `\demo`.
#[async_trait]
pub trait DemoData: Send + Sync {
    /// Makes the files where they are not there yet, and returns the statements that create and use a
    /// database over them. The error is a message for the user.
    async fn make(&self) -> Result<Vec<String>, String>;
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
