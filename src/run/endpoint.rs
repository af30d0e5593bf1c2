//! Where the engine that owns a data directory is reached, written down in that directory: so that a
//! second shell on the same data finds the first one's engine.

use anyhow::{Context, anyhow};
use skep_catalog::CatalogError;
use skep_coordinator::EngineError;
use std::path::{Path, PathBuf};

/// The file, which holds the engine's address.
const FILE: &str = "address";

/// The address of an engine that runs, for as long as it does.
pub(super) struct Endpoint {
    path: PathBuf,
}

impl Endpoint {
    /// Writes the address down. A directory in which that cannot be done serves one process.
    pub(super) fn publish(data_dir: &Path, url: &str) -> Self {
        let path = data_dir.join(FILE);
        let new = data_dir.join(format!("{FILE}.new"));
        let written = std::fs::write(&new, url).and_then(|()| std::fs::rename(&new, &path));
        if let Err(error) = written {
            tracing::warn!(%error, path = %path.display(), "cannot write the engine's address");
        }
        Self { path }
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        // Another engine overwrites what is left over.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The address of the engine that has the data directory, where `error` says that another process has
/// it; an error where that one cannot be found.
pub(super) fn owner_of(data_dir: &Path, error: &anyhow::Error) -> Option<anyhow::Result<String>> {
    let engine = error.downcast_ref::<EngineError>()?;
    let EngineError::Catalog(in_use @ CatalogError::DataDirectoryInUse { .. }) = engine else {
        return None;
    };
    let path = data_dir.join(FILE);
    let address = std::fs::read_to_string(&path)
        .with_context(|| format!("it has left no address in {}", path.display()))
        .map_err(|missing| anyhow!("{in_use}, and cannot be joined: {missing:#}"));
    Some(address.map(|address| address.trim().to_owned()))
}
