//! Directories that exist as long as somebody holds them: those of temporary tables.

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use skep_protocol::storage_url::StorageUrl;
use std::sync::Arc;
use tokio::runtime::Handle;

/// A directory whose files go when this value is dropped.
pub struct TemporaryDirectory {
    location: StorageUrl,
    store: Arc<dyn ObjectStore>,
    runtime: Handle,
}

impl TemporaryDirectory {
    /// The directory `location` in `store`; its files are removed on `runtime` in the end.
    pub fn new(store: Arc<dyn ObjectStore>, location: StorageUrl, runtime: Handle) -> Self {
        Self {
            location,
            store,
            runtime,
        }
    }
}

impl Drop for TemporaryDirectory {
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
