//! Where the engine that owns a data directory is reached, written down in that directory: so that a
//! second shell on the same data finds the first one's engine.

use anyhow::{Context, anyhow};
use skep_catalog::CatalogError;
use skep_coordinator::EngineError;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The file: the engine's address, and the password that it wants of those who may read the file.
const FILE: &str = "address";

/// The address of an engine that runs, for as long as it does.
pub(super) struct Endpoint {
    path: PathBuf,
}

/// What is written down of an engine.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// Where it is reached.
    pub url: String,
    /// The password of an engine that serves its owner alone.
    pub password: Option<String>,
}

impl Endpoint {
    /// Writes the address down, for the same user's eyes only. A directory in which that cannot be done
    /// serves one process.
    pub(super) fn publish(data_dir: &Path, address: &Address) -> Self {
        let path = data_dir.join(FILE);
        if let Err(error) = write(&path, address) {
            tracing::warn!(%error, path = %path.display(), "cannot write the engine's address");
        }
        Self { path }
    }
}

fn write(path: &Path, address: &Address) -> std::io::Result<()> {
    // Anew, since an existing file would keep its mode, and aside, since a reader may come at any time.
    let new = path.with_extension("new");
    let _ = std::fs::remove_file(&new);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)?;
    let password = address.password.as_deref().unwrap_or_default();
    writeln!(file, "{}\n{password}", address.url)?;
    std::fs::rename(&new, path)
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        // Another engine overwrites what is left over.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The address of the engine that has the data directory, where `error` says that another process has
/// it; an error where that one cannot be found.
pub(super) fn owner_of(data_dir: &Path, error: &anyhow::Error) -> Option<anyhow::Result<Address>> {
    let engine = error.downcast_ref::<EngineError>()?;
    let EngineError::Catalog(in_use @ CatalogError::DataDirectoryInUse { .. }) = engine else {
        return None;
    };
    let read = read(&data_dir.join(FILE));
    Some(read.map_err(|missing| anyhow!("{in_use}, and cannot be joined: {missing:#}")))
}

fn read(path: &Path) -> anyhow::Result<Address> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("it has left no address in {}", path.display()))?;
    let mut lines = text.lines();
    let url = lines.next().unwrap_or_default().to_owned();
    let password = lines.next().filter(|line| !line.is_empty());
    Ok(Address {
        url,
        password: password.map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_written_down_is_read_by_its_owner_alone_and_goes_with_the_engine() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE);
        for password in [Some("secret".to_owned()), None] {
            let address = Address {
                url: "flight://127.0.0.1:1".to_owned(),
                password,
            };
            let endpoint = Endpoint::publish(directory.path(), &address);
            assert_eq!(read(&path).unwrap(), address);
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            drop(endpoint);
            assert!(read(&path).is_err());
        }
    }
}
