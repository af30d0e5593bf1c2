//! What a table consists of.

use super::{ColumnBounds, ColumnId, FileBounds};
use chrono::{DateTime, Utc};
use skep_protocol::storage_url::StorageUrl;
use std::sync::Arc;

/// The rows of a table that have the same values in its partition columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its number within its table.
    pub number: u32,
    /// One value per partition column, as text; `None` is NULL.
    pub values: Vec<Option<String>>,
    /// Its directory.
    pub location: StorageUrl,
}

/// One file of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct DataFile {
    /// Its key in the table's object store.
    pub path: String,
    /// Its size.
    pub size_bytes: u64,
    /// How many rows it has, where that is known: only some formats' files say so.
    pub rows: Option<u64>,
    /// When the store says that it was written, to the microsecond.
    pub last_modified: DateTime<Utc>,
    /// The store's name for its contents, where there is one.
    pub e_tag: Option<String>,
    /// The number of its partition; `None` in a table without partition columns.
    pub partition: Option<u32>,
    /// What is known of its columns, in no particular order. A column that is missing is unknown.
    pub bounds: FileBounds,
}

impl DataFile {
    /// What is known of one column. Whoever wants most columns takes them from [`DataFile::bounds`].
    pub fn bounds_of(&self, column: ColumnId) -> Option<ColumnBounds> {
        self.bounds.get(column)
    }
}

/// All that a version of a table consists of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableFiles {
    /// The partitions by ascending number; none in a table without partition columns.
    pub partitions: Arc<[Partition]>,
    /// The files by ascending path.
    pub files: Vec<DataFile>,
}

impl TableFiles {
    /// The partition of that number.
    pub fn partition(&self, number: u32) -> Option<&Partition> {
        let index = self.partition_index(number)?;
        self.partitions.get(index)
    }

    /// Where in [`TableFiles::partitions`] the partition of that number is.
    pub fn partition_index(&self, number: u32) -> Option<usize> {
        self.partitions
            .binary_search_by_key(&number, |partition| partition.number)
            .ok()
    }

    /// The rows of all files, where all of them are known.
    pub fn rows(&self) -> Option<u64> {
        self.files.iter().map(|file| file.rows).sum()
    }

    /// The bytes of all files.
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size_bytes).sum()
    }
}
