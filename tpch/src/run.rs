//! Runs the benchmark: prepares data and tables, times the queries through Flight SQL, verifies
//! every result, and reports.
//!
//! Failing or wrong queries do not end a run: the report names them and says whether all passed.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;

use crate::location::DataLocation;
use crate::queries::{all_queries, query};
use crate::single::{Single, Timed};
use crate::{SCALE_MIN, database_name};

mod cluster;
mod machine;
mod print;
mod report;
mod setup;
mod verify;

pub use cluster::ExecutorInfo;
pub use machine::Machine;
pub use print::{console_events, print_report, write_report};
pub use report::{QueryReport, RunReport, SingleReport, Verification, Versions};

use cluster::Cluster;
use verify::Verifier;

/// The most iterations of one run.
pub const ITERATIONS_MAX: u32 = 1000;

/// What results are compared with.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Verify {
    /// The kept answers, which DuckDB computed, for the scales that have them.
    #[default]
    Answers,
    /// The same query on plain single-process DataFusion over the same files, for any scale.
    Oracle,
    /// Nothing: results are only fetched.
    None,
}

impl std::str::FromStr for Verify {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Verify> {
        match text.to_ascii_lowercase().as_str() {
            "answers" => Ok(Verify::Answers),
            "oracle" => Ok(Verify::Oracle),
            "none" => Ok(Verify::None),
            _ => anyhow::bail!("'{text}' is no way to verify: give answers, oracle or none"),
        }
    }
}

/// What to run, and against which engine.
#[derive(Clone)]
pub struct RunOptions {
    /// The scale, [`SCALE_MIN`] or more.
    pub scale: f64,
    /// The numbers of the queries, in the order to run them; by default all.
    pub queries: Vec<u8>,
    /// How often each query runs; more than once adds the minimum to the report.
    pub iterations: u32,
    /// The engine's Flight SQL door, such as `flight://127.0.0.1:8090`.
    pub url: String,
    /// How to log in there.
    pub client: skep_client::ClientOptions,
    /// Where the data is; the engine must be able to read the same URL.
    pub data: DataLocation,
    /// Whether to generate the data where it is missing.
    pub generate: bool,
    /// Files per table of generated data, see [`crate::GenerateOptions::parts`].
    pub parts: Option<u32>,
    /// What results are compared with.
    pub verify: Verify,
    /// Whether each query's plan is asked for before its first run.
    pub explain: bool,
    /// Whether each query also runs on plain single-process DataFusion, in turn.
    pub compare_single: bool,
    /// The cores of that single process; by default as many as the cluster's executors have.
    pub single_cores: Option<usize>,
    /// `skep`'s version and commit, for the report.
    pub skep_version: String,
    /// Settings of the engine to be noted in the report, such as the number of executors.
    pub settings: std::collections::BTreeMap<String, String>,
    /// Told what happens, as it happens.
    pub on_event: EventCallback,
    /// Shows the generation's progress.
    pub generate_progress: Option<crate::generate::ProgressCallback>,
}

impl RunOptions {
    /// Options with their defaults: all queries once, verified against the kept answers.
    pub fn new(scale: f64, url: impl Into<String>, data: DataLocation) -> RunOptions {
        RunOptions {
            scale,
            queries: all_queries(),
            iterations: 1,
            url: url.into(),
            client: skep_client::ClientOptions::default(),
            data,
            generate: true,
            parts: None,
            verify: Verify::default(),
            explain: false,
            compare_single: false,
            single_cores: None,
            skep_version: env!("CARGO_PKG_VERSION").to_string(),
            settings: std::collections::BTreeMap::new(),
            on_event: Arc::new(|_| ()),
            generate_progress: None,
        }
    }
}

/// A function that is told what happens in a run.
pub type EventCallback = Arc<dyn Fn(&RunEvent) + Send + Sync>;

/// Something that happened in a run.
#[derive(Clone, Debug)]
pub enum RunEvent {
    /// Data and tables are there; the queries begin.
    Prepared {
        /// The database that holds the tables.
        database: String,
        /// How many tables had to be generated.
        generated_tables: usize,
    },
    /// The plan of a query.
    Plan {
        /// The query's number.
        query: u8,
        /// What `EXPLAIN` said.
        text: String,
    },
    /// A query begins.
    Started {
        /// The query's number.
        query: u8,
    },
    /// A query has run as often as it should.
    Finished(Box<QueryReport>),
}

/// Runs the benchmark. An error means that it could not run; a query that fails or returns wrong
/// rows is in the report, see [`RunReport::passed`].
pub async fn run(options: RunOptions) -> anyhow::Result<RunReport> {
    check(&options)?;
    let started = Instant::now();
    let generated = setup::data(&options).await?;
    let mut cluster = Cluster::connect(&options.url, options.client.clone()).await?;
    let database = database_name(options.scale);
    setup::tables(&mut cluster, &options, &database, &generated).await?;

    let executors = cluster.executors().await;
    let single = match options.compare_single {
        true => Some(Single::start(single_cores(&options, &executors)?, &options.data).await?),
        false => None,
    };
    let mut verifier = Verifier::new(&options).await?;
    (options.on_event)(&RunEvent::Prepared {
        database,
        generated_tables: generated.len(),
    });

    let mut queries = Vec::with_capacity(options.queries.len());
    for &number in &options.queries {
        let report = run_query(
            number,
            &options,
            &mut cluster,
            single.as_ref(),
            &mut verifier,
        )
        .await?;
        (options.on_event)(&RunEvent::Finished(Box::new(report.clone())));
        queries.push(report);
    }
    let executors = cluster.executors().await;
    cluster.close().await;
    Ok(RunReport::new(
        &options,
        queries,
        executors,
        single.map(|side| side.cores()),
        started,
    ))
}

fn check(options: &RunOptions) -> anyhow::Result<()> {
    let scale = options.scale;
    if !(scale >= SCALE_MIN && scale.is_finite()) {
        anyhow::bail!("scale {scale} cannot be run: give a number from {SCALE_MIN} upwards");
    }
    if !(1..=ITERATIONS_MAX).contains(&options.iterations) {
        let iterations = options.iterations;
        anyhow::bail!("{iterations} iterations cannot be run: give 1 to {ITERATIONS_MAX}");
    }
    if options.queries.is_empty() {
        return Err(crate::QueryListError::Empty.into());
    }
    verify::check(options.verify, scale)
}

fn single_cores(options: &RunOptions, executors: &[ExecutorInfo]) -> anyhow::Result<usize> {
    let total = || {
        executors
            .iter()
            .map(ExecutorInfo::cores)
            .sum::<Option<usize>>()
    };
    options
        .single_cores
        .or_else(total)
        .filter(|cores| *cores > 0)
        .context(
            "the cluster does not say how many cores its executors have: give the number of cores \
         for the single process",
        )
}

async fn run_query(
    number: u8,
    options: &RunOptions,
    cluster: &mut Cluster,
    single: Option<&Single>,
    verifier: &mut Verifier,
) -> anyhow::Result<QueryReport> {
    let sql =
        query(number, options.scale).with_context(|| format!("there is no query {number}"))?;
    if options.explain {
        let text = cluster
            .explain(&sql)
            .await
            .unwrap_or_else(|error| format!("{error:#}"));
        (options.on_event)(&RunEvent::Plan {
            query: number,
            text,
        });
    }
    (options.on_event)(&RunEvent::Started { query: number });
    let mut report = QueryReport::new(number);
    if let Some(single) = single {
        // Neither side's first run counts: both have then opened the files and planned once.
        let warm = cluster.query(&sql).await;
        single
            .query(&sql)
            .await
            .with_context(|| format!("query {number} on one process"))?;
        if let Err(error) = warm {
            report.fail(&error);
            return Ok(report);
        }
    }
    for iteration in 0..options.iterations {
        // Who goes first alternates, so that neither side always finds the caches warmer.
        let single_first = iteration % 2 == 1;
        if let Some(single) = single.filter(|_| single_first) {
            report.add_single(single_time(single, &sql, number).await?);
        }
        let timed = match cluster.query(&sql).await {
            Ok(timed) => timed,
            Err(error) => {
                report.fail(&error);
                return Ok(report);
            }
        };
        if let Some(single) = single.filter(|_| !single_first) {
            report.add_single(single_time(single, &sql, number).await?);
        }
        let verification = verifier.verify(number, &timed.batches).await?;
        report.add(&timed, verification);
    }
    Ok(report)
}

async fn single_time(single: &Single, sql: &str, number: u8) -> anyhow::Result<f64> {
    let timed: Timed = single
        .query(sql)
        .await
        .with_context(|| format!("query {number} on one process"))?;
    Ok(timed.seconds)
}

#[cfg(test)]
mod tests;
