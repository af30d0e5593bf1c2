//! Statements that write rows: plan, run on all executors, then make everything visible at once.
//!
//! The tasks write files that nobody sees and report them; one transaction of the catalog makes them
//! part of their tables. Where anything fails before that, nothing has happened; the files of lost attempts
//! are removed at once, others are swept later (`VACUUM`).

use super::Coordinator;
use crate::query::QueryHandle;
use crate::session::Session;
use crate::statement::{
    CreateTable, PartitionSpec, SORT_PROPERTY, file_bytes_target, file_options, new_managed_table,
};
use datafusion::scalar::ScalarValue;
use datafusion::sql::parser::Statement as DataFusionStatement;
use skep_catalog::catalog::{
    ColumnSpec, NewFile, TableWrite, WRITTEN_FILE_PREFIX, WriteCommit, WriteMode,
    WriteTarget as CommitTarget,
};
use skep_catalog::discovery::{DataFileSource, describe_files};
use skep_catalog::model::TableDefinition;
use skep_planner::{PlanningContext, ResolvedQuery, TargetColumn, WriteTarget, stored_type};
use skep_protocol::{ErrorCode, QueryError, QueryId};
use skep_writer::{SortColumn, WriteColumn, WriteSpec, WrittenFile};
use std::sync::Arc;

impl Coordinator {
    /// Runs `CREATE TABLE … AS`; returns how many rows the table has.
    pub(super) async fn create_table_as(
        self: &Arc<Self>,
        session: &Session,
        handle: &QueryHandle,
        create: CreateTable,
        source: &DataFusionStatement,
        parameters: Vec<ScalarValue>,
    ) -> Result<u64, QueryError> {
        if create.external {
            let what = "CREATE EXTERNAL TABLE … AS";
            return Err(crate::statement::unsupported(what));
        }
        let catalog = self.catalog_for_new(session, &create).await?;
        let _place = self.admission.admit().await?;
        handle.admitted();
        let (context, source) = self.resolve(session, handle, source).await?;
        let source = source.bind(parameters)?;
        let columns = query_columns(&source)?;
        let listed = columns.iter().map(|column| column.name.clone()).collect();
        let database = self.database_of(session, &create.name);
        let new = new_managed_table(session, database, &create, columns)?;
        let Some(definition) = catalog.plan_managed_table(&new).await? else {
            return Ok(0);
        };
        let target = write_target(&definition, handle.id(), &Vec::new(), listed, false)?;
        let written = self
            .run_write(&context, source, target, &definition, handle)
            .await?;
        let commit = WriteCommit {
            tables: vec![TableWrite {
                target: CommitTarget::New {
                    definition: Box::new(definition),
                    if_not_exists: create.if_not_exists,
                    replaces: None,
                },
                mode: WriteMode::Append,
                files: written.files,
                reads_target: false,
            }],
        };
        self.commit(session, catalog, handle, commit).await?;
        Ok(written.rows)
    }

    /// Writes the rows of `source` into files of a table; nobody sees them yet.
    pub(super) async fn run_write(
        &self,
        context: &PlanningContext,
        source: ResolvedQuery,
        target: WriteTarget,
        definition: &TableDefinition,
        handle: &QueryHandle,
    ) -> Result<Written, QueryError> {
        let reports = self.write_files(context, source, target, handle).await?;
        self.described(definition, reports).await
    }

    /// What was written, as it goes into the catalog.
    pub(super) async fn described(
        &self,
        definition: &TableDefinition,
        reports: Vec<WrittenFile>,
    ) -> Result<Written, QueryError> {
        let rows = reports.iter().map(|file| file.rows).sum();
        let store = self.object_store(&definition.location)?;
        let files = describe(&store, definition, reports).await?;
        Ok(Written { files, rows })
    }
}

/// What has been written.
pub(super) struct Written {
    pub(super) files: Vec<NewFile>,
    pub(super) rows: u64,
}

/// Asks the storage about the files, and checks that it has what was written.
async fn describe(
    store: &Arc<dyn object_store::ObjectStore>,
    definition: &TableDefinition,
    reports: Vec<WrittenFile>,
) -> Result<Vec<NewFile>, QueryError> {
    let written: Vec<DataFileSource> = reports
        .iter()
        .map(|report| DataFileSource {
            path: report.path.clone(),
            rows: Some(report.rows),
        })
        .collect();
    let described = describe_files(store, definition.format, &definition.columns, &written).await?;
    described
        .into_iter()
        .zip(reports)
        .map(|(file, report)| {
            let is_same = file.size_bytes == report.size_bytes
                && file.rows.is_none_or(|rows| rows == report.rows);
            match is_same {
                true => Ok(NewFile {
                    partition: report.partition_values,
                    file,
                }),
                false => {
                    let text = format!("{} is not what was written", report.path);
                    Err(QueryError::new(ErrorCode::DataCorrupt, text))
                }
            }
        })
        .collect()
}

pub(super) fn fixed(partition: &PartitionSpec, name: &str) -> Option<Option<String>> {
    let found = partition.iter().find(|(column, _)| column == name);
    found.and_then(|(_, value)| value.clone())
}

pub(super) fn write_target(
    definition: &TableDefinition,
    query: &QueryId,
    partition: &PartitionSpec,
    listed: Vec<String>,
    is_one_partition: bool,
) -> Result<WriteTarget, QueryError> {
    let stored = definition.columns.iter().map(|column| TargetColumn {
        name: column.name.clone(),
        data_type: column.data_type.clone(),
        nullable: column.nullable,
        fixed: None,
        digits: column.sql_type.as_deref().and_then(digits),
    });
    let partitioning = definition
        .partition_columns
        .iter()
        .map(|column| TargetColumn {
            name: column.name.clone(),
            data_type: column.data_type.clone(),
            nullable: true,
            fixed: fixed(partition, &column.name),
            digits: None,
        });
    let spec = WriteSpec {
        store_url: definition.location.store_url(),
        directory: definition.location.key().trim_matches('/').to_owned(),
        file_prefix: format!("{WRITTEN_FILE_PREFIX}{query}"),
        columns: definition
            .columns
            .iter()
            .map(|column| WriteColumn {
                name: column.source_name.clone(),
                label: column.name.clone(),
                nullable: column.nullable,
                length_max: column.sql_type.as_deref().and_then(length_max),
            })
            .collect(),
        partition_columns: definition
            .partition_columns
            .iter()
            .map(|column| column.name.clone())
            .collect(),
        is_one_partition: is_one_partition || definition.partition_columns.is_empty(),
        is_one_file: false,
        sort_columns: sort_columns(definition)?,
        file_bytes_target: file_bytes_target(&definition.properties)?,
        format: file_options(definition)?,
    };
    Ok(WriteTarget {
        table: format!("{}.{}", definition.database, definition.name),
        columns: stored.chain(partitioning).collect(),
        listed: listed
            .into_iter()
            .map(|name: String| name.to_lowercase())
            .collect(),
        spec,
    })
}

/// The length of `varchar(n)`, `char(n)` and `varbinary(n)`.
fn length_max(sql_type: &str) -> Option<usize> {
    let (name, rest) = sql_type.split_once('(')?;
    let has_length = matches!(name, "varchar" | "char" | "varbinary");
    has_length.then(|| rest.trim_end_matches(')').parse().ok())?
}

/// How many digits of a second the values of `timestamp(n)` and `time(n)` have.
fn digits(sql_type: &str) -> Option<u8> {
    let (name, rest) = sql_type.split_once('(')?;
    let (digits, _) = rest.split_once(')')?;
    let has_digits = matches!(name, "timestamp" | "time");
    has_digits.then(|| digits.parse().ok())?
}

/// By what files are sorted: the table's property, or SORTED BY.
fn sort_columns(definition: &TableDefinition) -> Result<Vec<SortColumn>, QueryError> {
    let index_of = |name: &str| {
        let found = definition
            .columns
            .iter()
            .position(|column| column.name == name);
        found.ok_or_else(|| {
            let text = format!("'{SORT_PROPERTY}' names no column with '{name}'");
            QueryError::new(ErrorCode::ColumnNotFound, text)
        })
    };
    if let Some(property) = definition.properties.get(SORT_PROPERTY) {
        let sorted = property.split(',').map(|column| {
            let mut words = column.split_whitespace();
            let name = words.next().unwrap_or_default().to_lowercase();
            let descending = match words.next().map(str::to_lowercase).as_deref() {
                None | Some("asc") => false,
                Some("desc") => true,
                Some(other) => {
                    let text = format!("'{SORT_PROPERTY}' takes ASC or DESC, not '{other}'");
                    return Err(QueryError::new(ErrorCode::InvalidSetting, text));
                }
            };
            Ok(SortColumn {
                index: index_of(&name)?,
                descending,
            })
        });
        return sorted.collect();
    }
    let bucketing = definition.bucketing.iter();
    let sorted = bucketing.flat_map(|bucketing| &bucketing.sorted_by);
    Ok(sorted
        .filter_map(|sorted| {
            let index = definition
                .columns
                .iter()
                .position(|column| column.id == sorted.column)?;
            Some(SortColumn {
                index,
                descending: sorted.descending,
            })
        })
        .collect())
}

/// A query's columns as those of a table.
pub(super) fn query_columns(source: &ResolvedQuery) -> Result<Vec<ColumnSpec>, QueryError> {
    let schema = source.schema();
    let column = |field: &Arc<arrow::datatypes::Field>| {
        Ok(ColumnSpec {
            name: field.name().to_lowercase(),
            data_type: stored_type(field.name(), field.data_type())?,
            sql_type: None,
            nullable: true,
            comment: None,
        })
    };
    schema.fields().iter().map(column).collect()
}
