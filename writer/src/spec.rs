//! What a task has to know to write its share of a table.

use serde::{Deserialize, Serialize};
use skep_hive_text::TextFormat;

/// A write, as it is sent to the executors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WriteSpec {
    /// The store of the table's files, e.g. `s3://bucket`.
    pub store_url: String,
    /// The table's directory in that store, as a key without a slash at either end.
    pub directory: String,
    /// What every file's name begins with. It names the query, so that nobody else's files have it.
    pub file_prefix: String,
    /// The input's columns that go into the files. Those behind them are those of the partitions.
    pub columns: Vec<WriteColumn>,
    /// The names of the partition columns, the last ones of the input, from the outermost directory
    /// inwards.
    pub partition_columns: Vec<String>,
    /// Whether all rows belong to one partition, so that they need not be brought together first.
    pub is_one_partition: bool,
    /// Whether all rows go into one file, which is there even where there are none.
    pub is_one_file: bool,
    /// By what the rows of a file are sorted.
    pub sort_columns: Vec<SortColumn>,
    /// How many bytes a file has at least before another one is begun.
    pub file_bytes_target: u64,
    /// How the files are written.
    pub format: FileOptions,
}

/// A column of the files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteColumn {
    /// Its name in the files.
    pub name: String,
    /// What its name is for people.
    pub label: String,
    /// Whether it may hold NULL.
    pub nullable: bool,
    /// How many characters its texts may have: `varchar(n)` and `char(n)`.
    pub length_max: Option<usize>,
}

/// A column by which files are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SortColumn {
    /// Which of the input's columns.
    pub index: usize,
    /// Whether the greatest value comes first. NULL comes first if it does not.
    pub descending: bool,
}

/// How files are written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FileOptions {
    /// Apache Parquet.
    Parquet(ParquetOptions),
    /// One JSON object per line.
    Json,
    /// Apache Avro object container files.
    Avro,
    /// One line of quoted values per row.
    Csv(CsvOptions),
    /// One line of delimited values per row.
    Text(TextFormat),
}

impl FileOptions {
    /// What a file's name ends with.
    pub fn extension(&self) -> &'static str {
        match self {
            Self::Parquet(_) => "parquet",
            Self::Json => "json",
            Self::Avro => "avro",
            Self::Csv(_) => "csv",
            Self::Text(_) => "txt",
        }
    }
}

/// How Parquet files are written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ParquetOptions {
    /// `uncompressed`, `snappy`, `lz4_raw`, `gzip(level)`, `zstd(level)` or `brotli(level)`.
    pub compression: String,
    /// How many rows a row group has at most.
    pub row_group_rows_max: usize,
    /// Columns, by their names in the files, that get a Bloom filter.
    pub bloom_filter_columns: Vec<String>,
}

/// How CSV files are written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CsvOptions {
    /// What separates the columns.
    pub field_delimiter: u8,
    /// What precedes a delimiter that is part of a value.
    pub escape: Option<u8>,
    /// What encloses every value; it is doubled inside where nothing takes its meaning.
    pub quote: u8,
    /// Whether the first line names the columns.
    pub header: bool,
    /// What stands for NULL, for other programs than Skep: texts that could be taken for it are quoted, values that
    /// need no quotes have none. Otherwise every value is quoted, NULL is nothing, and the empty text is refused.
    pub null_text: Option<String>,
}
