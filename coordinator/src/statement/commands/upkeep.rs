//! Tables follow their files, and files that nobody needs go.

use crate::engine::Coordinator;
use crate::session::Session;
use crate::statement::{Repair, TableName};
use futures::TryStreamExt;
use futures::stream::{self, StreamExt};
use object_store::{ObjectMeta, ObjectStoreExt};
use skep_catalog::Catalog;
use skep_catalog::catalog::RepairMode;
use skep_protocol::storage_url::StorageUrl;
use skep_protocol::{ErrorCode, QueryError};
use std::sync::Arc;
use std::time::Duration;

/// How many files are removed at the same time.
const REMOVALS_MAX: usize = 16;

impl Coordinator {
    /// Looks at an external table's files again; at its partitions only as far as `repair` says.
    pub(super) async fn refresh_table(
        &self,
        session: &Session,
        name: &TableName,
        repair: Option<Repair>,
    ) -> Result<(), QueryError> {
        let database = self.database_of(session, name);
        let catalog = self.catalog_of(session, &database, &name.table);
        let table = Arc::clone(catalog.snapshot().table(&database, &name.table)?);
        let store = self.object_store(&table.definition.location)?;
        let mode = match repair {
            Some(Repair::Add) => RepairMode::Add,
            Some(Repair::Drop) => RepairMode::Drop,
            Some(Repair::Sync) | None => RepairMode::Sync,
        };
        catalog
            .repair_table(&database, &name.table, mode, &store)
            .await?;
        Ok(())
    }

    /// Removes the files that no version of the catalog needs, or only lists them: of one table, or of
    /// all whose files are the catalog's. Returns their paths and sizes.
    pub(crate) async fn vacuum(
        &self,
        session: &Session,
        name: Option<&TableName>,
        dry_run: bool,
    ) -> Result<Vec<(String, u64)>, QueryError> {
        let (catalog, locations) = match name {
            Some(name) => {
                let database = self.database_of(session, name);
                let catalog = self.catalog_of(session, &database, &name.table);
                let snapshot = catalog.snapshot();
                let table = snapshot.table(&database, &name.table)?;
                (catalog, vec![table.definition.location.clone()])
            }
            None => (&self.catalog, self.catalog.vacuum_locations()),
        };
        let age = self.config.vacuum_safe_age;
        let mut removed = Vec::new();
        for location in locations {
            for file in self
                .vacuum_location(catalog, &location, age, dry_run)
                .await?
            {
                let path = location.with_key(file.location.as_ref());
                let path = path.map_or_else(|_| file.location.to_string(), |url| url.to_string());
                removed.push((path, file.size));
            }
        }
        Ok(removed)
    }

    /// Removes the files at one location that no version of `catalog` needs and that are older than
    /// `age`, or only lists them.
    pub(crate) async fn vacuum_location(
        &self,
        catalog: &Catalog,
        location: &StorageUrl,
        age: Duration,
        dry_run: bool,
    ) -> Result<Vec<ObjectMeta>, QueryError> {
        let store = self.object_store(location)?;
        let is_running = |query: &skep_protocol::QueryId| {
            let status = self.queries.status(query);
            status.is_some_and(|status| !status.state.is_final())
        };
        let orphans = catalog.orphans(location, &store, age, is_running).await?;
        if dry_run {
            return Ok(orphans);
        }
        let removals = orphans.iter().map(|file| {
            let (store, path) = (Arc::clone(&store), file.location.clone());
            async move {
                match store.delete(&path).await {
                    // Somebody else was faster.
                    Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                    Err(error) => {
                        let text = format!("cannot remove {path}: {error}");
                        Err(QueryError::new(ErrorCode::Storage, text))
                    }
                }
            }
        });
        stream::iter(removals.collect::<Vec<_>>())
            .buffer_unordered(REMOVALS_MAX)
            .try_collect::<Vec<()>>()
            .await?;
        let snapshot = catalog.snapshot();
        if snapshot.abandoned_locations().contains(location) {
            let is_empty = catalog
                .orphans(location, &store, Duration::ZERO, |_| false)
                .await?
                .is_empty();
            if is_empty {
                catalog.forget_location(location).await?;
            }
        }
        Ok(orphans)
    }
}
