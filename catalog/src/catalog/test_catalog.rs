//! A catalog with a few tables for tests.

use super::*;
use crate::model::{
    BoundValue, ColumnBounds, ColumnId, DataFile, FileFormat, StorageOptions, Table, TableFiles,
};
use arrow::datatypes::DataType;
use chrono::Utc;
use skep_protocol::ErrorCode;
use std::fmt::Debug;
use tempfile::TempDir;

/// A catalog of its own.
pub(super) struct TestCatalog {
    pub catalog: Catalog,
    pub directory: TempDir,
}

impl TestCatalog {
    pub(super) async fn new() -> Self {
        Self::at(CatalogLocation::Sqlite).await
    }

    pub(super) async fn at(store: CatalogLocation) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(CatalogOptions {
            data_dir: directory.path().join("data"),
            allowed_roots: AllowedRoots::unrestricted(),
            store,
            warehouse: None,
        })
        .await
        .unwrap();
        Self { catalog, directory }
    }

    pub(super) fn table(&self, name: &str) -> Arc<Table> {
        Arc::clone(self.catalog.snapshot().table("default", name).unwrap())
    }

    /// The names of its columns.
    pub(super) fn columns(&self, table: &str) -> Vec<String> {
        let columns = &self.table(table).definition.columns;
        columns.iter().map(|column| column.name.clone()).collect()
    }

    pub(super) async fn files(&self, table: &str) -> Arc<TableFiles> {
        let snapshot = self.catalog.snapshot();
        let table = snapshot.table("default", table).unwrap();
        snapshot.table_files(table).await.unwrap()
    }

    /// Each partition, and the names of its files.
    pub(super) async fn layout(&self, table: &str) -> Vec<(String, Vec<String>)> {
        let files = self.files(table).await;
        let names = |number| {
            let own = files.files.iter();
            own.filter(|file| file.partition == Some(number))
                .map(|file| file.path.rsplit('/').next().unwrap().to_owned())
                .collect()
        };
        let describe = |values: &[Option<String>]| {
            let values: Vec<&str> = values
                .iter()
                .map(|value| value.as_deref().unwrap_or("NULL"))
                .collect();
            values.join("/")
        };
        let mut layout: Vec<(String, Vec<String>)> = files
            .partitions
            .iter()
            .map(|partition| (describe(&partition.values), names(partition.number)))
            .collect();
        layout.sort();
        layout
    }

    pub(super) async fn create(&self, table: NewManagedTable) -> Arc<Table> {
        let name = table.name.clone();
        assert!(self.catalog.create_managed_table(table).await.unwrap());
        self.table(&name)
    }
}

/// `(id INT, name STRING)`.
pub(super) fn flat(name: &str) -> NewManagedTable {
    NewManagedTable {
        database: "default".to_owned(),
        name: name.to_owned(),
        if_not_exists: false,
        format: FileFormat::Parquet,
        storage: StorageOptions::default(),
        location: None,
        columns: vec![
            column("id", DataType::Int32),
            column("name", DataType::Utf8),
        ],
        partition_columns: Vec::new(),
        bucketing: None,
        properties: BTreeMap::new(),
        comment: None,
        owner: "me".to_owned(),
    }
}

/// `(id INT, name STRING) PARTITIONED BY (ds STRING, hr INT)`.
pub(super) fn partitioned(name: &str) -> NewManagedTable {
    let partition_column = |name: &str, data_type| PartitionColumnSpec {
        name: name.to_owned(),
        data_type: Some(data_type),
        sql_type: None,
        comment: None,
    };
    NewManagedTable {
        partition_columns: vec![
            partition_column("ds", DataType::Utf8),
            partition_column("hr", DataType::Int32),
        ],
        ..flat(name)
    }
}

pub(super) fn column(name: &str, data_type: DataType) -> ColumnSpec {
    ColumnSpec {
        name: name.to_owned(),
        data_type,
        sql_type: None,
        nullable: true,
        comment: None,
    }
}

/// A file that might have been written.
pub(super) fn new_file(name: &str, partition: &[Option<&str>]) -> NewFile {
    NewFile {
        partition: partition.iter().map(|v| v.map(str::to_owned)).collect(),
        file: DataFile {
            path: format!("warehouse/{name}"),
            size_bytes: 100,
            rows: Some(10),
            last_modified: Utc::now(),
            e_tag: None,
            partition: None,
            bounds: [ColumnBounds {
                min: Some(BoundValue::Int(1)),
                ..ColumnBounds::unknown(ColumnId(0))
            }]
            .iter()
            .collect(),
        },
    }
}

pub(super) fn spec(values: &[(&str, Option<&str>)]) -> PartitionSpec {
    let values = values.iter();
    values
        .map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned)))
        .collect()
}

pub(super) fn write(table: &Arc<Table>, mode: WriteMode, files: Vec<NewFile>) -> WriteCommit {
    WriteCommit {
        tables: vec![TableWrite {
            target: WriteTarget::Existing(Arc::clone(table)),
            mode,
            files,
            reads_target: false,
        }],
    }
}

pub(super) fn assert_code<T: Debug>(result: Result<T, CatalogError>, code: ErrorCode) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    error.to_string()
}
