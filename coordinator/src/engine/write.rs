//! Statements that write rows: plan, run on all executors, then make everything visible at once.
//!
//! The tasks write files that nobody sees and report them; one transaction of the catalog makes them
//! part of their tables. Where anything fails before that, nothing has happened, and the files are
//! swept later (`VACUUM`).

use super::Inner;
use crate::planning::{
    PlanningContext, ResolvedQuery, TargetColumn, WriteTarget, parameter_schema, stored_type,
    wrong_count,
};
use crate::query::QueryHandle;
use crate::results;
use crate::session::Session;
use crate::statement::{
    CreateTable, Insert, PartitionSpec, SORT_PROPERTY, file_bytes_target, file_options,
    new_managed_table,
};
use arrow::datatypes::SchemaRef;
use datafusion::scalar::ScalarValue;
use datafusion::sql::parser::Statement as DataFusionStatement;
use skep_catalog::Catalog;
use skep_catalog::catalog::{
    ColumnSpec, NewFile, TableWrite, WRITTEN_FILE_PREFIX, WriteCommit, WriteMode,
    WriteTarget as CommitTarget,
};
use skep_catalog::discovery::{WrittenFile as Described, describe_files};
use skep_catalog::model::{Table, TableDefinition};
use skep_protocol::{ErrorCode, QueryError, QueryId};
use skep_writer::{SortColumn, WriteColumn, WriteSpec, WrittenFile};
use std::sync::Arc;

/// The rows of a partition that a write replaces, or of the whole table.
struct Replaced {
    mode: WriteMode,
    /// Whether the partition is known before the first row is.
    is_one_partition: bool,
}

/// One INSERT, with all names resolved.
struct ResolvedInsert {
    insert: Insert,
    context: PlanningContext,
    source: ResolvedQuery,
    table: Arc<Table>,
    replaced: Replaced,
    target: WriteTarget,
}

/// Puts values in place of the parameters that the statements have together. There may be several rows of
/// them where the only statement has a list of rows.
fn bind(inserts: &mut Vec<ResolvedInsert>, values: &[ScalarValue]) -> Result<(), QueryError> {
    let schema = parameter_schema(inserts.iter().map(|insert| &insert.source))?;
    let count = schema.fields().len();
    let is_one = inserts.len() == 1;
    let bound = std::mem::take(inserts).into_iter().map(|insert| {
        let source = match values.len() == count {
            true => insert.source.with_values(values)?,
            false if is_one => insert.source.with_rows(values, count)?,
            false => return Err(wrong_count(count, values.len())),
        };
        Ok(ResolvedInsert { source, ..insert })
    });
    *inserts = bound.collect::<Result<_, _>>()?;
    Ok(())
}

impl Inner {
    /// Runs INSERT statements that have one snapshot and one commit; returns how many rows were
    /// written.
    pub(super) async fn insert(
        &self,
        session: &Session,
        handle: &QueryHandle,
        inserts: Vec<Insert>,
        parameters: &[ScalarValue],
    ) -> Result<u64, QueryError> {
        let _place = self.admission.admit().await?;
        handle.admitted();
        let mut commit = WriteCommit { tables: Vec::new() };
        let mut rows = 0;
        let catalog = self.catalog_of_all(session, &inserts)?;
        let mut resolved = Vec::new();
        for insert in inserts {
            let source = self.resolve(session, handle, &insert.source.statement);
            let source = source.await?;
            resolved.push(self.resolved_insert(session, handle.id(), insert, source)?);
        }
        bind(&mut resolved, parameters)?;
        for insert in resolved {
            let written = self.insert_one(handle, insert).await?;
            let Some((write, count)) = written else {
                continue;
            };
            add_write(&mut commit.tables, write)?;
            rows += count;
        }
        self.commit(catalog, handle, &commit).await?;
        Ok(rows)
    }

    /// The one catalog that all the tables are in.
    fn catalog_of_all<'a>(
        &'a self,
        session: &'a Session,
        inserts: &[Insert],
    ) -> Result<&'a Catalog, QueryError> {
        let mut catalogs = inserts.iter().map(|insert| {
            let database = self.database_of(session, &insert.table);
            self.catalog_of(session, &database, &insert.table.table)
        });
        let first = catalogs.next().unwrap_or(&self.catalog);
        match catalogs.all(|other| std::ptr::eq(first, other)) {
            true => Ok(first),
            false => {
                let text = "one statement cannot write into temporary tables and others";
                Err(QueryError::new(ErrorCode::Semantic, text))
            }
        }
    }

    /// The parameters of INSERT statements, and whether one run takes any number of rows of them.
    pub(super) async fn insert_parameters(
        &self,
        session: &Session,
        query: &QueryId,
        inserts: Vec<Insert>,
    ) -> Result<(SchemaRef, bool), QueryError> {
        let mut resolved = Vec::new();
        for insert in inserts {
            let context = self.planning_context(session, query);
            let source = context.resolve(&insert.source.statement).await?;
            resolved.push(self.resolved_insert(session, query, insert, (context, source))?);
        }
        let schema = parameter_schema(resolved.iter().map(|insert| &insert.source))?;
        let takes_rows = match resolved.as_slice() {
            [insert] => insert.source.is_row_list() && !schema.fields().is_empty(),
            _ => false,
        };
        Ok((schema, takes_rows))
    }

    fn resolved_insert(
        &self,
        session: &Session,
        query: &QueryId,
        insert: Insert,
        (context, source): (PlanningContext, ResolvedQuery),
    ) -> Result<ResolvedInsert, QueryError> {
        let database = self.database_of(session, &insert.table);
        let table = Arc::clone(context.catalog.table(&database, &insert.table.table)?);
        let definition = &table.definition;
        let replaced = replaced(definition, &insert)?;
        let target = write_target(
            definition,
            query,
            &insert.partition,
            insert.columns.clone(),
            replaced.is_one_partition,
        )?;
        let source = source.typed_by(&target.taken_types()?)?;
        Ok(ResolvedInsert {
            insert,
            context,
            source,
            table,
            replaced,
            target,
        })
    }

    /// Writes the rows of one INSERT; `None` where there is nothing to do.
    async fn insert_one(
        &self,
        handle: &QueryHandle,
        resolved: ResolvedInsert,
    ) -> Result<Option<(TableWrite, u64)>, QueryError> {
        let ResolvedInsert {
            insert,
            context,
            source,
            table,
            replaced,
            target,
        } = resolved;
        let definition = &table.definition;
        if insert.if_not_exists && has_partition(&context, &table, &replaced.mode).await? {
            return Ok(None);
        }
        let reads_target = source.reads(&definition.database, &definition.name);
        let written = self
            .run_write(&context, source, target, definition, handle)
            .await?;
        let rows = written.rows;
        let write = TableWrite {
            target: CommitTarget::Existing(table),
            reads_target: reads_target && insert.overwrite,
            mode: replaced.mode,
            files: written.files,
        };
        Ok(Some((write, rows)))
    }

    /// Runs `CREATE TABLE … AS`; returns how many rows the table has.
    pub(super) async fn create_table_as(
        &self,
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
        self.commit(catalog, handle, &commit).await?;
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
        let write = context.write(source, target)?;
        let run = self.plan_run(context, write, handle).await?;
        let reports = results::collect_written(&run, handle, &self.threads.compute).await?;
        drop(run);
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
    let written: Vec<Described> = reports
        .iter()
        .map(|report| Described {
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

/// Adds a write to those of the same statement: two that append to one table become one.
fn add_write(writes: &mut Vec<TableWrite>, write: TableWrite) -> Result<(), QueryError> {
    let id = |write: &TableWrite| match &write.target {
        CommitTarget::Existing(table) => Some(table.id),
        CommitTarget::New { .. } => None,
    };
    let same = writes.iter_mut().find(|found| id(found) == id(&write));
    let Some(same) = same else {
        writes.push(write);
        return Ok(());
    };
    match (&mut same.mode, write.mode) {
        (WriteMode::Append, WriteMode::Append)
        | (WriteMode::OverwriteDynamic, WriteMode::OverwriteDynamic) => {}
        (
            WriteMode::OverwritePartitions {
                partitions,
                if_not_exists: false,
            },
            WriteMode::OverwritePartitions {
                partitions: more,
                if_not_exists: false,
            },
        ) => partitions.extend(more),
        _ => {
            let text = "one statement writes into one table in one way: append, overwrite the whole, \
                        or overwrite partitions";
            return Err(QueryError::new(ErrorCode::Semantic, text));
        }
    }
    same.files.extend(write.files);
    Ok(())
}

fn replaced(definition: &TableDefinition, insert: &Insert) -> Result<Replaced, QueryError> {
    check_partition(definition, &insert.partition)?;
    let values: Option<Vec<Option<String>>> = definition
        .partition_columns
        .iter()
        .map(|column| fixed(&insert.partition, &column.name))
        .collect();
    let is_partitioned = !definition.partition_columns.is_empty();
    let mode = match (insert.overwrite, values.clone()) {
        (false, _) if insert.if_not_exists => {
            let text = "IF NOT EXISTS goes with INSERT OVERWRITE";
            return Err(QueryError::new(ErrorCode::Semantic, text));
        }
        (false, _) => WriteMode::Append,
        (true, Some(values)) if is_partitioned => WriteMode::OverwritePartitions {
            partitions: vec![values],
            if_not_exists: insert.if_not_exists,
        },
        (true, _) if insert.if_not_exists => {
            let text = "IF NOT EXISTS needs a value for each partition column";
            return Err(QueryError::new(ErrorCode::Semantic, text));
        }
        (true, _) if is_partitioned => WriteMode::OverwriteDynamic,
        (true, _) => WriteMode::OverwriteTable,
    };
    Ok(Replaced {
        mode,
        is_one_partition: values.is_some(),
    })
}

/// PARTITION names partition columns, each once.
fn check_partition(
    definition: &TableDefinition,
    partition: &PartitionSpec,
) -> Result<(), QueryError> {
    let mut seen = Vec::new();
    for (name, _) in partition {
        if definition.partition_column_index(name).is_none() {
            let text = format!(
                "table {}.{} has no partition column '{name}'",
                definition.database, definition.name
            );
            return Err(QueryError::new(ErrorCode::ColumnNotFound, text));
        }
        if seen.contains(&name) {
            let text = format!("partition column '{name}' is there twice");
            return Err(QueryError::new(ErrorCode::Semantic, text));
        }
        seen.push(name);
    }
    Ok(())
}

fn fixed(partition: &PartitionSpec, name: &str) -> Option<Option<String>> {
    let found = partition.iter().find(|(column, _)| column == name);
    found.and_then(|(_, value)| value.clone())
}

async fn has_partition(
    context: &PlanningContext,
    table: &Table,
    mode: &WriteMode,
) -> Result<bool, QueryError> {
    let WriteMode::OverwritePartitions { partitions, .. } = mode else {
        return Ok(false);
    };
    let definition = &table.definition;
    let snapshot = context
        .catalog
        .owner(&definition.database, &definition.name);
    let known = snapshot.table_partitions(table).await?;
    let mut known = known.iter();
    Ok(known.any(|partition| partitions.contains(&partition.values)))
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
    });
    let partitioning = definition
        .partition_columns
        .iter()
        .map(|column| TargetColumn {
            name: column.name.clone(),
            data_type: column.data_type.clone(),
            nullable: true,
            fixed: fixed(partition, &column.name),
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

/// The length of `varchar(n)` and `char(n)`.
fn length_max(sql_type: &str) -> Option<usize> {
    let (name, rest) = sql_type.split_once('(')?;
    let is_text = matches!(name, "varchar" | "char");
    is_text.then(|| rest.trim_end_matches(')').parse().ok())?
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
