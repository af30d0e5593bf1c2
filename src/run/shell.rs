//! The shell, on an engine of its own or on a server.

use super::endpoint;
use super::server::{self, RunningServer};
use crate::cli::{Script, ShellArguments};
use crate::config::Profile;
use crate::config::keys::Config;
use crate::config::kinds::{Color, ResultFormat};
use anyhow::Context;
use async_trait::async_trait;
use skep_client::ClientOptions;
use skep_coordinator::{Authentication, Threads};
use skep_shell::{DemoData, Format, ServerOptions, ShellOptions, Source};
use skep_tpch::tables::Table;
use skep_tpch::{DataLocation, GenerateOptions};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How much data `\demo` makes: the least that TPC-H knows, about 10 MB of text.
const DEMO_SCALE: f64 = 0.01;

/// The database of `\demo`.
const DEMO_DATABASE: &str = "demo";

/// What the shell needs to know of the terminal's environment.
#[derive(Clone, Copy, Debug)]
pub(super) struct TerminalKind {
    /// Whether it knows no escape sequences.
    pub is_dumb: bool,
}

/// `skep`, `skep -e` and `skep -f`.
pub(super) async fn embedded(
    config: &Config,
    arguments: ShellArguments,
    terminal: TerminalKind,
    storage_options: BTreeMap<String, String>,
    threads: Threads,
) -> anyhow::Result<u8> {
    let mut options = options(config, arguments, terminal)?;
    let data_dir = &config.server.data_dir;
    options.demo = Some(Arc::new(Demo {
        directory: data_dir.join(format!("tpch/sf{DEMO_SCALE}")),
    }));
    let secret = server::random_secret();
    let authentication = Authentication::Secret(secret.clone());
    match RunningServer::start(config, authentication, storage_options, threads).await {
        Ok(server) => {
            options.server.client.password = Some(secret);
            options.server.url = server.url();
            options.server.name = Some(format!("embedded engine, data in {}", data_dir.display()));
            options.server.short_name = Some("embedded".to_owned());
            let code = skep_shell::run(options).await;
            server.shut_down(Duration::ZERO).await;
            Ok(exit_code(code))
        }
        Err(error) => {
            // Somebody else has the data: the two share one engine.
            let Some(owner) = endpoint::owner_of(data_dir, &error) else {
                return Err(error);
            };
            let owner = owner?;
            options.server.name = Some(format!(
                "engine of another process at {} (with the settings of that), data in {}",
                owner.url,
                data_dir.display()
            ));
            options.server.short_name = Some("shared".to_owned());
            options.server.url = owner.url;
            if owner.password.is_some() {
                options.server.client.password = owner.password;
            }
            Ok(exit_code(skep_shell::run(options).await))
        }
    }
}

/// `skep shell`.
pub(super) async fn connected(
    config: &Config,
    arguments: ShellArguments,
    terminal: TerminalKind,
) -> anyhow::Result<u8> {
    let options = match options(config, arguments, terminal) {
        Ok(options) => options,
        // What cannot be used was named on the command line or in the configuration.
        Err(error) => {
            eprintln!("error: {error:#}");
            return Ok(crate::cli::EXIT_USAGE);
        }
    };
    Ok(exit_code(skep_shell::run(options).await))
}

fn exit_code(code: i32) -> u8 {
    u8::try_from(code).unwrap_or(super::EXIT_ERROR)
}

fn options(
    config: &Config,
    arguments: ShellArguments,
    terminal: TerminalKind,
) -> anyhow::Result<ShellOptions> {
    let shell = &config.shell;
    let profiles = config.profiles.iter();
    let profiles = profiles.map(|(name, profile)| Ok((name.clone(), named(config, profile)?)));
    Ok(ShellOptions {
        server: ServerOptions {
            url: shell.connect.clone(),
            client: client(config)?,
            name: None,
            short_name: None,
        },
        profiles: profiles.collect::<anyhow::Result<_>>()?,
        sources: arguments.scripts.into_iter().map(source).collect(),
        init: arguments.init,
        interactive_init: Some(shell.init_file.clone()),
        variables: arguments.variables,
        parameters: arguments.parameters,
        continue_on_error: arguments.continue_on_error,
        quiet: arguments.quiet,
        no_header: arguments.no_header,
        format: format(shell.format),
        timing: true,
        no_color: shell.color == Color::Never,
        dumb_terminal: terminal.is_dumb,
        pager: shell.pager.clone(),
        editor: shell.editor.clone(),
        history_file: Some(PathBuf::from(&shell.history_file)),
        version: crate::version::SKEP.to_owned(),
        demo: None,
    })
}

/// Where systems keep the certificates of the authorities that they trust: Debian and its kin, Red Hat's,
/// Alpine and the BSDs.
const SYSTEM_CERTIFICATES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// How the shell and the benchmark log in.
pub(super) fn client(config: &Config) -> anyhow::Result<ClientOptions> {
    let shell = &config.shell;
    let password = match (&shell.password, &shell.password_file) {
        (Some(password), _) => Some(password.reveal().to_owned()),
        (None, Some(file)) => Some(first_line(file)?),
        (None, None) => None,
    };
    Ok(ClientOptions {
        user: shell.user.clone(),
        password,
        ca_certificate_pem: certificates(&shell.connect, shell.ca_file.as_deref())?,
        ..ClientOptions::default()
    })
}

/// A server that has a name. Its password is its own: that of another is nobody's business there.
fn named(config: &Config, profile: &Profile) -> anyhow::Result<ServerOptions> {
    let url = profile.get("shell.connect").unwrap_or_default().to_owned();
    let password_file = profile.get("shell.password_file").map(Path::new);
    let ca_file = profile.get("shell.ca_file").map(Path::new);
    let user = profile.get("shell.user").unwrap_or(&config.shell.user);
    Ok(ServerOptions {
        url: url.clone(),
        client: ClientOptions {
            user: user.to_owned(),
            password: password_file.map(first_line).transpose()?,
            ca_certificate_pem: certificates(&url, ca_file)?,
            ..ClientOptions::default()
        },
        name: None,
        short_name: None,
    })
}

fn first_line(file: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read the password file {}", file.display()))?;
    let line = text.lines().next().unwrap_or_default();
    anyhow::ensure!(
        !line.is_empty(),
        "the password file {} is empty",
        file.display()
    );
    Ok(line.to_owned())
}

/// The authorities to trust: those of the file, or the system's where the connection needs some.
fn certificates(url: &str, file: Option<&Path>) -> anyhow::Result<Option<Vec<u8>>> {
    if let Some(file) = file {
        let read = std::fs::read(file);
        let read = read.with_context(|| format!("cannot read the CA file {}", file.display()));
        return read.map(Some);
    }
    if !url.starts_with("flights://") {
        return Ok(None);
    }
    let systems = SYSTEM_CERTIFICATES.iter();
    Ok(systems.filter_map(|path| std::fs::read(path).ok()).next())
}

fn format(format: ResultFormat) -> Option<Format> {
    Some(match format {
        ResultFormat::Auto => return None,
        ResultFormat::Table => Format::Table,
        ResultFormat::Vertical => Format::Vertical,
        ResultFormat::Csv => Format::Csv,
        ResultFormat::Tsv => Format::Tsv,
        ResultFormat::Json => Format::Json,
        ResultFormat::Ndjson => Format::Ndjson,
        ResultFormat::Markdown => Format::Markdown,
        ResultFormat::Html => Format::Html,
        ResultFormat::Arrow => Format::Arrow,
        ResultFormat::Parquet => Format::Parquet,
    })
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

/// TPC-H at the smallest scale, in the engine's own data directory.
struct Demo {
    directory: PathBuf,
}

#[async_trait]
impl DemoData for Demo {
    async fn make(&self) -> Result<Vec<String>, String> {
        let place = self.directory.display().to_string();
        let output = DataLocation::parse(&place, &[]).map_err(|error| error.to_string())?;
        let mut statements = vec![format!("CREATE DATABASE IF NOT EXISTS {DEMO_DATABASE}")];
        for table in Table::ALL {
            let url = output.table_url(table).replace('\'', "''");
            statements.push(format!(
                "CREATE EXTERNAL TABLE IF NOT EXISTS {DEMO_DATABASE}.{table} STORED AS PARQUET LOCATION '{url}'"
            ));
        }
        statements.push(format!("USE {DEMO_DATABASE}"));
        let generated = skep_tpch::generate(&GenerateOptions::new(DEMO_SCALE, output)).await;
        generated.map_err(|error| format!("cannot make the data: {error}"))?;
        Ok(statements)
    }
}
