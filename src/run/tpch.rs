//! `skep tpch generate` and `skep tpch run`.

use super::server::{self, RunningServer};
use super::{EXIT_ERROR, EXIT_OK};
use crate::config::keys::Config;
use crate::config::kinds::{Compare, Verify};
use anyhow::Context;
use skep_coordinator::{Authentication, Threads};
use skep_tpch::generate::console_progress;
use skep_tpch::run::console_events;
use skep_tpch::{DataLocation, GenerateOptions, RunOptions};
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::Duration;

fn location(
    config: &Config,
    storage_options: BTreeMap<String, String>,
) -> anyhow::Result<DataLocation> {
    let options: Vec<(String, String)> = storage_options.into_iter().collect();
    Ok(DataLocation::parse(&config.tpch.output, &options)?)
}

/// Makes the benchmark's data.
pub(super) async fn generate(
    config: &Config,
    storage_options: BTreeMap<String, String>,
) -> anyhow::Result<u8> {
    let output = location(config, storage_options)?;
    let url = output.url().clone();
    let mut options = GenerateOptions::new(config.tpch.scale, output);
    options.parts = parts(config);
    options.progress = Some(console_progress(
        "generating",
        std::io::stderr().is_terminal(),
    ));
    let report = skep_tpch::generate(&options).await?;
    match report.generated.is_empty() {
        true => println!(
            "TPC-H at scale {} is there already: {url}",
            config.tpch.scale
        ),
        false => println!("made TPC-H at scale {}: {url}", config.tpch.scale),
    }
    Ok(EXIT_OK)
}

fn parts(config: &Config) -> Option<u32> {
    config
        .tpch
        .parts
        .and_then(|parts| u32::try_from(parts).ok())
}

/// Runs the benchmark, on an engine that it starts or on a running one.
pub(super) async fn run(
    config: &Config,
    storage_options: BTreeMap<String, String>,
    threads: Threads,
) -> anyhow::Result<u8> {
    let data = location(config, storage_options.clone())?;
    let report = match &config.tpch.connect {
        Some(url) => {
            let mut options = options(config, url.clone(), data);
            options.client = super::shell::client(config)?;
            skep_tpch::run(options).await
        }
        None => {
            let secret = server::random_secret();
            let authentication = Authentication::Secret(secret.clone());
            let server =
                RunningServer::start(config, authentication, storage_options, threads).await?;
            let mut options = options(config, server.url(), data);
            options.client.password = Some(secret);
            let report = skep_tpch::run(options).await;
            server.shut_down(Duration::ZERO).await;
            report
        }
    };
    let report = report?;
    skep_tpch::print_report(&report);
    if let Some(path) = &config.tpch.json {
        let json = report.to_json()?;
        std::fs::write(path, json)
            .with_context(|| format!("cannot write the report to {}", path.display()))?;
    }
    Ok(if report.passed() { EXIT_OK } else { EXIT_ERROR })
}

fn options(config: &Config, url: String, data: DataLocation) -> RunOptions {
    let tpch = &config.tpch;
    let mut options = RunOptions::new(tpch.scale, url, data);
    options.queries = tpch.queries.clone();
    options.iterations = u32::try_from(tpch.iterations).unwrap_or(u32::MAX);
    options.parts = parts(config);
    options.verify = match tpch.verify {
        Verify::Answers => skep_tpch::Verify::Answers,
        Verify::Oracle => skep_tpch::Verify::Oracle,
        Verify::None => skep_tpch::Verify::None,
    };
    options.explain = tpch.explain;
    options.compare_single = matches!(tpch.compare, Some(Compare::Single));
    options.skep_version = format!(
        "{} (commit {})",
        crate::version::SKEP,
        crate::version::COMMIT
    );
    if tpch.connect.is_none() {
        let executor = &config.executor;
        options.settings = BTreeMap::from([
            ("executors".to_owned(), config.server.executors.to_string()),
            ("cores per executor".to_owned(), executor.cores.to_string()),
            (
                "memory per executor".to_owned(),
                executor.memory_limit.to_string(),
            ),
        ]);
    }
    options.generate_progress = Some(console_progress(
        "generating",
        std::io::stderr().is_terminal(),
    ));
    options.on_event = console_events(std::io::stdout().is_terminal());
    options
}
