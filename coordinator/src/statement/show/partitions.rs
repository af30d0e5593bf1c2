//! `SHOW PARTITIONS`.

use super::catalog::{check_names, is_wanted, partition_name, rows_of};
use super::{count, text};
use crate::engine::Coordinator;
use crate::session::Session;
use crate::statement::{PartitionSpec, SourceQuery, TableName};
use arrow::array::{ArrayRef, AsArray, StringArray, UInt64Array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema, UInt64Type};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use skep_catalog::model::{Partition, TableDefinition};
use skep_planner::filter_batch;
use skep_protocol::{ErrorCode, QueryError};
use std::collections::HashMap;
use std::sync::Arc;

/// The partitions of a table: those with the values of `wanted`, and of these those that a WHERE, an
/// ORDER BY and a LIMIT have `chosen`.
pub(super) async fn partitions(
    engine: &Coordinator,
    session: &Session,
    name: &TableName,
    wanted: &PartitionSpec,
    chosen: Option<&SourceQuery>,
) -> Result<Vec<ArrayRef>, QueryError> {
    let catalog = engine.session_catalog(session);
    let database = engine.database_of(session, name);
    let snapshot = catalog.owner(&database, &name.table);
    let table = catalog.table(&database, &name.table)?;
    let definition = &table.definition;
    if definition.partition_columns.is_empty() {
        let text = format!("table '{}' has no partition columns", definition.name);
        return Err(QueryError::new(ErrorCode::Semantic, text));
    }
    check_names(table, wanted)?;
    let files = snapshot.table_files(table).await?;
    let mut sums: HashMap<u32, (u64, u64, u64)> = HashMap::new();
    for file in &files.files {
        if let Some(number) = file.partition {
            let sum = sums.entry(number).or_default();
            sum.0 += 1;
            sum.1 += rows_of(file);
            sum.2 += file.size_bytes;
        }
    }
    let mut shown: Vec<_> = files
        .partitions
        .iter()
        .filter(|partition| is_wanted(definition, &partition.values, wanted))
        .collect();
    if let Some(query) = chosen {
        let places = choose(definition, &shown, query).await?;
        let found = |place: &u64| shown.get(usize::try_from(*place).ok()?).copied();
        shown = places.iter().filter_map(found).collect();
    }
    let sum = |number: u32| sums.get(&number).copied().unwrap_or_default();
    let all = || shown.iter();
    Ok(vec![
        text(all().map(|partition| Some(partition_name(definition, &partition.values)))),
        count(all().map(|partition| sum(partition.number).0)),
        count(all().map(|partition| sum(partition.number).1)),
        count(all().map(|partition| sum(partition.number).2)),
        text(all().map(|partition| Some(partition.location.to_string()))),
    ])
}

/// The places in `partitions` of those that a query chooses, in its order.
async fn choose(
    definition: &TableDefinition,
    partitions: &[&Partition],
    query: &SourceQuery,
) -> Result<Vec<u64>, QueryError> {
    let failed =
        |error: ArrowError| QueryError::internal(format!("cannot show partitions: {error}"));
    let mut fields = vec![Field::new("__place", DataType::UInt64, false)];
    let places = UInt64Array::from_iter_values(0..partitions.len() as u64);
    let mut columns: Vec<ArrayRef> = vec![Arc::new(places)];
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    for (index, column) in definition.partition_columns.iter().enumerate() {
        let value = |partition: &&Partition| partition.values.get(index).cloned().flatten();
        let values: StringArray = partitions.iter().map(value).collect();
        let values = cast_with_options(&values, &column.data_type, &options);
        columns.push(values.map_err(failed)?);
        fields.push(Field::new(&column.name, column.data_type.clone(), true));
    }
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(failed)?;
    let chosen = filter_batch("partitions", batch, (*query.statement).clone()).await?;
    let places = chosen.column_by_name("__place");
    let places = places.and_then(|places| places.as_primitive_opt::<UInt64Type>());
    Ok(places.map_or_else(Vec::new, |places| places.values().to_vec()))
}
