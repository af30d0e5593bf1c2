//! `information_schema.columns`.

use super::InformationSchema;
use super::rows::Rows;
use crate::resolution::snapshot_catalog::ViewKey;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::error::Result;
use skep_catalog::Relation;
use skep_catalog::model::{TableDefinition, ViewDefinition};
use skep_catalog::rights::Readable;
use skep_runtime::sql_type::sql_type;

/// A column to be shown.
struct Shown<'a> {
    database: &'a str,
    table: &'a str,
    name: &'a str,
    position: u64,
    nullable: bool,
    data_type: &'a DataType,
    sql_type: Option<&'a str>,
    comment: Option<&'a str>,
    is_partition: bool,
}

pub(super) fn columns(schema: &InformationSchema) -> Result<RecordBatch> {
    let mut rows = Rows::new(&[
        "table_catalog",
        "table_schema",
        "table_name",
        "column_name",
        "column_default",
        "is_nullable",
        "data_type",
        "comment",
        "is_partition_column",
    ])
    .with_numbers(&[
        "ordinal_position",
        "character_maximum_length",
        "numeric_precision",
        "numeric_precision_radix",
        "numeric_scale",
        "datetime_precision",
    ]);
    for relation in schema.relations() {
        let shown = schema.snapshot.shown(relation);
        match relation {
            Relation::Table(table) => add_table(&mut rows, schema, &table.definition, shown),
            Relation::View(view) => add_view(&mut rows, schema, &view.definition, shown),
        }
    }
    rows.finish()
}

fn add_table(
    rows: &mut Rows,
    schema: &InformationSchema,
    definition: &TableDefinition,
    shown: Readable<'_>,
) {
    let stored = definition.columns.iter().map(|column| Shown {
        database: &definition.database,
        table: &definition.name,
        name: &column.name,
        position: 0,
        nullable: column.nullable,
        data_type: &column.data_type,
        sql_type: column.sql_type.as_deref(),
        comment: column.comment.as_deref(),
        is_partition: false,
    });
    let partitioning = definition.partition_columns.iter().map(|column| Shown {
        database: &definition.database,
        table: &definition.name,
        name: &column.name,
        position: 0,
        nullable: true,
        data_type: &column.data_type,
        sql_type: column.sql_type.as_deref(),
        comment: column.comment.as_deref(),
        is_partition: true,
    });
    let columns = stored.chain(partitioning);
    let columns = columns.filter(|column| shown.has(column.name));
    for (position, column) in (1..).zip(columns) {
        add(rows, schema, &Shown { position, ..column });
    }
}

/// A view whose query makes no sense any more has no columns.
fn add_view(
    rows: &mut Rows,
    schema: &InformationSchema,
    definition: &ViewDefinition,
    shown: Readable<'_>,
) {
    let key = ViewKey::new(&schema.snapshot, &definition.database, &definition.name);
    let Some(planned) = schema.views.get(&key) else {
        return;
    };
    let mut position = 0;
    for (index, field) in planned.schema().fields().iter().enumerate() {
        if !shown.has(&field.name().to_lowercase()) {
            continue;
        }
        position += 1;
        let comment = definition.columns.get(index);
        let column = Shown {
            database: &definition.database,
            table: &definition.name,
            name: field.name(),
            position,
            nullable: true,
            data_type: field.data_type(),
            sql_type: None,
            comment: comment.and_then(|column| column.comment.as_deref()),
            is_partition: false,
        };
        add(rows, schema, &column);
    }
}

fn add(rows: &mut Rows, schema: &InformationSchema, column: &Shown) {
    let yes_no = |yes: bool| if yes { "YES" } else { "NO" };
    let type_name = match column.sql_type {
        Some(name) => name.to_owned(),
        None => sql_type(column.data_type),
    };
    let length = type_name
        .split_once('(')
        .filter(|(name, _)| matches!(*name, "varchar" | "char"))
        .and_then(|(_, rest)| rest.trim_end_matches(')').parse().ok());
    let (precision, radix, scale) = numeric(column.data_type);
    rows.text(schema.catalog_name)
        .text(column.database)
        .text(column.table)
        .text(column.name)
        .maybe(None)
        .text(yes_no(column.nullable))
        .text(&type_name)
        .maybe(column.comment)
        .text(yes_no(column.is_partition))
        .number(Some(column.position))
        .number(length)
        .number(precision)
        .number(radix)
        .number(scale)
        .number(datetime_precision(column.data_type));
}

/// Precision, its radix, and scale.
fn numeric(data_type: &DataType) -> (Option<u64>, Option<u64>, Option<u64>) {
    let binary = |bits: u64| (Some(bits), Some(2), Some(0));
    match data_type {
        DataType::Int8 => binary(8),
        DataType::Int16 => binary(16),
        DataType::Int32 => binary(32),
        DataType::Int64 => binary(64),
        DataType::Float32 => (Some(24), Some(2), None),
        DataType::Float64 => (Some(53), Some(2), None),
        DataType::Decimal128(precision, scale) => (
            Some(u64::from(*precision)),
            Some(10),
            u64::try_from(*scale).ok(),
        ),
        _ => (None, None, None),
    }
}

fn datetime_precision(data_type: &DataType) -> Option<u64> {
    match data_type {
        DataType::Date32 => Some(0),
        DataType::Timestamp(TimeUnit::Second, _) => Some(0),
        DataType::Timestamp(TimeUnit::Millisecond, _) => Some(3),
        DataType::Timestamp(TimeUnit::Microsecond, _) => Some(6),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => Some(9),
        _ => None,
    }
}
