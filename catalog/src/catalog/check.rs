//! Compares what the catalog says with what the storage has.

use super::Catalog;
use crate::error::CatalogError;
use crate::model::{DataFile, Table, TableKind};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore};
use skep_protocol::storage_url::{StorageUrl, StorageUrlError};
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

/// Something that is not as the catalog says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A file of a table is not there.
    Missing {
        /// The table.
        table: String,
        /// The file's key in the table's store.
        path: String,
    },
    /// A file of a table has another size.
    WrongSize {
        /// The table.
        table: String,
        /// The file's key in the table's store.
        path: String,
        /// As the catalog says.
        expected_bytes: u64,
        /// As it is.
        found_bytes: u64,
    },
    /// A file lies where the catalog owns the files, and no version of any table knows it.
    Unknown {
        /// Where it lies.
        location: StorageUrl,
        /// The file's key in the location's store.
        path: String,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { table, path } => write!(f, "missing: '{path}' of table {table}"),
            Self::WrongSize {
                table,
                path,
                expected_bytes,
                found_bytes,
            } => write!(
                f,
                "wrong size: '{path}' of table {table} has {found_bytes} bytes instead of {expected_bytes}"
            ),
            Self::Unknown { location, path } => {
                write!(f, "unknown: '{path}' in {location}, which the catalog owns")
            }
        }
    }
}

/// How much was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckSummary {
    /// Tables.
    pub tables: usize,
    /// Files that the catalog knows.
    pub files: usize,
    /// What is missing or has another size.
    pub damaged: usize,
    /// Files that nobody knows: what a statement has left that was ended half-way, or is about to
    /// commit.
    pub unknown: usize,
}

impl Catalog {
    /// Looks for every visible file, and for unknown ones where the catalog owns all. `store_of` gives
    /// the object store of a location; `report` gets what is found as it is found.
    pub async fn check(
        &self,
        store_of: impl Fn(&StorageUrl) -> Result<Arc<dyn ObjectStore>, CatalogError>,
        mut report: impl FnMut(Finding),
    ) -> Result<CheckSummary, CatalogError> {
        let snapshot = self.snapshot();
        let mut summary = CheckSummary::default();
        for table in snapshot.all_tables() {
            let files = snapshot.table_files(table).await?;
            let store = store_of(&table.definition.location)?;
            let outside = files.partitions.iter().map(|partition| &partition.location);
            let places = [&table.definition.location]
                .into_iter()
                .chain(outside.filter(|place| !table.definition.location.contains(place)));
            let mut found: BTreeMap<String, u64> = BTreeMap::new();
            for place in places {
                let listed = list(&store, place).await?;
                let listed = listed.into_iter();
                found.extend(listed.map(|meta| (meta.location.to_string(), meta.size)));
            }
            summary.tables += 1;
            summary.files += files.files.len();
            for finding in compare(table, &files.files, &found) {
                summary.damaged += 1;
                report(finding);
            }
        }
        let mut owned: Vec<StorageUrl> = snapshot.abandoned_locations().to_vec();
        let tables = snapshot.all_tables();
        let managed = tables.filter(|table| table.definition.kind == TableKind::Managed);
        owned.extend(managed.map(|table| table.definition.location.clone()));
        for location in owned {
            let listed = list(&store_of(&location)?, &location).await?;
            let known: HashSet<String> = self.store.known_paths(location.key()).await?;
            for meta in listed {
                if !known.contains(meta.location.as_ref()) {
                    summary.unknown += 1;
                    report(Finding::Unknown {
                        location: location.clone(),
                        path: meta.location.to_string(),
                    });
                }
            }
        }
        Ok(summary)
    }
}

fn compare(table: &Table, files: &[DataFile], found: &BTreeMap<String, u64>) -> Vec<Finding> {
    let definition = &table.definition;
    let name = format!("{}.{}", definition.database, definition.name);
    let finding = |file: &DataFile| match found.get(&file.path) {
        None => Some(Finding::Missing {
            table: name.clone(),
            path: file.path.clone(),
        }),
        Some(size) if *size != file.size_bytes => Some(Finding::WrongSize {
            table: name.clone(),
            path: file.path.clone(),
            expected_bytes: file.size_bytes,
            found_bytes: *size,
        }),
        Some(_) => None,
    };
    files.iter().filter_map(finding).collect()
}

/// What lies at a location, which may be a single file, or not be there at all.
pub(super) async fn list(
    store: &Arc<dyn ObjectStore>,
    location: &StorageUrl,
) -> Result<Vec<ObjectMeta>, CatalogError> {
    use object_store::ObjectStoreExt;
    let path = Path::parse(location.key()).map_err(|_| StorageUrlError::Invalid {
        location: location.to_string(),
        reason: "it cannot be the name of an object",
    })?;
    let failed = |source| CatalogError::Storage {
        location: location.to_string(),
        source,
    };
    let listed: Vec<ObjectMeta> = match store.list(Some(&path)).try_collect().await {
        Err(object_store::Error::NotFound { .. }) => Vec::new(),
        listed => listed.map_err(failed)?,
    };
    if !listed.is_empty() || location.is_directory() {
        return Ok(listed);
    }
    match store.head(&path).await {
        Ok(meta) => Ok(vec![meta]),
        Err(object_store::Error::NotFound { .. }) => Ok(listed),
        Err(error) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests;
