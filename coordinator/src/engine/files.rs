//! Statements about files rather than rows: `INSERT OVERWRITE DIRECTORY` and `LOAD DATA`.

use super::Coordinator;
use super::write::{query_columns, write_target};
use crate::query::QueryHandle;
use crate::session::Session;
use crate::statement::{InsertDirectory, LoadData, complete, parse_location, storage_of};
use datafusion::scalar::ScalarValue;
use futures::StreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, PutPayload};
use skep_catalog::catalog::{
    NewFile, TableWrite, WRITTEN_FILE_PREFIX, WriteCommit, WriteMode, WriteTarget,
};
use skep_catalog::discovery::{DataFileSource, describe_files};
use skep_catalog::model::{
    Column, ColumnId, FileFormat, PartitionColumn, StorageOptions, TableDefinition, TableKind,
};
use skep_protocol::storage_url::StorageUrl;
use skep_protocol::{ErrorCode, QueryError, partition_path};
use skep_runtime::error::from_datafusion;
use skep_storage::Durability;
use skep_writer::AbortingStore;
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// How many files one LOAD DATA takes.
const LOADED_FILES_MAX: usize = 10_000;

impl Coordinator {
    /// Writes the rows of a query into a directory, and removes the files that were there. Returns how
    /// many rows were written.
    pub(super) async fn insert_directory(
        &self,
        session: &Session,
        handle: &QueryHandle,
        insert: InsertDirectory,
        parameters: Vec<ScalarValue>,
    ) -> Result<u64, QueryError> {
        let location = parse_location(&insert.location)?.as_directory();
        self.config.allowed_roots.check(&location)?;
        self.check_no_table(&location)?;
        let _place = self.admission.admit().await?;
        handle.admitted();
        let (context, source) = self
            .resolve(session, handle, &insert.source.statement)
            .await?;
        let source = source.bind(parameters)?;
        let storage = storage_of(&insert.storage, &BTreeMap::new())?;
        let columns = query_columns(&source)?;
        let definition = directory_definition(&location, storage, columns, Vec::new());
        let store = self.object_store(&location)?;
        let old = list(&store, &location).await?;
        let target = write_target(&definition, handle.id(), &Vec::new(), Vec::new(), true)?;
        let written = self.write_files(&context, source, target, handle).await?;
        for file in old {
            remove(&store, &file.location).await?;
        }
        Ok(written.iter().map(|file| file.rows).sum())
    }

    /// The files of tables are changed by statements about the tables.
    pub(super) fn check_no_table(&self, location: &StorageUrl) -> Result<(), QueryError> {
        let snapshot = self.catalog.snapshot();
        let overlapping = snapshot.all_tables().find(|table| {
            let of_table = &table.definition.location;
            of_table.contains(location) || location.contains(of_table)
        });
        match overlapping {
            None => Ok(()),
            Some(table) => {
                let text = format!(
                    "'{location}' overlaps with the location of table '{}.{}'",
                    table.definition.database, table.definition.name
                );
                Err(QueryError::new(ErrorCode::Semantic, text))
            }
        }
    }

    /// Makes files part of a table: those of a LOCAL path are copied, others are moved. Returns how many
    /// rows they have, where the files say it.
    pub(super) async fn load_data(
        self: &Arc<Self>,
        session: &Session,
        handle: &QueryHandle,
        load: LoadData,
    ) -> Result<Option<u64>, QueryError> {
        let _place = self.admission.admit().await?;
        handle.admitted();
        let from = parse_location(&load.location)?;
        self.config.allowed_roots.check(&from)?;
        let database = self.database_of(session, &load.table);
        let catalog = self.catalog_of(session, &database, &load.table.table);
        let table = Arc::clone(catalog.snapshot().table(&database, &load.table.table)?);
        let definition = &table.definition;
        let values = partition_values(definition, &load)?;
        let source = self.object_store(&from)?;
        let files = list(&source, &from).await?;
        // No rows are in a file of no bytes, whatever the format.
        let files: Vec<ObjectMeta> = files.into_iter().filter(|file| file.size > 0).collect();
        if files.is_empty() {
            let text = format!("there are no files at '{from}'");
            return Err(QueryError::new(ErrorCode::FileNotFound, text));
        }
        if files.len() > LOADED_FILES_MAX {
            let text = format!("there are more than {LOADED_FILES_MAX} files at '{from}'");
            return Err(QueryError::new(ErrorCode::StatementTooLarge, text));
        }
        let target = self.object_store(&definition.location)?;
        let is_same_store = from.store_url() == definition.location.store_url();
        let durability = Durability::of(&definition.location.store_url());
        let mut loaded = Vec::new();
        for file in &files {
            let to = target_path(definition, &values, handle, &file.location)?;
            match is_same_store {
                true => source.copy(&file.location, &to).await.map_err(storage)?,
                false => transfer(&source, &file.location, &target, &to).await?,
            }
            keep(&durability, &to).await?;
            loaded.push(DataFileSource {
                path: to.to_string(),
                rows: None,
            });
        }
        let columns = &definition.columns;
        let described = describe_files(&target, definition.format, columns, &loaded).await?;
        let rows = described.iter().map(|file| file.rows).sum();
        let write = TableWrite {
            mode: mode(&load, &values),
            files: described
                .into_iter()
                .map(|file| NewFile {
                    partition: values.clone(),
                    file,
                })
                .collect(),
            target: WriteTarget::Existing(Arc::clone(&table)),
            reads_target: false,
        };
        let commit = WriteCommit {
            tables: vec![write],
        };
        self.commit(session, catalog, handle, commit).await?;
        if !load.local {
            for file in files {
                remove(&source, &file.location).await?;
            }
        }
        Ok(rows)
    }
}

/// A directory as a table that nobody will know.
pub(super) fn directory_definition(
    location: &StorageUrl,
    (format, storage): (FileFormat, StorageOptions),
    columns: Vec<skep_catalog::catalog::ColumnSpec>,
    partition_columns: Vec<PartitionColumn>,
) -> TableDefinition {
    let columns = (0..).zip(columns).map(|(id, column)| Column {
        id: ColumnId(id),
        name: column.name.to_lowercase(),
        source_name: column.name,
        data_type: column.data_type,
        sql_type: None,
        nullable: true,
        comment: None,
    });
    TableDefinition {
        database: "directory".to_owned(),
        name: location.to_string(),
        kind: TableKind::External,
        format,
        storage,
        location: location.clone(),
        columns: columns.collect(),
        columns_declared: true,
        retired_columns: Vec::new(),
        partition_columns,
        bucketing: None,
        properties: BTreeMap::new(),
        comment: None,
        owner: String::new(),
        created_at: chrono::Utc::now(),
    }
}

fn partition_values(
    definition: &TableDefinition,
    load: &LoadData,
) -> Result<Vec<Option<String>>, QueryError> {
    let given = complete(load.partition.clone())?;
    if given.len() != definition.partition_columns.len() {
        let text = format!(
            "LOAD DATA into table '{}' needs a value for each of its {} partition columns",
            definition.name,
            definition.partition_columns.len()
        );
        return Err(QueryError::new(ErrorCode::Semantic, text));
    }
    let value = |name: &str| {
        let found = given.iter().find(|(column, _)| column == name);
        found.map(|(_, value)| value.clone()).ok_or_else(|| {
            let text = format!("partition column '{name}' needs a value");
            QueryError::new(ErrorCode::Semantic, text)
        })
    };
    let columns = definition.partition_columns.iter();
    columns.map(|column| value(&column.name)).collect()
}

fn mode(load: &LoadData, values: &[Option<String>]) -> WriteMode {
    match (load.overwrite, values.is_empty()) {
        (false, _) => WriteMode::Append,
        (true, true) => WriteMode::OverwriteTable,
        (true, false) => WriteMode::OverwritePartitions {
            partitions: vec![values.to_vec()],
            if_not_exists: false,
        },
    }
}

/// Where a file goes: into its partition's directory, under a name that Skep gives.
fn target_path(
    definition: &TableDefinition,
    values: &[Option<String>],
    handle: &QueryHandle,
    from: &Path,
) -> Result<Path, QueryError> {
    let extension = from.extension().unwrap_or("data");
    let name = format!(
        "{WRITTEN_FILE_PREFIX}{}-{}.{extension}",
        handle.id(),
        Uuid::new_v4().simple()
    );
    let names = definition.partition_columns.iter();
    let names = names.map(|column| column.name.as_str());
    let partition = partition_path::directory(names.zip(values.iter().map(Option::as_deref)));
    let parts = [definition.location.key(), &partition, &name];
    let parts = parts.map(|part| part.trim_matches('/'));
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    Path::parse(parts.join("/")).map_err(|error| QueryError::internal(error.to_string()))
}

/// The files of a directory, or the one file, without hidden ones and those further down.
async fn list(
    store: &Arc<dyn ObjectStore>,
    location: &StorageUrl,
) -> Result<Vec<ObjectMeta>, QueryError> {
    let path =
        Path::parse(location.key()).map_err(|error| QueryError::internal(error.to_string()))?;
    if !location.is_directory()
        && let Ok(file) = store.head(&path).await
    {
        return Ok(vec![file]);
    }
    let listed = match store.list_with_delimiter(Some(&path)).await {
        Ok(listed) => listed.objects,
        Err(object_store::Error::NotFound { .. }) => Vec::new(),
        Err(error) => return Err(storage(error)),
    };
    let is_hidden = |file: &ObjectMeta| {
        let name = file.location.filename().unwrap_or_default();
        name.starts_with('.') || name.starts_with('_')
    };
    Ok(listed.into_iter().filter(|file| !is_hidden(file)).collect())
}

/// Copies a file from one store into another, a part at a time.
async fn transfer(
    source: &Arc<dyn ObjectStore>,
    from: &Path,
    target: &Arc<dyn ObjectStore>,
    to: &Path,
) -> Result<(), QueryError> {
    let mut parts = source.get(from).await.map_err(storage)?.into_stream();
    let target = AbortingStore::new(Arc::clone(target));
    let mut upload = target.put_multipart(to).await.map_err(storage)?;
    while let Some(part) = parts.next().await {
        let part = PutPayload::from(part.map_err(storage)?);
        upload.put_part(part).await.map_err(storage)?;
    }
    upload.complete().await.map_err(storage)?;
    Ok(())
}

/// Has a file be there to stay before the catalog is told of it.
pub(super) async fn keep(durability: &Durability, path: &Path) -> Result<(), QueryError> {
    let kept = durability.keep(path.as_ref()).await;
    kept.map_err(|error| from_datafusion(&error))
}

pub(super) async fn remove(store: &Arc<dyn ObjectStore>, path: &Path) -> Result<(), QueryError> {
    match store.delete(path).await {
        Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
        Err(error) => Err(storage(error)),
    }
}

pub(super) fn storage(error: object_store::Error) -> QueryError {
    match error {
        object_store::Error::NotFound { path, .. } => {
            QueryError::new(ErrorCode::FileNotFound, format!("file '{path}' not found"))
        }
        other => QueryError::new(ErrorCode::Storage, other.to_string()),
    }
}
