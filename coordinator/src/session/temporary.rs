//! What is temporary: tables and views that one session sees, and that are gone with it.
//!
//! They are kept in a catalog of the session's own, in the coordinator's memory; the files of its tables
//! lie where executors reach them, in a directory of its own. Both go when the session has been closed
//! and the last statement that may read them has ended.

use futures::{FutureExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use skep_catalog::{Catalog, CatalogSnapshot};
use skep_protocol::QueryError;
use skep_protocol::storage_url::StorageUrl;
use std::fmt;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::OnceCell;

/// What is temporary in one session. Clones are one.
#[derive(Clone, Default)]
pub struct Temporary(Arc<OnceCell<Opened>>);

struct Opened {
    catalog: Catalog,
    _files: Files,
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
                _files: Files {
                    store: store(&location)?,
                    location,
                    runtime: runtime.clone(),
                },
            })
        });
        Ok(&opened.await?.catalog)
    }
}

/// The files of temporary tables. Dropping it removes them.
struct Files {
    location: StorageUrl,
    store: Arc<dyn ObjectStore>,
    runtime: Handle,
}

impl Drop for Files {
    fn drop(&mut self) {
        let location = self.location.clone();
        match location.to_local_path() {
            Some(path) => {
                self.runtime.spawn_blocking(move || {
                    match std::fs::remove_dir_all(&path) {
                        // No table has ever had a row.
                        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                        Err(error) => warn(&location, &error),
                        // That of the process goes with its last session, and is kept by another one.
                        Ok(()) => drop(path.parent().map(std::fs::remove_dir)),
                    }
                });
            }
            None => {
                let store = Arc::clone(&self.store);
                self.runtime.spawn(async move {
                    if let Err(error) = remove_all(&store, &location).await {
                        warn(&location, &error);
                    }
                });
            }
        }
    }
}

/// What is left is swept later, like what a process leaves that was killed.
fn warn(location: &StorageUrl, error: &dyn std::error::Error) {
    tracing::warn!(%location, %error, "the files of temporary tables were not removed");
}

async fn remove_all(
    store: &Arc<dyn ObjectStore>,
    location: &StorageUrl,
) -> Result<(), object_store::Error> {
    let files = store.list(Some(&Path::parse(location.key())?));
    files
        .try_for_each_concurrent(16, |file| async move { store.delete(&file.location).await })
        .await
}
