//! Finds out what a directory of Parquet files is: its partitions, its columns, and the bounds of
//! every file. This is the only place that lists directories and opens footers; planning never does.

mod footer;
mod listing;
mod partitions;
mod schema;

use crate::error::CatalogError;
use crate::model::{Column, ColumnBounds, DataFile, PartitionColumn, TableFiles};
use arrow::datatypes::DataType;
use footer::Footer;
use futures::{StreamExt, TryStreamExt, stream};
use listing::{ListedFile, Listing};
use object_store::ObjectStore;
use skep_protocol::storage_url::{AllowedRoots, StorageScheme, StorageUrl};
use std::collections::HashMap;
use std::sync::Arc;

/// Footers that are read at the same time.
pub const FOOTER_CONCURRENCY: usize = 16;

/// What is already known or demanded of the table.
#[derive(Clone, Copy, Debug, Default)]
pub struct Expectation<'a> {
    /// The table's columns. Every file must agree with them.
    pub columns: &'a [Column],
    /// Whether there are no others: otherwise files may add some.
    pub columns_are_final: bool,
    /// The partition columns, outermost first; `None` where the directories are to say.
    pub partition_columns: Option<&'a [ExpectedPartitionColumn]>,
    /// What was found last time. A file that has not changed since is not opened again.
    pub known: Option<&'a TableFiles>,
}

/// A partition column that was declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedPartitionColumn {
    /// In lower case.
    pub name: String,
    /// `None` where the values are to say.
    pub data_type: Option<DataType>,
    /// What was said of it.
    pub comment: Option<String>,
}

impl From<&PartitionColumn> for ExpectedPartitionColumn {
    fn from(column: &PartitionColumn) -> Self {
        Self {
            name: column.name.clone(),
            data_type: Some(column.data_type.clone()),
            comment: column.comment.clone(),
        }
    }
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Discovered {
    /// The location, with a slash at its end where it is a directory.
    pub location: StorageUrl,
    /// The columns in the files, partition columns left out.
    pub columns: Vec<Column>,
    /// The columns in the directories' names.
    pub partition_columns: Vec<PartitionColumn>,
    /// Every partition and file.
    pub files: TableFiles,
}

/// Reads what lies at `location`: a directory, or a single file.
///
/// Files and directories whose names begin with `_` or `.` are passed over. An empty directory is an
/// empty table where columns are expected, and an error where nothing says what the columns are.
/// Nothing outside `roots` is opened, whatever links lead there.
pub async fn discover(
    store: &Arc<dyn ObjectStore>,
    location: &StorageUrl,
    roots: &AllowedRoots,
    expectation: Expectation<'_>,
) -> Result<Discovered, CatalogError> {
    check_roots(roots, vec![location.clone()]).await?;
    let listing = listing::list(store, location).await?;
    if location.scheme() == StorageScheme::File {
        check_roots(roots, listing.urls()?).await?;
    }
    let layout = partitions::resolve(&listing, &expectation)?;
    let known: HashMap<&str, &DataFile> = expectation
        .known
        .iter()
        .flat_map(|known| &known.files)
        .map(|file| (file.path.as_str(), file))
        .collect();
    let reusable = |file: &ListedFile| {
        let known = known.get(file.meta.location.as_ref())?;
        is_unchanged(known, file).then_some(*known)
    };
    let new_files: Vec<&ListedFile> = listing
        .files
        .iter()
        .filter(|file| reusable(file).is_none())
        .collect();
    let footers = read_footers(store, &listing, &new_files).await?;

    let is_partition_column = |name: &str| layout.columns.iter().any(|column| column.name == name);
    let columns = schema::merge(&expectation, &footers, is_partition_column)?;
    if columns.is_empty() && listing.files.is_empty() {
        return Err(CatalogError::LocationEmpty(location.to_string()));
    }
    let mut read = footers.into_iter();
    let files = listing
        .files
        .iter()
        .zip(&layout.partition_of_file)
        .map(|(file, partition)| match reusable(file) {
            Some(known) => DataFile {
                partition: *partition,
                ..known.clone()
            },
            None => data_file(file, *partition, &columns, read.next()),
        })
        .collect();
    Ok(Discovered {
        location: listing.location,
        columns,
        partition_columns: layout.columns,
        files: TableFiles {
            partitions: layout.partitions,
            files,
        },
    })
}

/// Checks locations where following links cannot hold up other work.
async fn check_roots(roots: &AllowedRoots, locations: Vec<StorageUrl>) -> Result<(), CatalogError> {
    if roots.is_unrestricted() {
        return Ok(());
    }
    let roots = roots.clone();
    tokio::task::spawn_blocking(move || {
        locations
            .iter()
            .try_for_each(|location| roots.check(location))
    })
    .await
    .map_err(|error| CatalogError::Damaged(format!("a check of locations failed: {error}")))?
    .map_err(CatalogError::from)
}

fn is_unchanged(known: &DataFile, file: &ListedFile) -> bool {
    known.size_bytes == file.meta.size
        && known.e_tag == file.meta.e_tag
        && known.last_modified.timestamp_micros() == file.meta.last_modified.timestamp_micros()
}

/// The footers of `files`, in their order.
async fn read_footers(
    store: &Arc<dyn ObjectStore>,
    listing: &Listing,
    files: &[&ListedFile],
) -> Result<Vec<Footer>, CatalogError> {
    // Owned work items: futures that borrow from a closure's argument are not general enough to be
    // sent between threads.
    let work: Vec<_> = files
        .iter()
        .map(|file| {
            let name = listing.name_of(&file.meta.location);
            footer::read(Arc::clone(store), file.meta.clone(), name)
        })
        .collect();
    stream::iter(work)
        .buffered(FOOTER_CONCURRENCY)
        .try_collect()
        .await
}

fn data_file(
    file: &ListedFile,
    partition: Option<u32>,
    columns: &[Column],
    footer: Option<Footer>,
) -> DataFile {
    let (rows, mut by_name) = match footer {
        Some(footer) => (footer.rows, footer.bounds),
        None => (0, HashMap::new()),
    };
    let bounds = columns
        .iter()
        .map(|column| match by_name.remove(&column.name) {
            Some(bounds) => ColumnBounds {
                column: column.id,
                ..bounds
            },
            None => ColumnBounds::absent(column.id, rows),
        })
        .collect();
    DataFile {
        path: file.meta.location.to_string(),
        size_bytes: file.meta.size,
        rows,
        last_modified: file.meta.last_modified,
        e_tag: file.meta.e_tag.clone(),
        partition,
        bounds,
    }
}

#[cfg(test)]
mod tests;
