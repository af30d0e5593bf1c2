//! The catalog as the engine uses it: snapshots to read, statements to change it.
//!
//! A change is decided from a snapshot and committed against that snapshot's version. Where somebody
//! else was faster, it is decided again.

mod access;
mod alter;
mod check;
mod columns;
mod data_dir;
mod databases;
mod locations;
#[cfg(test)]
mod model_test;
mod partition_specs;
mod partitions;
mod repair;
mod tables;
mod temporary;
#[cfg(test)]
mod test_catalog;
mod timeline;
mod transfer;
mod users;
mod vacuum;
mod views;
mod write;

pub use access::{Granting, Permit, RoleGranting, permitted};
pub use alter::TableChange;
pub use check::{CheckSummary, Finding};
pub use columns::{BucketingSpec, ColumnPosition, ColumnSpec, PartitionColumnSpec};
pub use databases::{DatabaseChange, NewDatabase};
pub use partition_specs::{Comparison, PartitionCondition, PartitionSpec};
pub use partitions::NewPartition;
pub use repair::{RefreshSummary, RepairMode};
pub use tables::{NewExternalTable, NewManagedTable};
pub use transfer::TransferSummary;
#[cfg(test)]
pub(crate) use transfer::upgraded_role;
pub use users::NewUser;
pub use vacuum::{WRITTEN_FILE_PREFIX, query_of_file};
pub use views::{NewView, ViewChange};
pub use write::{
    NewFile, TableWrite, TableWriteSummary, WriteCommit, WriteMode, WriteSummary, WriteTarget,
};

pub use timeline::POLL_INTERVAL;

use crate::error::CatalogError;
use crate::model::name;
use crate::snapshot::{CatalogSnapshot, Relation};
use crate::store::{CatalogLocation, CatalogStore, Change, ReaderId, postgres, sqlite};
use data_dir::DataDir;
use skep_protocol::storage_url::{AllowedRoots, StorageUrl};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use timeline::Timeline;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::JoinSet;
use uuid::Uuid;

/// The database that is always there.
pub const DEFAULT_DATABASE: &str = "default";

/// How often a change is decided again because others were faster.
const COMMIT_ATTEMPTS_MAX: usize = 64;

/// By how much the wait before the next attempt may grow with every attempt that has failed. Without it,
/// many processes would go on getting in each other's way.
const CONFLICT_PAUSE_MS: u64 = 5;

/// Where a catalog is kept and what it may register.
#[derive(Clone, Debug)]
pub struct CatalogOptions {
    /// The directory of an embedded database and of the default warehouse, created where it is missing.
    /// With an embedded database it belongs to one process at a time.
    pub data_dir: PathBuf,
    /// Where the catalog's database is.
    pub store: CatalogLocation,
    /// Where tables may lie, but for managed tables that have no location of their own.
    pub allowed_roots: AllowedRoots,
    /// Below which directory managed tables go where neither they nor their database have a location;
    /// `None` for `warehouse` in the data directory.
    pub warehouse: Option<StorageUrl>,
}

/// A catalog.
#[derive(Debug)]
pub struct Catalog {
    store: Arc<dyn CatalogStore>,
    timeline: Arc<Timeline>,
    allowed_roots: AllowedRoots,
    warehouse: StorageUrl,
    /// Writers of this process take turns: they would only make each other try again.
    writer: Semaphore,
    /// How many attempts have failed since the last one that did not.
    conflicts: AtomicU64,
    /// Held for as long as the catalog is open.
    _data_dir: Option<DataDir>,
    /// Follows what other processes do, for as long as the catalog is open.
    _follower: JoinSet<()>,
}

impl Catalog {
    /// Opens the catalog, and creates it where there is none.
    pub async fn open(options: CatalogOptions) -> Result<Self, CatalogError> {
        let warehouse = match options.warehouse {
            Some(location) => location.as_directory(),
            None => default_warehouse(&options.data_dir)?,
        };
        let (store, data_dir) = open_store(options.data_dir, &options.store).await?;
        let reader = ReaderId::new(Uuid::new_v4().to_string());
        let timeline = Arc::new(Timeline::begin(Arc::clone(&store), reader).await?);
        let mut follower = JoinSet::new();
        if data_dir.is_none() {
            follower.spawn(Arc::clone(&timeline).follow());
        }
        Ok(Self {
            store,
            timeline,
            allowed_roots: options.allowed_roots,
            warehouse,
            writer: Semaphore::new(1),
            conflicts: AtomicU64::new(0),
            _data_dir: data_dir,
            _follower: follower,
        })
    }

    /// The latest state: what this process has changed is in it, what others have changed is within
    /// [`POLL_INTERVAL`].
    pub fn snapshot(&self) -> Arc<CatalogSnapshot> {
        self.timeline.latest()
    }

    /// Commits what `decide` makes of the latest state; false where it decides that nothing is to be
    /// done.
    async fn change(
        &self,
        decide: impl Fn(&CatalogSnapshot) -> Result<Vec<Change>, CatalogError>,
    ) -> Result<bool, CatalogError> {
        let _turn = self.turn().await?;
        for _ in 0..COMMIT_ATTEMPTS_MAX {
            let snapshot = self.snapshot();
            let changes = decide(&snapshot)?;
            if changes.is_empty() {
                return Ok(false);
            }
            if self.try_commit(&snapshot, &changes).await? {
                return Ok(true);
            }
        }
        Err(CatalogError::Conflict)
    }

    async fn turn(&self) -> Result<SemaphorePermit<'_>, CatalogError> {
        let turn = self.writer.acquire().await;
        turn.map_err(|_| CatalogError::Conflict)
    }

    /// Commits changes that were decided from `base`; false where that is no longer the latest state.
    async fn try_commit(
        &self,
        base: &CatalogSnapshot,
        changes: &[Change],
    ) -> Result<bool, CatalogError> {
        let mut followed = access::consequences(base, changes);
        let changes = match followed.is_empty() {
            true => changes,
            false => {
                followed.splice(0..0, changes.iter().cloned());
                &followed
            }
        };
        let is_done = match self.store.commit(base.version(), changes).await {
            Ok(_) => true,
            Err(CatalogError::Conflict) => false,
            Err(error) => return Err(error),
        };
        if is_done {
            self.conflicts.store(0, Ordering::Relaxed);
        } else {
            let conflicts = self.conflicts.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(conflict_pause(conflicts)).await;
        }
        self.timeline.reload().await?;
        if is_done {
            self.timeline.purge().await;
        }
        Ok(is_done)
    }
}

/// Somewhere between nothing and a bound that grows with the conflicts.
fn conflict_pause(conflicts: u64) -> Duration {
    let bound = CONFLICT_PAUSE_MS * conflicts.min(COMMIT_ATTEMPTS_MAX as u64);
    let (random, _) = Uuid::new_v4().as_u64_pair();
    Duration::from_millis((random >> 32) % (bound + 1))
}

/// The database, and the data directory where that belongs to this process alone.
async fn open_store(
    data_dir: PathBuf,
    location: &CatalogLocation,
) -> Result<(Arc<dyn CatalogStore>, Option<DataDir>), CatalogError> {
    match location {
        CatalogLocation::Sqlite => {
            let data_dir = tokio::task::spawn_blocking(move || DataDir::lock(data_dir))
                .await
                .map_err(|error| CatalogError::Damaged(error.to_string()))??;
            let store = sqlite::open(&data_dir.database_path()).await?;
            Ok((store, Some(data_dir)))
        }
        CatalogLocation::Postgres(url) => Ok((postgres::open(url).await?, None)),
    }
}

fn default_warehouse(data_dir: &Path) -> Result<StorageUrl, CatalogError> {
    let unusable = |source| CatalogError::DataDirectory {
        path: data_dir.to_owned(),
        source,
    };
    let path = std::path::absolute(data_dir).map_err(unusable)?;
    Ok(StorageUrl::from_local_path(&path.join("warehouse"))?.as_directory())
}

/// The error for a name that is something's already.
fn taken(relation: &Relation) -> CatalogError {
    match relation {
        Relation::Table(table) => CatalogError::TableExists {
            database: table.definition.database.clone(),
            name: table.definition.name.clone(),
        },
        Relation::View(view) => CatalogError::ViewExists {
            database: view.definition.database.clone(),
            name: view.definition.name.clone(),
        },
    }
}

/// The database and the name that something is to have from now on, in lower case.
fn free_name(
    snapshot: &CatalogSnapshot,
    what: &'static str,
    database: &str,
    name: &str,
) -> Result<(String, String), CatalogError> {
    let name = name::validate(what, name)?;
    let database = snapshot.database(database)?.name.clone();
    match snapshot.find_relation(&database, &name) {
        Some(relation) => Err(taken(relation)),
        None => Ok((database, name)),
    }
}

fn unset_properties(
    table: &str,
    properties: &mut BTreeMap<String, String>,
    keys: &[String],
    if_exists: bool,
) -> Result<(), CatalogError> {
    for key in keys {
        if properties.remove(key).is_none() && !if_exists {
            return Err(CatalogError::PropertyNotFound {
                table: table.to_owned(),
                property: key.clone(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
