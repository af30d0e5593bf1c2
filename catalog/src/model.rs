//! What the catalog holds. Plain data: nothing here reads or writes anything.

mod access;
pub mod bounds;
mod file_bounds;
mod files;
pub mod name;
pub mod partition_value;
mod storage;
mod summary;
mod table;
pub mod types;
mod user;
mod view;

pub use access::{
    AccessRules, Grant, GrantKey, Membership, PUBLIC, Principal, Privilege, PrivilegeSet, Role,
    Securable,
};
pub use bounds::{BoundValue, ColumnBounds};
pub use file_bounds::FileBounds;
pub use files::{DataFile, Partition, TableFiles};
pub use storage::{FileFormat, StorageOptions, TextLayout};
pub use summary::{ColumnSummary, SUMMARY_PROPERTY, TableSummary};
pub use table::{
    Bucketing, Column, PartitionColumn, RetiredColumn, SortColumn, Table, TableDefinition,
    TableKind,
};
pub use user::User;
pub use view::{View, ViewColumn, ViewDefinition};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use skep_protocol::storage_url::StorageUrl;
use std::collections::BTreeMap;

/// The state of the whole catalog. Every statement that changes something makes the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CatalogVersion(pub u64);

/// A table or a view, whatever it is called. Never used again after the table is dropped.
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
    /// DBPROPERTIES, as given.
    pub properties: BTreeMap<String, String>,
    /// Who created it.
    pub owner: String,
    /// When.
    pub created_at: DateTime<Utc>,
}
