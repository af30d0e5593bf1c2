//! Measures a catalog with one table of 100,000 partitions and a million files: how long it takes to
//! write it, to load all of it, to find the files of one partition, and how much memory that needs.
//!
//! `cargo run --release --example large_table [PARTITIONS [FILES_PER_PARTITION [postgres://…]]]`

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
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

/// How many files one statement adds while the table is made.
const FILES_PER_WRITE: usize = 200_000;

/// How many columns have bounds.
const COLUMNS: u32 = 10;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default| arguments.next().map_or(Ok(default), |text| text.parse());
    let (partitions, per_partition): (usize, usize) = (number(100_000)?, number(10)?);
    let location = match arguments.next() {
        Some(url) => CatalogLocation::Postgres(url.parse()?),
        None => CatalogLocation::Sqlite,
    };
    let directory = tempfile::tempdir()?;
    let options = CatalogOptions {
        data_dir: directory.path().to_owned(),
        store: location,
        allowed_roots: AllowedRoots::unrestricted(),
        warehouse: None,
    };
    let catalog = Catalog::open(options.clone()).await?;
    let begin = Instant::now();
    fill(&catalog, partitions, per_partition).await?;
    report("written", begin);
    drop(catalog);

    let begin = Instant::now();
    let catalog = Catalog::open(options).await?;
    report("opened", begin);
    let snapshot = catalog.snapshot();
    let table = Arc::clone(snapshot.table("default", "large")?);
    let begin = Instant::now();
    let list = snapshot.table_partitions(&table).await?;
    report("list of partitions, cold", begin);
    let begin = Instant::now();
    let list = match list.is_empty() {
        true => list,
        false => snapshot.table_partitions(&table).await?,
    };
    report("list of partitions, warm", begin);
    let middle = list.get(partitions / 2).map_or(0, |found| found.number);
    let begin = Instant::now();
    let found = snapshot.partition_files(&table, &[middle]).await?;
    report("files of one partition, read alone", begin);
    println!("  {} files", found.files.len());
    let begin = Instant::now();
    let all = snapshot.table_files(&table).await?;
    report("all files, cold", begin);
    let begin = Instant::now();
    let all = match all.files.is_empty() {
        true => all,
        false => snapshot.table_files(&table).await?,
    };
    report("all files, warm", begin);
    let begin = Instant::now();
    let bounded = |file: &&DataFile| {
        let bounds = file.bounds_of(ColumnId(COLUMNS - 1));
        bounds.is_some_and(|bounds| bounds.min.is_some())
    };
    let count = all.files.iter().filter(bounded).count();
    report("one column's bounds of all files", begin);
    println!("  {count} files");
    let begin = Instant::now();
    let found = snapshot.partition_files(&table, &[middle]).await?;
    report("files of one partition, from memory", begin);
    println!("  {} files", found.files.len());
    Ok(())
}

fn report(what: &str, begin: Instant) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = |name: &str| {
        let found = status.lines().find(|line| line.starts_with(name));
        found.map(|line| line.split_whitespace().skip(1).collect::<String>())
    };
    println!(
        "{what}: {:.3} s; memory {}, at most {}",
        begin.elapsed().as_secs_f64(),
        line("VmRSS").unwrap_or_default(),
        line("VmHWM").unwrap_or_default()
    );
}

async fn fill(
    catalog: &Catalog,
    partitions: usize,
    per_partition: usize,
) -> Result<(), Box<dyn Error>> {
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
    let table = NewManagedTable {
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
    };
    catalog.create_managed_table(table).await?;
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
            let begin = Instant::now();
            catalog.commit_write(&write).await?;
            report(&format!("a commit of {} files", number + 1), begin);
        }
    }
    Ok(())
}

fn new_file(
    root: &str,
    number: usize,
    per_partition: usize,
    last_modified: DateTime<Utc>,
) -> NewFile {
    let partition = number / per_partition;
    let (day, hour) = (partition / 24, partition % 24);
    let bounds = (0..COLUMNS).map(|column| ColumnBounds {
        min: Some(BoundValue::Int(number as i64 * 1_000)),
        max: Some(BoundValue::Int(number as i64 * 1_000 + 999)),
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
            rows: Some(1_000),
            last_modified,
            e_tag: Some(format!("\"{number:032}\"")),
            partition: None,
            bounds: bounds.collect(),
        },
    }
}
