//! Generates the tables as Parquet files, several per table, streaming and in parallel.
//!
//! A table counts as present only once the manifest at the data set's root says so, and that is
//! written after the table's last file: whatever was interrupted is done again. Existing tables
//! are kept, so that calling this twice is cheap.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::Semaphore;

use crate::SCALE_MIN;
use crate::location::DataLocation;
use crate::tables::Table;

mod console;
mod error;
mod files;
mod layout;
mod manifest;

pub use console::console_progress;
pub use error::GenerateError;
pub use layout::parts_default;
pub use manifest::{Manifest, TableEntry};

/// The most parts that a table is cut into, so that file names keep four digits.
pub const PARTS_MAX: u32 = 9999;

/// The most files that are written at once. Each takes about 110 MB (measured: row groups that are
/// being encoded, chunks that wait for the upload), beside the generator's 300 MB of text, so that
/// any scale stays below 1 GiB.
const FILES_AT_ONCE_MAX: usize = 4;

/// A file format to generate.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Format {
    /// Apache Parquet, compressed with zstd.
    #[default]
    Parquet,
}

impl std::str::FromStr for Format {
    type Err = GenerateError;

    fn from_str(text: &str) -> Result<Format, GenerateError> {
        if text.eq_ignore_ascii_case("parquet") {
            return Ok(Format::Parquet);
        }
        Err(GenerateError::Format(text.to_string()))
    }
}

/// What to generate, and where.
#[derive(Clone)]
pub struct GenerateOptions {
    /// The scale, [`SCALE_MIN`] or more; scale 1 is about 6 million rows of `lineitem`.
    pub scale: f64,
    /// Files per table. By default as many as [`parts_default`] finds useful; `nation` and
    /// `region` are always one file.
    pub parts: Option<u32>,
    /// The file format.
    pub format: Format,
    /// The data set's directory.
    pub output: DataLocation,
    /// Files to write at once; by default one per core, at most four.
    pub threads: Option<usize>,
    /// Called after every batch with the state of the whole; it must return quickly.
    pub progress: Option<ProgressCallback>,
}

/// A function that is told about progress.
pub type ProgressCallback = Arc<dyn Fn(GenerateProgress) + Send + Sync>;

impl GenerateOptions {
    /// Options with their defaults.
    pub fn new(scale: f64, output: DataLocation) -> GenerateOptions {
        let format = Format::default();
        GenerateOptions {
            scale,
            parts: None,
            format,
            output,
            threads: None,
            progress: None,
        }
    }
}

/// How far a generation is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GenerateProgress {
    /// Rows generated so far.
    pub rows: u64,
    /// Rows expected in the end, known to within a percent.
    pub rows_expected: u64,
    /// Bytes of finished row groups so far.
    pub bytes: u64,
}

/// What a generation did.
#[derive(Clone, Debug)]
pub struct GenerateReport {
    /// The tables that were written; those that were there already are not listed.
    pub generated: Vec<Table>,
    /// The data set as it is now.
    pub manifest: Manifest,
}

/// Generates the tables that are not there yet.
pub async fn generate(options: &GenerateOptions) -> Result<GenerateReport, GenerateError> {
    check(options)?;
    let mut manifest = manifest::load(&options.output, options.scale).await?;
    let threads = options
        .threads
        .unwrap_or_else(cores)
        .clamp(1, FILES_AT_ONCE_MAX);
    let missing: Vec<(Table, u32)> = Table::ALL
        .into_iter()
        .map(|table| (table, parts(table, options)))
        .filter(|(table, parts)| {
            let entry = manifest.tables.get(table.name());
            !entry.is_some_and(|entry| options.parts.is_none() || entry.parts == *parts)
        })
        .collect();
    let mut generated: Vec<Table> = missing.iter().map(|(table, _)| *table).collect();
    generated.sort();
    if missing.is_empty() {
        return Ok(GenerateReport {
            generated,
            manifest,
        });
    }

    for table in &generated {
        manifest.tables.remove(table.name());
    }
    manifest::store(&options.output, &manifest).await?;
    let counters = Arc::new(Counters::new(options, &generated));
    let slots = Semaphore::new(threads);
    let mut tables: FuturesUnordered<_> = missing
        .into_iter()
        .map(|(table, parts)| generate_table(table, parts, options, &slots, &counters))
        .collect();
    while let Some(finished) = tables.next().await {
        let (table, entry) = finished?;
        manifest.tables.insert(table.name().to_string(), entry);
        manifest::store(&options.output, &manifest).await?;
    }
    Ok(GenerateReport {
        generated,
        manifest,
    })
}

/// Whether all tables of the scale are there.
pub async fn is_complete(output: &DataLocation, scale: f64) -> Result<bool, GenerateError> {
    let manifest = manifest::load(output, scale).await?;
    Ok(Table::ALL
        .iter()
        .all(|table| manifest.tables.contains_key(table.name())))
}

/// The number of cores that this process may use.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn check(options: &GenerateOptions) -> Result<(), GenerateError> {
    if !(options.scale >= SCALE_MIN && options.scale.is_finite()) {
        return Err(GenerateError::Scale(options.scale));
    }
    match options.parts {
        Some(parts) if !(1..=PARTS_MAX).contains(&parts) => Err(GenerateError::Parts(parts)),
        _ => Ok(()),
    }
}

fn parts(table: Table, options: &GenerateOptions) -> u32 {
    match options.parts {
        Some(parts) if !table.is_fixed_size() => parts,
        _ => parts_default(table, options.scale, cores()),
    }
}

async fn generate_table(
    table: Table,
    parts: u32,
    options: &GenerateOptions,
    slots: &Semaphore,
    counters: &Arc<Counters>,
) -> Result<(Table, TableEntry), GenerateError> {
    layout::sweep(&options.output, table).await?;
    let mut files: FuturesUnordered<_> = (0..parts)
        .map(|part| {
            let file = files::PartFile {
                table,
                scale: options.scale,
                part,
                parts,
            };
            async move {
                // The semaphore is never closed, so that this waits and then goes on.
                let _slot = slots.acquire().await;
                files::write(file, &options.output, Arc::clone(counters)).await
            }
        })
        .collect();
    let mut entry = TableEntry {
        parts,
        rows: 0,
        bytes: 0,
    };
    while let Some(written) = files.next().await {
        let written = written?;
        entry.rows += written.rows;
        entry.bytes += written.bytes;
    }
    Ok((table, entry))
}

/// What all writers add to.
struct Counters {
    rows: AtomicU64,
    bytes: AtomicU64,
    rows_expected: u64,
    progress: Option<ProgressCallback>,
}

impl Counters {
    fn new(options: &GenerateOptions, tables: &[Table]) -> Counters {
        Counters {
            rows: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            rows_expected: tables
                .iter()
                .map(|table| table.rows_estimate(options.scale))
                .sum(),
            progress: options.progress.clone(),
        }
    }

    fn add(&self, rows: u64, bytes: u64) {
        let rows = self.rows.fetch_add(rows, Ordering::Relaxed) + rows;
        let bytes = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if let Some(progress) = &self.progress {
            progress(GenerateProgress {
                rows,
                rows_expected: self.rows_expected,
                bytes,
            });
        }
    }
}

/// The tables of a manifest, by name.
pub(crate) type TableEntries = BTreeMap<String, TableEntry>;

#[cfg(test)]
mod tests;
