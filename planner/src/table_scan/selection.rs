//! Which files a scan reads, decided from the catalog alone.

use super::schema::ScanSchema;
use super::values::scalar;
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array,
    UInt64Array,
};
use datafusion::arrow::compute::{cast, prep_null_mask_filter, take};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::Session;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, DFSchema, Result, exec_datafusion_err};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::utils::conjunction;
use datafusion::physical_expr::create_physical_expr;
use datafusion::physical_expr::utils::conjunction as physical_conjunction;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::scalar::ScalarValue;
use skep_catalog::model::{
    BoundValue, ColumnBounds, ColumnId, DataFile, Partition, TableDefinition, TableFiles,
    partition_value,
};
use std::collections::HashSet;
use std::sync::Arc;

/// The values of a table's partitions, typed.
pub(super) struct PartitionValues {
    /// How many partitions there are.
    count: usize,
    /// One array per partition column, one value per partition.
    columns: Vec<ArrayRef>,
}

impl PartitionValues {
    pub(super) fn new(
        partitions: &[Partition],
        definition: &TableDefinition,
        schema: &ScanSchema,
    ) -> Result<Self> {
        let columns = definition
            .partition_columns
            .iter()
            .zip(schema.partition.fields())
            .enumerate()
            .map(|(index, (column, field))| {
                let values: Vec<Option<&str>> = partitions
                    .iter()
                    .map(|partition| partition.values.get(index)?.as_deref())
                    .collect();
                let array =
                    partition_value::to_array(values, &column.data_type).map_err(|value| {
                        exec_datafusion_err!(
                            "partition value '{value}' is not a {}",
                            column.data_type
                        )
                    })?;
                Ok(cast(&array, field.data_type())?)
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            count: partitions.len(),
            columns,
        })
    }

    /// One row per partition.
    pub(super) fn to_batch(&self, schema: &ScanSchema) -> Result<RecordBatch> {
        let options = RecordBatchOptions::new().with_row_count(Some(self.count));
        let columns = self.columns.clone();
        let fields = Arc::clone(&schema.partition);
        Ok(RecordBatch::try_new_with_options(
            fields, columns, &options,
        )?)
    }

    /// For each partition whether it satisfies all of `filters`.
    pub(super) fn prune(
        &self,
        schema: &ScanSchema,
        filters: &[Expr],
        state: &dyn Session,
    ) -> Result<BooleanArray> {
        let Some(filter) = conjunction(filters.iter().cloned()) else {
            return Ok(BooleanArray::from(vec![true; self.count]));
        };
        let df_schema = DFSchema::try_from(Arc::clone(&schema.partition))?;
        let predicate = create_physical_expr(
            &filter,
            &df_schema,
            state.execution_props(),
            &PhysicalPlanningContext::default(),
        )?;
        let batch = self.to_batch(schema)?;
        let matches = predicate.evaluate(&batch)?.into_array(self.count)?;
        let matches = matches
            .as_boolean_opt()
            .ok_or_else(|| exec_datafusion_err!("filter {filter} is not a condition"))?;
        // NULL does not satisfy a filter.
        Ok(match matches.null_count() {
            0 => matches.clone(),
            _ => prep_null_mask_filter(matches),
        })
    }

    /// The values of a file's partition.
    pub(super) fn of_file(&self, files: &TableFiles, file: &DataFile) -> Result<Vec<ScalarValue>> {
        let Some(index) = file
            .partition
            .and_then(|number| files.partition_index(number))
        else {
            return Ok(Vec::new());
        };
        self.columns
            .iter()
            .map(|column| ScalarValue::try_from_array(column, index))
            .collect()
    }
}

/// The files of a scan.
#[derive(Debug)]
pub(super) struct Selection {
    /// Indexes into the table's files.
    pub files: Vec<usize>,
    /// Whether each row of the files satisfies the filters.
    pub is_exact: bool,
    /// Whether files were left out that have rows of the result.
    pub is_truncated: bool,
}

impl Selection {
    /// The files of the partitions that are `kept`, without those whose bounds contradict `filters`.
    pub(super) fn new(
        files: &TableFiles,
        schema: &ScanSchema,
        partitions: &PartitionValues,
        kept: &BooleanArray,
        filters: &[Expr],
        state: &dyn Session,
    ) -> Result<Self> {
        let all_kept = kept.true_count() == kept.len();
        let is_kept = |file: &DataFile| match file.partition {
            Some(number) if !all_kept => files
                .partition_index(number)
                .is_some_and(|index| kept.value(index)),
            _ => true,
        };
        let candidates: Vec<usize> = (0..)
            .zip(&files.files)
            .filter(|(_, file)| is_kept(file))
            .map(|(index, _)| index)
            .collect();
        Ok(Self {
            files: prune_files(files, schema, partitions, filters, candidates, state)?,
            is_exact: filters.is_empty(),
            is_truncated: false,
        })
    }

    /// Leaves out the files that `limit` rows do not need.
    pub(super) fn truncate(&mut self, limit: usize, files: &TableFiles) {
        let mut rows = 0;
        let needed = self
            .files
            .iter()
            .take_while(|index| {
                let is_needed = rows < limit as u64;
                rows += files
                    .files
                    .get(**index)
                    .map_or(0, |file| file.rows.unwrap_or(0));
                is_needed
            })
            .count();
        self.is_truncated = needed < self.files.len();
        self.files.truncate(needed);
    }
}

/// Those of `candidates` whose bounds do not contradict `filters`.
fn prune_files(
    files: &TableFiles,
    schema: &ScanSchema,
    partitions: &PartitionValues,
    filters: &[Expr],
    candidates: Vec<usize>,
    state: &dyn Session,
) -> Result<Vec<usize>> {
    let df_schema = DFSchema::try_from(Arc::clone(&schema.visible))?;
    // A filter that has no value yet, like one on a subquery, prunes nothing.
    let predicates = filters.iter().filter_map(|filter| {
        let context = PhysicalPlanningContext::default();
        create_physical_expr(filter, &df_schema, state.execution_props(), &context).ok()
    });
    let predicates: Vec<_> = predicates.collect();
    if predicates.is_empty() || candidates.is_empty() {
        return Ok(candidates);
    }
    let parquet = &state.config_options().execution.parquet;
    let predicate = PruningPredicateBuilder::new()
        .with_file_schema(Arc::clone(&schema.visible))
        .with_max_in_list_size(parquet.max_in_list_size)
        .build(physical_conjunction(predicates));
    let Some(predicate) = predicate.filter(|_| parquet.pruning) else {
        return Ok(candidates);
    };
    let bounds = FileBounds {
        all: files,
        files: candidates
            .iter()
            .filter_map(|index| files.files.get(*index))
            .collect(),
        schema: Arc::clone(&schema.visible),
        column_ids: &schema.column_ids,
        partitions,
    };
    let kept = predicate.prune(&bounds)?;
    Ok(candidates
        .into_iter()
        .zip(kept)
        .filter_map(|(index, is_kept)| is_kept.then_some(index))
        .collect())
}

/// What the catalog knows of the columns of some files.
struct FileBounds<'a> {
    all: &'a TableFiles,
    files: Vec<&'a DataFile>,
    schema: SchemaRef,
    /// The columns that come before those of the partitions.
    column_ids: &'a [ColumnId],
    partitions: &'a PartitionValues,
}

impl FileBounds<'_> {
    /// The bound that `pick` takes for each file; a partition column's value is its own bound.
    fn bounds(
        &self,
        column: &Column,
        pick: fn(ColumnBounds) -> Option<BoundValue>,
    ) -> Option<ArrayRef> {
        let index = self.schema.index_of(&column.name).ok()?;
        if let Some(partition_column) = index.checked_sub(self.column_ids.len()) {
            let values = self.partitions.columns.get(partition_column)?;
            return take(values, &self.partition_indexes(), None).ok();
        }
        let data_type = self.schema.field(index).data_type();
        if data_type.is_floating() {
            // Bounds do not speak of NaN, which lies beyond them.
            return None;
        }
        let unknown = ScalarValue::try_from(data_type).ok()?;
        let values = self.files.iter().map(|file| {
            let bound = self.bounds_of(file, index).and_then(pick);
            let bound = bound.and_then(|bound| scalar(&bound, data_type));
            bound.unwrap_or_else(|| unknown.clone())
        });
        ScalarValue::iter_to_array(values).ok()
    }

    fn bounds_of(&self, file: &DataFile, index: usize) -> Option<ColumnBounds> {
        file.bounds_of(*self.column_ids.get(index)?)
    }

    fn partition_indexes(&self) -> UInt32Array {
        let index = |file: &&DataFile| {
            let index = self.all.partition_index(file.partition?)?;
            u32::try_from(index).ok()
        };
        self.files.iter().map(index).collect()
    }
}

impl PruningStatistics for FileBounds<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, |bounds| bounds.min)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, |bounds| bounds.max)
    }

    fn num_containers(&self) -> usize {
        self.files.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let index = self.schema.index_of(&column.name).ok()?;
        let counts: UInt64Array = match index.checked_sub(self.column_ids.len()) {
            Some(partition_column) => {
                let values = self.partitions.columns.get(partition_column)?;
                let values = take(values, &self.partition_indexes(), None).ok()?;
                let count = |(row, file): (usize, &&DataFile)| match values.is_null(row) {
                    true => file.rows,
                    false => Some(0),
                };
                self.files.iter().enumerate().map(count).collect()
            }
            None => self
                .files
                .iter()
                .map(|file| self.bounds_of(file, index)?.null_count)
                .collect(),
        };
        Some(Arc::new(counts))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        let counts: UInt64Array = self.files.iter().map(|file| file.rows).collect();
        Some(Arc::new(counts))
    }

    fn contained(&self, _: &Column, _: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
