//! Skep's shell: SQL from a terminal, a file, an option or a pipe, and its results as people or as
//! programs want them.
//!
//! It is a client of Flight SQL and nothing more: it links no planner and sends nothing but what the
//! user typed and what completion and progress need to know. It reads no configuration and no
//! environment; all of that comes in [`ShellOptions`].
//!
//! | file | what it does |
//! |---|---|
//! | `shell.rs` and `shell/` | statements with variables and parameters, and what commands do |
//! | `interactive.rs`, `editor.rs` | the loop at a terminal; the line editor on a thread of its own |
//! | `editor/`, `knowledge.rs`, `sql.rs` | completion and colours, and what they know |
//! | `script.rs` | statements from files, options and pipes |
//! | `command.rs` | what begins with a backslash |
//! | `runner.rs` | one statement: send it, show its result, let Ctrl-C cancel it |
//! | `progress.rs` | the line that shows how far a query is |
//! | `output.rs` | where results go: standard output, a file, the pager |
//! | `report.rs` | errors with their place and a caret |
//! | `format.rs` and `format/`, `chart.rs` | what results look like |
//! | `session.rs`, `interrupt.rs`, `terminal.rs`, `keyboard.rs`, `password.rs` | the seams to the server, to Ctrl-C and to the terminal |

mod chart;
mod command;
mod editor;
mod format;
mod interactive;
mod interrupt;
mod keyboard;
mod knowledge;
mod options;
mod output;
mod password;
mod progress;
mod report;
mod runner;
mod script;
mod session;
mod settings;
mod shell;
mod terminal;
#[cfg(test)]
mod test_support;
mod variables;

pub use format::{Format, UnknownFormat};
pub use options::{
    DemoData, EXIT_CANCELLED, EXIT_CONNECTION, EXIT_ERROR, EXIT_OK, EXIT_USAGE, ServerOptions,
    ShellOptions, Source,
};
pub use variables::is_variable_name;

use format::Look;
use interrupt::Interrupts;
use keyboard::Keyboard;
use output::Output;
use runner::{Runner, Screen};
use settings::Settings;
use shell::{NotOpen, Servers, Shell, server_connector};
use std::io::IsTerminal;
use terminal::Terminal;

/// Runs the shell to its end and returns what the process should exit with (see the `EXIT_…`
/// constants).
///
/// It is interactive where there are no sources and standard input is a terminal; otherwise it runs
/// the sources, or standard input, and stops at the first error unless it is to go on. Results go to
/// standard output: as a table where that is a terminal and as CSV where it is not, unless a format is
/// chosen. Everything else goes to standard error.
///
/// Must be called within a multi-threaded Tokio runtime with I/O and time enabled. It listens to
/// Ctrl-C for as long as it runs, so that the process must not do that itself.
pub async fn run(options: ShellOptions) -> i32 {
    let is_interactive = options.sources.is_empty() && std::io::stdin().is_terminal();
    let (interrupts, _listener) = Interrupts::of_process();
    let runner = Runner::new(
        server_connector(&options.server),
        screen(&options, is_interactive),
        settings(&options),
        interrupts,
    );
    let mut shell = Shell::new(runner, &options, Servers::new(&options));
    let code = match shell.open().await {
        Err(NotOpen::Failed(error)) => {
            shell.runner.report(&error, None).await;
            error.exit_code()
        }
        Err(NotOpen::Cancelled) => EXIT_CANCELLED,
        Ok(()) => run_all(&mut shell, &options, is_interactive).await,
    };
    shell.runner.close().await;
    code
}

/// The init files, and then what the shell was started for.
async fn run_all(shell: &mut Shell, options: &ShellOptions, is_interactive: bool) -> i32 {
    let init: Vec<_> = options.init.iter().cloned().map(Source::File).collect();
    if !init.is_empty() {
        let code = script::run(shell, &init).await;
        // Somebody who types can mend what is wrong; a script would run with half of it.
        if code != EXIT_OK && !is_interactive {
            return code;
        }
    }
    match is_interactive {
        true => interactive::run(shell, options).await,
        false => script::run(shell, &options.sources).await,
    }
}

fn screen(options: &ShellOptions, is_interactive: bool) -> Screen {
    let out_is_terminal = std::io::stdout().is_terminal();
    let err_is_terminal = std::io::stderr().is_terminal();
    Screen {
        output: Output::new(Box::new(tokio::io::stdout())),
        err: Box::new(tokio::io::stderr()),
        out_is_terminal,
        err_is_terminal,
        color: !options.no_color && !options.dumb_terminal,
        terminal: Terminal::of_process(options.dumb_terminal),
        keyboard: match is_interactive && !options.dumb_terminal {
            true => Keyboard::of_process(),
            false => Keyboard::untouched(),
        },
        pager: options
            .pager
            .clone()
            .filter(|_| is_interactive && out_is_terminal && !options.dumb_terminal),
        quiet: options.quiet,
    }
}

fn settings(options: &ShellOptions) -> Settings {
    Settings {
        format: options.format,
        look: Look {
            header: !options.no_header,
            ..Look::default()
        },
        timing: options.timing,
        pager: true,
        progress: true,
    }
}
