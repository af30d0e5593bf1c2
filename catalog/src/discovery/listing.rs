//! Lists the files below a location.

use crate::error::CatalogError;
use crate::model::Partition;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use skep_protocol::storage_url::{StorageUrl, StorageUrlError};
use std::sync::Arc;

/// The files of a location.
#[derive(Debug)]
pub(super) struct Listing {
    /// The location; a directory's with a slash at its end.
    pub location: StorageUrl,
    /// By ascending path.
    pub files: Vec<ListedFile>,
}

/// A file.
#[derive(Debug)]
pub(super) struct ListedFile {
    /// What the store says of it.
    pub meta: ObjectMeta,
    /// The directories between the location and the file, outermost first.
    pub directories: Vec<String>,
    /// The number of the partition whose directory it was found in, where that one was looked into for
    /// its own sake.
    pub partition: Option<u32>,
}

impl Listing {
    /// The listing of a table of which nothing has been looked at.
    pub(super) fn empty(location: &StorageUrl) -> Self {
        Self {
            location: location.as_directory(),
            files: Vec::new(),
        }
    }

    /// Looks into the directories of partitions, too. One that is not there is empty.
    pub(super) async fn add_partitions(
        &mut self,
        store: &Arc<dyn ObjectStore>,
        partitions: &[&Partition],
    ) -> Result<(), CatalogError> {
        for partition in partitions {
            let found = match list(store, &partition.location).await {
                Err(CatalogError::LocationNotFound(_)) => continue,
                found => found?,
            };
            self.files
                .extend(found.files.into_iter().map(|file| ListedFile {
                    partition: Some(partition.number),
                    ..file
                }));
        }
        self.files
            .sort_by(|left, right| left.meta.location.cmp(&right.meta.location));
        Ok(())
    }

    /// A file's name for messages.
    pub(super) fn name_of(&self, path: &Path) -> String {
        match self.location.with_key(path.as_ref()) {
            Ok(url) => url.to_string(),
            Err(_) => path.to_string(),
        }
    }

    /// Where the files are.
    pub(super) fn urls(&self) -> Result<Vec<StorageUrl>, StorageUrlError> {
        self.files
            .iter()
            .map(|file| self.location.with_key(file.meta.location.as_ref()))
            .collect()
    }
}

/// Lists everything below `location`, or `location` itself where it is a file.
pub(super) async fn list(
    store: &Arc<dyn ObjectStore>,
    location: &StorageUrl,
) -> Result<Listing, CatalogError> {
    let prefix = Path::parse(location.key()).map_err(|_| StorageUrlError::Invalid {
        location: location.to_string(),
        reason: "it cannot be the name of an object",
    })?;
    if !location.is_directory()
        && let Some(meta) = single_file(store, location, &prefix).await?
    {
        return Ok(Listing {
            location: location.clone(),
            files: vec![ListedFile {
                meta,
                directories: Vec::new(),
                partition: None,
            }],
        });
    }
    let objects: Vec<ObjectMeta> = store
        .list(Some(&prefix))
        .try_collect()
        .await
        .map_err(|error| storage_error(location.to_string(), error))?;
    let depth = prefix.parts().count();
    let mut files: Vec<ListedFile> = objects
        .into_iter()
        .filter_map(|meta| visible_file(meta, depth))
        .collect();
    files.sort_by(|left, right| left.meta.location.cmp(&right.meta.location));
    if files.is_empty() && !exists(location).await {
        return Err(CatalogError::LocationNotFound(location.to_string()));
    }
    Ok(Listing {
        location: location.as_directory(),
        files,
    })
}

/// The file at `path`, unless it is a directory or missing.
async fn single_file(
    store: &Arc<dyn ObjectStore>,
    location: &StorageUrl,
    path: &Path,
) -> Result<Option<ObjectMeta>, CatalogError> {
    match store.head(path).await {
        Ok(meta) => Ok(Some(meta)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(storage_error(location.to_string(), error)),
    }
}

/// A file that is part of the table: not hidden, in no hidden directory.
fn visible_file(meta: ObjectMeta, depth: usize) -> Option<ListedFile> {
    let mut names: Vec<String> = meta
        .location
        .parts()
        .skip(depth)
        .map(|part| part.as_ref().to_owned())
        .collect();
    let is_hidden =
        |name: &String| name.starts_with('.') || (name.starts_with('_') && !name.contains('='));
    if names.iter().any(is_hidden) {
        return None;
    }
    names.pop()?;
    // Writers that were interrupted leave files of no bytes behind, and object stores' consoles show directories
    // by them: no rows are in them, whatever the format.
    if meta.size == 0 {
        return None;
    }
    Some(ListedFile {
        meta,
        directories: names,
        partition: None,
    })
}

/// Whether an empty listing means an empty directory. Object stores have no directories: there,
/// nothing is nothing.
pub(crate) async fn exists(location: &StorageUrl) -> bool {
    match location.to_local_path() {
        Some(path) => tokio::fs::metadata(path)
            .await
            .is_ok_and(|found| found.is_dir()),
        None => location.is_directory(),
    }
}

/// The error for a failure of the store at `name`.
pub(super) fn storage_error(name: String, error: object_store::Error) -> CatalogError {
    match error {
        object_store::Error::NotFound { .. } => CatalogError::FileNotFound(name),
        source => CatalogError::Storage {
            location: name,
            source,
        },
    }
}
