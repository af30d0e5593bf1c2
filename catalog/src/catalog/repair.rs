//! REFRESH TABLE, MSCK REPAIR TABLE and SET LOCATION: external tables follow their files.

use super::{COMMIT_ATTEMPTS_MAX, Catalog, locations};
use crate::discovery::{self, Discovered, Expectation, ExpectedPartitionColumn, path_exists};
use crate::error::CatalogError;
use crate::model::{DataFile, Partition, Table, TableDefinition, TableFiles, TableKind};
use crate::snapshot::CatalogSnapshot;
use crate::store::{Change, Cleared, FileChanges, RemovedFile};
use object_store::ObjectStore;
use skep_protocol::storage_url::StorageUrl;
use std::collections::HashSet;
use std::sync::Arc;

/// Which partitions may come and go. The files of those that stay are brought up to date in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RepairMode {
    /// ADD: directories that the catalog does not know become partitions.
    Add,
    /// DROP: partitions whose directories are gone go.
    Drop,
    /// SYNC: both.
    Sync,
}

/// What a refresh has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RefreshSummary {
    /// Files that are new or have changed.
    pub files_added: usize,
    /// Files that are gone or have changed.
    pub files_removed: usize,
    /// Partitions that are new.
    pub partitions_added: usize,
    /// Partitions that are gone.
    pub partitions_removed: usize,
}

impl Catalog {
    /// Looks at an external table's location again, through `store`, which is the location's. Files
    /// that have not changed are not opened.
    pub async fn refresh_table(
        &self,
        database: &str,
        name: &str,
        store: &Arc<dyn ObjectStore>,
    ) -> Result<RefreshSummary, CatalogError> {
        self.repair_table(database, name, RepairMode::Sync, store)
            .await
    }

    /// Like [`Catalog::refresh_table`], with a say in which partitions may come and go.
    pub async fn repair_table(
        &self,
        database: &str,
        name: &str,
        mode: RepairMode,
        store: &Arc<dyn ObjectStore>,
    ) -> Result<RefreshSummary, CatalogError> {
        let snapshot = self.snapshot();
        let table = Arc::clone(snapshot.table(database, name)?);
        require_external(&table.definition)?;
        let old = snapshot.table_files(&table).await?;
        let definition = &table.definition;
        let found = self
            .discover_again(definition, &definition.location, Some(&old), store)
            .await?;
        let new = merge(&old, found.files, mode).await;
        let new_definition = TableDefinition {
            columns: found.columns,
            ..definition.clone()
        };
        let files = file_changes(&old, new);
        let summary = RefreshSummary {
            files_added: files.added.files.len(),
            files_removed: files.removed_files.len(),
            partitions_added: files.added.partitions.len(),
            partitions_removed: files.removed_partitions.len(),
        };
        if files.is_empty() && new_definition == *definition {
            return Ok(summary);
        }
        let change = Change::UpdateTable {
            id: table.id,
            definition: new_definition,
            files,
        };
        self.change(|snapshot| {
            let now = snapshot.table(database, name)?;
            match (now.id, now.version) == (table.id, table.version) {
                true => Ok(vec![change.clone()]),
                // What was found was compared with files that are no longer the table's.
                false => Err(CatalogError::Conflict),
            }
        })
        .await?;
        Ok(summary)
    }

    /// Has an external table lie somewhere else, with the files that are there. The partitions of a
    /// partitioned table stay where they are: the new location is where the next ones go.
    pub async fn set_table_location(
        &self,
        database: &str,
        name: &str,
        location: &StorageUrl,
        store: &Arc<dyn ObjectStore>,
    ) -> Result<(), CatalogError> {
        for _ in 0..COMMIT_ATTEMPTS_MAX {
            let snapshot = self.snapshot();
            let table = snapshot.table(database, name)?;
            require_external(&table.definition)?;
            locations::check_free(&snapshot, location, TableKind::External, Some(table.id))?;
            let change = self.moved(&snapshot, table, location, store).await?;
            if self.try_commit(&snapshot, &[change]).await? {
                return Ok(());
            }
        }
        Err(CatalogError::Conflict)
    }

    async fn moved(
        &self,
        snapshot: &CatalogSnapshot,
        table: &Table,
        location: &StorageUrl,
        store: &Arc<dyn ObjectStore>,
    ) -> Result<Change, CatalogError> {
        let definition = &table.definition;
        if !definition.partition_columns.is_empty() {
            let partitions = snapshot.table_partitions(table).await?;
            if location.store_url() != definition.location.store_url() && !partitions.is_empty() {
                return Err(CatalogError::InvalidPartition {
                    table: definition.name.clone(),
                    reason: format!("its partitions are in another store than '{location}'"),
                });
            }
            discovery::check_roots(&self.allowed_roots, vec![location.clone()]).await?;
            return Ok(Change::UpdateTable {
                id: table.id,
                definition: TableDefinition {
                    location: location.as_directory(),
                    ..definition.clone()
                },
                files: FileChanges::default(),
            });
        }
        let found = self
            .discover_again(definition, location, None, store)
            .await?;
        Ok(Change::UpdateTable {
            id: table.id,
            definition: TableDefinition {
                location: found.location,
                columns: found.columns,
                ..definition.clone()
            },
            files: FileChanges {
                cleared: Cleared::Everything,
                added: found.files,
                ..FileChanges::default()
            },
        })
    }

    async fn discover_again(
        &self,
        definition: &TableDefinition,
        location: &StorageUrl,
        known: Option<&TableFiles>,
        store: &Arc<dyn ObjectStore>,
    ) -> Result<Discovered, CatalogError> {
        let partition_columns: Vec<ExpectedPartitionColumn> = definition
            .partition_columns
            .iter()
            .map(Into::into)
            .collect();
        let expectation = Expectation {
            format: definition.format,
            columns: &definition.columns,
            columns_are_final: definition.columns_declared,
            partition_columns: Some(&partition_columns),
            known,
        };
        discovery::discover(store, location, &self.allowed_roots, expectation).await
    }
}

fn require_external(definition: &TableDefinition) -> Result<(), CatalogError> {
    match definition.kind {
        TableKind::External => Ok(()),
        _ => Err(CatalogError::WrongKind {
            table: definition.name.clone(),
            kind: "managed",
            reason: "its files are what the catalog says, so that there is nothing to look for",
        }),
    }
}

/// What the table consists of after a repair: `found` has only partitions that have files.
async fn merge(old: &TableFiles, found: TableFiles, mode: RepairMode) -> TableFiles {
    let known = |number: u32| old.partition(number).is_some();
    let mut partitions: Vec<Partition> = found
        .partitions
        .iter()
        .filter(|partition| mode != RepairMode::Drop || known(partition.number))
        .cloned()
        .collect();
    let had_files: HashSet<u32> = old.files.iter().filter_map(|file| file.partition).collect();
    for partition in old.partitions.iter() {
        if found.partition(partition.number).is_some() {
            continue;
        }
        // A directory may be empty; but where there are no directories, only names of files, one whose
        // files are gone is gone, and the same is to happen everywhere.
        let is_there =
            !had_files.contains(&partition.number) && path_exists(&partition.location).await;
        if mode == RepairMode::Add || is_there {
            partitions.push(partition.clone());
        }
    }
    partitions.sort_by_key(|partition| partition.number);
    let kept: HashSet<u32> = partitions.iter().map(|p| p.number).collect();
    let is_kept = |file: &DataFile| file.partition.is_none_or(|number| kept.contains(&number));
    TableFiles {
        partitions: partitions.into(),
        files: found.files.into_iter().filter(is_kept).collect(),
    }
}

/// What leads from `old` to `new`, of which the partitions have kept their numbers.
fn file_changes(old: &TableFiles, new: TableFiles) -> FileChanges {
    // Both are sorted by path.
    fn file_at<'a>(files: &'a TableFiles, path: &str) -> Option<&'a DataFile> {
        let order = |file: &DataFile| file.path.as_str().cmp(path);
        let index = files.files.binary_search_by(order).ok()?;
        files.files.get(index)
    }
    let removed_files = old
        .files
        .iter()
        .filter(|file| file_at(&new, &file.path) != Some(file))
        .map(|file| RemovedFile {
            partition: file.partition,
            path: file.path.clone(),
        })
        .collect();
    let removed_partitions = old
        .partitions
        .iter()
        .filter(|partition| new.partition(partition.number) != Some(partition))
        .map(|partition| partition.number)
        .collect();
    let added = TableFiles {
        partitions: new
            .partitions
            .iter()
            .filter(|partition| old.partition(partition.number) != Some(partition))
            .cloned()
            .collect(),
        files: new
            .files
            .iter()
            .filter(|file| file_at(old, &file.path) != Some(file))
            .cloned()
            .collect(),
    };
    FileChanges {
        removed_files,
        removed_partitions,
        added,
        ..FileChanges::default()
    }
}

#[cfg(test)]
mod tests;
