//! `ANALYZE TABLE`: counts what files do not say, by a query, and has the catalog keep it for planning.

use super::Coordinator;
use crate::query::QueryHandle;
use crate::results;
use crate::session::Session;
use crate::statement::show::check_partition_names;
use crate::statement::{
    AnalyzeTable, AnalyzedColumns, Dialect, ParseOptions, PartitionSpec, Statement, parse,
};
use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Float64Type, Int64Type, UInt64Type};
use arrow::record_batch::RecordBatch;
use chrono::Utc;
use datafusion::scalar::ScalarValue;
use skep_catalog::catalog::TableChange;
use skep_catalog::model::{
    BoundValue, Column, ColumnSummary, SUMMARY_PROPERTY, Table, TableDefinition, TableSummary,
};
use skep_protocol::{ErrorCode, QueryError};
use skep_runtime::sql_type::sql_type;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

/// How many columns one statement looks at: each takes five aggregates.
const COLUMNS_MAX: usize = 500;

/// How long a bound may be, in bytes. It serves estimates alone.
const BOUND_BYTES_MAX: usize = 64;

impl Coordinator {
    /// Runs `ANALYZE TABLE`.
    pub(super) async fn analyze(
        &self,
        session: &Session,
        handle: &QueryHandle,
        analyze: AnalyzeTable,
    ) -> Result<(), QueryError> {
        let database = self.database_of(session, &analyze.name);
        let name = &analyze.name.table;
        let catalog = self.catalog_of(session, &database, name);
        let snapshot = catalog.snapshot();
        let table = Arc::clone(snapshot.table(&database, name)?);
        check_partition_names(&table, &analyze.partition)?;
        let columns = columns_of(&table.definition, &analyze.columns)?;
        let known_rows = snapshot.table_files(&table).await?.rows();
        let found = match analyze.columns {
            AnalyzedColumns::Unread => {
                handle.admitted();
                None
            }
            _ => {
                let sql = query(&table, &columns, &analyze.partition);
                let batch = self.one_row(session, handle, &sql).await?;
                Some(summary_of(&batch, &columns)?)
            }
        };
        let before = table.definition.summary();
        let counted = |found: &TableSummary| found.rows;
        let rows = match (&found, known_rows) {
            (_, Some(rows)) => rows,
            (Some(found), None) if analyze.partition.is_empty() => counted(found),
            (_, None) => before.as_ref().map(counted).ok_or_else(|| {
                let text = format!(
                    "the files of '{name}' do not say how many rows they have; \
                     ANALYZE TABLE without NOSCAN and PARTITION counts them"
                );
                QueryError::new(ErrorCode::Unsupported, text)
            })?,
        };
        let now = TableSummary {
            rows,
            at: Utc::now(),
            columns: found.map_or_else(Vec::new, |found| found.columns),
        };
        let summary = match analyze.partition.is_empty() {
            true => now.merged_with(before),
            false => now.extending(before),
        };
        let property = summary.to_property();
        let property = property.map_err(|error| QueryError::internal(error.to_string()))?;
        let properties = BTreeMap::from([(SUMMARY_PROPERTY.to_owned(), property)]);
        catalog
            .alter_table(&database, name, TableChange::SetProperties(properties))
            .await?;
        Ok(())
    }

    /// The row of a query that has one.
    async fn one_row(
        &self,
        session: &Session,
        handle: &QueryHandle,
        sql: &str,
    ) -> Result<RecordBatch, QueryError> {
        let _place = self.admission.admit().await?;
        handle.admitted();
        let options = ParseOptions {
            bytes_max: usize::MAX,
            dialect: Dialect::Standard,
        };
        let Statement::Query(statement) = parse(sql, options)? else {
            return Err(QueryError::internal("what counts is no query"));
        };
        let (context, resolved) = self.resolve(session, handle, &statement).await?;
        let run = self.plan_run(&context, resolved, handle).await?;
        let batches = results::collect(&run, handle, &self.threads.compute).await?;
        let mut batches = batches.into_iter().filter(|batch| batch.num_rows() > 0);
        batches
            .next()
            .ok_or_else(|| QueryError::internal("what counts has no row"))
    }
}

/// The columns that are to be looked at. Of those within others nothing is counted.
fn columns_of(
    definition: &TableDefinition,
    wanted: &AnalyzedColumns,
) -> Result<Vec<Column>, QueryError> {
    let columns: Vec<Column> = match wanted {
        AnalyzedColumns::Unread | AnalyzedColumns::Counted => Vec::new(),
        AnalyzedColumns::All => {
            let columns = definition.columns.iter();
            let columns = columns.filter(|column| !column.data_type.is_nested());
            columns.cloned().collect()
        }
        AnalyzedColumns::Named(names) => {
            let columns = names.iter().filter_map(|name| {
                // What there is to know of partition columns is known.
                if definition.partition_column_index(name).is_some() {
                    return None;
                }
                Some(definition.column(name).cloned().ok_or_else(|| {
                    let text = format!("table '{}' has no column '{name}'", definition.name);
                    QueryError::new(ErrorCode::ColumnNotFound, text)
                }))
            });
            columns.collect::<Result<_, _>>()?
        }
    };
    if let Some(nested) = columns.iter().find(|column| column.data_type.is_nested()) {
        let text = format!(
            "statistics of '{}', whose values are made of others",
            nested.name
        );
        return Err(QueryError::new(ErrorCode::Unsupported, text));
    }
    if columns.len() > COLUMNS_MAX {
        let text = format!(
            "{} columns are more than the {COLUMNS_MAX} that are analysed at a time; name them",
            columns.len()
        );
        return Err(QueryError::new(ErrorCode::Unsupported, text));
    }
    Ok(columns)
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The query that counts.
fn query(table: &Table, columns: &[Column], partition: &PartitionSpec) -> String {
    let definition = &table.definition;
    let mut sql = "SELECT count(*) AS c".to_owned();
    for (number, column) in columns.iter().enumerate() {
        let name = quoted(&column.name);
        let length = match is_text(&column.data_type) {
            true => format!("avg(CAST(octet_length({name}) AS DOUBLE))"),
            false => "CAST(NULL AS DOUBLE)".to_owned(),
        };
        // Writing into a string does not fail.
        let _ = write!(
            sql,
            ", count({name}) AS c{number}, approx_distinct({name}) AS d{number}, \
             min({name}) AS l{number}, max({name}) AS h{number}, {length} AS b{number}"
        );
    }
    let _ = write!(
        sql,
        " FROM {}.{}",
        quoted(&definition.database),
        quoted(&definition.name)
    );
    let conditions: Vec<String> = partition
        .iter()
        .filter_map(|(name, value)| {
            let index = definition.partition_column_index(name)?;
            let column = &definition.partition_columns[index];
            let name = quoted(name);
            Some(match value.as_ref()? {
                Some(value) => {
                    let value = value.replace('\'', "''");
                    format!(
                        "{name} = CAST('{value}' AS {})",
                        sql_type(&column.data_type)
                    )
                }
                None => format!("{name} IS NULL"),
            })
        })
        .collect();
    if !conditions.is_empty() {
        let _ = write!(sql, " WHERE {}", conditions.join(" AND "));
    }
    sql
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::Binary)
}

/// What the query found.
fn summary_of(batch: &RecordBatch, columns: &[Column]) -> Result<TableSummary, QueryError> {
    let wrong = || QueryError::internal("what was counted is of another type");
    let count = |index: usize| -> Result<u64, QueryError> {
        let array = batch.columns().get(index).ok_or_else(wrong)?;
        let signed = array
            .as_primitive_opt::<Int64Type>()
            .map(|all| all.value(0).unsigned_abs());
        let unsigned = array
            .as_primitive_opt::<UInt64Type>()
            .map(|all| all.value(0));
        signed.or(unsigned).ok_or_else(wrong)
    };
    let rows = count(0)?;
    let bound = |index: usize| -> Option<BoundValue> {
        bound_of(&ScalarValue::try_from_array(batch.columns().get(index)?, 0).ok()?)
    };
    let columns = columns.iter().enumerate().map(|(number, column)| {
        let first = 1 + 5 * number;
        let filled = count(first)?;
        let lengths = batch.columns().get(first + 4).ok_or_else(wrong)?;
        let lengths = lengths.as_primitive_opt::<Float64Type>();
        let mean = lengths.and_then(|mean| mean.is_valid(0).then(|| mean.value(0)));
        Ok(ColumnSummary {
            column: column.id,
            // A sketch may say more than there are rows.
            distinct: Some(count(first + 1)?.min(filled)),
            nulls: rows - filled,
            min: bound(first + 2),
            max: bound(first + 3),
            mean_bytes: mean,
        })
    });
    Ok(TableSummary {
        rows,
        at: Utc::now(),
        columns: columns.collect::<Result<_, QueryError>>()?,
    })
}

/// A value as a bound of the catalog; text is cut, which is near enough for estimates.
fn bound_of(value: &ScalarValue) -> Option<BoundValue> {
    Some(match value {
        ScalarValue::Boolean(value) => BoundValue::Boolean((*value)?),
        ScalarValue::Int8(value) => BoundValue::Int(i64::from((*value)?)),
        ScalarValue::Int16(value) => BoundValue::Int(i64::from((*value)?)),
        ScalarValue::Int32(value) | ScalarValue::Date32(value) => {
            BoundValue::Int(i64::from((*value)?))
        }
        ScalarValue::Int64(value)
        | ScalarValue::Date64(value)
        | ScalarValue::TimestampSecond(value, _)
        | ScalarValue::TimestampMillisecond(value, _)
        | ScalarValue::TimestampMicrosecond(value, _)
        | ScalarValue::TimestampNanosecond(value, _) => BoundValue::Int((*value)?),
        ScalarValue::UInt8(value) => BoundValue::UInt(u64::from((*value)?)),
        ScalarValue::UInt16(value) => BoundValue::UInt(u64::from((*value)?)),
        ScalarValue::UInt32(value) => BoundValue::UInt(u64::from((*value)?)),
        ScalarValue::UInt64(value) => BoundValue::UInt((*value)?),
        ScalarValue::Float32(value) => finite(f64::from((*value)?))?,
        ScalarValue::Float64(value) => finite((*value)?)?,
        ScalarValue::Decimal128(value, _, _) => BoundValue::Decimal((*value)?.into()),
        ScalarValue::Utf8(value) | ScalarValue::Utf8View(value) => {
            let text = value.as_deref()?;
            let end = text.floor_char_boundary(BOUND_BYTES_MAX.min(text.len()));
            BoundValue::Text(text.get(..end)?.into())
        }
        _ => return None,
    })
}

fn finite(value: f64) -> Option<BoundValue> {
    value.is_finite().then_some(BoundValue::Float(value))
}

#[cfg(test)]
mod tests;
