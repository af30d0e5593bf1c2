//! Runs every `.slt` file through Flight SQL, on one process and on a cluster, with little memory and
//! with small batches. The files in `slt/query/` hold nothing of Skep's own: they are run on plain
//! DataFusion too, which says what is right. Those in `slt/engine/` are about what Skep adds.

mod hiveql;

use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use skep_client::Client;
use skep_tests::cluster::{Cluster, Setup};
use skep_tests::dataset::{self, TableFiles};
use skep_tests::logic::{Plain, Skep, SkepError};
use skep_tests::session;
use sqllogictest::{
    AsyncDB, DefaultColumnType, MakeConnection, Runner, default_normalizer, default_validator,
    strict_column_validator,
};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The scale of the TPC-H tables that the files use.
const SCALE: f64 = 0.01;

/// Small tables are split over all executors, too.
const SPLIT_ALWAYS: &str = "SET skep.scan_partition_bytes = 1";

/// The tables that every file may read, and where they are.
struct Tables {
    small: TempDir,
    tpch: PathBuf,
    all: Vec<TableFiles>,
}

async fn tables() -> Tables {
    let small = tempfile::tempdir().expect("a temporary directory");
    let tpch = dataset::tpch(SCALE).await;
    let mut all = dataset::small_tables(small.path());
    all.extend(dataset::tpch_tables(&tpch));
    Tables {
        small,
        tpch: dataset::directory_of(&tpch),
        all,
    }
}

/// The files of a folder of `slt/`, by name.
fn files(folder: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("slt")
        .join(folder);
    let entries = std::fs::read_dir(&directory).expect("the folder is there");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("the folder is readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "slt"))
        .collect();
    files.sort();
    assert!(
        files.len() > 4,
        "{} holds only {files:?}",
        directory.display()
    );
    files
}

async fn plain_context(tables: &Tables) -> SessionContext {
    // What Skep's own sessions have.
    let config = SessionConfig::new().with_target_partitions(2);
    let context = SessionContext::new_with_config(config);
    // Hive's way to write values of partitions is not DataFusion's.
    for table in tables
        .all
        .iter()
        .filter(|table| table.partitioned_by.is_empty())
    {
        let location = format!("{}/", table.location.trim_end_matches('/'));
        let registered = context
            .register_parquet(&table.name, location, ParquetReadOptions::default())
            .await;
        registered.unwrap_or_else(|error| panic!("{}: {error}", table.name));
    }
    context
}

/// A new session for a file, as `settings` have it.
async fn skep_session(url: &str, settings: &[&str]) -> Result<Skep, SkepError> {
    let mut client: Client = session::connect(url).await;
    for setting in settings {
        client.execute(setting).await?;
    }
    Ok(Skep(client))
}

async fn run_file<D, M>(file: &Path, tables: &Tables, connect: M) -> Result<(), String>
where
    D: AsyncDB<ColumnType = DefaultColumnType>,
    M: MakeConnection<Conn = D>,
{
    let mut runner = runner(tables, connect);
    let result = runner.run_file_async(file).await;
    runner.shutdown_async().await;
    result.map_err(|error| error.to_string())
}

fn runner<D, M>(tables: &Tables, connect: M) -> Runner<D, M>
where
    D: AsyncDB<ColumnType = DefaultColumnType>,
    M: MakeConnection<Conn = D>,
{
    let mut runner = Runner::new(connect);
    runner.with_column_validator(strict_column_validator);
    runner.set_var("DATA".to_owned(), tables.small.path().display().to_string());
    runner.set_var("TPCH".to_owned(), tables.tpch.display().to_string());
    runner
}

fn assert_all_passed(failures: Vec<String>) {
    let count = failures.len();
    assert!(
        failures.is_empty(),
        "{count} files failed:\n{}",
        failures.join("\n")
    );
}

async fn start(setup: Setup, tables: &Tables) -> Cluster {
    let setup = setup.with_root(tables.small.path()).with_root(&tables.tpch);
    let cluster = Cluster::start(setup).await;
    let mut client = cluster.connect().await;
    for table in &tables.all {
        session::rows(&mut client, &table.create_statement()).await;
    }
    cluster
}

async fn run_all_on_skep(setup: Setup, settings: &[&str]) {
    let tables = tables().await;
    let cluster = start(setup, &tables).await;
    let mut failures = Vec::new();
    for file in files("query").into_iter().chain(files("engine")) {
        let connect = async || skep_session(&cluster.url, settings).await;
        let connect = || Box::pin(connect());
        failures.extend(run_file(&file, &tables, connect).await.err());
    }
    assert_all_passed(failures);
}

#[tokio::test]
async fn plain_datafusion_agrees_with_what_the_files_say() {
    let tables = tables().await;
    let context = plain_context(&tables).await;
    let mut failures = Vec::new();
    for file in files("query") {
        let connect = || std::future::ready(Ok(Plain(context.clone())));
        failures.extend(run_file(&file, &tables, connect).await.err());
    }
    assert_all_passed(failures);
}

#[tokio::test]
async fn one_process() {
    run_all_on_skep(Setup::standalone(), &[SPLIT_ALWAYS]).await;
}

#[tokio::test]
async fn a_cluster_of_three() {
    run_all_on_skep(Setup::executors(3), &[SPLIT_ALWAYS]).await;
}

#[tokio::test]
async fn little_memory() {
    let limit = "SET skep.query_memory_limit_bytes = 33554432";
    run_all_on_skep(Setup::executors(3), &[SPLIT_ALWAYS, limit]).await;
}

#[tokio::test]
async fn small_batches() {
    let size = "SET datafusion.execution.batch_size = 7";
    run_all_on_skep(Setup::executors(3), &[SPLIT_ALWAYS, size]).await;
}

/// Writes the results into the files, those of `slt/query/` as plain DataFusion has them. What changes
/// is to be read before it is kept.
#[tokio::test]
#[ignore = "writes into the source tree"]
async fn update_expected_results() {
    let tables = tables().await;
    let context = plain_context(&tables).await;
    for file in files("query") {
        let connect = || std::future::ready(Ok(Plain(context.clone())));
        update(&mut runner(&tables, connect), &file).await;
    }
    let cluster = start(Setup::standalone(), &tables).await;
    for file in files("engine") {
        let connect = async || skep_session(&cluster.url, &[SPLIT_ALWAYS]).await;
        let connect = || Box::pin(connect());
        update(&mut runner(&tables, connect), &file).await;
    }
}

async fn update<D, M>(runner: &mut Runner<D, M>, file: &Path)
where
    D: AsyncDB<ColumnType = DefaultColumnType>,
    M: MakeConnection<Conn = D>,
{
    let updated = runner.update_test_file(
        file,
        " ",
        default_validator,
        default_normalizer,
        strict_column_validator,
    );
    updated
        .await
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
}
