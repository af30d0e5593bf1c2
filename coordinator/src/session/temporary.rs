//! What is temporary: tables and views that one session sees, and that are gone with it.
//!
//! They are kept in a catalog of the session's own, in the coordinator's memory; the files of its tables
//! lie where executors reach them, in a directory of its own. Both go when the session has been closed
//! and the last statement that may read them has ended.
//!
//! Decision: A session's temporary tables are managed tables of a catalog of its own, in memory; their files lie in
//! `.temporary` in the warehouse, below the name of the process. VACUUM leaves those of living processes alone, and
//! takes what a process left that was killed.

use futures::FutureExt;
use object_store::ObjectStore;
use skep_catalog::{Catalog, CatalogSnapshot};
use skep_protocol::QueryError;
use skep_protocol::storage_url::StorageUrl;
use skep_storage::TemporaryDirectory;
use std::fmt;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::OnceCell;

/// What is temporary in one session. Clones are one.
#[derive(Clone, Default)]
pub struct Temporary(Arc<OnceCell<Opened>>);

struct Opened {
    catalog: Catalog,
    _files: TemporaryDirectory,
}

impl fmt::Debug for Temporary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Temporary")
            .field("is_used", &self.0.initialized())
            .finish()
    }
}

impl Temporary {
    /// Its catalog, where anything has been temporary yet.
    pub fn catalog(&self) -> Option<&Catalog> {
        self.0.get().map(|opened| &opened.catalog)
    }

    /// What is temporary now.
    pub fn snapshot(&self) -> Option<Arc<CatalogSnapshot>> {
        self.catalog().map(Catalog::snapshot)
    }

    /// Its catalog, which is opened in `main` the first time. `store` finds the store of the files,
    /// which are removed on `runtime` in the end.
    ///
    /// # Errors
    /// Those of opening.
    pub async fn open(
        &self,
        main: &Catalog,
        store: impl FnOnce(&StorageUrl) -> Result<Arc<dyn ObjectStore>, QueryError>,
        runtime: &Handle,
    ) -> Result<&Catalog, QueryError> {
        let opened = self.0.get_or_try_init(|| async {
            // Boxed for the compiler, which follows nested futures only so far.
            let catalog = main.open_temporary().boxed().await?;
            let location = catalog.warehouse().clone();
            Ok::<_, QueryError>(Opened {
                catalog,
                _files: TemporaryDirectory::new(store(&location)?, location, runtime.clone()),
            })
        });
        Ok(&opened.await?.catalog)
    }
}
