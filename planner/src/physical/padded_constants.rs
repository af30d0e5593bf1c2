//! Where DataFusion takes for constant what is not: see [`ForgetConstantsExec`].

use datafusion::common::JoinType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result;
use datafusion::physical_expr::AcrossPartitions;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::union::{InterleaveExec, UnionExec};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use skep_runtime::constants::ForgetConstantsExec;
use std::collections::HashSet;
use std::sync::Arc;

/// Forgets constants below operators that put NULLs into their columns, above unions of different ones, and
/// below unions in which one input has constants where another one has none. It belongs before every rule
/// that looks at the properties of operators.
#[derive(Debug)]
pub(crate) struct PaddedConstants;

impl PhysicalOptimizerRule for PaddedConstants {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(forget).data()
    }

    fn name(&self) -> &str {
        "padded_constants"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn forget(node: Arc<dyn ExecutionPlan>) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
    let has_sets = has_grouping_sets(&node);
    let is_mixed = is_union_with_some_constants(&node);
    let padded = |side: usize| match (join_type(&node), side) {
        (Some(JoinType::Full), _) | (Some(JoinType::Left), 1) | (Some(JoinType::Right), 0) => true,
        (None, _) => has_sets || is_mixed,
        _ => false,
    };
    let inputs = node.children().into_iter().enumerate();
    let inputs = inputs.map(|(side, input)| match padded(side) && has_constants(input) {
        true => (
            true,
            Arc::new(ForgetConstantsExec::new(Arc::clone(input))) as _,
        ),
        false => (false, Arc::clone(input)),
    });
    let (forgotten, inputs): (Vec<bool>, Vec<Arc<dyn ExecutionPlan>>) = inputs.unzip();
    let mut changed = forgotten.contains(&true);
    let mut node = match changed {
        true => replace_children_if_necessary(node, inputs)?,
        false => node,
    };
    // A key that is written as a constant is one even then.
    if (has_sets && has_constants(&node)) || is_union_of_constants(&node) {
        node = Arc::new(ForgetConstantsExec::new(node));
        changed = true;
    }
    Ok(match changed {
        true => Transformed::yes(node),
        false => Transformed::no(node),
    })
}

fn has_constants(plan: &Arc<dyn ExecutionPlan>) -> bool {
    !plan.equivalence_properties().constants().is_empty()
}

fn is_union(node: &Arc<dyn ExecutionPlan>) -> bool {
    node.is::<UnionExec>() || node.is::<InterleaveExec>()
}

/// Whether a column is constant in one input of a union, and not in all of them: with two of those, the union
/// does not see that its inputs are sorted, and a plan that relies on it is refused.
fn is_union_with_some_constants(node: &Arc<dyn ExecutionPlan>) -> bool {
    if !is_union(node) {
        return false;
    }
    let in_all = constant_columns(node);
    let mut inputs = node.children().into_iter();
    inputs.any(|input| !constant_columns(input).is_subset(&in_all))
}

/// The places of the columns that are constant.
fn constant_columns(plan: &Arc<dyn ExecutionPlan>) -> HashSet<usize> {
    let constants = plan.equivalence_properties().constants();
    let columns = constants.iter().filter_map(|constant| {
        let column = constant.expr.downcast_ref::<Column>()?;
        Some(column.index())
    });
    columns.collect()
}

/// Whether a column is constant in each input of a union, and not the same in all of them.
fn is_union_of_constants(node: &Arc<dyn ExecutionPlan>) -> bool {
    is_union(node)
        && node
            .equivalence_properties()
            .constants()
            .iter()
            .any(|constant| constant.across_partitions == AcrossPartitions::Heterogeneous)
}

fn has_grouping_sets(node: &Arc<dyn ExecutionPlan>) -> bool {
    node.downcast_ref::<AggregateExec>()
        .is_some_and(|aggregate| aggregate.group_expr().has_grouping_set())
}

fn join_type(node: &Arc<dyn ExecutionPlan>) -> Option<JoinType> {
    let hash = node.downcast_ref::<HashJoinExec>();
    let merge = node.downcast_ref::<SortMergeJoinExec>();
    let nested = node.downcast_ref::<NestedLoopJoinExec>();
    hash.map(|join| *join.join_type())
        .or_else(|| merge.map(SortMergeJoinExec::join_type))
        .or_else(|| nested.map(|join| *join.join_type()))
}
