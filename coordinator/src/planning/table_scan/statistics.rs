//! What the catalog knows of files, as the optimiser wants it.

use super::schema::ScanSchema;
use super::values::scalar;
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::stats::{NdvFallback, Precision};
use datafusion::common::{ColumnStatistics, Result, Statistics};
use datafusion::datasource::physical_plan::FileGroup;
use datafusion::scalar::ScalarValue;
use skep_catalog::model::{ColumnBounds, ColumnId, DataFile, TableDefinition};
use std::collections::HashMap;
use std::sync::Arc;

/// The statistics of a file, partition columns included.
///
/// The total size is left to be worked out from the columns that a scan reads; the sum over all of a
/// file's columns would mislead the choice of join sides.
pub(super) fn of_file(
    file: &DataFile,
    definition: &TableDefinition,
    schema: &ScanSchema,
    partition_values: &[ScalarValue],
) -> Statistics {
    let rows = file.rows.map(|rows| rows as usize);
    let known: HashMap<ColumnId, ColumnBounds> = file
        .bounds
        .iter()
        .map(|bounds| (bounds.column, bounds))
        .collect();
    let data_columns = definition.columns.iter().zip(schema.visible.fields());
    let data_columns = data_columns.map(|(column, field)| {
        let bounds = known.get(&column.id);
        data_column(bounds, field.data_type(), rows)
    });
    let partition_columns = partition_values
        .iter()
        .map(|value| partition_column(value, rows));
    Statistics {
        num_rows: exactly(rows),
        total_byte_size: Precision::Absent,
        column_statistics: data_columns.chain(partition_columns).collect(),
    }
}

fn data_column(
    bounds: Option<&ColumnBounds>,
    data_type: &DataType,
    rows: Option<usize>,
) -> ColumnStatistics {
    let fixed_size = data_type
        .primitive_width()
        .zip(rows)
        .map(|(width, rows)| Precision::Exact(width * rows));
    let Some(bounds) = bounds else {
        return ColumnStatistics {
            byte_size: fixed_size.unwrap_or(Precision::Absent),
            ..ColumnStatistics::new_unknown()
        };
    };
    let precise = |value: Option<ScalarValue>, is_exact| match (value, is_exact) {
        (Some(value), true) => Precision::Exact(value),
        (Some(value), false) => Precision::Inexact(value),
        (None, _) => Precision::Absent,
    };
    let min = bounds.min.as_ref().and_then(|min| scalar(min, data_type));
    let max = bounds.max.as_ref().and_then(|max| scalar(max, data_type));
    let size = bounds
        .size_bytes
        .map(|size| Precision::Inexact(size as usize));
    ColumnStatistics {
        null_count: match bounds.null_count {
            Some(count) => Precision::Exact(count as usize),
            None => Precision::Absent,
        },
        min_value: precise(min, bounds.min_is_exact),
        max_value: precise(max, bounds.max_is_exact),
        byte_size: fixed_size.or(size).unwrap_or(Precision::Absent),
        ..ColumnStatistics::new_unknown()
    }
}

fn exactly(count: Option<usize>) -> Precision<usize> {
    count.map_or(Precision::Absent, Precision::Exact)
}

fn partition_column(value: &ScalarValue, rows: Option<usize>) -> ColumnStatistics {
    let width = value.data_type().primitive_width();
    let byte_size = exactly(width.zip(rows).map(|(width, rows)| width * rows));
    match value.is_null() {
        true => ColumnStatistics {
            null_count: exactly(rows),
            byte_size,
            ..ColumnStatistics::new_unknown()
        },
        false => ColumnStatistics {
            null_count: Precision::Exact(0),
            min_value: Precision::Exact(value.clone()),
            max_value: Precision::Exact(value.clone()),
            distinct_count: Precision::Exact(1),
            byte_size,
            ..ColumnStatistics::new_unknown()
        },
    }
}

/// The groups with the sums of their files' statistics, and the sum of all.
pub(super) fn of_groups(
    groups: Vec<FileGroup>,
    schema: &SchemaRef,
) -> Result<(Vec<FileGroup>, Statistics)> {
    let groups = groups
        .into_iter()
        .map(|group| {
            let known = group.iter().filter_map(|file| file.statistics.as_deref());
            let sum =
                Statistics::try_merge_iter_with_ndv_fallback(known, schema, NdvFallback::Max)?;
            Ok(group.with_statistics(Arc::new(sum)))
        })
        .collect::<Result<Vec<_>>>()?;
    let known = groups
        .iter()
        .filter_map(|group| group.file_statistics(None));
    let sum = Statistics::try_merge_iter_with_ndv_fallback(known, schema, NdvFallback::Max)?;
    Ok((groups, sum))
}
