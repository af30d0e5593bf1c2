//! Scans that say which file was at fault.
//!
//! DataFusion's readers report that a page or a footer is damaged, not in which file, and lose the
//! difference between a damaged file and one that is gone. Here every part of reading a file is
//! wrapped: when it fails, the file is looked at once more, and the error names it.

use datafusion::catalog::memory::DataSourceExec;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{
    FileOpener, FileScanConfig, FileScanConfigBuilder, FileSource,
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
use futures::{StreamExt, TryStreamExt};
use skep_exchange::error::{from_datafusion, to_datafusion};
use skep_protocol::{ErrorCode, QueryError};
use std::fmt;
use std::sync::Arc;

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
        let source = Arc::new(NamingSource(Arc::clone(config.file_source())));
        let config = FileScanConfigBuilder::from(config.clone())
            .with_source(source)
            .build();
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
        Ok(Box::new(NamingMorselizer {
            inner,
            store,
            root: root.strip_prefix("file://").unwrap_or(root).to_owned(),
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
    root: String,
}

impl Morselizer for NamingMorselizer {
    fn plan_file(&self, file: PartitionedFile) -> Result<Box<dyn MorselPlanner>> {
        let scanned = ScannedFile {
            store: Arc::clone(&self.store),
            name: format!("{}{}", self.root, file.object_meta.location),
            expected: file.object_meta.clone(),
        };
        let scanned = Arc::new(scanned);
        match self.inner.plan_file(file) {
            Ok(planner) => Ok(naming(planner, &scanned)),
            Err(error) => Err(scanned.name_in(&error)),
        }
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
        let file = self.file;
        self.inner
            .into_stream()
            .or_else(move |error| {
                let file = Arc::clone(&file);
                async move { Err(file.explain(error).await) }
            })
            .boxed()
    }
}

/// A file as the plan knows it.
#[derive(Debug)]
struct ScannedFile {
    store: Arc<dyn ObjectStore>,
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
        let name = &self.name;
        let explained = match self.store.head(&self.expected.location).await {
            Err(object_store::Error::NotFound { .. }) => QueryError::new(
                ErrorCode::FileNotFound,
                format!("file '{name}' not found: REFRESH TABLE takes note of files that are gone"),
            ),
            Ok(found) if found.size != self.expected.size => QueryError::new(
                ErrorCode::DataCorrupt,
                format!(
                    "file '{name}' has changed: it has {} bytes instead of {}; REFRESH TABLE reads \
                     it anew",
                    found.size, self.expected.size
                ),
            ),
            _ => return self.name_in(&error),
        };
        to_datafusion(explained)
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
