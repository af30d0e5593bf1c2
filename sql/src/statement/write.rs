//! Statements that write rows, as they were written.

use super::{PartitionSpec, SourceQuery, StorageClauses, TableName};

/// `INSERT INTO` and `INSERT OVERWRITE`.
#[derive(Clone, Debug)]
pub struct Insert {
    /// The table.
    pub table: TableName,
    /// Whether the rows that are there go.
    pub overwrite: bool,
    /// PARTITION: columns without a value are taken from the rows.
    pub partition: PartitionSpec,
    /// IF NOT EXISTS: nothing happens where the partition is there.
    pub if_not_exists: bool,
    /// The columns that the query has; all of them where the list is empty.
    pub columns: Vec<String>,
    /// The rows.
    pub source: SourceQuery,
}

/// `INSERT OVERWRITE [LOCAL] DIRECTORY`.
#[derive(Clone, Debug)]
pub struct InsertDirectory {
    /// Where.
    pub location: String,
    /// How the files are written.
    pub storage: StorageClauses,
    /// The rows.
    pub source: SourceQuery,
}

/// `COPY … TO`.
#[derive(Clone, Debug)]
pub struct CopyTo {
    /// The rows.
    pub source: SourceQuery,
    /// A file or a directory.
    pub place: String,
    /// How the files are written.
    pub options: Vec<CopyOption>,
}

/// `COPY … FROM`.
#[derive(Clone, Debug)]
pub struct CopyFrom {
    /// The table.
    pub table: TableName,
    /// The columns that the files have; all of them where the list is empty.
    pub columns: Vec<String>,
    /// Files, directories and patterns.
    pub places: Vec<String>,
    /// How the files are read.
    pub options: Vec<CopyOption>,
}

/// An option of COPY.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyOption {
    /// In lower case.
    pub name: String,
    /// The words, texts and numbers of its value, in whatever parentheses.
    pub words: Vec<String>,
    /// Its value as it is written; nothing stands for true.
    pub text: String,
}

/// `LOAD DATA`.
#[derive(Clone, Debug)]
pub struct LoadData {
    /// Where the files are.
    pub location: String,
    /// LOCAL: the files are copied, not moved.
    pub local: bool,
    /// OVERWRITE.
    pub overwrite: bool,
    /// The table.
    pub table: TableName,
    /// PARTITION.
    pub partition: PartitionSpec,
}
