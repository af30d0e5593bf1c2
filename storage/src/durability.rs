//! Has what was written survive a loss of power, before the catalog says that it is there.
//!
//! Object stores keep what they have acknowledged. A local file system may have it in memory only, the
//! file's contents as well as its name in the directory: both are synced here.

use datafusion::error::{DataFusionError, Result};
use parking_lot::Mutex;
use std::collections::HashSet;
use std::fs::File;
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a local file system's store is called.
const LOCAL_STORE: &str = "file:";

/// Syncs the files of one write. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Durability(Option<Arc<Local>>);

#[derive(Debug, Default)]
struct Local {
    /// Directories whose own names, and those of all above, have been synced.
    named: Mutex<HashSet<PathBuf>>,
}

impl Durability {
    /// What the files of that store need.
    pub fn of(store_url: &str) -> Self {
        let is_local = store_url.starts_with(LOCAL_STORE);
        Self(is_local.then(Arc::default))
    }

    /// Returns once the file at `key`, which is complete, is there to stay.
    ///
    /// # Errors
    /// Those of the file system; then nobody may be told that the file is there.
    pub async fn keep(&self, key: &str) -> Result<()> {
        let Some(local) = self.0.clone() else {
            return Ok(());
        };
        let path = Path::new("/").join(key);
        let synced = tokio::task::spawn_blocking(move || local.keep(&path)).await;
        synced
            .map_err(|error| DataFusionError::External(Box::new(error)))?
            .map_err(DataFusionError::IoError)
    }
}

impl Local {
    fn keep(&self, path: &Path) -> Result<(), Error> {
        let named = |error: Error| Error::new(error.kind(), format!("{}: {error}", path.display()));
        File::open(path)
            .and_then(|file| file.sync_all())
            .map_err(named)?;
        for directory in self.directories(path) {
            match File::open(&directory).and_then(|file| file.sync_all()) {
                Ok(()) => {}
                // Far above the table there may be some that are not ours, nor new.
                Err(error) if error.kind() == ErrorKind::PermissionDenied => break,
                Err(error) => return Err(named(error)),
            }
        }
        Ok(())
    }

    /// The directories that may have a new name in them because of the file: its own, and those above
    /// the first time that one of their files is met.
    fn directories(&self, path: &Path) -> Vec<PathBuf> {
        let mut named = self.named.lock();
        let mut directories = Vec::new();
        for directory in path.ancestors().skip(1) {
            directories.push(directory.to_owned());
            if !named.insert(directory.to_owned()) {
                break;
            }
        }
        directories
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_synced_where_they_may_have_a_new_name() {
        let local = Local::default();
        let paths = |path: &str| -> Vec<String> {
            let directories = local.directories(Path::new(path));
            let text = directories.iter().map(|path| path.display().to_string());
            text.collect()
        };
        assert_eq!(paths("/w/t/k=1/a"), ["/w/t/k=1", "/w/t", "/w", "/"]);
        assert_eq!(paths("/w/t/k=1/b"), ["/w/t/k=1"]);
        assert_eq!(paths("/w/t/k=2/c"), ["/w/t/k=2", "/w/t"]);
    }

    #[tokio::test]
    async fn a_file_is_there_to_stay_or_it_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("k=1").join("a");
        std::fs::create_dir(path.parent().unwrap()).unwrap();
        let key = path.to_str().unwrap().trim_start_matches('/');
        let durability = Durability::of("file:///");
        let error = durability.keep(key).await.unwrap_err();
        assert!(error.to_string().contains("k=1/a"), "{error}");
        std::fs::write(&path, "x").unwrap();
        durability.keep(key).await.unwrap();
        // A store of objects has nothing to sync.
        Durability::of("s3://bucket/").keep("none").await.unwrap();
    }
}
