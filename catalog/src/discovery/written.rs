//! Files that are to become part of a table, written by Skep itself or given to it: what they are is
//! known but for what their footers say.

use super::listing::storage_error;
use super::{data_file, read_footers_of, schema};
use crate::error::CatalogError;
use crate::model::{Column, DataFile, FileFormat};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use std::sync::Arc;

/// How many files the store is asked about at the same time.
pub const HEAD_CONCURRENCY: usize = 32;

/// A file that has been written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataFileSource {
    /// Its key in the table's object store.
    pub path: String,
    /// How many rows whoever wrote it has written, where the format's files do not say it.
    pub rows: Option<u64>,
}

/// What the catalog wants to know of files, in their order. They belong to no partition yet.
///
/// # Errors
/// Where a file is not there, is not a file of that format, or cannot be read as `columns` say.
pub async fn describe_files(
    store: &Arc<dyn ObjectStore>,
    format: FileFormat,
    columns: &[Column],
    files: &[DataFileSource],
) -> Result<Vec<DataFile>, CatalogError> {
    let work: Vec<_> = files
        .iter()
        .map(|file| head(Arc::clone(store), file.path.clone()))
        .collect();
    let metas: Vec<ObjectMeta> = stream::iter(work)
        .buffered(HEAD_CONCURRENCY)
        .try_collect()
        .await?;
    let footers = match format.has_footer() {
        true => {
            let named = metas.iter().zip(files);
            let named = named.map(|(meta, file)| (meta.clone(), file.path.clone()));
            read_footers_of(store, named.collect()).await?
        }
        false => Vec::new(),
    };
    footers
        .iter()
        .try_for_each(|footer| schema::check_fits(columns, footer))?;
    let mut footers = footers.into_iter();
    let described = metas.iter().zip(files).map(|(meta, file)| {
        let described = data_file(meta, None, columns, footers.next());
        DataFile {
            rows: described.rows.or(file.rows),
            ..described
        }
    });
    Ok(described.collect())
}

async fn head(store: Arc<dyn ObjectStore>, path: String) -> Result<ObjectMeta, CatalogError> {
    let location = Path::parse(&path).map_err(|error| CatalogError::Damaged(error.to_string()))?;
    let found = store.head(&location).await;
    found.map_err(|error| storage_error(path, error))
}
