//! What ALTER TABLE does to partitions.

use super::partition_specs::{self, PartitionCondition, PartitionSpec};
use super::{COMMIT_ATTEMPTS_MAX, Catalog, locations};
use crate::discovery::{self, Expectation, ExpectedPartitionColumn};
use crate::error::CatalogError;
use crate::model::{
    Column, DataFile, Partition, Table, TableDefinition, TableFiles, TableKind, partition_value,
};
use crate::snapshot::CatalogSnapshot;
use crate::store::{Change, Cleared, FileChanges};
use object_store::ObjectStore;
use skep_protocol::storage_url::{StorageUrl, StorageUrlError};
use std::sync::Arc;

/// ADD PARTITION.
#[derive(Clone, Debug)]
pub struct NewPartition {
    /// A value for each partition column.
    pub values: PartitionSpec,
    /// LOCATION; `None` for the directory that its values name.
    pub location: Option<StorageUrl>,
}

impl Catalog {
    /// Adds partitions, and returns how many were new. Those that are there already are an error unless
    /// `if_not_exists` is set. The files that lie in a new partition of an external table are found
    /// through `store`, which is the table's.
    pub async fn add_partitions(
        &self,
        database: &str,
        name: &str,
        partitions: &[NewPartition],
        if_not_exists: bool,
        store: &Arc<dyn ObjectStore>,
    ) -> Result<usize, CatalogError> {
        for _ in 0..COMMIT_ATTEMPTS_MAX {
            let snapshot = self.snapshot();
            let table = snapshot.table(database, name)?;
            let old = snapshot.table_partitions(table).await?;
            let added = new_partitions(&snapshot, table, &old, partitions, if_not_exists)?;
            if added.is_empty() {
                return Ok(0);
            }
            let count = added.len();
            let (columns, files) = self
                .files_of_new(&snapshot, table, &old, &added, store)
                .await?;
            let change = Change::UpdateTable {
                id: table.id,
                definition: TableDefinition {
                    columns,
                    ..table.definition.clone()
                },
                files: FileChanges {
                    added: TableFiles {
                        partitions: added.into(),
                        files,
                    },
                    ..FileChanges::default()
                },
            };
            if self.try_commit(&snapshot, &[change]).await? {
                return Ok(count);
            }
        }
        Err(CatalogError::Conflict)
    }

    /// Drops the partitions that satisfy all conditions of one of the lists, and returns how many they
    /// were. A list that none satisfies is an error unless `if_exists` is set. The files of an external
    /// table stay where they are.
    pub async fn drop_partitions(
        &self,
        database: &str,
        name: &str,
        specs: &[Vec<PartitionCondition>],
        if_exists: bool,
    ) -> Result<usize, CatalogError> {
        for _ in 0..COMMIT_ATTEMPTS_MAX {
            let snapshot = self.snapshot();
            let table = snapshot.table(database, name)?;
            let partitions = snapshot.table_partitions(table).await?;
            let numbers = matching(&table.definition, &partitions, specs, if_exists)?;
            if numbers.is_empty() {
                return Ok(0);
            }
            let count = numbers.len();
            let change = update(
                table,
                FileChanges {
                    cleared: Cleared::Partitions(numbers.clone()),
                    removed_partitions: numbers,
                    ..FileChanges::default()
                },
            );
            if self.try_commit(&snapshot, &[change]).await? {
                return Ok(count);
            }
        }
        Err(CatalogError::Conflict)
    }

    /// Empties a managed table, or the partitions that satisfy all conditions of one of the lists. The
    /// partitions stay.
    pub async fn truncate_table(
        &self,
        database: &str,
        name: &str,
        specs: Option<&[Vec<PartitionCondition>]>,
    ) -> Result<(), CatalogError> {
        for _ in 0..COMMIT_ATTEMPTS_MAX {
            let snapshot = self.snapshot();
            let table = snapshot.table(database, name)?;
            if table.definition.kind != TableKind::Managed {
                return Err(CatalogError::WrongKind {
                    table: table.definition.name.clone(),
                    kind: "external",
                    reason: "its files are not the catalog's to remove",
                });
            }
            let partitions = snapshot.table_partitions(table).await?;
            let numbers = match specs {
                Some(specs) => matching(&table.definition, &partitions, specs, false)?,
                None => partitions
                    .iter()
                    .map(|partition| partition.number)
                    .collect(),
            };
            // A table without partition columns has nothing but files without a partition.
            let cleared = match table.definition.partition_columns.is_empty() {
                true => Cleared::Everything,
                false => Cleared::Partitions(numbers),
            };
            let change = update(
                table,
                FileChanges {
                    cleared,
                    ..FileChanges::default()
                },
            );
            if self.try_commit(&snapshot, &[change]).await? {
                return Ok(());
            }
        }
        Err(CatalogError::Conflict)
    }

    /// Gives a partition other values. Its files stay where they are.
    pub async fn rename_partition(
        &self,
        database: &str,
        name: &str,
        from: &PartitionSpec,
        to: &PartitionSpec,
    ) -> Result<(), CatalogError> {
        for _ in 0..COMMIT_ATTEMPTS_MAX {
            let snapshot = self.snapshot();
            let table = snapshot.table(database, name)?;
            let definition = &table.definition;
            let partitions = snapshot.table_partitions(table).await?;
            let known = partition_specs::by_values(definition, &partitions)?;
            let old = find(definition, &partitions, from)?;
            let values = partition_specs::full_values(definition, to)?;
            if known.contains_key(&values) {
                return Err(exists(definition, &values));
            }
            let renamed = Partition {
                values,
                ..old.clone()
            };
            let change = update(table, replaced(renamed, Cleared::Nothing, Vec::new()));
            if self.try_commit(&snapshot, &[change]).await? {
                return Ok(());
            }
        }
        Err(CatalogError::Conflict)
    }

    /// Has a partition of an external table lie somewhere else, with the files that are there.
    pub async fn set_partition_location(
        &self,
        database: &str,
        name: &str,
        partition: &PartitionSpec,
        location: &StorageUrl,
        store: &Arc<dyn ObjectStore>,
    ) -> Result<(), CatalogError> {
        for _ in 0..COMMIT_ATTEMPTS_MAX {
            let snapshot = self.snapshot();
            let table = snapshot.table(database, name)?;
            let old = snapshot.table_partitions(table).await?;
            let found = find(&table.definition, &old, partition)?;
            let moved = Partition {
                location: check_location(&snapshot, table, location)?,
                ..found.clone()
            };
            let rest: Vec<Partition> = old
                .iter()
                .filter(|partition| partition.number != moved.number)
                .cloned()
                .collect();
            let added = std::slice::from_ref(&moved);
            let (columns, files) = self
                .files_of_new(&snapshot, table, &rest, added, store)
                .await?;
            let cleared = Cleared::Partitions(vec![moved.number]);
            let change = Change::UpdateTable {
                id: table.id,
                definition: TableDefinition {
                    columns,
                    ..table.definition.clone()
                },
                files: replaced(moved, cleared, files),
            };
            if self.try_commit(&snapshot, &[change]).await? {
                return Ok(());
            }
        }
        Err(CatalogError::Conflict)
    }

    /// The files that lie in new partitions, and the table's columns together with theirs.
    async fn files_of_new(
        &self,
        snapshot: &CatalogSnapshot,
        table: &Table,
        old: &[Partition],
        added: &[Partition],
        store: &Arc<dyn ObjectStore>,
    ) -> Result<(Vec<Column>, Vec<DataFile>), CatalogError> {
        let definition = &table.definition;
        if definition.kind == TableKind::Managed {
            return Ok((definition.columns.clone(), Vec::new()));
        }
        let partition_columns: Vec<ExpectedPartitionColumn> = definition
            .partition_columns
            .iter()
            .map(Into::into)
            .collect();
        let known = TableFiles {
            partitions: old.iter().chain(added).cloned().collect(),
            files: snapshot.table_files(table).await?.files.clone(),
        };
        let found = discovery::discover_partitions(
            store,
            &definition.location,
            &added.iter().collect::<Vec<_>>(),
            &self.allowed_roots,
            Expectation {
                format: definition.format,
                columns: &definition.columns,
                columns_are_final: definition.columns_declared,
                partition_columns: Some(&partition_columns),
                known: Some(&known),
            },
        )
        .await?;
        Ok((found.columns, found.files.files))
    }
}

pub(super) fn update(table: &Table, files: FileChanges) -> Change {
    Change::UpdateTable {
        id: table.id,
        definition: table.definition.clone(),
        files,
    }
}

fn replaced(partition: Partition, cleared: Cleared, files: Vec<DataFile>) -> FileChanges {
    FileChanges {
        cleared,
        removed_partitions: vec![partition.number],
        added: TableFiles {
            partitions: Arc::new([partition]),
            files,
        },
        ..FileChanges::default()
    }
}

/// The number of the next new partition.
pub(super) fn next_number(partitions: &[Partition]) -> u32 {
    let numbers = partitions.iter().map(|partition| partition.number + 1);
    numbers.max().unwrap_or(0)
}

/// The directory that a partition's values name.
pub(super) fn default_location(
    definition: &TableDefinition,
    values: &[Option<String>],
) -> Result<StorageUrl, StorageUrlError> {
    let names = definition.partition_columns.iter();
    let names = names.map(|column| column.name.as_str());
    let directory = partition_value::directory(names.zip(values.iter().map(Option::as_deref)));
    let table = definition.location.key();
    let key = match table.is_empty() {
        true => directory,
        false => format!("{table}/{directory}"),
    };
    Ok(definition.location.with_key(&key)?.as_directory())
}

fn new_partitions(
    snapshot: &CatalogSnapshot,
    table: &Table,
    old: &[Partition],
    specs: &[NewPartition],
    if_not_exists: bool,
) -> Result<Vec<Partition>, CatalogError> {
    let definition = &table.definition;
    let mut known = partition_specs::by_values(definition, old)?;
    let mut next = next_number(old);
    let mut added = Vec::new();
    for spec in specs {
        let values = partition_specs::full_values(definition, &spec.values)?;
        if known.insert(values.clone(), next).is_some() {
            match if_not_exists {
                true => continue,
                false => return Err(exists(definition, &values)),
            }
        }
        let location = match &spec.location {
            Some(location) => check_location(snapshot, table, location)?,
            None => default_location(definition, &values)?,
        };
        added.push(Partition {
            number: next,
            values,
            location,
        });
        next += 1;
    }
    Ok(added)
}

/// A location that a statement gives to a partition.
fn check_location(
    snapshot: &CatalogSnapshot,
    table: &Table,
    location: &StorageUrl,
) -> Result<StorageUrl, CatalogError> {
    let definition = &table.definition;
    if definition.kind == TableKind::Managed {
        return Err(CatalogError::WrongKind {
            table: definition.name.clone(),
            kind: "managed",
            reason: "the catalog decides where its partitions lie",
        });
    }
    if location.store_url() != definition.location.store_url() {
        return Err(CatalogError::InvalidPartition {
            table: definition.name.clone(),
            reason: format!("'{location}' is in another store than the table"),
        });
    }
    locations::check_free(snapshot, location, TableKind::External, Some(table.id))?;
    Ok(location.as_directory())
}

fn exists(definition: &TableDefinition, values: &[Option<String>]) -> CatalogError {
    CatalogError::PartitionExists {
        table: definition.name.clone(),
        partition: partition_specs::describe(definition, values),
    }
}

fn find<'p>(
    definition: &TableDefinition,
    partitions: &'p [Partition],
    spec: &PartitionSpec,
) -> Result<&'p Partition, CatalogError> {
    let values = partition_specs::full_values(definition, spec)?;
    let known = partition_specs::by_values(definition, partitions)?;
    let number = known.get(&values);
    let found = number.and_then(|number| partitions.iter().find(|p| p.number == *number));
    found.ok_or_else(|| CatalogError::PartitionNotFound {
        table: definition.name.clone(),
        partition: partition_specs::describe(definition, &values),
    })
}

/// The numbers of the partitions that satisfy all conditions of one of the lists, ascending.
fn matching(
    definition: &TableDefinition,
    partitions: &[Partition],
    specs: &[Vec<PartitionCondition>],
    if_exists: bool,
) -> Result<Vec<u32>, CatalogError> {
    let mut numbers = Vec::new();
    for conditions in specs {
        let found = partition_specs::matching(definition, partitions, conditions)?;
        if found.is_empty() && !if_exists {
            return Err(CatalogError::PartitionNotFound {
                table: definition.name.clone(),
                partition: partition_specs::describe_conditions(conditions),
            });
        }
        numbers.extend(found.iter().map(|partition| partition.number));
    }
    numbers.sort_unstable();
    numbers.dedup();
    Ok(numbers)
}
