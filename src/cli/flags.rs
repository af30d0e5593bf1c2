//! Flags: those that the table of keys makes, and the few that stand for no key.

use crate::cli::Action;
use crate::config::keys::{self, Key};
use crate::config::kinds::Raw;
use crate::config::{Command, Given};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches};
use std::path::PathBuf;

/// `--config FILE`.
pub const CONFIG: &str = "config-file";
/// `--set KEY=VALUE`.
pub const SET: &str = "set";
/// `-e SQL`.
pub const EXECUTE: &str = "execute";
/// `-f FILE`.
pub const FILE: &str = "file";
/// `FILE` of `skep catalog export` and `import`.
pub const EXPORTED: &str = "exported";
/// `-i FILE`.
pub const INIT: &str = "init";
/// `--var NAME=VALUE`.
pub const VAR: &str = "var";
/// `--param VALUE`.
pub const PARAM: &str = "param";
/// `--continue-on-error`.
pub const CONTINUE: &str = "continue-on-error";
/// `-q`.
pub const QUIET: &str = "quiet";
/// `--no-header`.
pub const NO_HEADER: &str = "no-header";
/// `--for COMMAND` of `skep config`.
pub const FOR: &str = "for";
/// `--reference` of `skep config`.
pub const REFERENCE: &str = "reference";

const DIRECTORY: &str = "directory";
const NAME: &str = "name";

/// `skep tls`.
pub fn tls() -> clap::Command {
    let init = clap::Command::new("init")
        .about("Make a certificate of one's own and its key, for trying TLS out")
        .arg(
            Arg::new(DIRECTORY)
                .long(DIRECTORY)
                .value_name("DIRECTORY")
                .default_value(".")
                .value_parser(clap::value_parser!(PathBuf))
                .help("Where `skep-certificate.pem` and `skep-key.pem` are written"),
        )
        .arg(
            Arg::new(NAME)
                .long(NAME)
                .value_name("NAME")
                .action(ArgAction::Append)
                .help("A host name or address that clients connect to, besides localhost; may be repeated"),
        );
    clap::Command::new("tls")
        .about("Certificates")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(init)
}

/// What `skep tls init` is to do.
pub fn tls_init(matches: &ArgMatches) -> Action {
    let names = matches.get_many::<String>(NAME).into_iter().flatten();
    Action::TlsInit {
        directory: matches
            .get_one::<PathBuf>(DIRECTORY)
            .cloned()
            .unwrap_or_default(),
        names: names.cloned().collect(),
    }
}

/// `skep cluster`.
pub fn cluster() -> clap::Command {
    let init = clap::Command::new("init")
        .about("Make a secret by which the processes of a cluster know each other")
        .arg(
            Arg::new(DIRECTORY)
                .long(DIRECTORY)
                .value_name("DIRECTORY")
                .default_value(".")
                .value_parser(clap::value_parser!(PathBuf))
                .help("Where `skep-cluster-secret` is written"),
        );
    clap::Command::new("cluster")
        .about("What the processes of a cluster have in common")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(init)
}

/// What `skep cluster init` is to do.
pub fn cluster_init(matches: &ArgMatches) -> Action {
    Action::ClusterInit {
        directory: matches
            .get_one::<PathBuf>(DIRECTORY)
            .cloned()
            .unwrap_or_default(),
    }
}

fn keys_of(command: Command) -> impl Iterator<Item = (&'static Key, &'static str)> {
    keys::all().filter_map(move |key| {
        let (flag, commands) = key.flag?;
        commands.contains(&command).then_some((key, flag))
    })
}

/// Gives `parser` the flags of the keys that `command` has.
pub fn with_keys(parser: clap::Command, command: Command) -> clap::Command {
    keys_of(command).fold(parser, |parser, (key, flag)| {
        parser.arg(argument(key, flag))
    })
}

fn argument(key: &'static Key, flag: &'static str) -> Arg {
    let help = format!("{} [default: {}]", key.doc.trim(), key.default.describe());
    let argument = Arg::new(key.id)
        .long(flag)
        .value_name(flag.to_uppercase())
        .help(help);
    if key.is_switch {
        let alone = argument.num_args(0..=1).require_equals(true);
        return alone.default_missing_value("true");
    }
    match key.is_list {
        true => argument.action(ArgAction::Append),
        false => argument.action(ArgAction::Set),
    }
}

/// Gives `parser` the flags for scripts.
pub fn with_scripts(parser: clap::Command) -> clap::Command {
    parser
        .arg(
            Arg::new(EXECUTE)
                .short('e')
                .long("execute")
                .value_name("SQL")
                .action(ArgAction::Append)
                .help("Run these statements and leave; may be repeated and mixed with -f"),
        )
        .arg(
            Arg::new(FILE)
                .short('f')
                .long("file")
                .value_name("FILE")
                .action(ArgAction::Append)
                .value_parser(clap::value_parser!(PathBuf))
                .help(
                    "Run the statements in a file, or those from standard input for `-`, and leave; may be repeated",
                ),
        )
        .arg(
            Arg::new(INIT)
                .short('i')
                .long("init")
                .value_name("FILE")
                .action(ArgAction::Append)
                .value_parser(clap::value_parser!(PathBuf))
                .help("Run the statements in a file before anything else"),
        )
        .arg(
            Arg::new(VAR)
                .long("var")
                .visible_alias("hivevar")
                .value_name("NAME=VALUE")
                .action(ArgAction::Append)
                .value_parser(variable)
                .help("Put VALUE in place of ${NAME}; may be repeated"),
        )
        .arg(
            Arg::new(PARAM)
                .long("param")
                .value_name("VALUE")
                .action(ArgAction::Append)
                .allow_hyphen_values(true)
                .help("The value of $1, of $2, and so on, in order; \\N is NULL"),
        )
        .args(script_switches())
}

fn script_switches() -> [Arg; 3] {
    let switch = |id: &'static str, help: &'static str| {
        let argument = Arg::new(id).long(id).action(ArgAction::SetTrue);
        argument.help(help)
    };
    [
        switch(
            CONTINUE,
            "Go on after an error; the exit code is still that of the first",
        ),
        switch(QUIET, "No greeting, and no remarks about results").short('q'),
        switch(NO_HEADER, "No line with the names of the columns"),
    ]
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| "expected NAME=VALUE".to_owned())?;
    match skep_shell::is_variable_name(name) {
        true => Ok((name.to_owned(), value.to_owned())),
        false => Err(format!("'{name}' is not a name of a variable")),
    }
}

/// The keys' values that stand on the command line.
pub fn given(command: Command, matches: &ArgMatches) -> Vec<Given> {
    keys_of(command)
        .filter_map(|(key, flag)| {
            // `skep config` and `skep tls` have none of the flags of the command that they read the
            // configuration of.
            let texts = matches.try_get_many::<String>(key.id).ok().flatten()?;
            let mut texts: Vec<_> = texts.cloned().collect();
            let raw = match (key.is_list, texts.pop()) {
                (false, Some(text)) => Raw::One(text),
                (true, Some(last)) if texts.is_empty() && last == "all" => Raw::One(last),
                (true, last) => Raw::Many(texts.into_iter().chain(last).collect()),
                (false, None) => return None,
            };
            Some(Given {
                key: key.id,
                flag: format!("--{flag}"),
                raw,
            })
        })
        .collect()
}

/// A flag that was given to the program itself and means nothing to its subcommands.
pub fn of_root_only(root: &ArgMatches) -> Option<String> {
    let keys = keys_of(Command::Skep).map(|(key, flag)| (key.id, format!("--{flag}")));
    let scripts = [
        (EXECUTE, "-e"),
        (FILE, "-f"),
        (INIT, "-i"),
        (VAR, "--var"),
        (PARAM, "--param"),
        (CONTINUE, "--continue-on-error"),
        (QUIET, "-q"),
        (NO_HEADER, "--no-header"),
    ];
    let scripts = scripts.map(|(id, flag)| (id, flag.to_owned()));
    keys.chain(scripts)
        .find(|(id, _)| root.value_source(id) == Some(ValueSource::CommandLine))
        .map(|(_, flag)| flag)
}

/// The commands' names without the program's: `skep tpch run` is `tpch run`.
fn short_name(command: Command) -> &'static str {
    let name = command.name();
    name.strip_prefix("skep ").unwrap_or(name)
}

/// What `--for` takes.
pub fn command_names() -> Vec<&'static str> {
    Command::ALL.into_iter().map(short_name).collect()
}

/// The command of that name.
pub fn command_named(name: &str) -> Option<Command> {
    Command::ALL
        .into_iter()
        .find(|command| short_name(*command) == name)
}
