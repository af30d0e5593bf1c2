//! Finds out what a directory of files is: its partitions, its columns, and the bounds of every file.
//! This is the only place that lists directories and opens footers; planning never does.
//!
//! Formats whose files have no footer say nothing of columns, rows and bounds: the columns must be known
//! and the rest stays unknown.

mod footer;
mod listing;
mod logical_types;
mod partitions;
mod schema;
mod written;

pub(crate) use listing::exists as path_exists;
pub use written::{DataFileSource, describe_files};

use crate::error::CatalogError;
use crate::model::{
    Column, ColumnBounds, DataFile, FileFormat, Partition, PartitionColumn, TableFiles, name,
};
use arrow::datatypes::DataType;
use footer::Footer;
use futures::{StreamExt, TryStreamExt, stream};
use listing::{ListedFile, Listing};
use object_store::{ObjectMeta, ObjectStore};
use skep_protocol::storage_url::{AllowedRoots, StorageScheme, StorageUrl};
use std::collections::HashMap;
use std::sync::Arc;

/// Footers that are read at the same time.
pub const FOOTER_CONCURRENCY: usize = 16;

/// What is already known or demanded of the table.
#[derive(Clone, Copy, Debug, Default)]
pub struct Expectation<'a> {
    /// How the files are written.
    pub format: FileFormat,
    /// The table's columns. Every file must agree with them.
    pub columns: &'a [Column],
    /// Whether there are no others: otherwise files may add some.
    pub columns_are_final: bool,
    /// The partition columns, outermost first; `None` where the directories are to say.
    pub partition_columns: Option<&'a [ExpectedPartitionColumn]>,
    /// What was found last time. A file that has not changed since is not opened again, and a partition
    /// keeps its number and its values, wherever it lies.
    pub known: Option<&'a TableFiles>,
}

/// A partition column that was declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedPartitionColumn {
    /// In lower case.
    pub name: String,
    /// `None` where the values are to say.
    pub data_type: Option<DataType>,
    /// The type as SQL calls it, where that says more.
    pub sql_type: Option<String>,
    /// What was said of it.
    pub comment: Option<String>,
}

impl From<&PartitionColumn> for ExpectedPartitionColumn {
    fn from(column: &PartitionColumn) -> Self {
        Self {
            name: column.name.clone(),
            data_type: Some(column.data_type.clone()),
            sql_type: column.sql_type.clone(),
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
    let mut listing = listing::list(store, location).await?;
    let known = expectation.known.map(|known| &*known.partitions);
    let elsewhere: Vec<&Partition> = known
        .unwrap_or_default()
        .iter()
        .filter(|partition| !location.contains(&partition.location))
        .collect();
    listing.add_partitions(store, &elsewhere).await?;
    describe(store, listing, roots, expectation).await
}

/// Reads what lies in some new partitions of a table, which `expectation.known` has among the others.
pub async fn discover_partitions(
    store: &Arc<dyn ObjectStore>,
    location: &StorageUrl,
    partitions: &[&Partition],
    roots: &AllowedRoots,
    expectation: Expectation<'_>,
) -> Result<Discovered, CatalogError> {
    let locations = partitions.iter();
    let locations = locations.map(|partition| partition.location.clone());
    check_roots(roots, locations.collect()).await?;
    let mut listing = Listing::empty(location);
    listing.add_partitions(store, partitions).await?;
    describe(store, listing, roots, expectation).await
}

/// A file that was found otherwise than by discovering.
#[derive(Clone, Debug)]
pub struct FoundFile {
    /// What the store says of it.
    pub meta: ObjectMeta,
    /// The directories above it whose names may be a partition's, outermost first.
    pub directories: Vec<String>,
}

/// Lists the files at or below `location`. Hidden ones and those without bytes are passed over.
pub async fn list_files(
    store: &Arc<dyn ObjectStore>,
    location: &StorageUrl,
    roots: &AllowedRoots,
) -> Result<Vec<ObjectMeta>, CatalogError> {
    check_roots(roots, vec![location.clone()]).await?;
    let listing = listing::list(store, location).await?;
    Ok(listing.files.into_iter().map(|file| file.meta).collect())
}

/// Reads files, whose directories are below `location`, as [`discover`] reads those that it finds.
pub async fn discover_files(
    store: &Arc<dyn ObjectStore>,
    location: &StorageUrl,
    files: Vec<FoundFile>,
    roots: &AllowedRoots,
    expectation: Expectation<'_>,
) -> Result<Discovered, CatalogError> {
    let files = files.into_iter().map(|file| ListedFile {
        meta: file.meta,
        directories: file.directories,
        partition: None,
    });
    let listing = Listing {
        location: location.as_directory(),
        files: files.collect(),
    };
    describe(store, listing, roots, expectation).await
}

async fn describe(
    store: &Arc<dyn ObjectStore>,
    listing: Listing,
    roots: &AllowedRoots,
    expectation: Expectation<'_>,
) -> Result<Discovered, CatalogError> {
    if listing.location.scheme() == StorageScheme::File {
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
    let new_files: Vec<&ListedFile> = match expectation.format.has_footer() {
        true => {
            let files = listing.files.iter();
            files.filter(|file| reusable(file).is_none()).collect()
        }
        false => Vec::new(),
    };
    let footers = read_footers(store, &listing, &new_files).await?;

    let is_partition_column = |name: &str| layout.columns.iter().any(|column| column.name == name);
    let columns = schema::merge(&expectation, &footers, is_partition_column)?;
    if columns.is_empty() && (listing.files.is_empty() || !expectation.format.has_footer()) {
        return Err(CatalogError::LocationEmpty(listing.location.to_string()));
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
            None => data_file(&file.meta, *partition, &columns, read.next()),
        })
        .collect();
    Ok(Discovered {
        location: listing.location,
        columns,
        partition_columns: layout.columns,
        files: TableFiles {
            partitions: layout.partitions.into(),
            files,
        },
    })
}

/// Checks locations where following links cannot hold up other work.
pub(crate) async fn check_roots(
    roots: &AllowedRoots,
    locations: Vec<StorageUrl>,
) -> Result<(), CatalogError> {
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
    let metas = files
        .iter()
        .map(|file| (file.meta.clone(), listing.name_of(&file.meta.location)));
    read_footers_of(store, metas.collect()).await
}

/// The footers of files, each with its name for messages, in their order.
async fn read_footers_of(
    store: &Arc<dyn ObjectStore>,
    files: Vec<(ObjectMeta, String)>,
) -> Result<Vec<Footer>, CatalogError> {
    // Owned work items: futures that borrow from a closure's argument are not general enough to be
    // sent between threads.
    let work: Vec<_> = files
        .into_iter()
        .map(|(meta, name)| footer::read(Arc::clone(store), meta, name))
        .collect();
    stream::iter(work)
        .buffered(FOOTER_CONCURRENCY)
        .try_collect()
        .await
}

/// A file without a footer is one of which nothing is known but what the store says.
fn data_file(
    meta: &ObjectMeta,
    partition: Option<u32>,
    columns: &[Column],
    footer: Option<Footer>,
) -> DataFile {
    let rows = footer.as_ref().map(|footer| footer.rows);
    let bounds = footer.map(|mut footer| {
        let of_column = |column: &Column| {
            let name = name::normalise(&column.source_name);
            match footer.bounds.remove(&name) {
                Some((found, bounds)) => ColumnBounds {
                    column: column.id,
                    ..bounds.converted(&found, &column.data_type)
                },
                None => ColumnBounds::absent(column.id, footer.rows),
            }
        };
        columns.iter().map(of_column).collect()
    });
    DataFile {
        path: meta.location.to_string(),
        size_bytes: meta.size,
        rows,
        last_modified: meta.last_modified,
        e_tag: meta.e_tag.clone(),
        partition,
        bounds: bounds.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests;
