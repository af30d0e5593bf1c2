//! `INSERT`: all names and parameters first, then the rows, then one commit for all of the statement's tables.

use super::Coordinator;
use super::write::{fixed, write_target};
use crate::query::QueryHandle;
use crate::session::Session;
use crate::statement::{Insert, PartitionSpec};
use arrow::datatypes::SchemaRef;
use datafusion::scalar::ScalarValue;
use skep_catalog::Catalog;
use skep_catalog::catalog::{TableWrite, WriteCommit, WriteMode, WriteTarget as CommitTarget};
use skep_catalog::model::{Table, TableDefinition};
use skep_planner::{PlanningContext, ResolvedQuery, WriteTarget, parameter_schema, wrong_count};
use skep_protocol::{ErrorCode, QueryError, QueryId};
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

impl Coordinator {
    /// Runs INSERT statements that have one snapshot and one commit; returns how many rows were
    /// written.
    pub(super) async fn insert(
        self: &Arc<Self>,
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
        let snapshot = self.planning_context(session, handle.id());
        for insert in inserts {
            // Every source reads the same snapshot, and is watched by itself.
            let context = PlanningContext {
                monitor: Arc::default(),
                ..snapshot.clone()
            };
            let source = self.resolve_in(context, &insert.source.statement).await?;
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
        self.commit(session, catalog, handle, commit).await?;
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
