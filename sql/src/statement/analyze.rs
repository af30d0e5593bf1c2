//! What `ANALYZE TABLE` says.

use super::{PartitionSpec, TableName};

/// `ANALYZE TABLE … COMPUTE STATISTICS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnalyzeTable {
    /// The table.
    pub name: TableName,
    /// Only the rows of these partitions; all where it is empty.
    pub partition: PartitionSpec,
    /// What is looked at.
    pub columns: AnalyzedColumns,
}

/// What of a table is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnalyzedColumns {
    /// NOSCAN: nothing but what is known of its files.
    Unread,
    /// How many rows there are.
    Counted,
    /// FOR COLUMNS: these.
    Named(Vec<String>),
    /// FOR ALL COLUMNS.
    All,
}
