//! Data: TPC-H, made once and kept in the build's own directory, and small tables with everything that
//! is easily done wrong: NULLs, duplicates, no rows, partitions, several files.

mod times;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array,
    StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use skep_tpch::tables::Table;
use skep_tpch::{DataLocation, GenerateOptions, generate, scale_name};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::Mutex;

/// Files per TPC-H table: more than any test has executors.
const TPCH_PARTS: u32 = 4;

/// One test at a time makes data.
static GENERATING: Mutex<()> = Mutex::const_new(());

/// TPC-H at `scale`, made now where it is not there from an earlier run.
pub async fn tpch(scale: f64) -> DataLocation {
    let test = std::env::current_exe().expect("a test has a path");
    let target = test.ancestors().nth(3).expect("target/release/deps/test");
    let directory = target.join(format!("tmp/tests-tpch-sf{}", scale_name(scale)));
    let location = DataLocation::parse(&directory.display().to_string(), &[]);
    let location = location.expect("a local directory");
    let _alone = GENERATING.lock().await;
    let mut options = GenerateOptions::new(scale, location.clone());
    options.parts = Some(TPCH_PARTS);
    if let Err(error) = generate(&options).await {
        panic!("cannot make TPC-H in {}: {error}", directory.display());
    }
    location
}

/// The directory of a local data set.
pub fn directory_of(location: &DataLocation) -> PathBuf {
    location.url().to_file_path().expect("a local directory")
}

/// A table and where its files are, as `CREATE EXTERNAL TABLE` takes it.
#[derive(Clone, Debug)]
pub struct TableFiles {
    /// The table's name.
    pub name: String,
    /// A local directory or a URL.
    pub location: String,
    /// The names and types of its partition columns.
    pub partitioned_by: Vec<(&'static str, &'static str)>,
}

impl TableFiles {
    /// A table without partitions.
    pub fn new(name: &str, location: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            location: location.into(),
            partitioned_by: vec![],
        }
    }

    /// The statement that makes the table.
    pub fn create_statement(&self) -> String {
        let names: Vec<&str> = self.partitioned_by.iter().map(|(name, _)| *name).collect();
        let partitioned = match names.is_empty() {
            true => String::new(),
            false => format!(" PARTITIONED BY ({})", names.join(", ")),
        };
        let Self { name, location, .. } = self;
        format!("CREATE EXTERNAL TABLE {name} STORED AS PARQUET{partitioned} LOCATION '{location}'")
    }
}

/// The tables of TPC-H.
pub fn tpch_tables(data: &DataLocation) -> Vec<TableFiles> {
    let table = |table: &Table| TableFiles::new(table.name(), data.table_url(*table));
    Table::ALL.iter().map(table).collect()
}

/// Writes a Parquet file, with its directory.
pub fn write_parquet(path: &Path, batch: &RecordBatch) {
    std::fs::create_dir_all(path.parent().expect("a file is in a directory")).expect("a directory");
    let file = File::create(path).expect("a file");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("a writer");
    writer.write(batch).expect("rows are written");
    writer.close().expect("a footer is written");
}

/// A batch of named columns that may all be NULL.
pub fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let columns = columns
        .into_iter()
        .map(|(name, column)| (name, column, true));
    RecordBatch::try_from_iter_with_nullable(columns).expect("columns of one length")
}

/// Writes the small tables below `directory`, and into `files` there what other programs have written.
pub fn small_tables(directory: &Path) -> Vec<TableFiles> {
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("files");
    copy_directory(&files, &directory.join("files"));
    for part in 0..5 {
        write_parquet(&part_path(directory, "numbers", part), &numbers(part));
    }
    for part in 0..3 {
        write_parquet(
            &part_path(directory, "lefts", part),
            &side(part, "v", &LEFT_KEYS),
        );
        write_parquet(
            &part_path(directory, "rights", part),
            &side(part, "w", &RIGHT_KEYS),
        );
    }
    let schema: Arc<Schema> = numbers(0).schema();
    write_parquet(
        &part_path(directory, "nothing", 0),
        &RecordBatch::new_empty(schema),
    );
    for (part, (partition, first)) in EVENT_PARTITIONS.iter().enumerate() {
        let path = directory.join(format!("events/{partition}/part-{part}.parquet"));
        write_parquet(&path, &events(*first));
    }
    times::write(directory);
    let mut tables: Vec<TableFiles> = ["numbers", "lefts", "rights", "nothing", "events"]
        .iter()
        .map(|name| TableFiles::new(name, directory.join(name).display().to_string()))
        .collect();
    tables[4].partitioned_by = vec![("region", "STRING"), ("day", "INT")];
    tables
}

fn copy_directory(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory can be made");
    for entry in fs::read_dir(from).expect("a directory can be read") {
        let entry = entry.expect("a directory can be read");
        let to = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy_directory(&entry.path(), &to),
            false => {
                let bytes = fs::read(entry.path()).expect("a file can be read");
                fs::write(to, bytes).expect("a file can be written");
            }
        }
    }
}

fn part_path(directory: &Path, table: &str, part: usize) -> PathBuf {
    directory.join(format!("{table}/part-{part}.parquet"))
}

/// Eight of forty rows: every column but `id` has NULLs, with periods that have no common divisor.
fn numbers(part: usize) -> RecordBatch {
    let ids: Vec<i64> = (0..8).map(|row| (part * 8 + row) as i64).collect();
    let some = |period: i64, value: i64, id: i64| (id % period != period - 1).then_some(value);
    let ints = ids
        .iter()
        .map(|id| some(7, id % 5, *id).map(|value| value as i32));
    let bigs = ids
        .iter()
        .map(|id| some(11, (id - 20) * 1_000_000_007, *id));
    let floats = ids
        .iter()
        .map(|id| some(6, *id, *id).map(|value| value as f64 / 4.0));
    let decimals = ids
        .iter()
        .map(|id| some(9, id * 125 - 1000, *id).map(i128::from));
    let words = ["ant", "bee", "", "Cat", "dög", "eel eel"];
    let texts = ids
        .iter()
        .map(|id| some(8, *id, *id).map(|id| words[id as usize % words.len()]));
    let flags = ids.iter().map(|id| some(4, *id, *id).map(|id| id % 3 == 0));
    // 2024-02-26 and the days around the leap day.
    let days = ids
        .iter()
        .map(|id| some(10, *id, *id).map(|id| 19_779 + (id % 6) as i32));
    let times = ids
        .iter()
        .map(|id| some(13, 1_708_905_600_000_000 + id * 5_400_000_001, *id));
    let decimals: Decimal128Array = decimals.collect();
    let decimals = decimals.with_precision_and_scale(12, 2).expect("it fits");
    batch(vec![
        ("id", Arc::new(Int64Array::from(ids.clone()))),
        ("i", Arc::new(ints.collect::<Int32Array>())),
        ("b", Arc::new(bigs.collect::<Int64Array>())),
        ("f", Arc::new(floats.collect::<Float64Array>())),
        ("d", Arc::new(decimals)),
        ("s", Arc::new(texts.collect::<StringArray>())),
        ("flag", Arc::new(flags.collect::<BooleanArray>())),
        ("day", Arc::new(days.collect::<Date32Array>())),
        ("ts", Arc::new(times.collect::<TimestampMicrosecondArray>())),
    ])
}

type Keys = [(Option<i64>, Option<&'static str>); 12];

/// Keys of the left side of joins: duplicates, NULLs in either or both, keys without a partner.
const LEFT_KEYS: Keys = [
    (Some(1), Some("a")),
    (Some(1), Some("a")),
    (Some(2), Some("a")),
    (Some(2), Some("b")),
    (None, Some("a")),
    (Some(3), None),
    (None, None),
    (Some(4), Some("d")),
    (Some(5), Some("e")),
    (Some(6), Some("f")),
    (Some(6), None),
    (Some(7), Some("g")),
];

/// Keys of the right side.
const RIGHT_KEYS: Keys = [
    (Some(1), Some("a")),
    (Some(1), Some("z")),
    (Some(2), Some("b")),
    (Some(2), Some("b")),
    (None, Some("a")),
    (None, None),
    (Some(3), None),
    (Some(3), Some("c")),
    (Some(6), Some("f")),
    (Some(8), Some("h")),
    (Some(9), Some("i")),
    (Some(9), None),
];

/// A third of the rows of a side of joins; the value numbers the rows.
fn side(part: usize, value: &str, keys: &Keys) -> RecordBatch {
    let rows = part * 4..part * 4 + 4;
    let numbers = rows.clone().map(|row| Some(row as i64 * 10));
    batch(vec![
        (
            "k",
            Arc::new(rows.clone().map(|row| keys[row].0).collect::<Int64Array>()),
        ),
        (
            "k2",
            Arc::new(rows.map(|row| keys[row].1).collect::<StringArray>()),
        ),
        (value, Arc::new(numbers.collect::<Int64Array>())),
    ])
}

/// Partitions as Hive writes them, each with the first number of its rows.
const EVENT_PARTITIONS: [(&str, i64); 6] = [
    ("region=eu/day=1", 0),
    ("region=eu/day=2", 10),
    ("region=us/day=1", 20),
    ("region=us/day=2", 30),
    ("region=n%2Fa/day=1", 40),
    ("region=__HIVE_DEFAULT_PARTITION__/day=3", 50),
];

fn events(first: i64) -> RecordBatch {
    let numbers: Int64Array = (first..first + 4).map(Some).collect();
    let kinds: StringArray = (first..first + 4)
        .map(|number| Some(if number % 2 == 0 { "click" } else { "view" }))
        .collect();
    batch(vec![
        ("number", Arc::new(numbers)),
        ("kind", Arc::new(kinds)),
    ])
}
