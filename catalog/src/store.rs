//! Where the catalog is kept: the interface, which each database behind it meets in the same way.
//!
//! A store keeps; it does not decide. Whether a change makes sense is decided by
//! [`crate::catalog::Catalog`] from a snapshot, and a store refuses it if the catalog is no longer in
//! the state from which it was decided. [`contract`] holds what every store must do.

#[cfg(test)]
pub(crate) mod contract;
mod encoding;
mod sql;
pub mod sqlite;

use crate::error::CatalogError;
use crate::model::{CatalogVersion, Database, Table, TableDefinition, TableFiles, TableId, User};
use async_trait::async_trait;
use std::fmt::Debug;

pub use sqlite::SqliteStore;

/// The version of a catalog that nobody has changed yet.
pub const FIRST_VERSION: CatalogVersion = CatalogVersion(1);

/// A catalog but for its tables' partitions and files.
#[derive(Clone, Debug, PartialEq)]
pub struct CatalogState {
    /// Which state.
    pub version: CatalogVersion,
    /// By name.
    pub databases: Vec<Database>,
    /// By database and name.
    pub tables: Vec<Table>,
    /// By name.
    pub users: Vec<User>,
}

/// One thing that a statement does to the catalog.
#[derive(Clone, Debug)]
pub enum Change {
    /// A new database.
    CreateDatabase(Database),
    /// A database goes, which has no tables (any more).
    DropDatabase {
        /// Which.
        name: String,
    },
    /// Somebody new may log in.
    CreateUser(User),
    /// The user of that name is now like this.
    AlterUser(User),
    /// Somebody may no longer log in.
    DropUser {
        /// Who.
        name: String,
    },
    /// A new table with all that it consists of.
    CreateTable {
        /// The table.
        definition: TableDefinition,
        /// Its partitions and files.
        files: TableFiles,
    },
    /// A table goes. Older snapshots go on seeing it and its files.
    DropTable {
        /// Which.
        id: TableId,
    },
    /// A table has another definition or other files.
    UpdateTable {
        /// Which.
        id: TableId,
        /// What it is now.
        definition: TableDefinition,
        /// What has become of its files.
        files: FileChanges,
    },
}

/// What has become of a table's partitions and files.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FileChanges {
    /// Paths of files that are no longer part of the table. A file that has changed is removed and
    /// added.
    pub removed_files: Vec<String>,
    /// Numbers of partitions that are no longer part of the table.
    pub removed_partitions: Vec<u32>,
    /// What is new.
    pub added: TableFiles,
}

impl FileChanges {
    /// Whether everything is as it was.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A place where a catalog is kept.
///
/// All methods may fail with [`CatalogError::Store`] or [`CatalogError::Damaged`].
#[async_trait]
pub trait CatalogStore: Debug + Send + Sync + 'static {
    /// The latest state.
    async fn load(&self) -> Result<CatalogState, CatalogError>;

    /// What `table` consisted of at `version`, which may be older than the latest.
    async fn load_files(
        &self,
        table: TableId,
        version: CatalogVersion,
    ) -> Result<TableFiles, CatalogError>;

    /// Makes all of `changes` or none of them, and returns the version that has them. Fails with
    /// [`CatalogError::Conflict`] where the catalog is no longer at `base`.
    async fn commit(
        &self,
        base: CatalogVersion,
        changes: &[Change],
    ) -> Result<CatalogVersion, CatalogError>;

    /// Forgets what no version from `oldest` on can see, and returns how many rows that were.
    async fn purge(&self, oldest: CatalogVersion) -> Result<u64, CatalogError>;
}
