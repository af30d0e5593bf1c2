//! Command lines as people and scripts write them.

use super::*;
use crate::config::Machine;
use crate::config::kinds::{Compare, ResultFormat};

fn parse_words(words: &[&str]) -> Result<Invocation, CommandLineError> {
    let environment = Environment::new(
        [(OsString::from("HOME"), OsString::from("/home/anna"))],
        Machine {
            cores: 4,
            memory_bytes: 8 << 30,
        },
    );
    let words = ["skep"].iter().chain(words).map(OsString::from);
    parse(words, &environment)
}

fn error(words: &[&str]) -> String {
    let error = parse_words(words).unwrap_err();
    assert_eq!(error.exit_code(), EXIT_USAGE, "{words:?}");
    error.to_string()
}

#[test]
fn the_parser_is_consistent() {
    clap_command().debug_assert();
}

#[test]
fn each_command_is_known() {
    for (words, action) in [
        (vec![], Action::EmbeddedShell(ShellArguments::default())),
        (vec!["shell"], Action::Shell(ShellArguments::default())),
        (vec!["standalone"], Action::Standalone),
        (vec!["coordinator"], Action::Coordinator),
        (vec!["executor"], Action::Executor),
        (vec!["tpch", "generate"], Action::TpchGenerate),
        (vec!["tpch", "run"], Action::TpchRun),
        (vec!["catalog", "check"], Action::CatalogCheck),
        (
            vec!["catalog", "export", "f"],
            Action::CatalogExport("f".into()),
        ),
        (
            vec!["catalog", "import", "--catalog", "sqlite", "f"],
            Action::CatalogImport("f".into()),
        ),
    ] {
        assert_eq!(parse_words(&words).unwrap().action, action, "{words:?}");
    }
}

#[test]
fn the_documented_command_lines_are_understood() {
    let coordinator = parse_words(&[
        "coordinator",
        "--listen",
        "0.0.0.0:9000",
        "--data-dir",
        "/d",
        "--executors",
        "1",
        "--allow-root",
        "/a,b",
        "--allow-root",
        "s3://c",
    ])
    .unwrap()
    .config
    .server;
    assert_eq!(coordinator.listen.to_string(), "0.0.0.0:9000");
    assert_eq!(coordinator.executors, 1);
    assert_eq!(coordinator.allow_roots, ["/a,b", "s3://c"]);

    let executor = parse_words(&[
        "executor",
        "--coordinator",
        "http://head:9000",
        "--listen",
        "0.0.0.0:1",
        "--cores",
        "2",
        "--memory-limit",
        "4GiB",
        "--work-dir",
        "/w",
        "--advertise",
        "flight://me:1",
    ])
    .unwrap()
    .config
    .executor;
    assert_eq!(executor.coordinator.to_http(), "http://head:9000");
    assert_eq!((executor.cores, executor.memory_limit), (2, 4 << 30));
    assert_eq!(executor.advertise.unwrap().host, "me");

    let run = parse_words(&[
        "tpch",
        "run",
        "--scale",
        "10",
        "--queries",
        "1,6,18",
        "--iterations",
        "3",
        "--explain",
        "--compare",
        "single",
        "--json",
        "/r.json",
        "--verify",
        "none",
        "--cores",
        "2",
    ])
    .unwrap()
    .config
    .tpch;
    assert_eq!(
        (run.scale, run.queries, run.iterations),
        (10.0, vec![1, 6, 18], 3)
    );
    assert!(run.explain && run.compare == Some(Compare::Single));

    let generate = parse_words(&[
        "tpch", "generate", "--scale", "1", "--parts", "4", "--format", "parquet", "--output",
        "s3://b/x",
    ])
    .unwrap()
    .config
    .tpch;
    assert_eq!(
        (generate.parts, generate.output.as_str()),
        (Some(4), "s3://b/x")
    );
    assert_eq!(
        parse_words(&["tpch", "run", "--queries", "all"])
            .unwrap()
            .config
            .tpch
            .queries
            .len(),
        22
    );
}

#[test]
fn scripts_keep_their_order() {
    let words = [
        "shell", "-e", "one", "-f", "two.sql", "-e", "three", "-f", "-", "--format", "csv",
    ];
    let shell = parse_words(&words).unwrap();
    assert_eq!(
        shell.action,
        Action::Shell(ShellArguments {
            scripts: vec![
                Script::Text("one".into()),
                Script::File("two.sql".into()),
                Script::Text("three".into()),
                Script::File("-".into()),
            ],
            ..ShellArguments::default()
        })
    );
    assert_eq!(shell.config.shell.format, ResultFormat::Csv);
    let embedded = parse_words(&["-e", "-1"]).map(|invocation| invocation.action);
    assert!(
        embedded.is_err(),
        "a value that looks like a flag needs an equals sign"
    );
    let embedded = parse_words(&["-e=-1"]).unwrap().action;
    assert_eq!(
        embedded,
        Action::EmbeddedShell(ShellArguments {
            scripts: vec![Script::Text("-1".into())],
            ..ShellArguments::default()
        })
    );
}

#[test]
fn any_key_can_be_set() {
    let words = [
        "--set",
        "query.max_running=3",
        "standalone",
        "--set=cluster.heartbeat_interval=100ms",
    ];
    let config = parse_words(&words).map(|invocation| invocation.config);
    // Clap keeps a global option's values only from the innermost place that has any.
    let config = config.unwrap();
    assert_eq!(config.cluster.heartbeat_interval.as_millis(), 100);
}

#[test]
fn usage_errors_say_what_is_wrong() {
    assert!(error(&["frobnicate"]).contains("frobnicate"));
    assert!(error(&["executor", "--listne", "x"]).contains("--listen"));
    assert!(error(&["tpch"]).contains("generate"));
    assert!(
        error(&["executor", "--cores", "none"])
            .starts_with("--cores: invalid value for executor.cores")
    );
    assert!(error(&["--set", "a.b=1"]).starts_with("--set: unknown key"));
    assert!(error(&["--config", "/nowhere"]).contains("/nowhere"));
    assert!(error(&["--data-dir", "/d", "standalone"]).contains("write it after `standalone`"));
    assert!(error(&["-e", "x", "tpch", "run"]).contains("write it after `tpch run`"));
    let words = [
        "tpch",
        "run",
        "--connect",
        "flight://h:1",
        "--executors",
        "2",
    ];
    assert!(error(&words).contains("--executors is for an engine that the benchmark starts"));
}

#[test]
fn help_and_version_are_not_errors() {
    for words in [
        &["--help"][..],
        &["--version"],
        &["-V"],
        &["tpch", "run", "--help"],
        &["help"],
    ] {
        assert_eq!(parse_words(words).unwrap_err().exit_code(), 0, "{words:?}");
    }
    let text = parse_words(&["--version"]).unwrap_err().to_string();
    assert!(
        text.starts_with("skep 0.") && text.contains("datafusion 55."),
        "{text}"
    );
}

#[test]
fn the_configuration_is_printed_as_a_command_sees_it() {
    let text = |words: &[&str]| match parse_words(words).unwrap().action {
        Action::Print(text) => text,
        other => panic!("{other:?}"),
    };
    let executor = text(&["config", "--for", "executor", "--set", "executor.cores=3"]);
    assert!(executor.contains("127.0.0.1:8091"), "{executor}");
    let cores = executor
        .lines()
        .find(|line| line.starts_with("cores = 3"))
        .unwrap();
    assert!(cores.ends_with("# --set executor.cores"), "{cores}");
    assert!(text(&["config", "--reference"]).starts_with("# Configuration"));
    assert!(error(&["config", "--for", "nobody"]).contains("standalone"));
}

#[test]
fn variables_and_parameters_are_read() {
    let words = [
        "--var",
        "day=2026-01-01",
        "--hivevar",
        "t=a=b",
        "--param",
        "-1",
        "--param",
        "\\N",
        "-i",
        "x.sql",
        "--continue-on-error",
        "-q",
        "--no-header",
    ];
    let Action::EmbeddedShell(arguments) = parse_words(&words).unwrap().action else {
        panic!("not a shell");
    };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        arguments,
        ShellArguments {
            scripts: vec![],
            init: vec!["x.sql".into()],
            variables: vec![pair("day", "2026-01-01"), pair("t", "a=b")],
            parameters: vec![Some("-1".into()), None],
            continue_on_error: true,
            quiet: true,
            no_header: true,
        }
    );
    assert!(parse_words(&["--var", "x"]).is_err());
    assert!(parse_words(&["--var", "a b=x"]).is_err());
    assert!(
        parse_words(&["-q", "shell"]).is_err(),
        "-q would be ignored"
    );
}
