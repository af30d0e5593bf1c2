//! The catalog as the engine uses it: snapshots to read, statements to change it.
//!
//! A change is decided from a snapshot and committed against that snapshot's version. Where somebody
//! else was faster, it is decided again.

mod alter;
mod columns;
mod data_dir;
mod databases;
mod locations;
mod partition_specs;
mod partitions;
mod repair;
mod tables;
#[cfg(test)]
mod test_catalog;
mod users;
mod vacuum;
mod views;
mod write;

pub use alter::TableChange;
pub use columns::{BucketingSpec, ColumnPosition, ColumnSpec, PartitionColumnSpec};
pub use databases::{DatabaseChange, NewDatabase};
pub use partition_specs::{Comparison, PartitionCondition, PartitionSpec};
pub use partitions::NewPartition;
pub use repair::{RefreshSummary, RepairMode};
pub use tables::{NewExternalTable, NewManagedTable};
pub use users::NewUser;
pub use vacuum::{WRITTEN_FILE_PREFIX, query_of_file};
pub use views::{NewView, ViewChange};
pub use write::{
    NewFile, TableWrite, TableWriteSummary, WriteCommit, WriteMode, WriteSummary, WriteTarget,
};

use crate::error::CatalogError;
use crate::model::{CatalogVersion, name};
use crate::snapshot::{CatalogSnapshot, FileCache, Relation};
use crate::store::{CatalogStore, Change, ReaderId, sqlite};
use data_dir::DataDir;
use parking_lot::Mutex;
use skep_protocol::storage_url::{AllowedRoots, StorageUrl};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use tokio::sync::{Semaphore, SemaphorePermit};

/// The database that is always there.
pub const DEFAULT_DATABASE: &str = "default";

/// How often a change is decided again because others were faster.
const COMMIT_ATTEMPTS_MAX: usize = 32;

/// Where a catalog is kept and what it may register.
#[derive(Clone, Debug)]
pub struct CatalogOptions {
    /// The directory of the catalog's database, created where it is missing. It belongs to one process
    /// at a time.
    pub data_dir: PathBuf,
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
    /// Which process this is among those that share the store.
    reader: ReaderId,
    allowed_roots: AllowedRoots,
    warehouse: StorageUrl,
    file_cache: Arc<FileCache>,
    snapshots: Mutex<Snapshots>,
    /// Writers of this process take turns: they would only make each other try again.
    writer: Semaphore,
    /// Held for as long as the catalog is open.
    _data_dir: Option<DataDir>,
}

#[derive(Debug)]
struct Snapshots {
    latest: Arc<CatalogSnapshot>,
    /// Older ones, which queries may still hold.
    older: Vec<(CatalogVersion, Weak<CatalogSnapshot>)>,
}

impl Catalog {
    /// Opens the catalog in `options.data_dir`, and creates it where there is none.
    pub async fn open(options: CatalogOptions) -> Result<Self, CatalogError> {
        let path = options.data_dir.clone();
        let data_dir = tokio::task::spawn_blocking(move || DataDir::lock(path))
            .await
            .map_err(|error| CatalogError::Damaged(error.to_string()))??;
        let warehouse = match options.warehouse {
            Some(location) => location.as_directory(),
            None => default_warehouse(&options.data_dir)?,
        };
        let store = sqlite::open(&data_dir.database_path()).await?;
        let reader = ReaderId::new("embedded");
        let state = store.load().await?;
        // Nobody holds a snapshot of a catalog that has just been opened.
        store.purge(&reader, state.version).await?;
        let file_cache = Arc::new(FileCache::default());
        let latest = CatalogSnapshot::new(state, Arc::clone(&store), Arc::clone(&file_cache))?;
        Ok(Self {
            store,
            reader,
            allowed_roots: options.allowed_roots,
            warehouse,
            file_cache,
            snapshots: Mutex::new(Snapshots {
                latest: Arc::new(latest),
                older: Vec::new(),
            }),
            writer: Semaphore::new(1),
            _data_dir: Some(data_dir),
        })
    }

    /// The latest state.
    pub fn snapshot(&self) -> Arc<CatalogSnapshot> {
        Arc::clone(&self.snapshots.lock().latest)
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
        let is_done = match self.store.commit(base.version(), changes).await {
            Ok(_) => true,
            Err(CatalogError::Conflict) => false,
            Err(error) => return Err(error),
        };
        self.reload().await?;
        if is_done {
            self.purge().await;
        }
        Ok(is_done)
    }

    /// Reads the latest state from the store.
    async fn reload(&self) -> Result<(), CatalogError> {
        let state = self.store.load().await?;
        let store = Arc::clone(&self.store);
        let snapshot = CatalogSnapshot::new(state, store, Arc::clone(&self.file_cache))?;
        let mut snapshots = self.snapshots.lock();
        if snapshot.version() > snapshots.latest.version() {
            let old = std::mem::replace(&mut snapshots.latest, Arc::new(snapshot));
            snapshots.older.push((old.version(), Arc::downgrade(&old)));
        }
        Ok(())
    }

    /// Forgets what no snapshot can see. The statement that has just been committed does not fail over
    /// it: the next one tries again.
    async fn purge(&self) {
        let oldest = {
            let mut snapshots = self.snapshots.lock();
            snapshots
                .older
                .retain(|(_, snapshot)| snapshot.strong_count() > 0);
            let older = snapshots.older.iter().map(|(version, _)| *version);
            older.min().unwrap_or(snapshots.latest.version())
        };
        if let Err(error) = self.store.purge(&self.reader, oldest).await {
            tracing::warn!(%error, "old versions of the catalog were not removed");
        }
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
    match snapshot.relation(database, &name) {
        Ok(relation) => Err(taken(relation)),
        Err(CatalogError::TableNotFound { database, .. }) => Ok((database, name)),
        Err(error) => Err(error),
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
