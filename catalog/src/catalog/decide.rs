//! What statements do to a catalog, as plain functions from a snapshot to changes. No changes means
//! that there is nothing to do.

use super::DEFAULT_DATABASE;
use crate::discovery::{Discovered, ExpectedPartitionColumn};
use crate::error::CatalogError;
use crate::model::{
    Column, ColumnId, DataFile, Database, FileFormat, TableDefinition, TableFiles, TableKind, name,
    partition_value,
};
use crate::snapshot::CatalogSnapshot;
use crate::store::{Change, FileChanges};
use arrow::datatypes::DataType;
use chrono::{DateTime, Utc};
use skep_protocol::storage_url::StorageUrl;
use std::collections::{BTreeMap, HashSet};

/// CREATE DATABASE.
#[derive(Clone, Debug)]
pub struct NewDatabase {
    /// In any case.
    pub name: String,
    /// Whether it may be there already.
    pub if_not_exists: bool,
    /// COMMENT.
    pub comment: Option<String>,
    /// LOCATION.
    pub location: Option<StorageUrl>,
    /// Who creates it.
    pub owner: String,
}

/// CREATE EXTERNAL TABLE.
#[derive(Clone, Debug)]
pub struct NewExternalTable {
    /// In any case.
    pub database: String,
    /// In any case.
    pub name: String,
    /// Whether it may be there already.
    pub if_not_exists: bool,
    /// How the files are written.
    pub format: FileFormat,
    /// LOCATION: a directory, or a file.
    pub location: StorageUrl,
    /// The columns in the files; empty where the files are to say.
    pub columns: Vec<ColumnSpec>,
    /// PARTITIONED BY; `None` where the directories are to say.
    pub partition_columns: Option<Vec<PartitionColumnSpec>>,
    /// TBLPROPERTIES.
    pub properties: BTreeMap<String, String>,
    /// COMMENT.
    pub comment: Option<String>,
    /// Who creates it.
    pub owner: String,
}

/// A column in a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnSpec {
    /// In any case.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
    /// Whether it may be NULL.
    pub nullable: bool,
    /// COMMENT.
    pub comment: Option<String>,
}

/// A partition column in a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionColumnSpec {
    /// In any case.
    pub name: String,
    /// Its type; `None` where the directories' values are to say.
    pub data_type: Option<DataType>,
    /// COMMENT.
    pub comment: Option<String>,
}

pub(super) fn create_database(
    snapshot: &CatalogSnapshot,
    new: &NewDatabase,
    now: DateTime<Utc>,
) -> Result<Vec<Change>, CatalogError> {
    let name = name::validate("database", &new.name)?;
    match (snapshot.database(&name).is_ok(), new.if_not_exists) {
        (true, true) => Ok(Vec::new()),
        (true, false) => Err(CatalogError::DatabaseExists(name)),
        (false, _) => Ok(vec![Change::CreateDatabase(Database {
            name,
            comment: new.comment.clone(),
            location: new.location.clone(),
            owner: new.owner.clone(),
            created_at: now,
        })]),
    }
}

pub(super) fn drop_database(
    snapshot: &CatalogSnapshot,
    name: &str,
    if_exists: bool,
    cascade: bool,
) -> Result<Vec<Change>, CatalogError> {
    let database = match snapshot.database(name) {
        Err(CatalogError::DatabaseNotFound { .. }) if if_exists => return Ok(Vec::new()),
        found => found?,
    };
    if database.name == DEFAULT_DATABASE {
        return Err(CatalogError::DatabaseProtected(database.name.clone()));
    }
    let mut changes: Vec<Change> = snapshot
        .tables(name)?
        .map(|table| Change::DropTable { id: table.id })
        .collect();
    if !changes.is_empty() && !cascade {
        return Err(CatalogError::DatabaseNotEmpty {
            name: database.name.clone(),
            tables: changes.len(),
        });
    }
    changes.push(Change::DropDatabase {
        name: database.name.clone(),
    });
    Ok(changes)
}

pub(super) fn drop_table(
    snapshot: &CatalogSnapshot,
    database: &str,
    name: &str,
    if_exists: bool,
) -> Result<Vec<Change>, CatalogError> {
    match snapshot.table(database, name) {
        Ok(table) => Ok(vec![Change::DropTable { id: table.id }]),
        Err(CatalogError::TableNotFound { .. } | CatalogError::DatabaseNotFound { .. })
            if if_exists =>
        {
            Ok(Vec::new())
        }
        Err(error) => Err(error),
    }
}

/// Whether a table of that name is there and may be; an error where it may not.
pub(super) fn table_is_taken(
    snapshot: &CatalogSnapshot,
    new: &NewExternalTable,
) -> Result<bool, CatalogError> {
    let name = name::validate("table", &new.name)?;
    match snapshot.table(&new.database, &name) {
        Ok(_) if new.if_not_exists => Ok(true),
        Ok(table) => Err(CatalogError::TableExists {
            database: table.definition.database.clone(),
            name,
        }),
        Err(CatalogError::TableNotFound { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

type Expected = (Vec<Column>, Option<Vec<ExpectedPartitionColumn>>);

/// What a statement says of a table's columns.
pub(super) fn expected_columns(new: &NewExternalTable) -> Result<Expected, CatalogError> {
    let invalid = |reason: String| CatalogError::InvalidDefinition {
        table: name::normalise(&new.name),
        reason,
    };
    let mut names = HashSet::new();
    let mut column_name = |text: &str| {
        let name = name::validate("column", text)?;
        match names.insert(name.clone()) {
            true => Ok(name),
            false => Err(invalid(format!("column '{name}' is listed twice"))),
        }
    };
    let mut columns = Vec::with_capacity(new.columns.len());
    for (id, column) in (0..).zip(&new.columns) {
        let name = column_name(&column.name)?;
        columns.push(Column {
            id: ColumnId(id),
            source_name: name.clone(),
            name,
            data_type: column.data_type.clone(),
            nullable: column.nullable,
            comment: column.comment.clone(),
        });
    }
    let Some(specs) = &new.partition_columns else {
        return Ok((columns, None));
    };
    let mut partition_columns = Vec::with_capacity(specs.len());
    for spec in specs {
        let name = column_name(&spec.name)?;
        if let Some(data_type) = &spec.data_type
            && !partition_value::is_supported(data_type)
        {
            return Err(invalid(format!(
                "partition column '{name}' cannot have type {data_type}"
            )));
        }
        partition_columns.push(ExpectedPartitionColumn {
            name,
            data_type: spec.data_type.clone(),
            comment: spec.comment.clone(),
        });
    }
    Ok((columns, Some(partition_columns)))
}

/// The table that a statement makes of what was found.
pub(super) fn new_table(
    new: &NewExternalTable,
    found: Discovered,
    now: DateTime<Utc>,
) -> Result<Change, CatalogError> {
    Ok(Change::CreateTable {
        definition: TableDefinition {
            database: name::normalise(&new.database),
            name: name::validate("table", &new.name)?,
            kind: TableKind::External,
            format: new.format,
            location: found.location,
            columns: found.columns,
            columns_declared: !new.columns.is_empty(),
            partition_columns: found.partition_columns,
            properties: new.properties.clone(),
            comment: new.comment.clone(),
            owner: new.owner.clone(),
            created_at: now,
        },
        files: found.files,
    })
}

/// What leads from `old` to `new`, of which the partitions have kept their numbers.
pub(super) fn file_changes(old: &TableFiles, new: TableFiles) -> FileChanges {
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
        .map(|file| file.path.clone())
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
    }
}
