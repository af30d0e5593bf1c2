//! The directory in which an embedded catalog lives, and whose it is.

use crate::error::CatalogError;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// A data directory that belongs to this process until it is dropped.
///
/// The lock is the operating system's, so that it goes with the process, however that ends.
#[derive(Debug)]
pub(super) struct DataDir {
    path: PathBuf,
    lock: File,
}

impl DataDir {
    /// Creates the directory where it is missing, and takes it. Blocks for a moment.
    pub(super) fn lock(path: PathBuf) -> Result<Self, CatalogError> {
        let unusable = |source| CatalogError::DataDirectory {
            path: path.clone(),
            source,
        };
        std::fs::create_dir_all(&path).map_err(unusable)?;
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path.join("lock"))
            .map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(CatalogError::DataDirectoryInUse {
                    pid: read_pid(&path.join("lock")),
                    path,
                });
            }
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
        lock.set_len(0).map_err(unusable)?;
        writeln!(lock, "{}", std::process::id()).map_err(unusable)?;
        Ok(Self { path, lock })
    }

    /// The file of the catalog's database.
    pub(super) fn database_path(&self) -> PathBuf {
        self.path.join("catalog.sqlite")
    }
}

/// A child that this process is just starting has the file open too until it runs its own program: the
/// lock would outlive a file that is merely closed.
impl Drop for DataDir {
    fn drop(&mut self) {
        if let Err(error) = self.lock.unlock() {
            tracing::warn!(path = %self.path.display(), %error, "could not unlock the data directory");
        }
    }
}

fn read_pid(path: &Path) -> Option<u32> {
    let mut text = String::new();
    File::open(path).ok()?.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
