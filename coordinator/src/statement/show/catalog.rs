//! What the catalog has: names, columns, partitions.

use super::{is_like, text};
use crate::engine::Coordinator;
use crate::session::Session;
use crate::statement::{PartitionSpec, TableName};
use arrow::array::ArrayRef;
use skep_catalog::Relation;
use skep_catalog::model::{DataFile, Table, TableDefinition};
use skep_protocol::{ErrorCode, QueryError, partition_path};
use skep_runtime::sql_type::sql_type;
use std::sync::Arc;

pub(super) fn databases(
    engine: &Coordinator,
    session: &Session,
    like: Option<&str>,
) -> Vec<ArrayRef> {
    let snapshot = engine.session_catalog(session);
    let names = snapshot.databases().map(|database| database.name.clone());
    vec![text(names.filter(|name| is_like(name, like)).map(Some))]
}

/// The tables and views of a database; only the views where `views_only` is set.
pub(super) fn relations(
    engine: &Coordinator,
    session: &Session,
    database: &str,
    like: Option<&str>,
    views_only: bool,
) -> Result<Vec<ArrayRef>, QueryError> {
    let snapshot = engine.session_catalog(session);
    let mut shown = Vec::new();
    for (relation, is_temporary) in snapshot.relations(database)? {
        let (name, kind) = match relation {
            Relation::Table(table) if is_temporary => (&table.definition.name, "TEMPORARY"),
            Relation::Table(table) => (&table.definition.name, table.definition.kind.as_str()),
            Relation::View(view) if is_temporary => (&view.definition.name, "TEMPORARY VIEW"),
            Relation::View(view) => (&view.definition.name, "VIEW"),
        };
        if is_like(name, like) && (!views_only || matches!(relation, Relation::View(_))) {
            shown.push((name.clone(), kind));
        }
    }
    let database = snapshot.database(database)?.name.clone();
    Ok(vec![
        text(shown.iter().map(|_| Some(database.clone()))),
        text(shown.iter().map(|(name, _)| Some(name.clone()))),
        text(shown.iter().map(|(_, kind)| Some((*kind).to_owned()))),
    ])
}

/// A column as DESCRIBE shows it.
pub(super) struct ShownColumn {
    pub(super) name: String,
    pub(super) sql_type: String,
    pub(super) nullable: bool,
    pub(super) is_partition: bool,
    pub(super) comment: Option<String>,
}

/// The columns of a table, those of its partitions last.
pub(super) fn columns_of(definition: &TableDefinition) -> Vec<ShownColumn> {
    let name_of = |data_type, written: &Option<String>| match written {
        Some(name) => name.clone(),
        None => sql_type(data_type),
    };
    let stored = definition.columns.iter().map(|column| ShownColumn {
        name: column.name.clone(),
        sql_type: name_of(&column.data_type, &column.sql_type),
        nullable: column.nullable,
        is_partition: false,
        comment: column.comment.clone(),
    });
    let partitioning = definition
        .partition_columns
        .iter()
        .map(|column| ShownColumn {
            name: column.name.clone(),
            sql_type: name_of(&column.data_type, &column.sql_type),
            nullable: true,
            is_partition: true,
            comment: column.comment.clone(),
        });
    stored.chain(partitioning).collect()
}

/// The columns of a table or a view.
pub(super) async fn columns(
    engine: &Coordinator,
    session: &Session,
    name: &TableName,
) -> Result<Vec<ShownColumn>, QueryError> {
    let snapshot = engine.session_catalog(session);
    let database = engine.database_of(session, name);
    let relation = snapshot.relation(&database, &name.table)?;
    match relation {
        Relation::Table(table) => {
            let shown = snapshot.shown(relation);
            let mut columns = columns_of(&table.definition);
            columns.retain(|column| shown.has(&column.name));
            Ok(columns)
        }
        Relation::View(view) => {
            let sql = format!("SELECT * FROM `{database}`.`{}`", name.table);
            let schema = engine.describe(session, &sql).await?.schema;
            let comment = |index: usize| view.definition.columns.get(index)?.comment.clone();
            let fields = schema.fields().iter().enumerate();
            Ok(fields
                .map(|(index, field)| ShownColumn {
                    name: field.name().clone(),
                    sql_type: sql_type(field.data_type()),
                    nullable: true,
                    is_partition: false,
                    comment: comment(index),
                })
                .collect())
        }
    }
}

/// The rows of `DESCRIBE`.
pub(super) fn describe(columns: &[ShownColumn]) -> Vec<ArrayRef> {
    let yes_no = |yes: bool| Some(if yes { "YES" } else { "NO" }.to_owned());
    let all = || columns.iter();
    vec![
        text(all().map(|column| Some(column.name.clone()))),
        text(all().map(|column| Some(column.sql_type.clone()))),
        text(all().map(|column| yes_no(column.nullable))),
        text(all().map(|column| yes_no(column.is_partition))),
        text(all().map(|column| column.comment.clone())),
    ]
}

/// The error of a name that is not one of a table's columns.
pub(super) fn no_column(table: &TableName, column: &str) -> QueryError {
    let text = format!("table '{}' has no column '{column}'", table.table);
    QueryError::new(ErrorCode::ColumnNotFound, text)
}

pub(super) fn rows_of(file: &DataFile) -> u64 {
    file.rows.unwrap_or(0)
}

/// Whether a statement names partition columns of the table alone.
pub(crate) fn check_names(table: &Arc<Table>, wanted: &PartitionSpec) -> Result<(), QueryError> {
    for (name, _) in wanted {
        if table.definition.partition_column_index(name).is_none() {
            let text = format!(
                "table '{}' has no partition column '{name}'",
                table.definition.name
            );
            return Err(QueryError::new(ErrorCode::ColumnNotFound, text));
        }
    }
    Ok(())
}

/// Whether a partition has the values that a statement gives.
pub(super) fn is_wanted(
    definition: &TableDefinition,
    values: &[Option<String>],
    wanted: &PartitionSpec,
) -> bool {
    wanted.iter().all(|(name, value)| {
        let index = definition.partition_column_index(name);
        match (index.and_then(|index| values.get(index)), value) {
            (Some(found), Some(value)) => found == value,
            _ => true,
        }
    })
}

/// `ds=2024-01-01/hr=1`, as Hive names partitions: values as in their directories.
pub(super) fn partition_name(definition: &TableDefinition, values: &[Option<String>]) -> String {
    let names = definition.partition_columns.iter();
    let names = names.map(|column| column.name.as_str());
    partition_path::directory(names.zip(values.iter().map(Option::as_deref)))
}
