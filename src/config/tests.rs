//! Precedence, defaults, and that the table, the reference page and the types agree.

use super::kinds::Verify;
use super::*;
use std::collections::BTreeSet;
use std::time::Duration;

const GIB: u64 = 1 << 30;

fn environment(variables: &[(&str, &str)]) -> Environment {
    let home = [("HOME", "/home/anna")];
    let variables = home.iter().chain(variables);
    Environment::new(
        variables.map(|(name, value)| (OsString::from(name), OsString::from(value))),
        Machine {
            cores: 8,
            memory_bytes: 20 * GIB,
        },
    )
}

fn flag(key: &'static str, value: &str) -> Given {
    Given {
        key,
        flag: "--flag".to_owned(),
        raw: Raw::One(value.to_owned()),
    }
}

fn error_of(command: Command, flags: &[Given], environment: &Environment) -> String {
    load(command, flags, None, environment)
        .unwrap_err()
        .to_string()
}

#[test]
fn every_default_can_be_read_for_every_command() {
    for command in Command::ALL {
        let (config, _) = load(command, &[], None, &environment(&[])).unwrap();
        assert_eq!(config.exchange.stream_window, 2 << 20, "{}", command.name());
        assert_eq!(config.cluster.heartbeat_timeout, Duration::from_secs(4));
        assert_eq!(
            config.server.data_dir,
            Path::new("/home/anna/.local/share/skep")
        );
        assert_eq!(config.cluster.secret, None);
    }
}

#[test]
fn defaults_follow_the_command_and_the_machine() {
    let load = |command, flags: &[Given]| load(command, flags, None, &environment(&[])).unwrap().0;

    let standalone = load(Command::Standalone, &[]);
    assert_eq!(standalone.server.listen.to_string(), "127.0.0.1:8090");
    assert_eq!(
        (standalone.server.executors, standalone.executor.cores),
        (2, 4)
    );
    // 70 % of 10 GiB, rounded down to whole mebibytes.
    assert_eq!(standalone.executor.memory_limit, 7 * GIB - (1 << 20));
    assert_eq!(standalone.log.level, "info");

    let executor = load(Command::Executor, &[]);
    assert_eq!(executor.executor.listen.to_string(), "127.0.0.1:8091");
    assert_eq!(executor.executor.cores, 8);
    assert_eq!(executor.executor.memory_limit, 14 * GIB - (1 << 20));

    assert_eq!(load(Command::Coordinator, &[]).server.executors, 0);

    let shell = load(Command::Skep, &[flag("server.executors", "16")]);
    assert_eq!(shell.server.listen.to_string(), "127.0.0.1:0");
    assert_eq!((shell.server.executors, shell.executor.cores), (16, 1));

    let benchmark = load(Command::TpchRun, &[flag("tpch.scale", "0.05")]);
    assert_eq!(
        benchmark.tpch.output,
        "/home/anna/.local/share/skep/tpch/sf0.05"
    );
    assert_eq!(benchmark.tpch.verify, Verify::Oracle);
    assert_eq!(load(Command::TpchRun, &[]).tpch.verify, Verify::Answers);
}

#[test]
fn a_flag_beats_a_variable_beats_the_file_beats_the_default() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("skep.toml");
    std::fs::write(
        &path,
        "[query]\nmax_running = 2\nmax_queued = 2\nqueue_timeout = \"2s\"\n",
    )
    .unwrap();
    let environment = environment(&[
        ("SKEP_QUERY_MAX_RUNNING", "3"),
        ("SKEP_QUERY_MAX_QUEUED", "3"),
    ]);
    let flags = [
        flag("query.max_running", "9"),
        flag("query.max_running", "4"),
    ];
    let (config, resolved) = load(Command::Standalone, &flags, Some(&path), &environment).unwrap();
    assert_eq!(config.query.max_running, 4);
    assert_eq!(config.query.max_queued, 3);
    assert_eq!(config.query.queue_timeout, Duration::from_secs(2));
    assert_eq!(config.query.statement_bytes_max, 1 << 20);

    let origin = |id| resolved.get(id).unwrap().origin.to_string();
    assert_eq!(origin("query.max_running"), "--flag");
    assert_eq!(origin("query.max_queued"), "SKEP_QUERY_MAX_QUEUED");
    assert_eq!(
        origin("query.queue_timeout"),
        format!("{}:4", path.display())
    );
    assert_eq!(origin("query.statement_bytes_max"), "default");
}

#[test]
fn the_file_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let config_home = directory.path().to_str().unwrap();
    let path = directory.path().join("skep/skep.toml");
    let limit = |environment: &Environment| {
        let (config, _) = load(Command::Standalone, &[], None, environment).unwrap();
        config.query.max_running
    };
    let with_home = environment(&[("XDG_CONFIG_HOME", config_home)]);
    assert_eq!(limit(&with_home), 16);
    std::fs::create_dir(path.parent().unwrap()).unwrap();
    std::fs::write(&path, "[query]\nmax_running = 5\n").unwrap();
    assert_eq!(limit(&with_home), 5);
    let named = environment(&[(FILE_VARIABLE, path.to_str().unwrap())]);
    assert_eq!(limit(&named), 5);

    let missing = environment(&[(FILE_VARIABLE, "/nowhere/skep.toml")]);
    let error = error_of(Command::Standalone, &[], &missing);
    assert!(error.starts_with("cannot read the configuration file /nowhere/skep.toml: "));
}

#[test]
fn what_is_wrong_is_named() {
    let typo = environment(&[("SKEP_SERVER_LISTE", "x")]);
    assert_eq!(
        error_of(Command::Standalone, &[], &typo),
        r#"environment: unknown variable "SKEP_SERVER_LISTE"; did you mean "SKEP_SERVER_LISTEN"?"#
    );
    let bad = environment(&[("SKEP_EXECUTOR_CORES", "0")]);
    assert_eq!(
        error_of(Command::Executor, &[], &bad),
        "SKEP_EXECUTOR_CORES: invalid value for executor.cores: expected a whole number from 1 to 1024, not \"0\""
    );
    let flags = [flag("cluster.heartbeat_interval", "3s")];
    let error = error_of(Command::Executor, &flags, &environment(&[]));
    assert!(error.contains("cluster.heartbeat_timeout"), "{error}");
    let homeless = Environment::new(
        [],
        Machine {
            cores: 1,
            memory_bytes: GIB,
        },
    );
    let error = error_of(Command::Executor, &[], &homeless);
    assert!(error.contains("HOME"), "{error}");
}

#[test]
fn an_assignment_names_a_key() {
    let given = Given::from_assignment("query.max_running=a=b").unwrap();
    assert_eq!(
        (given.key, given.raw),
        ("query.max_running", Raw::One("a=b".into()))
    );
    assert!(Given::from_assignment("query.max_running").is_err());
    let error = Given::from_assignment("query.max_runing=1")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("did you mean \"query.max_running\"?"),
        "{error}"
    );
}

#[test]
fn secrets_are_not_shown() {
    let environment = environment(&[("SKEP_CLUSTER_SECRET", "hunter2")]);
    let (config, resolved) = load(Command::Executor, &[], None, &environment).unwrap();
    assert_eq!(config.cluster.secret.as_ref().unwrap().reveal(), "hunter2");
    let shown = show::effective(&resolved);
    assert!(!shown.contains("hunter2") && !format!("{config:?}").contains("hunter2"));
    assert!(shown.contains("secret = \"***\""), "{shown}");
}

#[test]
fn what_is_shown_can_be_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("skep.toml");
    let flags = [
        flag("server.allow_roots", "/a,s3://b/c"),
        flag("tpch.queries", "1,6"),
    ];
    let (_, first) = load(Command::Standalone, &flags, None, &environment(&[])).unwrap();
    let shown = show::effective(&first);
    std::fs::write(&path, &shown).unwrap();
    let (_, second) = load(Command::Standalone, &[], Some(&path), &environment(&[])).unwrap();
    let values = |text: &str| -> Vec<String> {
        let parts = text.lines().filter_map(|line| line.split("  # ").next());
        parts.map(|part| part.trim_end().to_owned()).collect()
    };
    assert_eq!(values(&shown), values(&show::effective(&second)));
}

#[test]
fn the_reference_page_is_current() {
    let page = include_str!("../../docs/configuration.md");
    assert!(
        page.strip_suffix('\n') == Some(show::reference().as_str()),
        "run `skep config --reference > docs/configuration.md`"
    );
}

#[test]
fn names_are_unique_and_every_key_is_told_about() {
    let mut variables = BTreeSet::new();
    let mut flags = BTreeSet::new();
    for key in keys::all() {
        assert!(
            variables.insert(key.variable()),
            "{} is there twice",
            key.variable()
        );
        assert!(key.doc.trim().ends_with('.'), "{} has no sentence", key.id);
        assert!(
            !(key.is_secret && key.flag.is_some()),
            "{} would be seen",
            key.id
        );
        for command in key.flag.into_iter().flat_map(|(_, commands)| commands) {
            let flag = key.flag.unwrap().0;
            assert!(
                flags.insert((command.name(), flag)),
                "{} has --{flag} twice",
                command.name()
            );
        }
    }
}
