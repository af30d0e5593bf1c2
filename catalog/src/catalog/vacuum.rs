//! Finds the files that no version of the catalog needs any more.

use super::Catalog;
use super::check::list;
use crate::error::CatalogError;
use crate::model::TableKind;
use crate::store::Change;
use chrono::{DateTime, Utc};
use object_store::{ObjectMeta, ObjectStore};
use skep_protocol::QueryId;
use skep_protocol::storage_url::StorageUrl;
use std::sync::Arc;
use std::time::Duration;

/// How every file begins that Skep writes into a table: `part-<query id>-…`.
pub const WRITTEN_FILE_PREFIX: &str = "part-";

/// The query that has written a file, if the file's name is one that Skep gives.
pub fn query_of_file(file_name: &str) -> Option<QueryId> {
    let rest = file_name.strip_prefix(WRITTEN_FILE_PREFIX)?;
    let (query, rest) = rest.split_once('-')?;
    match rest.is_empty() {
        true => None,
        false => query.parse().ok(),
    }
}

impl Catalog {
    /// Where files may lie that the catalog owns: the locations of managed tables and of those that
    /// have been dropped, and the warehouse. No location is within another one.
    pub fn vacuum_locations(&self) -> Vec<StorageUrl> {
        let snapshot = self.snapshot();
        let managed = snapshot
            .all_tables()
            .filter(|table| table.definition.kind == TableKind::Managed)
            .map(|table| table.definition.location.clone());
        let mut locations: Vec<StorageUrl> = managed
            .chain(snapshot.abandoned_locations().iter().cloned())
            .chain([self.warehouse.clone()])
            .collect();
        // A location sorts before all those within it.
        locations.sort();
        let mut result: Vec<StorageUrl> = Vec::new();
        for location in locations {
            if !result.iter().any(|outer| outer.contains(&location)) {
                result.push(location);
            }
        }
        result
    }

    /// The files at `location` that may be removed: they have names that Skep gives, no version of any
    /// table that may still be read knows them, they and the queries that have written them are older
    /// than `safe_age`, and `is_running` does not know these queries. `store` is the location's.
    ///
    /// A file may be older than its query: LOAD DATA gives files another name that were there before. A
    /// statement that writes for longer than `safe_age` is safe only while `is_running` knows it.
    pub async fn orphans(
        &self,
        location: &StorageUrl,
        store: &Arc<dyn ObjectStore>,
        safe_age: Duration,
        is_running: impl Fn(&QueryId) -> bool,
    ) -> Result<Vec<ObjectMeta>, CatalogError> {
        // Versions that nobody reads any more are not to hold files.
        self.timeline.purge().await;
        let listed = list(store, location).await?;
        // What is known is read after what is there: a file that is committed in between is known.
        let known = self.store.known_paths(location.key()).await?;
        let temporary = self.temporary_directories().await?;
        let is_temporary = |meta: &ObjectMeta| {
            let path = meta.location.as_ref();
            let mut keys = temporary.iter().map(StorageUrl::key);
            keys.any(|key| path.starts_with(key.trim_matches('/')))
        };
        let now = Utc::now();
        let is_old = |time: DateTime<Utc>| {
            let age = now.signed_duration_since(time);
            age.to_std().is_ok_and(|age| age > safe_age)
        };
        let is_ended =
            |query: QueryId| !is_running(&query) && query.came_in_at().is_some_and(is_old);
        let is_orphan = |meta: &ObjectMeta| {
            let query = meta.location.filename().and_then(query_of_file);
            is_old(meta.last_modified)
                && query.is_some_and(is_ended)
                && !is_temporary(meta)
                && !known.contains(meta.location.as_ref())
        };
        Ok(listed.into_iter().filter(is_orphan).collect())
    }

    /// Says that nothing of Skep's is left at the location of a managed table that was dropped.
    pub async fn forget_location(&self, location: &StorageUrl) -> Result<(), CatalogError> {
        self.change(|snapshot| {
            let known = snapshot.abandoned_locations().contains(location);
            let forget = known.then(|| Change::ForgetLocation(location.clone()));
            Ok(forget.into_iter().collect())
        })
        .await
        .map(|_| ())
    }
}

#[cfg(test)]
mod tests;
