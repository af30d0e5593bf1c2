//! Which plans can be sent to executors without a change.
//!
//! The base library's messages have no place for some of what an operator holds, and leave it out without a
//! word: numbers of rows beyond 32 bits, the compression of text files, some flags of window functions. A plan
//! that holds such a thing runs undivided on the coordinator, where nothing is sent. So does one with an operator
//! for which there is no message at all.

use datafusion::catalog::memory::DataSourceExec;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::physical_expr::window::{
    PlainAggregateWindowExpr, SlidingAggregateWindowExpr, StandardWindowExpr,
};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::limit::{GlobalLimitExec, LocalLimitExec};
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec, WindowUDFExpr};
use datafusion::physical_plan::{ExecutionPlan, WindowExpr};
use skep_runtime::functions::needs_no_flags;
use std::sync::Arc;

/// Operators for which there is no message.
const UNSENDABLE: [&str; 4] = [
    "PartialSortExec",
    "PartitionedTopKExec",
    "PiecewiseMergeJoinExec",
    "StreamingTableExec",
];

/// Whether an operator, without its inputs, arrives at an executor as it is.
pub(crate) fn is_sendable(node: &Arc<dyn ExecutionPlan>) -> bool {
    if let Some(limit) = node.downcast_ref::<GlobalLimitExec>() {
        return fits(Some(limit.skip()));
    }
    if let Some(limit) = node.downcast_ref::<LocalLimitExec>() {
        return fits(Some(limit.fetch()));
    }
    if node.is::<CoalescePartitionsExec>() || node.is::<FilterExec>() {
        return fits(node.fetch());
    }
    if let Some(scan) = node.downcast_ref::<DataSourceExec>() {
        let config = scan.data_source().downcast_ref::<FileScanConfig>();
        return config.is_none_or(is_sendable_scan);
    }
    if let Some(window) = node.downcast_ref::<WindowAggExec>() {
        return window.window_expr().iter().all(is_sendable_window);
    }
    if let Some(window) = node.downcast_ref::<BoundedWindowAggExec>() {
        return window.window_expr().iter().all(is_sendable_window);
    }
    !UNSENDABLE.contains(&node.name())
}

/// Whether all operators of a plan arrive as they are.
pub(crate) fn all_sendable(plan: &Arc<dyn ExecutionPlan>) -> bool {
    is_sendable(plan) && plan.children().into_iter().all(all_sendable)
}

/// Whether a number of rows fits into a message.
fn fits(rows: Option<usize>) -> bool {
    rows.is_none_or(|rows| u32::try_from(rows).is_ok())
}

fn is_sendable_scan(config: &FileScanConfig) -> bool {
    fits(config.limit) && config.file_compression_type == FileCompressionType::UNCOMPRESSED
}

/// Their flags can be seen in no other way than by printing them.
fn is_sendable_window(window: &Arc<dyn WindowExpr>) -> bool {
    let expression = window.as_any();
    if let Some(plain) = expression.downcast_ref::<PlainAggregateWindowExpr>() {
        let is_reversed = plain.get_aggregate_expr().is_reversed();
        return !is_reversed && !format!("{plain:?}").contains("filter: Some(");
    }
    if let Some(sliding) = expression.downcast_ref::<SlidingAggregateWindowExpr>() {
        let is_reversed = sliding.get_aggregate_expr().is_reversed();
        return !is_reversed && !format!("{sliding:?}").contains("filter: Some(");
    }
    let standard = expression.downcast_ref::<StandardWindowExpr>();
    let function = standard.and_then(|standard| {
        let function = standard.get_standard_func_expr().as_any();
        function.downcast_ref::<WindowUDFExpr>()
    });
    function.is_some_and(|function| {
        let printed = || format!("{function:?}");
        needs_no_flags(function.fun())
            || !["is_reversed: true", "ignore_nulls: true"]
                .iter()
                .any(|flag| printed().contains(flag))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::datatypes::Schema;
    use datafusion::physical_plan::empty::EmptyExec;

    fn empty() -> Arc<dyn ExecutionPlan> {
        Arc::new(EmptyExec::new(Arc::new(Schema::empty())))
    }

    #[test]
    fn large_numbers_of_rows_are_not_sent() {
        let large = 1 << 32;
        let offset = |rows| -> Arc<dyn ExecutionPlan> {
            Arc::new(GlobalLimitExec::new(empty(), rows, None))
        };
        assert!(all_sendable(&offset(large - 1)));
        assert!(!all_sendable(&offset(large)));
        let limit: Arc<dyn ExecutionPlan> = Arc::new(LocalLimitExec::new(empty(), large));
        assert!(!all_sendable(&limit));
        let gathered = CoalescePartitionsExec::new(empty()).with_fetch(Some(large));
        let above: Arc<dyn ExecutionPlan> =
            Arc::new(GlobalLimitExec::new(Arc::new(gathered), 0, Some(1)));
        assert!(is_sendable(&above));
        assert!(!all_sendable(&above));
    }
}
