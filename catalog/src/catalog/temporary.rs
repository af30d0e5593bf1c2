//! Catalogs of one session's own: its temporary tables, which nobody else sees and which go with it.

use super::Catalog;
use super::locations::below;
use super::timeline::Timeline;
use crate::error::CatalogError;
use crate::store::{CatalogStore, ReaderId, sqlite};
use skep_protocol::storage_url::StorageUrl;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use uuid::Uuid;

/// The directory in the warehouse for the files of temporary tables. No table's name begins with a dot.
const TEMPORARY_DIRECTORY: &str = ".temporary";

impl Catalog {
    /// A catalog that is kept in memory. Its tables are managed ones without locations of their own;
    /// their files lie in a directory that is nobody else's, [`Catalog::warehouse`]. Whoever opens it
    /// removes that directory in the end.
    pub async fn open_temporary(&self) -> Result<Self, CatalogError> {
        let name = Uuid::new_v4().simple().to_string();
        let warehouse = below(&self.temporary_directory(self.timeline.reader())?, &name)?;
        let store: Arc<dyn CatalogStore> = sqlite::open_in_memory().await?;
        let timeline = Arc::new(Timeline::begin(Arc::clone(&store), ReaderId::new(name)).await?);
        Ok(Self {
            store,
            timeline,
            allowed_roots: self.allowed_roots.clone(),
            warehouse,
            writer: Semaphore::new(1),
            conflicts: AtomicU64::new(0),
            _data_dir: None,
            _follower: JoinSet::new(),
        })
    }

    /// Below which directory managed tables go where neither they nor their database have a location.
    pub fn warehouse(&self) -> &StorageUrl {
        &self.warehouse
    }

    /// Where the sessions of one process keep the files of their temporary tables.
    fn temporary_directory(&self, reader: &ReaderId) -> Result<StorageUrl, CatalogError> {
        let all = below(&self.warehouse, TEMPORARY_DIRECTORY)?;
        Ok(below(&all, reader.as_str())?)
    }

    /// Where sessions keep the files of their temporary tables: those of this process and of all others
    /// that are alive. What lies there is theirs alone to remove.
    pub(super) async fn temporary_directories(&self) -> Result<Vec<StorageUrl>, CatalogError> {
        let mut readers = self.store.readers().await?;
        readers.push(self.timeline.reader().clone());
        let directories = readers.iter();
        directories
            .map(|reader| self.temporary_directory(reader))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::catalog::test_catalog::{TestCatalog, flat};
    use object_store::ObjectStore;
    use object_store::local::LocalFileSystem;
    use std::sync::Arc;
    use std::time::Duration;

    #[tokio::test]
    async fn a_temporary_catalog_is_nobody_elses() {
        let main = TestCatalog::new().await;
        let first = main.catalog.open_temporary().await.unwrap();
        let second = main.catalog.open_temporary().await.unwrap();
        first.create_managed_table(flat("t")).await.unwrap();
        assert!(first.snapshot().table("default", "t").is_ok());
        assert!(second.snapshot().table("default", "t").is_err());
        assert!(main.catalog.snapshot().table("default", "t").is_err());
        assert!(!first.warehouse().contains(second.warehouse()));
        assert!(main.catalog.warehouse().contains(first.warehouse()));
    }

    /// What a session of this process has written is not for the main catalog's sweep; what a process
    /// has left that is gone is.
    #[tokio::test]
    async fn files_of_temporary_tables_are_left_alone_while_their_process_lives() {
        let main = TestCatalog::new().await;
        let session = main.catalog.open_temporary().await.unwrap();
        let name = "part-20240131_101112_00001_abcde-0.parquet";
        let own = session.warehouse().to_local_path().unwrap().join("t");
        let warehouse = main.catalog.warehouse().to_local_path().unwrap();
        let foreign = warehouse.join(".temporary/gone/session/t");
        for directory in [&own, &foreign] {
            std::fs::create_dir_all(directory).unwrap();
            std::fs::write(directory.join(name), "x").unwrap();
        }
        let store: Arc<dyn ObjectStore> = Arc::new(LocalFileSystem::new());
        let orphans = main
            .catalog
            .orphans(main.catalog.warehouse(), &store, Duration::ZERO, |_| false)
            .await
            .unwrap();
        let paths: Vec<&str> = orphans.iter().map(|file| file.location.as_ref()).collect();
        assert_eq!(paths.len(), 1, "{paths:?}");
        assert!(paths[0].contains("/gone/session/t/part-"), "{paths:?}");
    }
}
