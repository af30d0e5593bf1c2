//! Skep's shell: SQL from a terminal, a file, an option or a pipe, and its results as people or as
//! programs want them.
//!
//! It is a client of Flight SQL and nothing more: it links no planner and sends nothing but what the
//! user typed. It reads no configuration and no environment; all of that comes in [`ShellOptions`].
//!
//! | file | what it does |
//! |---|---|
//! | `interactive.rs`, `editor.rs` | the loop at a terminal; the line editor on a thread of its own |
//! | `script.rs` | statements from files, options and pipes |
//! | `command.rs` | what begins with a backslash |
//! | `runner.rs` | one statement: send it, show its result, let Ctrl-C cancel it |
//! | `report.rs` | errors with their place and a caret |
//! | `format.rs` and `format/` | a result as table, vertical, CSV, TSV or JSON |
//! | `session.rs`, `interrupt.rs` | the seams to the server and to Ctrl-C, which tests replace |

mod command;
mod editor;
mod format;
mod interactive;
mod interrupt;
mod options;
mod report;
mod runner;
mod script;
mod session;
#[cfg(test)]
mod test_support;

pub use format::{Format, UnknownFormat};
pub use options::{
    EXIT_CANCELLED, EXIT_CONNECTION, EXIT_ERROR, EXIT_OK, EXIT_USAGE, ShellOptions, Source,
};

use interrupt::Interrupts;
use runner::{Runner, Screen};
use session::FlightConnector;
use std::io::IsTerminal;

/// Runs the shell to its end and returns what the process should exit with (see the `EXIT_…`
/// constants).
///
/// It is interactive where there are no sources and standard input is a terminal; otherwise it runs
/// the sources, or standard input, and stops at the first error. Results go to standard output: as a
/// table where that is a terminal and as CSV where it is not, unless a format is chosen. Everything
/// else goes to standard error.
///
/// Must be called within a multi-threaded Tokio runtime with I/O and time enabled. It listens to
/// Ctrl-C for as long as it runs, so that the process must not do that itself.
pub async fn run(options: ShellOptions) -> i32 {
    let stdout_is_terminal = std::io::stdout().is_terminal();
    let stderr_is_terminal = std::io::stderr().is_terminal();
    let screen = Screen {
        out: Box::new(tokio::io::stdout()),
        err: Box::new(tokio::io::stderr()),
        out_is_terminal: stdout_is_terminal,
        color: stderr_is_terminal && !options.no_color,
        format: options.format.unwrap_or(if stdout_is_terminal {
            Format::Table
        } else {
            Format::Csv
        }),
        timing: options.timing,
    };
    let connector = FlightConnector::new(options.url.clone(), options.client.clone());
    let (interrupts, _listener) = Interrupts::of_process();
    let mut runner = Runner::new(Box::new(connector), screen, interrupts);
    let interactive = options.sources.is_empty() && std::io::stdin().is_terminal();
    let code = match runner.connect().await {
        Err(error) => {
            runner.report(&error, None).await;
            error.exit_code()
        }
        Ok(()) if interactive => interactive::run(&mut runner, &options).await,
        Ok(()) => script::run(&mut runner, &options.sources).await,
    };
    runner.close().await;
    code
}
