//! How scans of very many files are spread over tasks.

use crate::session::SkepOptions;
use datafusion::error::Result;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_distributed::{
    DesiredTaskCountEvent, DesiredTaskCountEventResponse, DistributedLeafExec,
    ScaleUpLeafNodeEvent, ScaleUpLeafNodeEventResponse,
};
use skep_runtime::bulk_scan::{BulkScanExec, FileShare};
use std::sync::Arc;

/// As many tasks as the base library gives an ordinary scan of as many bytes.
pub(crate) fn desired_tasks(
    event: DesiredTaskCountEvent<'_>,
) -> Option<Result<DesiredTaskCountEventResponse>> {
    let scan = event.plan.downcast_ref::<BulkScanExec>()?;
    let extensions = &event.session_config.options().extensions;
    let options = extensions.get::<SkepOptions>().cloned().unwrap_or_default();
    let bytes: u64 = scan.shares().iter().map(FileShare::size_bytes).sum();
    let tasks = bytes
        .div_ceil(options.scan_partition_bytes.max(1) as u64)
        .div_ceil(event.session_config.target_partitions().max(1) as u64);
    Some(Ok(DesiredTaskCountEventResponse::desired(
        usize::try_from(tasks).unwrap_or(usize::MAX),
    )))
}

/// Every task reads as much as the others.
pub(crate) fn scale_up(
    event: ScaleUpLeafNodeEvent<'_>,
) -> Option<Result<ScaleUpLeafNodeEventResponse>> {
    let scan = event.plan.downcast_ref::<BulkScanExec>()?;
    let split = || {
        let partitions = scan.shares().len();
        let shares = FileShare::spread_again(scan.shares(), partitions * event.task_count)?;
        let variants = shares.chunks(partitions.max(1)).map(|shares| {
            let variant: Arc<dyn ExecutionPlan> = Arc::new(scan.with_shares(shares.to_vec()));
            variant
        });
        let leaf = DistributedLeafExec::try_new(Arc::clone(event.plan), variants)?;
        Ok(ScaleUpLeafNodeEventResponse::new(Arc::new(leaf)))
    };
    Some(split())
}
