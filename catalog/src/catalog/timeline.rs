//! The versions of a catalog that this process knows: the latest, and older ones that queries still
//! hold.
//!
//! This process's own changes are seen at once. Those of others are noticed within
//! [`POLL_INTERVAL`] and the time that it takes to read them, for as long as the database answers.

use crate::error::CatalogError;
use crate::model::CatalogVersion;
use crate::snapshot::{CatalogSnapshot, FileCache};
use crate::store::{CatalogStore, ReaderId};
use parking_lot::Mutex;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::time::Instant;

/// How often a shared database is asked whether others have changed the catalog.
pub const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// For how long other processes leave alone what this one says that it reads. Where it cannot say so any
/// more, a query that reads an old version for the first time fails, and may be tried again.
const HOLD_TIME: Duration = Duration::from_secs(60);

/// How often it is said again.
const HOLD_INTERVAL: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Timeline {
    store: Arc<dyn CatalogStore>,
    /// Which process this is among those that share the store.
    reader: ReaderId,
    snapshots: Mutex<Snapshots>,
}

#[derive(Debug)]
struct Snapshots {
    latest: Arc<CatalogSnapshot>,
    /// Older ones, which queries may still hold.
    older: Vec<(CatalogVersion, Weak<CatalogSnapshot>)>,
}

impl Timeline {
    pub(super) async fn begin(
        store: Arc<dyn CatalogStore>,
        reader: ReaderId,
    ) -> Result<Self, CatalogError> {
        let version = store.version().await?;
        store.hold(&reader, version, HOLD_TIME).await?;
        let state = store.load().await?;
        // This process holds nothing older.
        store.purge(&reader, version).await?;
        let file_cache = Arc::<FileCache>::default();
        let latest = CatalogSnapshot::new(state, Arc::clone(&store), file_cache)?;
        Ok(Self {
            store,
            reader,
            snapshots: Mutex::new(Snapshots {
                latest: Arc::new(latest),
                older: Vec::new(),
            }),
        })
    }

    /// Which process this is.
    pub(super) fn reader(&self) -> &ReaderId {
        &self.reader
    }

    /// The latest version that is known here.
    pub(super) fn latest(&self) -> Arc<CatalogSnapshot> {
        Arc::clone(&self.snapshots.lock().latest)
    }

    /// Reads the latest version from the store: what has changed since the one that is known here, as
    /// long as that can be told.
    pub(super) async fn reload(&self) -> Result<(), CatalogError> {
        let known = self.latest();
        let changes = self.store.load_since(known.version()).await?;
        let snapshot = match changes {
            Some(changes) => known.after(changes)?,
            None => known.replaced_by(self.store.load().await?)?,
        };
        let mut snapshots = self.snapshots.lock();
        if snapshot.version() > snapshots.latest.version() {
            let old = std::mem::replace(&mut snapshots.latest, Arc::new(snapshot));
            snapshots.older.push((old.version(), Arc::downgrade(&old)));
        }
        Ok(())
    }

    /// The oldest version that somebody in this process may read.
    fn oldest(&self) -> CatalogVersion {
        let mut snapshots = self.snapshots.lock();
        snapshots
            .older
            .retain(|(_, snapshot)| snapshot.strong_count() > 0);
        let older = snapshots.older.iter().map(|(version, _)| *version);
        older.min().unwrap_or(snapshots.latest.version())
    }

    /// Forgets what no snapshot can see. The statement that has just been committed does not fail over
    /// it: the next one tries again.
    pub(super) async fn purge(&self) {
        let oldest = self.oldest();
        if let Err(error) = self.store.purge(&self.reader, oldest).await {
            tracing::warn!(%error, "old versions of the catalog were not removed");
        }
    }

    /// Notices what other processes change, and tells them what this one reads, until it is dropped.
    pub(super) async fn follow(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(POLL_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut is_failing = false;
        let mut next_hold = Instant::now() + HOLD_INTERVAL;
        loop {
            ticks.tick().await;
            match self.catch_up(&mut next_hold).await {
                Err(error) if !is_failing => {
                    is_failing = true;
                    tracing::warn!(%error, "the catalog's database cannot be asked for changes");
                }
                Ok(()) if is_failing => {
                    is_failing = false;
                    tracing::info!("the catalog's database can be asked for changes again");
                }
                _ => {}
            }
        }
    }

    async fn catch_up(&self, next_hold: &mut Instant) -> Result<(), CatalogError> {
        if Instant::now() >= *next_hold {
            let oldest = self.oldest();
            self.store.hold(&self.reader, oldest, HOLD_TIME).await?;
            *next_hold = Instant::now() + HOLD_INTERVAL;
        }
        if self.store.version().await? > self.latest().version() {
            self.reload().await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
