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
