//! Measures a table of 100,000 partitions and a million files: how long its catalog takes to write, how
//! long statements on it take to plan in a real server, cold and warm, and how much memory that needs.
//! The files themselves do not exist, so that what is planned is not run, but for one statement, which
//! shows that a plan with all of them reaches the executors: it fails there, naming a file.
//!
//! `cargo run --release --example large_table [PARTITIONS [FILES_PER_PARTITION]]`

use anyhow::{Context, Result, ensure};
use arrow::datatypes::DataType;
use chrono::{DateTime, Utc};
use skep_catalog::catalog::{
    ColumnSpec, NewFile, PartitionColumnSpec, TableWrite, WriteCommit, WriteMode, WriteTarget,
};
use skep_catalog::model::{
    BoundValue, ColumnBounds, ColumnId, DataFile, FileFormat, StorageOptions,
};
use skep_catalog::{Catalog, CatalogLocation, CatalogOptions, NewManagedTable};
use skep_protocol::storage_url::AllowedRoots;
use skep_tests::cluster::listening_url;
use skep_tests::process::{Process, arguments};
use skep_tests::session::{connect, error, rows};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// How many files one statement adds while the table is made.
const FILES_PER_WRITE: usize = 200_000;

/// How many columns have bounds.
const COLUMNS: u32 = 10;

/// Rows in a file.
const FILE_ROWS: usize = 1_000;

/// How often a statement is planned once it is warm; the fastest counts on a busy machine.
const WARM_RUNS: usize = 5;

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default| arguments.next().map_or(Ok(default), |text| text.parse());
    let (partitions, per_partition): (usize, usize) = (number(100_000)?, number(10)?);
    let directory = tempfile::tempdir()?;
    let begin = Instant::now();
    fill(&directory.path().join("data"), partitions, per_partition).await?;
    println!(
        "{partitions} partitions with {per_partition} files each: written in {:.1} s",
        begin.elapsed().as_secs_f64()
    );
    let middle = partitions / 2;
    let (day, hour) = (middle / 24, middle % 24);
    let row = middle * per_partition * FILE_ROWS;
    let last_days = partitions / 24 - 4;
    let conditions = [
        (
            "one partition",
            format!("ds = 'day-{day:05}' AND hr = {hour}"),
        ),
        (
            "a range of partitions",
            format!("ds >= 'day-{last_days:05}' AND c0 > 0"),
        ),
        (
            "a function of the partition",
            format!("substr(ds, 5, 5) = '{day:05}' AND hr IN (1, 2)"),
        ),
        ("all partitions", "c1 <> 5".to_owned()),
        (
            "one file of all, by bounds",
            format!("c0 BETWEEN {} AND {}", row + 1, row + 10),
        ),
        ("no condition", "true".to_owned()),
    ];
    for (name, condition) in conditions {
        measure(directory.path(), name, &condition).await?;
    }
    run_all(directory.path()).await
}

async fn start(directory: &Path) -> (Process, String) {
    let data = directory.join("data").display().to_string();
    let work = directory.join("work").display().to_string();
    let options = [
        "standalone",
        "--listen",
        "127.0.0.1:0",
        "--executors",
        "2",
        "--cores",
        "1",
        "--data-dir",
        &data,
        "--work-dir",
        &work,
    ];
    let mut server = Process::start("standalone", directory, &arguments(&options));
    let url = listening_url(&mut server).await;
    (server, url)
}

/// Plans a statement in a server that has just been started, then in one that has planned it before.
async fn measure(directory: &Path, name: &str, condition: &str) -> Result<()> {
    let (mut server, url) = start(directory).await;
    let mut client = connect(&url).await;
    let sql = format!("EXPLAIN SELECT hr, sum(c0) FROM large WHERE {condition} GROUP BY hr");
    let mut times = Vec::new();
    let mut plan = Vec::new();
    for _ in 0..=WARM_RUNS {
        let begin = Instant::now();
        plan = rows(&mut client, &sql).await;
        times.push(begin.elapsed().as_secs_f64() * 1_000.0);
    }
    let plan = plan.pop().context("EXPLAIN has a row")?;
    let kept = plan[1].lines().rfind(|line| line.starts_with("Scan of"));
    let kept = kept.context("EXPLAIN says what is read")?;
    let warm = times[1..].iter().copied().fold(f64::INFINITY, f64::min);
    println!(
        "{name}: cold {:.0} ms, warm {warm:.0} ms, memory at most {} MiB\n  {kept}",
        times[0],
        server.peak_memory_mib()
    );
    server.terminate().await;
    Ok(())
}

/// Runs a statement that reads all files, which fails at the first that somebody opens.
async fn run_all(directory: &Path) -> Result<()> {
    let (mut server, url) = start(directory).await;
    let mut client = connect(&url).await;
    let begin = Instant::now();
    let failed = error(&mut client, "SELECT sum(c0) FROM large WHERE c1 <> 5").await;
    println!(
        "run on all files: failed after {:.1} s, memory at most {} MiB\n  {failed}",
        begin.elapsed().as_secs_f64(),
        server.peak_memory_mib()
    );
    ensure!(failed.to_string().contains(".parquet"), "no file is named");
    server.terminate().await;
    Ok(())
}

async fn fill(data_dir: &Path, partitions: usize, per_partition: usize) -> Result<()> {
    let catalog = Catalog::open(CatalogOptions {
        data_dir: data_dir.to_owned(),
        store: CatalogLocation::Sqlite,
        allowed_roots: AllowedRoots::unrestricted(),
        warehouse: None,
    })
    .await?;
    catalog.create_managed_table(table()).await?;
    let planned = Arc::clone(catalog.snapshot().table("default", "large")?);
    let root = planned.definition.location.key().to_owned();
    let modified = Utc::now();
    let mut files = Vec::new();
    for number in 0..partitions * per_partition {
        files.push(new_file(&root, number, per_partition, modified));
        if files.len() == FILES_PER_WRITE || number + 1 == partitions * per_partition {
            let write = WriteCommit {
                tables: vec![TableWrite {
                    target: WriteTarget::Existing(Arc::clone(&planned)),
                    mode: WriteMode::Append,
                    files: std::mem::take(&mut files),
                    reads_target: false,
                }],
            };
            catalog.commit_write(&write).await?;
        }
    }
    Ok(())
}

fn table() -> NewManagedTable {
    let columns = (0..COLUMNS).map(|number| ColumnSpec {
        name: format!("c{number}"),
        data_type: DataType::Int64,
        sql_type: None,
        nullable: true,
        comment: None,
    });
    let partition_column = |name: &str, data_type| PartitionColumnSpec {
        name: name.to_owned(),
        data_type: Some(data_type),
        sql_type: None,
        comment: None,
    };
    NewManagedTable {
        database: "default".to_owned(),
        name: "large".to_owned(),
        if_not_exists: false,
        format: FileFormat::Parquet,
        storage: StorageOptions::default(),
        location: None,
        columns: columns.collect(),
        partition_columns: vec![
            partition_column("ds", DataType::Utf8),
            partition_column("hr", DataType::Int32),
        ],
        bucketing: None,
        properties: BTreeMap::new(),
        comment: None,
        owner: String::new(),
    }
}

fn new_file(
    root: &str,
    number: usize,
    per_partition: usize,
    last_modified: DateTime<Utc>,
) -> NewFile {
    let partition = number / per_partition;
    let (day, hour) = (partition / 24, partition % 24);
    let first = (number * FILE_ROWS) as i64;
    let bounds = (0..COLUMNS).map(|column| ColumnBounds {
        min: Some(BoundValue::Int(first)),
        max: Some(BoundValue::Int(first + FILE_ROWS as i64 - 1)),
        min_is_exact: true,
        max_is_exact: true,
        null_count: Some(0),
        size_bytes: Some(8_000),
        ..ColumnBounds::unknown(ColumnId(column))
    });
    NewFile {
        partition: vec![Some(format!("day-{day:05}")), Some(hour.to_string())],
        file: DataFile {
            path: format!(
                "{root}/ds=day-{day:05}/hr={hour}/part-20240131_101112_00001_abcde-{number}.parquet"
            ),
            size_bytes: 100_000,
            rows: Some(FILE_ROWS as u64),
            last_modified,
            e_tag: Some(format!("\"{number:032}\"")),
            partition: None,
            bounds: bounds.collect(),
        },
    }
}
