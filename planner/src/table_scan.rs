//! A table of the catalog as DataFusion scans it.
//!
//! What is read is decided from the catalog alone: first the partitions that the filters admit, then
//! the files whose bounds may match. Sizes, times and statistics travel with the files, so that nobody
//! asks the storage for them again.
//!
//! Estimates of a file's columns are those that DataFusion's own listing would have read from the
//! footers, so that plans here and there are alike.
//!
//! Decision: The base library cuts a scan's files into pieces for its tasks, whether or not their reader can read a
//! piece: each task would read the whole of an Avro file. A scan of such files says how it is partitioned, which
//! keeps them whole, and the plan check refuses pieces of them.

mod format;
mod pruning_summary;
mod schema;
mod selected;
mod selection;
mod statistics;
mod values;

pub use pruning_summary::{PruningSummary, ScanLog};
pub(crate) use selected::SelectedFiles;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DataFusionError, Result, Statistics, project_schema};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::Partitioning;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use format::Reader;
use object_store::ObjectMeta;
use object_store::path::Path;
use schema::ScanSchema;
use selection::{PartitionValues, Selection};
use skep_catalog::model::{DataFile, FileFormat, Partition, Table, TableDefinition, TableFiles};
use skep_catalog::{CatalogError, CatalogSnapshot};
use skep_hive_text::RowFormat;
use skep_runtime::bulk_scan::{FileList, FileShare, ListedFile};
use skep_runtime::error::to_datafusion;
use std::cmp::Reverse;
use std::sync::Arc;

/// A scan of more files than this has statistics of all of them together only, and is planned without
/// looking at them one by one: see [`skep_runtime::bulk_scan`].
const FILES_ONE_BY_ONE_MAX: usize = 10_000;

/// The columns of a table as queries see them, partition columns last.
pub fn table_schema(table: &Table) -> SchemaRef {
    ScanSchema::new(&table.definition, true).visible
}

/// Where a table's files are known from.
#[derive(Debug)]
enum KnownFiles {
    /// From a snapshot of the catalog, which reads them when they are wanted.
    Catalog(Arc<CatalogSnapshot>),
    /// From a statement that names files itself: all of them, and how their rows are written where they are text.
    Statement(Arc<TableFiles>, Option<RowFormat>),
}

impl KnownFiles {
    async fn partitions(&self, table: &Table) -> Result<Arc<[Partition]>, CatalogError> {
        match self {
            Self::Catalog(snapshot) => snapshot.table_partitions(table).await,
            Self::Statement(files, _) => Ok(Arc::clone(&files.partitions)),
        }
    }

    async fn all(&self, table: &Table) -> Result<Arc<TableFiles>, CatalogError> {
        match self {
            Self::Catalog(snapshot) => snapshot.table_files(table).await,
            Self::Statement(files, _) => Ok(Arc::clone(files)),
        }
    }

    /// The files of some partitions at least.
    async fn of_partitions(
        &self,
        table: &Table,
        numbers: &[u32],
    ) -> Result<Arc<TableFiles>, CatalogError> {
        match self {
            Self::Catalog(snapshot) => snapshot.partition_files(table, numbers).await,
            Self::Statement(files, _) => Ok(Arc::clone(files)),
        }
    }
}

/// A table in a snapshot of the catalog, or one that a statement makes of files.
#[derive(Debug)]
pub struct CatalogTable {
    known: KnownFiles,
    table: Arc<Table>,
    schema: ScanSchema,
}

/// What a scan reads.
struct Scanned {
    partitions: PartitionValues,
    /// How many partitions are read, of how many.
    partition_counts: (usize, usize),
    files: Arc<TableFiles>,
    selection: Selection,
}

impl Scanned {
    fn files(&self) -> impl Iterator<Item = &DataFile> + Clone {
        let indexes = self.selection.files.iter();
        indexes.filter_map(|index| self.files.files.get(*index))
    }

    /// The files, spread over `count` groups of one placeholder each.
    fn placeholders(&self, schema: &ScanSchema, count: usize) -> Result<Vec<FileGroup>> {
        let partition_of = |file: &DataFile| {
            let index = self.files.partition_index(file.partition?)?;
            u32::try_from(index).ok()
        };
        let listed = self.files().map(|file| ListedFile {
            path: &file.path,
            size_bytes: file.size_bytes,
            modified_us: file.last_modified.timestamp_micros(),
            partition: partition_of(file),
        });
        let list = FileList::new(listed, self.partitions.to_batch(schema)?)?;
        FileShare::spread(&Arc::new(list), count)?
            .into_iter()
            .map(|share| Ok(FileGroup::new(vec![share.placeholder()?])))
            .collect()
    }
}

impl CatalogTable {
    /// The table, which is one of the snapshot's. With `uses_views`, text and bytes are read as views.
    pub fn new(snapshot: Arc<CatalogSnapshot>, table: Arc<Table>, uses_views: bool) -> Self {
        Self {
            schema: ScanSchema::new(&table.definition, uses_views),
            known: KnownFiles::Catalog(snapshot),
            table,
        }
    }

    /// A table of `files`, which no catalog knows. `rows` says how the rows of text files are written.
    pub fn of_files(
        table: Arc<Table>,
        files: Arc<TableFiles>,
        rows: Option<RowFormat>,
        uses_views: bool,
    ) -> Self {
        Self {
            schema: ScanSchema::new(&table.definition, uses_views),
            known: KnownFiles::Statement(files, rows),
            table,
        }
    }

    /// What the catalog says of the table.
    pub(crate) fn definition(&self) -> &TableDefinition {
        &self.table.definition
    }

    /// The files that a scan with those filters reads.
    pub(crate) async fn selected_files(
        &self,
        state: &dyn Session,
        filters: &[Expr],
    ) -> Result<SelectedFiles> {
        let scanned = self.select(state, filters).await?;
        Ok(SelectedFiles::new(scanned.files, scanned.selection.files))
    }

    fn reader(&self, state: &dyn Session) -> Result<Reader> {
        match &self.known {
            KnownFiles::Statement(_, Some(rows)) => Ok(Reader::Text(rows.clone())),
            _ => Reader::of(&self.table.definition, state),
        }
    }

    /// Which partitions and files a scan with those filters reads. The files of partitions that the
    /// filters leave out are not even looked up.
    async fn select(&self, state: &dyn Session, filters: &[Expr]) -> Result<Scanned> {
        let of_catalog = |error: CatalogError| to_datafusion(error.into());
        let listed = self.known.partitions(&self.table).await;
        let listed = listed.map_err(of_catalog)?;
        let partitions = PartitionValues::new(&listed, &self.table.definition, &self.schema)?;
        let (partition_filters, other_filters): (Vec<Expr>, Vec<Expr>) = filters
            .iter()
            .cloned()
            .partition(|filter| self.schema.is_partition_filter(filter));
        let kept = partitions.prune(&self.schema, &partition_filters, state)?;
        let files = match kept.true_count() == listed.len() {
            true => self.known.all(&self.table).await,
            false => {
                let kept = listed.iter().zip(kept.values());
                let numbers: Vec<u32> = kept
                    .filter_map(|(partition, kept)| kept.then_some(partition.number))
                    .collect();
                self.known.of_partitions(&self.table, &numbers).await
            }
        };
        let files = files.map_err(of_catalog)?;
        let selection = Selection::new(
            &files,
            &self.schema,
            &partitions,
            &kept,
            &other_filters,
            state,
        )?;
        tracing::debug!(
            table = %self.table.definition.name,
            partitions = listed.len(),
            partitions_kept = kept.true_count(),
            files_looked_up = files.files.len(),
            files_kept = selection.files.len(),
            "selected the files of a scan"
        );
        Ok(Scanned {
            partition_counts: (kept.true_count(), listed.len()),
            partitions,
            files,
            selection,
        })
    }

    /// The files one by one with what is known of each, and of all.
    fn groups(
        &self,
        scanned: &Scanned,
        state: &dyn Session,
    ) -> Result<(Vec<FileGroup>, Statistics)> {
        let with_statistics = state.config().collect_statistics();
        let files = scanned
            .files()
            .map(|file| self.partitioned_file(file, scanned, with_statistics))
            .collect::<Result<Vec<_>>>()?;
        let groups = split_by_size(files, state.config().target_partitions());
        statistics::of_groups(groups, &self.schema.visible)
    }

    /// The files as a few that stand for all of them, and what is known of all together.
    fn bulk_groups(
        &self,
        scanned: &Scanned,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
    ) -> Result<(Vec<FileGroup>, Statistics)> {
        let partitions = state.config().target_partitions();
        let groups = scanned.placeholders(&self.schema, partitions)?;
        let statistics = match state.config().collect_statistics() {
            true => {
                let is_read = |index: usize| projection.is_none_or(|read| read.contains(&index));
                let definition = &self.table.definition;
                statistics::of_many(scanned.files(), definition, &self.schema, is_read)
            }
            false => Statistics::new_unknown(&self.schema.visible),
        };
        Ok((groups, statistics))
    }

    fn kept(&self, scanned: &Scanned) -> PruningSummary {
        let definition = &self.table.definition;
        let selection = &scanned.selection;
        PruningSummary {
            table: match &self.known {
                KnownFiles::Catalog(_) => format!("{}.{}", definition.database, definition.name),
                KnownFiles::Statement(..) => definition.name.clone(),
            },
            partitions: (!definition.partition_columns.is_empty())
                .then_some(scanned.partition_counts),
            files: (selection.files.len(), scanned.files.files.len()),
        }
    }

    fn partitioned_file(
        &self,
        file: &DataFile,
        scanned: &Scanned,
        with_statistics: bool,
    ) -> Result<PartitionedFile> {
        let location = Path::parse(&file.path)
            .map_err(|error| DataFusionError::ObjectStore(Box::new(error.into())))?;
        let mut result = PartitionedFile::from(ObjectMeta {
            location,
            last_modified: file.last_modified,
            size: file.size_bytes,
            // Executors are not told: the base library does not send it.
            e_tag: None,
            version: None,
        });
        result.partition_values = scanned.partitions.of_file(&scanned.files, file)?;
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
        let mut scanned = self.select(state, filters).await?;
        if let Some(limit) = limit
            && scanned.selection.is_exact
        {
            scanned.selection.truncate(limit, &scanned.files);
        }
        if let Some(log) = state.config().get_extension::<ScanLog>() {
            log.note(self.kept(&scanned));
        }
        if scanned.selection.files.is_empty() {
            let schema = project_schema(&self.schema.visible, projection)?;
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let is_bulk = scanned.selection.files.len() > FILES_ONE_BY_ONE_MAX
            && self.table.definition.format == FileFormat::Parquet;
        let (groups, mut statistics) = match is_bulk {
            true => self.bulk_groups(&scanned, state, projection)?,
            false => self.groups(&scanned, state)?,
        };
        if scanned.selection.is_truncated {
            statistics = statistics.to_inexact();
        }

        let reader = self.reader(state)?;
        let paths = groups.iter().flat_map(FileGroup::iter);
        let paths = paths.map(|file| file.object_meta.location.as_ref());
        let source = reader.source(self.schema.scanned(), paths);
        let source = self.schema.project(source, projection.map(Vec::as_slice))?;
        let store = ObjectStoreUrl::parse(self.table.definition.location.store_url())?;
        // Files that can only be read as a whole must not be cut, nor must what stands for many, which the
        // base library leaves be only where a scan says how it is partitioned.
        let whole = (is_bulk || !source.supports_repartitioning())
            .then(|| Partitioning::UnknownPartitioning(groups.len()));
        let config = FileScanConfigBuilder::new(store, source)
            .with_output_partitioning(whole)
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_limit(limit)
            .build();
        reader.plan(state, config).await
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
