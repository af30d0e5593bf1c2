//! The shell, on an engine of its own or on a server.

use super::server::{self, RunningServer};
use crate::cli::Script;
use crate::config::keys::Config;
use crate::config::kinds::{Color, ResultFormat};
use skep_client::ClientOptions;
use skep_coordinator::{Authentication, Threads};
use skep_shell::{Format, ShellOptions, Source};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// `skep`, `skep -e` and `skep -f`.
pub(super) async fn embedded(
    config: &Config,
    scripts: Vec<Script>,
    storage_options: BTreeMap<String, String>,
    threads: Threads,
) -> anyhow::Result<u8> {
    let secret = server::embedded_secret();
    let authentication = Authentication::Secret(secret.clone());
    let server = RunningServer::start(config, authentication, storage_options, threads).await?;
    let mut options = options(config, scripts, server.url());
    options.client.password = Some(secret);
    options.server_name = Some(format!(
        "embedded engine, data in {}",
        config.server.data_dir.display()
    ));
    let code = skep_shell::run(options).await;
    server.shut_down(Duration::ZERO).await;
    Ok(exit_code(code))
}

/// `skep shell`.
pub(super) async fn connected(config: &Config, scripts: Vec<Script>) -> u8 {
    let options = options(config, scripts, config.shell.connect.clone());
    exit_code(skep_shell::run(options).await)
}

fn exit_code(code: i32) -> u8 {
    u8::try_from(code).unwrap_or(super::EXIT_ERROR)
}

fn options(config: &Config, scripts: Vec<Script>, url: String) -> ShellOptions {
    let shell = &config.shell;
    ShellOptions {
        url,
        client: ClientOptions {
            user: shell.user.clone(),
            password: shell
                .password
                .as_ref()
                .map(|password| password.reveal().to_owned()),
            ..ClientOptions::default()
        },
        sources: scripts.into_iter().map(source).collect(),
        format: match shell.format {
            ResultFormat::Auto => None,
            ResultFormat::Table => Some(Format::Table),
            ResultFormat::Vertical => Some(Format::Vertical),
            ResultFormat::Csv => Some(Format::Csv),
            ResultFormat::Tsv => Some(Format::Tsv),
            ResultFormat::Json => Some(Format::Json),
        },
        timing: true,
        no_color: shell.color == Color::Never,
        history_file: Some(PathBuf::from(&shell.history_file)),
        version: crate::version::SKEP.to_owned(),
        server_name: None,
    }
}

fn source(script: Script) -> Source {
    match script {
        Script::Text(text) => Source::Sql(text),
        Script::File(path) => match path.to_str() {
            Some(name) => Source::from_file_option(name),
            None => Source::File(path),
        },
    }
}
