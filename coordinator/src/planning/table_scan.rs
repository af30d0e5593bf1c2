//! A table of the catalog as DataFusion scans it.
//!
//! What is read is decided from the catalog alone: first the partitions that the filters admit, then
//! the files whose bounds may match. Sizes, times and statistics travel with the files, so that nobody
//! asks the storage for them again.
//!
//! Estimates of a file's columns are those that DataFusion's own listing would have read from the
//! footers, so that plans here and there are alike.

mod format;
mod schema;
mod selection;
mod statistics;
mod values;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DataFusionError, Result, project_schema};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use object_store::ObjectMeta;
use object_store::path::Path;
use schema::ScanSchema;
use selection::{PartitionValues, Selection};
use skep_catalog::model::{DataFile, Table, TableFiles};
use std::cmp::Reverse;
use std::sync::Arc;

/// The columns of a table as queries see them, partition columns last.
pub fn table_schema(table: &Table) -> SchemaRef {
    ScanSchema::new(&table.definition, true).visible
}

/// A version of a table, with all that it consists of.
#[derive(Debug)]
pub struct CatalogTable {
    table: Arc<Table>,
    files: Arc<TableFiles>,
    schema: ScanSchema,
}

impl CatalogTable {
    /// The table. With `uses_views`, text and bytes are read as views.
    pub fn new(table: Arc<Table>, files: Arc<TableFiles>, uses_views: bool) -> Self {
        Self {
            schema: ScanSchema::new(&table.definition, uses_views),
            table,
            files,
        }
    }

    /// Which partitions and files a scan with those filters reads.
    fn select(
        &self,
        state: &dyn Session,
        partitions: &PartitionValues,
        filters: &[Expr],
    ) -> Result<Selection> {
        let selection = Selection::new(&self.files, &self.schema, partitions, filters, state)?;
        tracing::debug!(
            table = %self.table.definition.name,
            partitions = self.files.partitions.len(),
            partitions_kept = selection.partitions_kept,
            files = self.files.files.len(),
            files_kept = selection.files.len(),
            "selected the files of a scan"
        );
        Ok(selection)
    }

    fn partitioned_file(
        &self,
        file: &DataFile,
        partitions: &PartitionValues,
        with_statistics: bool,
    ) -> Result<PartitionedFile> {
        let location = Path::parse(&file.path)
            .map_err(|error| DataFusionError::ObjectStore(Box::new(error.into())))?;
        let mut result = PartitionedFile::from(ObjectMeta {
            location,
            last_modified: file.last_modified,
            size: file.size_bytes,
            e_tag: file.e_tag.clone(),
            version: None,
        });
        result.partition_values = partitions.of_file(&self.files, file)?;
        if with_statistics {
            let statistics = statistics::of_file(
                file,
                &self.table.definition,
                &self.schema,
                &result.partition_values,
            );
            // Not `with_statistics`, which takes for granted that no partition value is NULL.
            result.statistics = Some(Arc::new(statistics));
        }
        Ok(result)
    }
}

#[async_trait]
impl TableProvider for CatalogTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema.visible)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let partitions = PartitionValues::new(&self.files, &self.table.definition, &self.schema)?;
        let mut selection = self.select(state, &partitions, filters)?;
        if let Some(limit) = limit
            && selection.is_exact
        {
            selection.truncate(limit, &self.files);
        }
        if selection.files.is_empty() {
            let schema = project_schema(&self.schema.visible, projection)?;
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let with_statistics = state.config().collect_statistics();
        let files = selection
            .files
            .iter()
            .filter_map(|index| self.files.files.get(*index))
            .map(|file| self.partitioned_file(file, &partitions, with_statistics))
            .collect::<Result<Vec<_>>>()?;
        let groups = split_by_size(files, state.config().target_partitions());
        let (groups, mut statistics) = statistics::of_groups(groups, &self.schema.visible)?;
        if selection.is_truncated {
            statistics = statistics.to_inexact();
        }

        let format = format::reader(&self.table.definition, state)?;
        let source = self.schema.project(
            format.file_source(self.schema.scanned()),
            projection.map(Vec::as_slice),
        )?;
        let store = ObjectStoreUrl::parse(self.table.definition.location.store_url())?;
        let config = FileScanConfigBuilder::new(store, source)
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_limit(limit)
            .build();
        format.create_physical_plan(state, config).await
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        let support = |filter: &&Expr| match self.schema.is_partition_filter(filter) {
            true => TableProviderFilterPushDown::Exact,
            false => TableProviderFilterPushDown::Inexact,
        };
        Ok(filters.iter().map(support).collect())
    }
}

/// Spreads files over at most `groups_max` groups of about the same size: each file, the largest
/// first, goes where there is least. Within a group they are in the order of their paths, so that the
/// same table gives the same plan.
fn split_by_size(mut files: Vec<PartitionedFile>, groups_max: usize) -> Vec<FileGroup> {
    let count = files.len().min(groups_max.max(1));
    files.sort_by(|left, right| {
        let size = |file: &PartitionedFile| Reverse(file.object_meta.size);
        (size(left), left.path()).cmp(&(size(right), right.path()))
    });
    let mut groups: Vec<(u64, Vec<PartitionedFile>)> = vec![(0, Vec::new()); count];
    for file in files {
        if let Some((size, group)) = groups
            .iter_mut()
            .min_by_key(|(size, group)| (*size, group.len()))
        {
            *size += file.object_meta.size;
            group.push(file);
        }
    }
    groups
        .into_iter()
        .map(|(_, mut group)| {
            group.sort_by(|left, right| left.path().cmp(right.path()));
            FileGroup::new(group)
        })
        .collect()
}

#[cfg(test)]
mod tests;
