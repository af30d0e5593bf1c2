//! Carries out what the command line asked for.

mod catalog;
mod cluster;
mod endpoint;
mod executor;
mod logging;
mod runtimes;
mod server;
mod settings;
mod shell;
mod tls;
mod tpch;

use crate::cli::{Action, Invocation};
use crate::config::Environment;
use runtimes::Runtimes;
use skep_coordinator::Threads;
use std::io::Write;
use std::process::ExitCode;

/// The statements ran and the servers ended as they should.
const EXIT_OK: u8 = 0;
/// With how many threads a coordinator without executors runs its part of queries at least.
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
    let made = match &action {
        Action::TlsInit { directory, names } => Some(tls::init(directory, names)),
        Action::ClusterInit { directory } => Some(cluster::init(directory)),
        _ => None,
    };
    if let Some(made) = made {
        return exit_code(made);
    }
    if let Err(error) = logging::start(&config.log) {
        eprintln!("error: {error}");
        return ExitCode::from(crate::cli::EXIT_USAGE);
    }
    let cores = match (&action, config.server.executors) {
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
        let threads = Threads {
            planning: runtimes.planning().clone(),
            compute: runtimes.compute().clone(),
        };
        let outcome = match action {
            Action::EmbeddedShell(arguments) => {
                shell::embedded(&config, arguments, terminal, storage, threads).await
            }
            Action::Shell(arguments) => shell::connected(&config, arguments, terminal).await,
            Action::Standalone | Action::Coordinator => {
                server::serve(&config, storage, threads).await
            }
            Action::Executor => executor::serve(&config, storage, threads.compute).await,
            Action::TpchGenerate => tpch::generate(&config, storage).await,
            Action::TpchRun => tpch::run(&config, storage, threads).await,
            Action::CatalogCheck => catalog::check(&config, storage).await,
            Action::CatalogExport(file) => catalog::export(&config, &file).await,
            Action::CatalogImport(file) => catalog::import(&config, &file).await,
            Action::Print(_) | Action::TlsInit { .. } | Action::ClusterInit { .. } => Ok(EXIT_OK),
        };
        outcome.unwrap_or_else(|error| {
            eprintln!("error: {error:#}");
            EXIT_ERROR
        })
    });
    runtimes.stop();
    ExitCode::from(code)
}

fn exit_code(outcome: anyhow::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::from(EXIT_OK),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(EXIT_ERROR)
        }
    }
}
