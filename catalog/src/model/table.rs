//! What a table is.

use super::{CatalogVersion, ColumnId, FileFormat, StorageOptions, TableId};
use arrow::datatypes::DataType;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use skep_protocol::storage_url::StorageUrl;
use std::collections::BTreeMap;

/// Who owns a table's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TableKind {
    /// Somebody else: dropping the table leaves the files.
    External,
    /// The catalog: nobody else writes below the table's location, and files that no version of the
    /// catalog knows any more are removed.
    Managed,
}

impl TableKind {
    /// The name under which it is kept and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::External => "EXTERNAL",
            Self::Managed => "MANAGED",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::External, Self::Managed]
            .into_iter()
            .find(|kind| kind.as_str() == name)
    }
}

/// A column that is stored in the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// What the bounds of files refer to; survives renaming.
    pub id: ColumnId,
    /// In lower case.
    pub name: String,
    /// The name in the files, whose case may differ, and which survives renaming.
    pub source_name: String,
    /// The type, without regard to how its values are laid out in memory: text is `Utf8`, even where a
    /// file says `LargeUtf8`.
    pub data_type: DataType,
    /// The type as SQL calls it, where `data_type` says less: `varchar(10)`.
    pub sql_type: Option<String>,
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
    /// The type; one of those that [`super::partition_value::is_supported`] accepts.
    pub data_type: DataType,
    /// The type as SQL calls it, where `data_type` says less: `varchar(10)`.
    pub sql_type: Option<String>,
    /// What was said of it.
    pub comment: Option<String>,
}

/// CLUSTERED BY: how the rows of a partition are spread over files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucketing {
    /// The columns whose values decide.
    pub columns: Vec<ColumnId>,
    /// SORTED BY: the order of the rows within a bucket.
    pub sorted_by: Vec<SortColumn>,
    /// INTO n BUCKETS.
    pub count: u32,
}

/// A column by which rows are sorted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SortColumn {
    /// Which.
    pub column: ColumnId,
    /// Whether the largest comes first.
    pub descending: bool,
}

/// A column that a table had once, or another name that one had in the files. Files of the past may
/// still have it, so that no new column may be taken for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetiredColumn {
    /// Never given to another one.
    pub id: ColumnId,
    /// Its name in the files.
    pub source_name: String,
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
    /// What was said of that in detail.
    pub storage: StorageOptions,
    /// The directory or the single file.
    pub location: StorageUrl,
    /// The columns in the files.
    pub columns: Vec<Column>,
    /// Whether the user listed the columns. Otherwise they came from the files, and new files may add
    /// some.
    pub columns_declared: bool,
    /// Columns that are no longer part of the table.
    pub retired_columns: Vec<RetiredColumn>,
    /// The columns in the directories' names, from the outermost inwards. They follow
    /// [`TableDefinition::columns`] in results.
    pub partition_columns: Vec<PartitionColumn>,
    /// How the rows of a partition are spread over files, where that was said.
    pub bucketing: Option<Bucketing>,
    /// Table properties, as given.
    pub properties: BTreeMap<String, String>,
    /// What its creator said of it.
    pub comment: Option<String>,
    /// Who created it.
    pub owner: String,
    /// When.
    pub created_at: DateTime<Utc>,
}

impl TableDefinition {
    /// The column of that name, which is in lower case.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The index of the partition column of that name, which is in lower case.
    pub fn partition_column_index(&self, name: &str) -> Option<usize> {
        self.partition_columns
            .iter()
            .position(|column| column.name == name)
    }

    /// An id that no column has or had.
    pub fn next_column_id(&self) -> ColumnId {
        let used = self.columns.iter().map(|column| column.id);
        let retired = self.retired_columns.iter().map(|column| column.id);
        ColumnId(used.chain(retired).map(|id| id.0 + 1).max().unwrap_or(0))
    }

    /// Whether files that were written for `other` are files of this one: same layout, same columns in
    /// the files.
    pub fn has_layout_of(&self, other: &Self) -> bool {
        let columns = |definition: &Self| {
            let columns = definition.columns.iter();
            columns
                .map(|column| {
                    let Column {
                        id,
                        source_name,
                        data_type,
                        nullable,
                        ..
                    } = column.clone();
                    (id, source_name, data_type, nullable)
                })
                .collect::<Vec<_>>()
        };
        (self.kind, self.format, &self.location, &self.storage)
            == (other.kind, other.format, &other.location, &other.storage)
            && columns(self) == columns(other)
            && self.partition_columns == other.partition_columns
    }
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
