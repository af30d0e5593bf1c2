//! Where the catalog is kept: the interface, which each database behind it meets in the same way.
//!
//! A store keeps; it does not decide. Whether a change makes sense is decided by
//! [`crate::catalog::Catalog`] from a snapshot, and a store refuses it if the catalog is no longer in
//! the state from which it was decided. [`contract`] holds what every store must do.

mod access;
mod changes;
#[cfg(test)]
pub(crate) mod contract;
mod database;
pub(crate) mod encoding;
#[cfg(test)]
mod killed;
mod location;
mod migrations;
mod packed;
pub mod postgres;
mod rows;
mod sql;
mod sql_store;
pub mod sqlite;

pub use location::{CatalogLocation, DatabaseUrl};

use crate::error::CatalogError;
use crate::model::{
    AccessRules, CatalogVersion, DataFile, Database, Grant, GrantKey, Membership, Partition,
    Principal, Role, Table, TableDefinition, TableFiles, TableId, User, View, ViewDefinition,
};
use async_trait::async_trait;
use futures::stream::BoxStream;
use skep_protocol::storage_url::StorageUrl;
use std::collections::HashSet;
use std::fmt::Debug;
use std::time::Duration;

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
    /// By database and name.
    pub views: Vec<View>,
    /// By name.
    pub users: Vec<User>,
    /// Roles, who has them, and who may do what.
    pub access: AccessRules,
    /// Where managed tables lay that have been dropped and whose files may still be there.
    pub abandoned_locations: Vec<StorageUrl>,
}

impl CatalogState {
    /// Databases disagree about the order of letters.
    fn sort(&mut self) {
        self.databases
            .sort_by(|left, right| left.name.cmp(&right.name));
        self.tables.sort_by(|left, right| {
            let (left, right) = (&left.definition, &right.definition);
            (&left.database, &left.name).cmp(&(&right.database, &right.name))
        });
        self.views.sort_by(|left, right| {
            let (left, right) = (&left.definition, &right.definition);
            (&left.database, &left.name).cmp(&(&right.database, &right.name))
        });
        self.users.sort_by(|left, right| left.name.cmp(&right.name));
        self.access.sort();
        self.abandoned_locations.sort();
    }
}

/// What is different between an earlier state and the latest one.
#[derive(Clone, Debug, PartialEq)]
pub struct StateChanges {
    /// The latest state, but that of its tables and views only those are here that are new or different.
    pub state: CatalogState,
    /// The tables and views that are gone.
    pub dropped: Vec<TableId>,
}

/// One of the processes that share a catalog.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ReaderId(String);

impl ReaderId {
    /// The process of that name, which no other one has.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One thing that a statement does to the catalog.
#[derive(Clone, Debug)]
pub enum Change {
    /// A new database.
    CreateDatabase(Database),
    /// The database of that name is now like this.
    AlterDatabase(Database),
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
    /// A new role.
    CreateRole(Role),
    /// A role goes. Nobody has it, and nothing is granted to it (any more).
    DropRole {
        /// Which.
        name: String,
    },
    /// Somebody has a role, whether or not they had it before.
    SetMembership(Membership),
    /// Somebody no longer has a role.
    RemoveMembership {
        /// Which.
        role: String,
        /// Who.
        member: Principal,
    },
    /// Somebody may do something, whether or not they might before.
    SetGrant(Grant),
    /// Somebody may do something with the table or view that was created last among the same changes.
    GrantOnCreated(Grant),
    /// Somebody may no longer do something.
    RemoveGrant(GrantKey),
    /// A new table with all that it consists of.
    CreateTable {
        /// The table.
        definition: TableDefinition,
        /// Its partitions and files.
        files: TableFiles,
    },
    /// A new view.
    CreateView(ViewDefinition),
    /// A view is now like this.
    UpdateView {
        /// Which.
        id: TableId,
        /// What it is now.
        definition: ViewDefinition,
    },
    /// A view goes.
    DropView {
        /// Which.
        id: TableId,
    },
    /// Nothing is left where a managed table lay.
    ForgetLocation(StorageUrl),
    /// More of the table that was created last among the same changes.
    ExtendTable {
        /// Partitions and files.
        files: TableFiles,
    },
    /// A managed table lay there, whose files may still be there.
    AbandonLocation(StorageUrl),
    /// A table goes. Older snapshots go on seeing it and its files. Where a managed one lay is
    /// remembered in [`CatalogState::abandoned_locations`].
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

/// What has become of a table's partitions and files. What goes goes before anything is added.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FileChanges {
    /// Files that are no longer part of the table. A file that has changed is removed and added.
    pub removed_files: Vec<RemovedFile>,
    /// Files that go without being named.
    pub cleared: Cleared,
    /// Numbers of partitions that are no longer part of the table. Their files are not touched by this.
    pub removed_partitions: Vec<u32>,
    /// What is new.
    pub added: TableFiles,
}

/// A file that goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemovedFile {
    /// The number of its partition.
    pub partition: Option<u32>,
    /// Its path.
    pub path: String,
}

/// Files that go without being named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Cleared {
    /// None.
    #[default]
    Nothing,
    /// All files of these partitions.
    Partitions(Vec<u32>),
    /// All files and all partitions.
    Everything,
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
    /// The latest version.
    async fn version(&self) -> Result<CatalogVersion, CatalogError>;

    /// The latest state.
    async fn load(&self) -> Result<CatalogState, CatalogError>;

    /// What is different from the state at `base`; `None` where that is so old that what has gone since
    /// cannot be told any more.
    async fn load_since(&self, base: CatalogVersion) -> Result<Option<StateChanges>, CatalogError>;

    /// The partitions of `table` at `version`, which may be older than the latest, by number. Fails
    /// with [`CatalogError::VersionForgotten`] where some may have been purged.
    async fn load_partitions(
        &self,
        table: TableId,
        version: CatalogVersion,
    ) -> Result<Vec<Partition>, CatalogError>;

    /// The files of `table` at `version`, or those of some of its partitions, by path. Fails like
    /// [`CatalogStore::load_partitions`].
    async fn load_data_files(
        &self,
        table: TableId,
        version: CatalogVersion,
        partitions: Option<&[u32]>,
    ) -> Result<Vec<DataFile>, CatalogError>;

    /// All that `table` consisted of at `version`.
    async fn load_files(
        &self,
        table: TableId,
        version: CatalogVersion,
    ) -> Result<TableFiles, CatalogError> {
        Ok(TableFiles {
            partitions: self.load_partitions(table, version).await?.into(),
            files: self.load_data_files(table, version, None).await?,
        })
    }

    /// The paths of all files of any version that has not been purged and of any table, in whatever
    /// object store, that begin with `prefix`.
    async fn known_paths(&self, prefix: &str) -> Result<HashSet<String>, CatalogError>;

    /// Makes all of `changes` or none of them, and returns the version that has them. Fails with
    /// [`CatalogError::Conflict`] where the catalog is no longer at `base`.
    async fn commit(
        &self,
        base: CatalogVersion,
        changes: &[Change],
    ) -> Result<CatalogVersion, CatalogError>;

    /// Like [`CatalogStore::commit`], for more changes than fit into memory. One that is an error
    /// undoes all that came before it.
    async fn commit_stream(
        &self,
        base: CatalogVersion,
        changes: BoxStream<'_, Result<Change, CatalogError>>,
    ) -> Result<CatalogVersion, CatalogError>;

    /// Says that `reader` may read versions from `oldest` on for some `time`, in which no other process
    /// purges them.
    async fn hold(
        &self,
        reader: &ReaderId,
        oldest: CatalogVersion,
        time: Duration,
    ) -> Result<(), CatalogError>;

    /// The processes that hold a version now, where several share the store.
    async fn readers(&self) -> Result<Vec<ReaderId>, CatalogError>;

    /// Forgets what no version can see that is `oldest` or later, or that another process than `reader`
    /// holds, and returns how many rows that were.
    async fn purge(&self, reader: &ReaderId, oldest: CatalogVersion) -> Result<u64, CatalogError>;
}
