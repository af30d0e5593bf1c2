//! Lets the first rows of an order be found without keeping all that was read on the way.
//!
//! DataFusion keeps the first rows of an order as places in the batches that they came with. What it does not
//! need of those batches it drops by copying rows into a batch of their own, but it does not copy strings: each
//! that is kept holds the buffer that it lies in, with thousands of others. A thousand rows out of two million
//! held all of their strings. So the rows that cannot be among the first any more, which that sort knows by a
//! filter of its own, are left out below it already, by an operator that copies what is left.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use std::sync::Arc;

/// Filters the inputs of all sorts with a limit that read strings.
pub(crate) fn compact_topk(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_up(|node| {
        let Some(filtered) = filtered_input(&node)? else {
            return Ok(Transformed::no(node));
        };
        replace_children_if_necessary(node, vec![filtered]).map(Transformed::yes)
    })
    .data()
}

/// The input of a sort with a limit, without the rows that come after those it has found; `None` for everything
/// else. An input that is sorted already, by other keys first, ends early, which the sort sees by those rows.
fn filtered_input(node: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(sort) = node.downcast_ref::<SortExec>() else {
        return Ok(None);
    };
    let input = sort.input();
    let schema = input.schema();
    let mut fields = schema.fields().iter();
    let has_views = fields.any(|field| holds_views(field.data_type()));
    if sort.fetch().is_none() || !has_views || input.output_ordering().is_some() {
        return Ok(None);
    }
    let mut filters = sort.dynamic_expressions_produced().into_iter();
    let filter = filters
        .next()
        .map(|filter| FilterExec::try_new(filter, Arc::clone(input)));
    Ok(filter.transpose()?.map(|filter| Arc::new(filter) as _))
}

/// Whether values of a type lie in buffers that they share with those of other rows.
fn holds_views(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8View | DataType::BinaryView => true,
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            holds_views(item.data_type())
        }
        DataType::Map(entries, _) => holds_views(entries.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| holds_views(field.data_type())),
        DataType::Dictionary(_, value) => holds_views(value),
        _ => false,
    }
}
