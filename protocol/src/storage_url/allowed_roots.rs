//! What a server opens to its clients.
//!
//! A check holds for the moment at which it is made. Whoever lists files below an allowed location
//! checks each of them, too, since a link may lie anywhere on the way.

use super::{StorageScheme, StorageUrl, StorageUrlError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The locations below which clients may create tables.
///
/// Without any root, the local file system and the web are closed, and object stores are open: their
/// own credentials guard them. With at least one, everything must lie under a root.
#[derive(Clone, Debug)]
pub struct AllowedRoots {
    roots: Vec<StorageUrl>,
    unrestricted: bool,
    /// A directory whose own files are nobody's to read or to replace.
    withheld: Option<StorageUrl>,
    /// What somebody was granted of all that, where not all of it.
    granted: Option<Vec<StorageUrl>>,
}

impl AllowedRoots {
    /// Only what lies under one of `roots`.
    pub fn new(roots: Vec<StorageUrl>) -> Self {
        Self {
            roots,
            unrestricted: false,
            withheld: None,
            granted: None,
        }
    }

    /// Without the files that lie in `directory` itself, like the catalog's, and without the directory as a whole.
    /// What is further down is not touched.
    pub fn withholding(self, directory: StorageUrl) -> Self {
        Self {
            withheld: Some(directory),
            ..self
        }
    }

    /// Of these, only what lies under one of `locations`.
    pub fn within(&self, locations: Vec<StorageUrl>) -> Self {
        Self {
            granted: Some(locations),
            ..self.clone()
        }
    }

    /// Everything: for an engine that is embedded in its user's own process.
    pub fn unrestricted() -> Self {
        Self {
            roots: Vec::new(),
            unrestricted: true,
            withheld: None,
            granted: None,
        }
    }

    /// Whether every location is allowed.
    pub fn is_unrestricted(&self) -> bool {
        self.unrestricted && self.granted.is_none()
    }

    /// Whether `location` may be used. For local locations, symbolic links are followed first, which
    /// reads the file system and may block for a moment.
    pub fn check(&self, location: &StorageUrl) -> Result<(), StorageUrlError> {
        let is_open = self.unrestricted || self.permits(location);
        match is_open && self.grants(location) {
            true => Ok(()),
            false => Err(StorageUrlError::NotAllowed(location.to_string())),
        }
    }

    fn permits(&self, location: &StorageUrl) -> bool {
        match location.scheme() {
            StorageScheme::File => {
                let Some(location) = resolved(location) else {
                    return false;
                };
                if self.withholds(&location) {
                    return false;
                }
                self.roots
                    .iter()
                    .filter_map(resolved)
                    .any(|root| root.contains(&location))
            }
            StorageScheme::Http | StorageScheme::Https => self.is_under_root(location),
            StorageScheme::S3
            | StorageScheme::Gcs
            | StorageScheme::Azure
            | StorageScheme::AzureDataLake => self.roots.is_empty() || self.is_under_root(location),
        }
    }

    /// Whether a location without links is withheld.
    fn withholds(&self, location: &StorageUrl) -> bool {
        let Some(directory) = self.withheld.as_ref().and_then(resolved) else {
            return false;
        };
        let parent = location
            .key()
            .rsplit_once('/')
            .map_or("", |(parent, _)| parent);
        let is_directory = || location.to_local_path().is_some_and(|path| path.is_dir());
        location.key() == directory.key() || (parent == directory.key() && !is_directory())
    }

    fn grants(&self, location: &StorageUrl) -> bool {
        let Some(granted) = &self.granted else {
            return true;
        };
        if location.scheme() != StorageScheme::File {
            return granted.iter().any(|granted| granted.contains(location));
        }
        let Some(location) = resolved(location) else {
            return false;
        };
        let mut granted = granted.iter().filter_map(resolved);
        granted.any(|granted| granted.contains(&location))
    }

    fn is_under_root(&self, location: &StorageUrl) -> bool {
        self.roots.iter().any(|root| root.contains(location))
    }
}

/// The location after following every link; `None` where that cannot be found out.
fn resolved(location: &StorageUrl) -> Option<StorageUrl> {
    let path = resolve_existing(&location.to_local_path()?)?;
    StorageUrl::from_local_path(&path).ok()
}

/// Follows the links of the part of `path` that exists and appends the rest, which, not existing,
/// has none.
fn resolve_existing(path: &Path) -> Option<PathBuf> {
    match path.canonicalize() {
        Ok(path) => Some(path),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            // A dangling link does exist, and where it points to may come into being later.
            if path.is_symlink() {
                return None;
            }
            Some(resolve_existing(path.parent()?)?.join(path.file_name()?))
        }
        Err(_) => None,
    }
}
