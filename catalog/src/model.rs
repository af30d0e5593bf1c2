//! What the catalog holds. Plain data: nothing here reads or writes anything.

pub mod bounds;
pub mod name;
pub mod partition_value;
mod user;

pub use bounds::{BoundValue, ColumnBounds};
pub use user::User;

use arrow::datatypes::DataType;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use skep_protocol::storage_url::StorageUrl;
use std::collections::BTreeMap;

/// The state of the whole catalog. Every statement that changes something makes the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CatalogVersion(pub u64);

/// A table, whatever it is called. Never used again after the table is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableId(pub i64);

/// A column of one table, whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ColumnId(pub u32);

/// A database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// In lower case.
    pub name: String,
    /// What its creator said of it.
    pub comment: Option<String>,
    /// Where its managed tables go, if that was said.
    pub location: Option<StorageUrl>,
    /// Who created it.
    pub owner: String,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// Who owns a table's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TableKind {
    /// Somebody else: dropping the table leaves the files.
    External,
}

impl TableKind {
    /// The name under which it is kept and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::External => "EXTERNAL",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        (name == "EXTERNAL").then_some(Self::External)
    }
}

/// How a table's files are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileFormat {
    /// Apache Parquet.
    Parquet,
}

impl FileFormat {
    /// The name under which it is kept and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Parquet => "PARQUET",
        }
    }

    /// The format of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        (name == "PARQUET").then_some(Self::Parquet)
    }
}

/// A column that is stored in the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// What the bounds of files refer to; survives renaming.
    pub id: ColumnId,
    /// In lower case.
    pub name: String,
    /// The name in the files, whose case may differ.
    pub source_name: String,
    /// The type, without regard to how its values are laid out in memory: text is `Utf8`, even where a
    /// file says `LargeUtf8`.
    pub data_type: DataType,
    /// Whether it may be NULL.
    pub nullable: bool,
    /// What was said of it.
    pub comment: Option<String>,
}

/// A column whose value is the same for all of a partition's rows and stands in the directory's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionColumn {
    /// In lower case.
    pub name: String,
    /// The type; one of those that [`partition_value::is_supported`] accepts.
    pub data_type: DataType,
    /// What was said of it.
    pub comment: Option<String>,
}

/// What a table is, but for its identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableDefinition {
    /// Its database, in lower case.
    pub database: String,
    /// Its name, in lower case.
    pub name: String,
    /// Who owns the files.
    pub kind: TableKind,
    /// How they are written.
    pub format: FileFormat,
    /// The directory or the single file.
    pub location: StorageUrl,
    /// The columns in the files.
    pub columns: Vec<Column>,
    /// Whether the user listed the columns. Otherwise they came from the files, and new files may add
    /// some.
    pub columns_declared: bool,
    /// The columns in the directories' names, from the outermost inwards. They follow
    /// [`TableDefinition::columns`] in results.
    pub partition_columns: Vec<PartitionColumn>,
    /// Table properties, as given.
    pub properties: BTreeMap<String, String>,
    /// What its creator said of it.
    pub comment: Option<String>,
    /// Who created it.
    pub owner: String,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Which one.
    pub id: TableId,
    /// The version of the catalog that changed it last. Its files are the same in every later version
    /// in which it has this one.
    pub version: CatalogVersion,
    /// What it is.
    pub definition: TableDefinition,
}

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
    /// How many rows it has.
    pub rows: u64,
    /// When the store says that it was written, to the microsecond.
    pub last_modified: DateTime<Utc>,
    /// The store's name for its contents, where there is one.
    pub e_tag: Option<String>,
    /// The number of its partition; `None` in a table without partition columns.
    pub partition: Option<u32>,
    /// What is known of its columns, in no particular order. A column that is missing is unknown.
    pub bounds: Vec<ColumnBounds>,
}

impl DataFile {
    /// What is known of one column.
    pub fn bounds_of(&self, column: ColumnId) -> Option<&ColumnBounds> {
        self.bounds.iter().find(|bounds| bounds.column == column)
    }
}

/// All that a version of a table consists of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableFiles {
    /// The partitions by ascending number; none in a table without partition columns.
    pub partitions: Vec<Partition>,
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

    /// The rows of all files.
    pub fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.rows).sum()
    }

    /// The bytes of all files.
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size_bytes).sum()
    }
}
