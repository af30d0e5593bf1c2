//! Carries out what the command line asked for.

mod endpoint;
mod executor;
mod logging;
mod runtimes;
mod server;
mod settings;
mod shell;
mod tpch;

use crate::cli::{Action, Invocation};
use crate::config::Environment;
use runtimes::Runtimes;
use std::io::Write;
use std::process::ExitCode;

/// The statements ran and the servers ended as they should.
const EXIT_OK: u8 = 0;
/// How many threads a coordinator without executors plans with at least.
const COORDINATOR_THREADS_MIN: usize = 4;

/// SQL or the engine failed.
const EXIT_ERROR: u8 = 1;

/// Runs to the end and returns the exit code.
pub fn run(invocation: Invocation, environment: &Environment) -> ExitCode {
    let Invocation { action, config } = invocation;
    if let Action::Print(text) = action {
        // A reader that has seen enough closes the pipe; that is no error.
        drop(writeln!(std::io::stdout(), "{text}"));
        return ExitCode::from(EXIT_OK);
    }
    if let Err(error) = logging::start(&config.log) {
        eprintln!("error: {error}");
        return ExitCode::from(crate::cli::EXIT_USAGE);
    }
    let cores = match (&action, config.server.executors) {
        // No operators compete with its planning, and one large statement must not hold up the rest.
        (Action::Coordinator | Action::Standalone, 0) => {
            config.executor.cores.max(COORDINATOR_THREADS_MIN)
        }
        (_, executors) => config.executor.cores * executors.max(1),
    };
    let runtimes = match Runtimes::start(cores) {
        Ok(runtimes) => runtimes,
        Err(error) => {
            eprintln!("error: cannot start threads: {error}");
            return ExitCode::from(EXIT_ERROR);
        }
    };
    let storage = settings::storage_options(environment);
    let terminal = shell::TerminalKind {
        is_dumb: environment
            .variable("TERM")
            .is_none_or(|term| term == "dumb"),
    };
    let code = runtimes.block_on(async {
        let compute = runtimes.compute().clone();
        let outcome = match action {
            Action::EmbeddedShell(arguments) => {
                shell::embedded(&config, arguments, terminal, storage, compute).await
            }
            Action::Shell(arguments) => shell::connected(&config, arguments, terminal).await,
            Action::Standalone | Action::Coordinator => {
                server::serve(&config, storage, compute).await
            }
            Action::Executor => executor::serve(&config, storage, compute).await,
            Action::TpchGenerate => tpch::generate(&config, storage).await,
            Action::TpchRun => tpch::run(&config, storage, compute).await,
            Action::Print(_) => Ok(EXIT_OK),
        };
        outcome.unwrap_or_else(|error| {
            eprintln!("error: {error:#}");
            EXIT_ERROR
        })
    });
    runtimes.stop();
    ExitCode::from(code)
}
