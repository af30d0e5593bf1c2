//! Scans of very many files.
//!
//! The base library keeps a scan's files in a list of large structures, which nearly every step of
//! planning copies, and which is encoded one by one for the executors: with a million files that takes
//! gigabytes and many seconds. A scan of many files is planned with one placeholder per partition
//! instead ([`FileShare::placeholder`]), which stands for its share of files in columns that all copies
//! share. When the physical plan is made, the scan becomes a [`BulkScanExec`], which is sent in that form;
//! on its way into an executor it becomes an ordinary scan again, with the files of its task alone.
//!
//! Decision: A scan of more than 10,000 Parquet files is planned with placeholders and sent as columns: the base
//! library copies its list of files at nearly every step of planning, which takes 20 seconds and 4 GB for a
//! million.

mod codec;
mod files;

pub use codec::BulkScanCodec;
pub use files::{FileList, FileShare, ListedFile};

use datafusion::catalog::memory::DataSourceExec;
use datafusion::common::Statistics;
use datafusion::common::internal_datafusion_err;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig, FileScanConfigBuilder};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{Partitioning, PhysicalExpr};
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use std::fmt;
use std::sync::{Arc, OnceLock};

/// A scan whose files are in columns, one share for each of its partitions.
#[derive(Debug)]
pub struct BulkScanExec {
    /// The scan without its files.
    template: Arc<dyn ExecutionPlan>,
    shares: Vec<FileShare>,
    properties: Arc<PlanProperties>,
    /// The ordinary scan, for the plans that are run where they were made.
    expanded: OnceLock<Arc<dyn ExecutionPlan>>,
}

impl BulkScanExec {
    /// A scan of `shares`, in every other respect like `template`, which is an ordinary scan.
    fn new(template: Arc<dyn ExecutionPlan>, shares: Vec<FileShare>) -> Self {
        let partitioning = Partitioning::UnknownPartitioning(shares.len());
        let properties = template.properties().as_ref().clone();
        Self {
            properties: Arc::new(properties.with_partitioning(partitioning)),
            template,
            shares,
            expanded: OnceLock::new(),
        }
    }

    /// The same scan with other shares.
    pub fn with_shares(&self, shares: Vec<FileShare>) -> Self {
        Self::new(Arc::clone(&self.template), shares)
    }

    /// What each partition reads.
    pub fn shares(&self) -> &[FileShare] {
        &self.shares
    }

    /// The ordinary scan of the same files.
    ///
    /// # Errors
    /// Where the columns are not what they should be, which is a defect.
    fn expand(&self) -> Result<Arc<dyn ExecutionPlan>> {
        let config = file_scan(&self.template)
            .ok_or_else(|| internal_datafusion_err!("a bulk scan is not a scan of files"))?;
        let groups = self
            .shares
            .iter()
            .map(|share| Ok(FileGroup::new(share.files()?)));
        let config = FileScanConfigBuilder::from(config.clone())
            .with_file_groups(groups.collect::<Result<Vec<_>>>()?)
            .with_output_partitioning(None)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

fn file_scan(plan: &Arc<dyn ExecutionPlan>) -> Option<&FileScanConfig> {
    let scan = plan.downcast_ref::<DataSourceExec>()?;
    scan.data_source().downcast_ref::<FileScanConfig>()
}

/// Makes bulk scans of the scans that have placeholders.
///
/// # Errors
/// Those of rebuilding the plan.
pub fn make_bulk_scans(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_up(|node| {
        let Some(config) = file_scan(&node) else {
            return Ok(Transformed::no(node));
        };
        let share_of = |group: &FileGroup| {
            let mut files = group.files().iter();
            let share = files.next()?.extension::<FileShare>()?.clone();
            files.next().is_none().then_some(share)
        };
        let shares: Option<Vec<FileShare>> = config.file_groups.iter().map(share_of).collect();
        let Some(shares) = shares.filter(|shares| !shares.is_empty()) else {
            return Ok(Transformed::no(node));
        };
        let template = FileScanConfigBuilder::from(config.clone())
            .with_file_groups(Vec::new())
            .with_output_partitioning(None)
            .build();
        let template = DataSourceExec::from_data_source(template);
        Ok(Transformed::yes(
            Arc::new(BulkScanExec::new(template, shares)) as _,
        ))
    })
    .data()
}

impl DisplayAs for BulkScanExec {
    fn fmt_as(&self, t: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        let files: usize = self.shares.iter().map(FileShare::len).sum();
        write!(f, "BulkScanExec: files={files}")?;
        if let Some(config) = file_scan(&self.template) {
            write!(f, ", projection=[")?;
            for (index, field) in self.schema().fields().iter().enumerate() {
                let comma = if index == 0 { "" } else { ", " };
                write!(f, "{comma}{}", field.name())?;
            }
            write!(f, "], file_type={}", config.file_source().file_type())?;
            config.file_source().fmt_extra(t, f)?;
        }
        Ok(())
    }
}

impl ExecutionPlan for BulkScanExec {
    fn name(&self) -> &str {
        "BulkScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.template.apply_expressions(f)
    }

    fn with_new_children(
        self: Arc<Self>,
        _children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn statistics_from_inputs(
        &self,
        _inputs: &[Arc<Statistics>],
        args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        let whole =
            StatisticsContext::new().compute(self.template.as_ref(), &StatisticsArgs::default())?;
        Ok(match args.partition() {
            None => whole,
            // What is known of all files says at most how much one share may have.
            Some(_) => Arc::new(Statistics {
                num_rows: Precision::Absent,
                total_byte_size: Precision::Absent,
                ..whole.as_ref().clone().to_inexact()
            }),
        })
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let scan = match self.expanded.get() {
            Some(scan) => Arc::clone(scan),
            None => {
                let scan = self.expand()?;
                Arc::clone(self.expanded.get_or_init(|| scan))
            }
        };
        scan.execute(partition, context)
    }

    fn metrics(&self) -> Option<MetricsSet> {
        self.expanded.get().and_then(|scan| scan.metrics())
    }
}

#[cfg(test)]
mod tests;
