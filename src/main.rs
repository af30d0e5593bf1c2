//! The binary: reads the command line and the configuration, and composes the other crates. Nothing else
//! does either.

mod cli;
mod config;
mod run;
mod version;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let environment = config::Environment::of_this_process();
    match cli::parse(std::env::args_os(), &environment) {
        Ok(invocation) => run::run(invocation, &environment),
        Err(error) => {
            error.print();
            ExitCode::from(error.exit_code())
        }
    }
}
