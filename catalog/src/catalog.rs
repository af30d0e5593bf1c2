//! The catalog as the engine uses it: snapshots to read, statements to change it.
//!
//! A change is decided from a snapshot and committed against that snapshot's version. Where somebody
//! else was faster, it is decided again.

mod data_dir;
mod decide;
mod users;

pub use decide::{ColumnSpec, NewDatabase, NewExternalTable, PartitionColumnSpec};
pub use users::NewUser;

use crate::discovery::{self, Expectation, ExpectedPartitionColumn};
use crate::error::CatalogError;
use crate::model::{CatalogVersion, TableDefinition};
use crate::snapshot::{CatalogSnapshot, FileCache};
use crate::store::{CatalogStore, Change, SqliteStore};
use chrono::Utc;
use data_dir::DataDir;
use object_store::ObjectStore;
use parking_lot::Mutex;
use skep_protocol::storage_url::AllowedRoots;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use tokio::sync::Semaphore;

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
    /// Where tables may lie.
    pub allowed_roots: AllowedRoots,
}

/// What a refresh has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RefreshSummary {
    /// Files that are new or have changed.
    pub files_added: usize,
    /// Files that are gone or have changed.
    pub files_removed: usize,
    /// Partitions that are new.
    pub partitions_added: usize,
    /// Partitions that are gone.
    pub partitions_removed: usize,
}

/// A catalog.
#[derive(Debug)]
pub struct Catalog {
    store: Arc<dyn CatalogStore>,
    allowed_roots: AllowedRoots,
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
        let path = options.data_dir;
        let data_dir = tokio::task::spawn_blocking(move || DataDir::lock(path))
            .await
            .map_err(|error| CatalogError::Damaged(error.to_string()))??;
        let store = Arc::new(SqliteStore::open(&data_dir.database_path()).await?);
        Self::with_store(store, options.allowed_roots, Some(data_dir)).await
    }

    async fn with_store(
        store: Arc<dyn CatalogStore>,
        allowed_roots: AllowedRoots,
        data_dir: Option<DataDir>,
    ) -> Result<Self, CatalogError> {
        let file_cache = Arc::new(FileCache::default());
        let state = store.load().await?;
        // Nobody holds a snapshot of a catalog that has just been opened.
        store.purge(state.version).await?;
        let latest = CatalogSnapshot::new(state, Arc::clone(&store), Arc::clone(&file_cache))?;
        Ok(Self {
            store,
            allowed_roots,
            file_cache,
            snapshots: Mutex::new(Snapshots {
                latest: Arc::new(latest),
                older: Vec::new(),
            }),
            writer: Semaphore::new(1),
            _data_dir: data_dir,
        })
    }

    /// The latest state.
    pub fn snapshot(&self) -> Arc<CatalogSnapshot> {
        Arc::clone(&self.snapshots.lock().latest)
    }

    /// Creates a database; false where it was there already and that is no error.
    pub async fn create_database(&self, new: NewDatabase) -> Result<bool, CatalogError> {
        let now = Utc::now();
        self.change(|snapshot| decide::create_database(snapshot, &new, now))
            .await
    }

    /// Drops a database, with its tables if `cascade` is set; false where there was none and that is no
    /// error. The files of external tables stay.
    pub async fn drop_database(
        &self,
        name: &str,
        if_exists: bool,
        cascade: bool,
    ) -> Result<bool, CatalogError> {
        self.change(|snapshot| decide::drop_database(snapshot, name, if_exists, cascade))
            .await
    }

    /// Registers what lies at a location as a table; false where a table of that name was there already
    /// and that is no error. Reads every file's footer, through `store`, which is the location's.
    pub async fn create_external_table(
        &self,
        new: NewExternalTable,
        store: &Arc<dyn ObjectStore>,
    ) -> Result<bool, CatalogError> {
        // Reading many files for a name that is taken would be a pity.
        if decide::table_is_taken(&self.snapshot(), &new)? {
            return Ok(false);
        }
        let (columns, partition_columns) = decide::expected_columns(&new)?;
        let expectation = Expectation {
            columns_are_final: !columns.is_empty(),
            columns: &columns,
            partition_columns: partition_columns.as_deref(),
            known: None,
        };
        let found =
            discovery::discover(store, &new.location, &self.allowed_roots, expectation).await?;
        let change = decide::new_table(&new, found, Utc::now())?;
        self.change(|snapshot| {
            Ok(match decide::table_is_taken(snapshot, &new)? {
                true => Vec::new(),
                false => vec![change.clone()],
            })
        })
        .await
    }

    /// Drops a table; false where there was none and that is no error. The files of an external table
    /// stay.
    pub async fn drop_table(
        &self,
        database: &str,
        name: &str,
        if_exists: bool,
    ) -> Result<bool, CatalogError> {
        self.change(|snapshot| decide::drop_table(snapshot, database, name, if_exists))
            .await
    }

    /// Looks at a table's location again, through `store`, which is the location's. Files that have not
    /// changed are not opened.
    pub async fn refresh_table(
        &self,
        database: &str,
        name: &str,
        store: &Arc<dyn ObjectStore>,
    ) -> Result<RefreshSummary, CatalogError> {
        let snapshot = self.snapshot();
        let table = Arc::clone(snapshot.table(database, name)?);
        let old = snapshot.table_files(&table).await?;
        let definition = &table.definition;
        let partition_columns: Vec<ExpectedPartitionColumn> = definition
            .partition_columns
            .iter()
            .map(Into::into)
            .collect();
        let expectation = Expectation {
            columns: &definition.columns,
            columns_are_final: definition.columns_declared,
            partition_columns: Some(&partition_columns),
            known: Some(&old),
        };
        let location = &definition.location;
        let found = discovery::discover(store, location, &self.allowed_roots, expectation).await?;
        let new_definition = TableDefinition {
            columns: found.columns,
            ..definition.clone()
        };
        let files = decide::file_changes(&old, found.files);
        let summary = RefreshSummary {
            files_added: files.added.files.len(),
            files_removed: files.removed_files.len(),
            partitions_added: files.added.partitions.len(),
            partitions_removed: files.removed_partitions.len(),
        };
        if files.is_empty() && new_definition == *definition {
            return Ok(summary);
        }
        let change = Change::UpdateTable {
            id: table.id,
            definition: new_definition,
            files,
        };
        self.change(|snapshot| {
            let now = snapshot.table(database, name)?;
            match (now.id, now.version) == (table.id, table.version) {
                true => Ok(vec![change.clone()]),
                // What was found was compared with files that are no longer the table's.
                false => Err(CatalogError::Conflict),
            }
        })
        .await?;
        Ok(summary)
    }

    /// Commits what `decide` makes of the latest state; false where it decides that nothing is to be
    /// done.
    async fn change(
        &self,
        decide: impl Fn(&CatalogSnapshot) -> Result<Vec<Change>, CatalogError>,
    ) -> Result<bool, CatalogError> {
        let _turn = self
            .writer
            .acquire()
            .await
            .map_err(|_| CatalogError::Conflict)?;
        for _ in 0..COMMIT_ATTEMPTS_MAX {
            let snapshot = self.snapshot();
            let changes = decide(&snapshot)?;
            if changes.is_empty() {
                return Ok(false);
            }
            match self.store.commit(snapshot.version(), &changes).await {
                Ok(_) => {
                    drop(snapshot);
                    self.reload().await?;
                    self.purge().await;
                    return Ok(true);
                }
                Err(CatalogError::Conflict) => self.reload().await?,
                Err(error) => return Err(error),
            }
        }
        Err(CatalogError::Conflict)
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
        if let Err(error) = self.store.purge(oldest).await {
            tracing::warn!(%error, "old versions of the catalog were not removed");
        }
    }
}

#[cfg(test)]
mod tests;
