//! What the catalog knows of files, as the optimiser wants it.

use super::schema::ScanSchema;
use super::values::scalar;
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::stats::{NdvFallback, Precision};
use datafusion::common::{ColumnStatistics, Result, Statistics};
use datafusion::datasource::physical_plan::FileGroup;
use datafusion::scalar::ScalarValue;
use skep_catalog::model::{BoundValue, ColumnBounds, ColumnId, DataFile, TableDefinition};
use std::cmp::Ordering;
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
    // Bounds do not speak of NaN, which lies beyond them.
    let is_floating = data_type.is_floating();
    let precise = |value: Option<ScalarValue>, is_exact| match (value, is_exact && !is_floating) {
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

/// The statistics of many files at once. Each file's own would take more memory than the files
/// themselves and more time than the rest of planning: what the bounds of a column have in common is
/// worked out without them, for the columns that are read; of partition columns nothing is said.
pub(super) fn of_many<'f>(
    files: impl Iterator<Item = &'f DataFile>,
    definition: &TableDefinition,
    schema: &ScanSchema,
    is_read: impl Fn(usize) -> bool,
) -> Statistics {
    let columns = definition.columns.iter().enumerate();
    let read: Vec<ColumnId> = columns
        .filter_map(|(index, column)| is_read(index).then_some(column.id))
        .collect();
    let mut rows = Some(0);
    let mut folded: Vec<Option<Folded>> = read.iter().map(|_| None).collect();
    let mut count = 0;
    for file in files {
        count += 1;
        rows = rows.zip(file.rows).map(|(sum, rows)| sum + rows as usize);
        for bounds in file.bounds.select(&read) {
            let is_empty = file.rows.is_some() && bounds.null_count == file.rows;
            let Some(place) = read.iter().position(|id| *id == bounds.column) else {
                continue;
            };
            match &mut folded[place] {
                Some(folded) => folded.add(bounds, is_empty),
                vacant => *vacant = Some(Folded::new(bounds, is_empty)),
            }
        }
    }
    let data_columns = definition.columns.iter().zip(schema.visible.fields());
    let data_columns = data_columns.map(|(column, field)| {
        let place = read.iter().position(|id| *id == column.id);
        let folded = place.and_then(|place| folded[place].as_ref());
        // A column that some file says nothing of is unknown.
        let bounds = folded.filter(|found| found.files == count);
        data_column(bounds.map(|found| &found.bounds), field.data_type(), rows)
    });
    let partition_columns = schema.partition.fields().iter();
    let partition_columns = partition_columns.map(|_| ColumnStatistics::new_unknown());
    Statistics {
        num_rows: exactly(rows),
        total_byte_size: Precision::Absent,
        column_statistics: data_columns.chain(partition_columns).collect(),
    }
}

/// What the bounds of a column in several files have in common.
struct Folded {
    bounds: ColumnBounds,
    files: usize,
    /// Whether no file so far has had a value, so that there are no bounds yet.
    is_empty: bool,
}

impl Folded {
    fn new(bounds: ColumnBounds, is_empty: bool) -> Self {
        Self {
            bounds: ColumnBounds {
                min_is_exact: false,
                max_is_exact: false,
                ..bounds
            },
            files: 1,
            is_empty,
        }
    }

    fn add(&mut self, other: ColumnBounds, is_empty: bool) {
        let bounds = &mut self.bounds;
        let sum = |left: Option<u64>, right: Option<u64>| left?.checked_add(right?);
        bounds.null_count = sum(bounds.null_count, other.null_count);
        bounds.size_bytes = sum(bounds.size_bytes, other.size_bytes);
        self.files += 1;
        if is_empty {
            return;
        }
        if std::mem::replace(&mut self.is_empty, false) {
            (bounds.min, bounds.max) = (other.min, other.max);
            return;
        }
        bounds.min = extreme(bounds.min.take(), other.min, Ordering::Less);
        bounds.max = extreme(bounds.max.take(), other.max, Ordering::Greater);
    }
}

/// That of two bounds which is `wanted` than the other; none where one is unknown.
fn extreme(
    left: Option<BoundValue>,
    right: Option<BoundValue>,
    wanted: Ordering,
) -> Option<BoundValue> {
    let (left, right) = left.zip(right)?;
    Some(match right.compare(&left)? == wanted {
        true => right,
        false => left,
    })
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
