//! Scans that say which file was at fault, and that read no file but the one that was planned.
//!
//! DataFusion's readers report that a page or a footer is damaged, not in which file, and lose the
//! difference between a damaged file and one that is gone. Here every part of reading a file is
//! wrapped: when it fails, the file is looked at once more, and the error names it.
//!
//! A file that somebody has replaced may well be readable, and would give rows that the table never
//! had. So each file is looked at before it is read, and a local one, for which that costs next to
//! nothing, once more afterwards: what is not as the plan says is an error.
//!
//! Decision: A file is looked at before it is read: one that was replaced may be readable, and has other rows.

use crate::float_pruning::without_float_pruning;
use crate::parquet_statistics::with_trusted_statistics;
use crate::required_fields::NullableFields;
use datafusion::catalog::memory::DataSourceExec;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{
    FileOpener, FileScanConfig, FileScanConfigBuilder, FileSource, ParquetSource,
};
use datafusion::error::{DataFusionError, Result};
use datafusion::object_store::{self, ObjectStore, ObjectStoreExt};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::{DisplayFormatType, ExecutionPlan};
use datafusion_datasource::TableSchema;
use datafusion_datasource::morsel::{Morsel, MorselPlan, MorselPlanner, Morselizer};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use skep_protocol::{ErrorCode, QueryError};
use skep_runtime::error::{from_datafusion, to_datafusion};
use std::fmt;
use std::sync::Arc;

/// What the local file system's URLs begin with.
const LOCAL_STORE: &str = "file://";

/// Makes every scan of `plan` name its files in errors.
///
/// # Errors
/// Those of rebuilding the plan.
pub(crate) fn name_files(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let named = plan.transform_up(|node| {
        let scan = node
            .downcast_ref::<DataSourceExec>()
            .and_then(|scan| scan.data_source().downcast_ref::<FileScanConfig>());
        let Some(config) = scan else {
            return Ok(Transformed::no(node));
        };
        let source = without_float_pruning(config.file_source());
        let is_parquet = source.is::<ParquetSource>();
        let source = Arc::new(NamingSource(with_trusted_statistics(source)));
        let mut config = FileScanConfigBuilder::from(config.clone()).with_source(source);
        if is_parquet {
            config = config.with_expr_adapter(Some(Arc::new(NullableFields)));
        }
        let config = config.build();
        let scan: Arc<dyn ExecutionPlan> = DataSourceExec::from_data_source(config);
        Ok(Transformed::yes(scan))
    })?;
    Ok(named.data)
}

/// A format's reader, with errors that name files. In every other respect it is the reader.
struct NamingSource(Arc<dyn FileSource>);

impl FileSource for NamingSource {
    fn create_file_opener(
        &self,
        object_store: Arc<dyn ObjectStore>,
        base_config: &FileScanConfig,
        partition: usize,
    ) -> Result<Arc<dyn FileOpener>> {
        self.0
            .create_file_opener(object_store, base_config, partition)
    }

    fn create_morselizer(
        &self,
        object_store: Arc<dyn ObjectStore>,
        base_config: &FileScanConfig,
        partition: usize,
    ) -> Result<Box<dyn Morselizer>> {
        let store = Arc::clone(&object_store);
        let inner = self
            .0
            .create_morselizer(object_store, base_config, partition)?;
        let root = base_config.object_store_url.as_str();
        let local_root = root.strip_prefix(LOCAL_STORE);
        Ok(Box::new(NamingMorselizer {
            inner,
            store,
            is_local: local_root.is_some(),
            root: local_root.unwrap_or(root).to_owned(),
        }))
    }

    fn table_schema(&self) -> &TableSchema {
        self.0.table_schema()
    }

    fn with_batch_size(&self, batch_size: usize) -> Arc<dyn FileSource> {
        Arc::new(Self(self.0.with_batch_size(batch_size)))
    }

    fn filter(&self) -> Option<Arc<dyn PhysicalExpr>> {
        self.0.filter()
    }

    fn projection(&self) -> Option<&ProjectionExprs> {
        self.0.projection()
    }

    fn metrics(&self) -> &ExecutionPlanMetricsSet {
        self.0.metrics()
    }

    fn file_type(&self) -> &str {
        self.0.file_type()
    }

    fn fmt_extra(&self, t: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        self.0.fmt_extra(t, f)
    }

    fn supports_repartitioning(&self) -> bool {
        self.0.supports_repartitioning()
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.0.apply_expressions(f)
    }
}

#[derive(Debug)]
struct NamingMorselizer {
    inner: Box<dyn Morselizer>,
    store: Arc<dyn ObjectStore>,
    is_local: bool,
    root: String,
}

impl Morselizer for NamingMorselizer {
    fn plan_file(&self, file: PartitionedFile) -> Result<Box<dyn MorselPlanner>> {
        let scanned = ScannedFile {
            store: Arc::clone(&self.store),
            is_local: self.is_local,
            name: format!("{}{}", self.root, file.object_meta.location),
            expected: file.object_meta.clone(),
        };
        let scanned = Arc::new(scanned);
        match self.inner.plan_file(file) {
            Ok(inner) => Ok(Box::new(CheckingPlanner {
                inner,
                file: scanned,
            })),
            Err(error) => Err(scanned.name_in(&error)),
        }
    }
}

/// Looks at the file before anything of it is read.
#[derive(Debug)]
struct CheckingPlanner {
    inner: Box<dyn MorselPlanner>,
    file: Arc<ScannedFile>,
}

impl MorselPlanner for CheckingPlanner {
    fn plan(self: Box<Self>) -> Result<Option<MorselPlan>> {
        let Self { inner, file } = *self;
        let mut plan = MorselPlan::new();
        plan.set_pending_planner(async move {
            file.check().await?;
            Ok(naming(inner, &file))
        });
        Ok(Some(plan))
    }
}

#[derive(Debug)]
struct NamingPlanner {
    inner: Box<dyn MorselPlanner>,
    file: Arc<ScannedFile>,
}

fn naming(inner: Box<dyn MorselPlanner>, file: &Arc<ScannedFile>) -> Box<dyn MorselPlanner> {
    let file = Arc::clone(file);
    Box::new(NamingPlanner { inner, file })
}

impl MorselPlanner for NamingPlanner {
    fn plan(self: Box<Self>) -> Result<Option<MorselPlan>> {
        let file = self.file;
        let planned = self.inner.plan().map_err(|error| file.name_in(&error))?;
        let Some(mut plan) = planned else {
            return Ok(None);
        };
        let morsels = plan.take_morsels().into_iter().map(|inner| {
            let file = Arc::clone(&file);
            Box::new(NamingMorsel { inner, file }) as Box<dyn Morsel>
        });
        let planners = plan.take_ready_planners().into_iter();
        let mut named = MorselPlan::new()
            .with_morsels(morsels.collect())
            .with_planners(planners.map(|inner| naming(inner, &file)).collect());
        if let Some(pending) = plan.take_pending_planner() {
            named.set_pending_planner(async move {
                match pending.await {
                    Ok(planner) => Ok(naming(planner, &file)),
                    Err(error) => Err(file.explain(error).await),
                }
            });
        }
        Ok(Some(named))
    }
}

#[derive(Debug)]
struct NamingMorsel {
    inner: Box<dyn Morsel>,
    file: Arc<ScannedFile>,
}

impl Morsel for NamingMorsel {
    fn into_stream(
        self: Box<Self>,
    ) -> BoxStream<'static, Result<datafusion::arrow::array::RecordBatch>> {
        let (file, checked) = (Arc::clone(&self.file), self.file);
        let named = self.inner.into_stream().or_else(move |error| {
            let file = Arc::clone(&file);
            async move { Err(file.explain(error).await) }
        });
        if !checked.is_local {
            return named.boxed();
        }
        let at_end = stream::once(async move { checked.check().await })
            .filter_map(|checked| std::future::ready(checked.err().map(Err)));
        named.chain(at_end).boxed()
    }
}

/// A file as the plan knows it.
#[derive(Debug)]
struct ScannedFile {
    store: Arc<dyn ObjectStore>,
    is_local: bool,
    /// Its name for people.
    name: String,
    expected: object_store::ObjectMeta,
}

impl ScannedFile {
    /// What the file has to do with `error`, after another look at it.
    async fn explain(&self, error: DataFusionError) -> DataFusionError {
        let classified = from_datafusion(&error);
        if !is_of_the_file(classified.code) {
            return error;
        }
        match self.check().await {
            Err(changed) if is_change(&changed) => changed,
            _ => self.name_in(&error),
        }
    }

    /// Whether the file is there and is the one that was planned.
    async fn check(&self) -> Result<()> {
        let (name, expected) = (&self.name, &self.expected);
        let found = match self.store.head(&expected.location).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => {
                return Err(to_datafusion(QueryError::new(
                    ErrorCode::FileNotFound,
                    format!(
                        "file '{name}' not found: REFRESH TABLE takes note of files that are gone"
                    ),
                )));
            }
            Err(error) => {
                let error = DataFusionError::ObjectStore(Box::new(error));
                return Err(self.name_in(&error));
            }
        };
        let change = if found.size != expected.size {
            format!("it has {} bytes instead of {}", found.size, expected.size)
        } else if self.time_of(&found) != self.time_of(expected) {
            let (found, expected) = (found.last_modified, expected.last_modified);
            format!("it was written at {found} instead of {expected}")
        } else {
            return Ok(());
        };
        Err(to_datafusion(QueryError::new(
            ErrorCode::DataCorrupt,
            format!("file '{name}' has changed: {change}; REFRESH TABLE reads it anew"),
        )))
    }

    /// When the file was written, in microseconds as far as catalogs and stores agree: what some object
    /// stores list to the millisecond, they tell of a single object to the second.
    fn time_of(&self, meta: &object_store::ObjectMeta) -> i64 {
        match self.is_local {
            true => meta.last_modified.timestamp_micros(),
            false => meta.last_modified.timestamp() * 1_000_000,
        }
    }

    /// The error with the file's name.
    fn name_in(&self, error: &DataFusionError) -> DataFusionError {
        let mut classified = from_datafusion(error);
        if is_of_the_file(classified.code) {
            let text = &classified.message;
            classified.message = format!("file '{}' cannot be read: {text}", self.name);
        }
        to_datafusion(classified)
    }
}

/// Whether the file is not the one that was planned, rather than out of reach.
fn is_change(error: &DataFusionError) -> bool {
    let code = from_datafusion(error).code;
    matches!(code, ErrorCode::FileNotFound | ErrorCode::DataCorrupt)
}

/// Whether an error may be the file's fault; the others are the query's, or the node's.
fn is_of_the_file(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::DataCorrupt
            | ErrorCode::FileNotFound
            | ErrorCode::Storage
            | ErrorCode::PermissionDenied
            | ErrorCode::Internal
    )
}
