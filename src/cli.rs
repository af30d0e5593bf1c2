//! The command line: from arguments to what is to be done with which configuration.
//!
//! Flags that stand for keys are made from the table of keys, so that a key cannot have a flag that
//! is parsed and ignored, or a flag that its documentation does not know.

mod flags;

#[cfg(test)]
mod tests;

use crate::config::{self, Config, ConfigError, Environment, Given, Resolved};
use crate::version;
use clap::{Arg, ArgAction, ArgMatches};
use flags::{FOR, REFERENCE};
use std::ffi::OsString;
use std::path::PathBuf;

/// A usage error, to scripts.
pub const EXIT_USAGE: u8 = 3;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A shell on an engine in this process: the scripts, or else what is typed or piped in.
    EmbeddedShell(ShellArguments),
    /// A shell on the server at `shell.connect`.
    Shell(ShellArguments),
    /// A server: coordinator and executors in this process.
    Standalone,
    /// A coordinator.
    Coordinator,
    /// An executor.
    Executor,
    /// Make the benchmark's data.
    TpchGenerate,
    /// Run the benchmark.
    TpchRun,
    /// Make a certificate for trying out.
    TlsInit {
        /// Where its files go.
        directory: PathBuf,
        /// The names and addresses that it is for.
        names: Vec<String>,
    },
    /// Make a cluster's secret.
    ClusterInit {
        /// Where its file goes.
        directory: PathBuf,
    },
    /// Compare the catalog with the files.
    CatalogCheck,
    /// Write the catalog into a file.
    CatalogExport(PathBuf),
    /// Fill an empty catalog from a file.
    CatalogImport(PathBuf),
    /// Print this text to standard output.
    Print(String),
}

/// What the command line says to the shell beside its configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShellArguments {
    /// What to run.
    pub scripts: Vec<Script>,
    /// What to run before.
    pub init: Vec<PathBuf>,
    /// Values for `${name}`.
    pub variables: Vec<(String, String)>,
    /// Values for `$1`, `$2`, …
    pub parameters: Vec<Option<String>>,
    /// Whether to go on after an error.
    pub continue_on_error: bool,
    /// Whether remarks are unwanted.
    pub quiet: bool,
    /// Whether results have no header.
    pub no_header: bool,
}

/// SQL for the shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Script {
    /// The statements themselves.
    Text(String),
    /// A file of statements; `-` is standard input.
    File(PathBuf),
}

/// What the command line asks for.
#[derive(Debug)]
pub struct Invocation {
    /// What is to be done.
    pub action: Action,
    /// With which configuration.
    pub config: Config,
}

/// Why there is nothing to do.
#[derive(Debug, thiserror::Error)]
pub enum CommandLineError {
    /// It is not one of our command lines, or it asks for help or the version.
    #[error(transparent)]
    Arguments(#[from] clap::Error),
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl CommandLineError {
    /// 0 where help or the version was asked for.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Arguments(error) if !error.use_stderr() => 0,
            _ => EXIT_USAGE,
        }
    }

    /// Prints it to where it belongs: help to standard output, errors to standard error.
    pub fn print(&self) {
        match self {
            // A closed pipe is all that can go wrong, and then nobody is there to be told.
            Self::Arguments(error) => drop(error.print()),
            Self::Config(error) => eprintln!("error: {error}"),
        }
    }
}

/// Reads the command line and the configuration.
///
/// # Errors
/// Usage errors and wrong configuration; also, as clap has it, requests for help.
pub fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    environment: &Environment,
) -> Result<Invocation, CommandLineError> {
    let matches = clap_command().try_get_matches_from(arguments)?;
    let (path, innermost) = innermost(&matches);
    refuse_misplaced(&matches, &path)?;
    let run_as = |command, action| run(command, innermost, environment, action);
    match path.as_slice() {
        [] => run_as(
            config::Command::Skep,
            Action::EmbeddedShell(shell_arguments(innermost)),
        ),
        ["shell"] => run_as(
            config::Command::Shell,
            Action::Shell(shell_arguments(innermost)),
        ),
        ["standalone"] => run_as(config::Command::Standalone, Action::Standalone),
        ["coordinator"] => run_as(config::Command::Coordinator, Action::Coordinator),
        ["executor"] => run_as(config::Command::Executor, Action::Executor),
        ["tpch", "generate"] => run_as(config::Command::TpchGenerate, Action::TpchGenerate),
        ["tpch", "run"] => {
            refuse_remote_engine_options(innermost)?;
            run_as(config::Command::TpchRun, Action::TpchRun)
        }
        ["tls", "init"] => run_as(config::Command::Standalone, flags::tls_init(innermost)),
        ["cluster", "init"] => run_as(config::Command::Standalone, flags::cluster_init(innermost)),
        ["catalog", verb] => run_as(config::Command::Catalog, catalog_action(verb, innermost)),
        _ => print_config(innermost, environment),
    }
}

fn run(
    command: config::Command,
    matches: &ArgMatches,
    environment: &Environment,
    action: Action,
) -> Result<Invocation, CommandLineError> {
    let (config, _) = load(command, matches, environment)?;
    Ok(Invocation { action, config })
}

fn catalog_action(verb: &str, matches: &ArgMatches) -> Action {
    let file = matches.try_get_one::<PathBuf>(flags::EXPORTED);
    let file = file.ok().flatten().cloned().unwrap_or_default();
    match verb {
        "export" => Action::CatalogExport(file),
        "import" => Action::CatalogImport(file),
        _ => Action::CatalogCheck,
    }
}

fn print_config(
    matches: &ArgMatches,
    environment: &Environment,
) -> Result<Invocation, CommandLineError> {
    let name = matches
        .get_one::<String>(FOR)
        .map_or("standalone", String::as_str);
    let command = flags::command_named(name).unwrap_or(config::Command::Standalone);
    let (config, resolved) = load(command, matches, environment)?;
    let text = match matches.get_flag(REFERENCE) {
        true => config::show::reference(),
        false => config::show::effective(&resolved),
    };
    Ok(Invocation {
        action: Action::Print(text),
        config,
    })
}

fn load(
    command: config::Command,
    matches: &ArgMatches,
    environment: &Environment,
) -> Result<(Config, Resolved), ConfigError> {
    let mut given = flags::given(command, matches);
    for text in matches.get_many::<String>(flags::SET).into_iter().flatten() {
        given.push(Given::from_assignment(text)?);
    }
    let file = matches.get_one::<PathBuf>(flags::CONFIG);
    config::load(command, &given, file.map(PathBuf::as_path), environment)
}

/// The subcommands that were named, and the arguments of the last.
fn innermost(matches: &ArgMatches) -> (Vec<&str>, &ArgMatches) {
    let mut path = Vec::new();
    let mut innermost = matches;
    while let Some((name, inner)) = innermost.subcommand() {
        path.push(name);
        innermost = inner;
    }
    (path, innermost)
}

/// Options of the embedded shell that stand before a subcommand would be ignored.
fn refuse_misplaced(root: &ArgMatches, path: &[&str]) -> Result<(), CommandLineError> {
    if path.is_empty() {
        return Ok(());
    }
    let misplaced = flags::of_root_only(root);
    match misplaced {
        None => Ok(()),
        Some(flag) => Err(conflict(format!(
            "{flag} stands before `{0}`, which would ignore it: write it after `{0}`",
            path.join(" ")
        ))),
    }
}

/// Options of the engine that the benchmark starts say nothing about a running cluster.
fn refuse_remote_engine_options(matches: &ArgMatches) -> Result<(), CommandLineError> {
    let given = flags::given(config::Command::TpchRun, matches);
    if !given.iter().any(|given| given.key == "tpch.connect") {
        return Ok(());
    }
    let local = given
        .iter()
        .find(|given| given.key == "server.executors" || given.key.starts_with("executor."));
    match local {
        None => Ok(()),
        Some(given) => Err(conflict(format!(
            "{} is for an engine that the benchmark starts, and --connect names one that runs",
            given.flag
        ))),
    }
}

fn conflict(message: String) -> CommandLineError {
    clap_command()
        .error(clap::error::ErrorKind::ArgumentConflict, message)
        .into()
}

fn shell_arguments(matches: &ArgMatches) -> ShellArguments {
    let params = matches
        .get_many::<String>(flags::PARAM)
        .into_iter()
        .flatten();
    let parameters = params.map(|text| Some(text.clone()).filter(|text| text != "\\N"));
    let variables = matches.get_many::<(String, String)>(flags::VAR).into_iter();
    let init = matches
        .get_many::<PathBuf>(flags::INIT)
        .into_iter()
        .flatten();
    ShellArguments {
        scripts: scripts(matches),
        init: init.cloned().collect(),
        variables: variables.flatten().cloned().collect(),
        parameters: parameters.collect(),
        continue_on_error: matches.get_flag(flags::CONTINUE),
        quiet: matches.get_flag(flags::QUIET),
        no_header: matches.get_flag(flags::NO_HEADER),
    }
}

/// The scripts in the order in which they were given.
fn scripts(matches: &ArgMatches) -> Vec<Script> {
    let texts = matches
        .get_many::<String>(flags::EXECUTE)
        .into_iter()
        .flatten();
    let texts = texts.map(|text| Script::Text(text.clone()));
    let files = matches
        .get_many::<PathBuf>(flags::FILE)
        .into_iter()
        .flatten();
    let files = files.map(|path| Script::File(path.clone()));
    let positions = |id| matches.indices_of(id).into_iter().flatten();
    let mut scripts: Vec<_> = positions(flags::EXECUTE)
        .zip(texts)
        .chain(positions(flags::FILE).zip(files))
        .collect();
    scripts.sort_by_key(|(position, _)| *position);
    scripts.into_iter().map(|(_, script)| script).collect()
}

/// The whole command line, for clap.
fn clap_command() -> clap::Command {
    use config::Command;
    let command = |name: &'static str, command, about: &'static str| {
        flags::with_keys(clap::Command::new(name).about(about), command)
    };
    let tpch = clap::Command::new("tpch")
        .about("The TPC-H benchmark")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(command(
            "generate",
            Command::TpchGenerate,
            "Make the benchmark's data",
        ))
        .subcommand(command(
            "run",
            Command::TpchRun,
            "Run the benchmark's queries, verify and time them",
        ));
    let root = clap::Command::new("skep")
        .about("A distributed SQL query engine. Without a command: a shell on an engine of its own")
        .version(version::long())
        .infer_subcommands(false)
        .arg(Arg::new(flags::CONFIG).long("config").value_name("FILE").global(true)
            .value_parser(clap::value_parser!(PathBuf)).help("The configuration file"))
        .arg(Arg::new(flags::SET).long("set").value_name("KEY=VALUE").global(true)
            .action(ArgAction::Append).help("Sets any key of the configuration"))
        .after_help("Exit codes: 0 ok, 1 SQL or engine error, 2 connection or login, 3 usage, 130 cancelled.\nSee `skep config --reference` for everything that can be configured.");
    flags::with_scripts(flags::with_keys(root, Command::Skep))
        .subcommand(command(
            "standalone",
            Command::Standalone,
            "Serve: a coordinator with executors in one process",
        ))
        .subcommand(command(
            "coordinator",
            Command::Coordinator,
            "Serve: the coordinator of a cluster",
        ))
        .subcommand(command(
            "executor",
            Command::Executor,
            "Join a cluster as an executor",
        ))
        .subcommand(flags::with_scripts(command(
            "shell",
            Command::Shell,
            "A shell on a running server",
        )))
        .subcommands([tpch, flags::tls(), flags::cluster()])
        .subcommand(catalog_command())
        .subcommand(config_command())
}

/// `skep catalog`, for clap.
fn catalog_command() -> clap::Command {
    let verb = |name: &'static str, about: &'static str| {
        let verb = clap::Command::new(name).about(about);
        flags::with_keys(verb, config::Command::Catalog)
    };
    let file = |help: &'static str| {
        Arg::new(flags::EXPORTED)
            .value_name("FILE")
            .required(true)
            .value_parser(clap::value_parser!(PathBuf))
            .help(help)
    };
    clap::Command::new("catalog")
        .about("Check the catalog, or move it to another database")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(verb(
            "check",
            "Compare what the catalog says with the files that are there",
        ))
        .subcommand(
            verb("export", "Write the catalog into a file of JSON lines")
                .arg(file("The file, which must not be there yet")),
        )
        .subcommand(
            verb("import", "Fill an empty catalog from an exported one")
                .arg(file("The file that `skep catalog export` has written")),
        )
}

/// `skep config`, for clap.
fn config_command() -> clap::Command {
    clap::Command::new("config")
        .about("Print the configuration and where each value comes from")
        .arg(
            Arg::new(FOR)
                .long("for")
                .value_name("COMMAND")
                .default_value("standalone")
                .value_parser(flags::command_names())
                .help("As which command sees it"),
        )
        .arg(
            Arg::new(REFERENCE)
                .long("reference")
                .action(ArgAction::SetTrue)
                .help("Print the reference of all keys instead"),
        )
}
