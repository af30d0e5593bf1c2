//! CREATE and DROP TABLE.

use super::columns::{self, BucketingSpec, ColumnSpec, NewColumns, PartitionColumnSpec, invalid};
use super::{Catalog, locations};
use crate::discovery::{self, Discovered, Expectation, check_roots};
use crate::error::CatalogError;
use crate::model::{
    FileFormat, StorageOptions, TableDefinition, TableFiles, TableId, TableKind, name,
};
use crate::snapshot::{CatalogSnapshot, Relation};
use crate::store::Change;
use chrono::{DateTime, Utc};
use object_store::ObjectStore;
use skep_protocol::storage_url::StorageUrl;
use std::collections::BTreeMap;
use std::sync::Arc;

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
    /// What was said of that in detail.
    pub storage: StorageOptions,
    /// LOCATION: a directory, or a file.
    pub location: StorageUrl,
    /// The columns in the files; empty where the files are to say.
    pub columns: Vec<ColumnSpec>,
    /// How the files spell the columns' names, by these in lower case, where that is known beforehand.
    pub source_names: BTreeMap<String, String>,
    /// PARTITIONED BY; `None` where the directories are to say.
    pub partition_columns: Option<Vec<PartitionColumnSpec>>,
    /// CLUSTERED BY.
    pub bucketing: Option<BucketingSpec>,
    /// TBLPROPERTIES.
    pub properties: BTreeMap<String, String>,
    /// COMMENT.
    pub comment: Option<String>,
    /// Who creates it.
    pub owner: String,
}

/// CREATE TABLE: one whose files the catalog owns.
#[derive(Clone, Debug)]
pub struct NewManagedTable {
    /// In any case.
    pub database: String,
    /// In any case.
    pub name: String,
    /// Whether it may be there already.
    pub if_not_exists: bool,
    /// How the files are written.
    pub format: FileFormat,
    /// What was said of that in detail.
    pub storage: StorageOptions,
    /// LOCATION; `None` for a directory of its own below the database's. Files that are there already
    /// are not the table's.
    pub location: Option<StorageUrl>,
    /// The columns in the files.
    pub columns: Vec<ColumnSpec>,
    /// PARTITIONED BY, each with a type.
    pub partition_columns: Vec<PartitionColumnSpec>,
    /// CLUSTERED BY.
    pub bucketing: Option<BucketingSpec>,
    /// TBLPROPERTIES.
    pub properties: BTreeMap<String, String>,
    /// COMMENT.
    pub comment: Option<String>,
    /// Who creates it.
    pub owner: String,
}

impl Catalog {
    /// Registers what lies at a location as a table; false where a table of that name was there already
    /// and that is no error. Reads every file's footer, through `store`, which is the location's.
    pub async fn create_external_table(
        &self,
        new: NewExternalTable,
        store: &Arc<dyn ObjectStore>,
    ) -> Result<bool, CatalogError> {
        // Reading many files for a name that is taken would be a pity.
        let snapshot = self.snapshot();
        if is_taken(&snapshot, &new.database, &new.name, new.if_not_exists)? {
            return Ok(false);
        }
        locations::check_free(&snapshot, &new.location, TableKind::External, None)?;
        let mut expected =
            NewColumns::new(&new.name, &new.columns, new.partition_columns.as_deref())?;
        for column in &mut expected.columns {
            if let Some(name) = new.source_names.get(&column.name) {
                column.source_name.clone_from(name);
            }
        }
        let expectation = Expectation {
            format: new.format,
            columns_are_final: !expected.columns.is_empty(),
            columns: &expected.columns,
            partition_columns: expected.partition_columns.as_deref(),
            known: None,
        };
        let found =
            discovery::discover(store, &new.location, &self.allowed_roots, expectation).await?;
        let (definition, files) = external_table(&new, found, Utc::now())?;
        self.change(|snapshot| {
            if is_taken(snapshot, &new.database, &new.name, new.if_not_exists)? {
                return Ok(Vec::new());
            }
            locations::check_free(snapshot, &definition.location, TableKind::External, None)?;
            Ok(vec![Change::CreateTable {
                definition: definition.clone(),
                files: files.clone(),
            }])
        })
        .await
    }

    /// Creates an empty table whose files the catalog owns; false where a table of that name was there
    /// already and that is no error.
    pub async fn create_managed_table(&self, new: NewManagedTable) -> Result<bool, CatalogError> {
        check_roots(&self.allowed_roots, new.location.iter().cloned().collect()).await?;
        let now = Utc::now();
        self.change(|snapshot| {
            let definition = self.managed_table(snapshot, &new, now)?;
            let create = definition.map(|definition| Change::CreateTable {
                definition,
                files: TableFiles::default(),
            });
            Ok(create.into_iter().collect())
        })
        .await
    }

    /// The table that CREATE TABLE AS SELECT is about to write, with the location for its files; `None`
    /// where a table of that name was there already and that is no error. Nothing is changed: that is
    /// what [`Catalog::commit_write`] does when the files are there.
    pub async fn plan_managed_table(
        &self,
        new: &NewManagedTable,
    ) -> Result<Option<TableDefinition>, CatalogError> {
        check_roots(&self.allowed_roots, new.location.iter().cloned().collect()).await?;
        self.managed_table(&self.snapshot(), new, Utc::now())
    }

    /// The table that is about to be written as [`Catalog::plan_managed_table`] says, in the place of the
    /// table `replaces` where there is one.
    pub async fn plan_replacing_table(
        &self,
        new: &NewManagedTable,
        replaces: Option<TableId>,
    ) -> Result<TableDefinition, CatalogError> {
        check_roots(&self.allowed_roots, new.location.iter().cloned().collect()).await?;
        let snapshot = self.snapshot();
        if !is_of(&snapshot, &new.database, &new.name, replaces) {
            is_taken(&snapshot, &new.database, &new.name, false)?;
        }
        self.free_managed_table(&snapshot, new, Utc::now())
    }

    /// Drops a table; false where there was none and that is no error. The files of an external table
    /// stay; those of a managed one go when no snapshot needs them any more: see
    /// [`Catalog::orphans`].
    pub async fn drop_table(
        &self,
        database: &str,
        name: &str,
        if_exists: bool,
    ) -> Result<bool, CatalogError> {
        self.change(|snapshot| match snapshot.table(database, name) {
            Ok(table) => Ok(vec![Change::DropTable { id: table.id }]),
            Err(CatalogError::TableNotFound { .. } | CatalogError::DatabaseNotFound { .. })
                if if_exists =>
            {
                Ok(Vec::new())
            }
            Err(error) => Err(error),
        })
        .await
    }

    fn managed_table(
        &self,
        snapshot: &CatalogSnapshot,
        new: &NewManagedTable,
        now: DateTime<Utc>,
    ) -> Result<Option<TableDefinition>, CatalogError> {
        if is_taken(snapshot, &new.database, &new.name, new.if_not_exists)? {
            return Ok(None);
        }
        self.free_managed_table(snapshot, new, now).map(Some)
    }

    /// A table whose name is free, or will be.
    fn free_managed_table(
        &self,
        snapshot: &CatalogSnapshot,
        new: &NewManagedTable,
        now: DateTime<Utc>,
    ) -> Result<TableDefinition, CatalogError> {
        let name = name::validate("table", &new.name)?;
        if new.columns.is_empty() {
            return Err(invalid(
                &name,
                "a table needs at least one column".to_owned(),
            ));
        }
        let columns = NewColumns::new(&name, &new.columns, Some(&new.partition_columns))?;
        let bucketing = new.bucketing.as_ref();
        let database = snapshot.database(&new.database)?;
        let location = match &new.location {
            Some(location) => {
                let location = location.as_directory();
                locations::check_free(snapshot, &location, TableKind::Managed, None)?;
                location
            }
            None => self.free_location(snapshot, database, &name)?,
        };
        Ok(TableDefinition {
            database: database.name.clone(),
            kind: TableKind::Managed,
            format: new.format,
            storage: new.storage.clone(),
            location,
            partition_columns: columns.typed_partition_columns(&name)?,
            bucketing: bucketing
                .map(|spec| columns::bucketing(&name, &columns.columns, spec))
                .transpose()?,
            name,
            columns: columns.columns,
            columns_declared: true,
            retired_columns: Vec::new(),
            properties: new.properties.clone(),
            comment: new.comment.clone(),
            owner: new.owner.clone(),
            created_at: now,
        })
    }
}

/// Whether the name is that of the table `id`.
pub(super) fn is_of(
    snapshot: &CatalogSnapshot,
    database: &str,
    name: &str,
    id: Option<TableId>,
) -> bool {
    match snapshot.find_relation(database, name) {
        Some(Relation::Table(table)) => Some(table.id) == id,
        _ => false,
    }
}

/// Whether a table of that name is there and may be; an error where it may not.
pub(super) fn is_taken(
    snapshot: &CatalogSnapshot,
    database: &str,
    name: &str,
    if_not_exists: bool,
) -> Result<bool, CatalogError> {
    let name = name::validate("table", name)?;
    snapshot.database(database)?;
    match snapshot.find_relation(database, &name) {
        Some(_) if if_not_exists => Ok(true),
        Some(relation) => Err(super::taken(relation)),
        None => Ok(false),
    }
}

/// The table that a statement makes of what was found.
fn external_table(
    new: &NewExternalTable,
    found: Discovered,
    now: DateTime<Utc>,
) -> Result<(TableDefinition, TableFiles), CatalogError> {
    let bucketing = new.bucketing.as_ref();
    let definition = TableDefinition {
        database: name::normalise(&new.database),
        name: name::validate("table", &new.name)?,
        kind: TableKind::External,
        format: new.format,
        storage: new.storage.clone(),
        location: found.location,
        bucketing: bucketing
            .map(|spec| columns::bucketing(&new.name, &found.columns, spec))
            .transpose()?,
        columns: found.columns,
        columns_declared: !new.columns.is_empty(),
        retired_columns: Vec::new(),
        partition_columns: found.partition_columns,
        properties: new.properties.clone(),
        comment: new.comment.clone(),
        owner: new.owner.clone(),
        created_at: now,
    };
    Ok((definition, found.files))
}
