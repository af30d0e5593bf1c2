//! Chains of unions as one union.
//!
//! `a UNION ALL b UNION ALL c` is read as a union of a union. DataFusion makes one of them level by level, and
//! looks at all columns of all inputs each time: 300 tables of 100 columns took seconds. This rule does it at
//! once where all of them have the same types; where they have not, DataFusion's comes behind.

use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::{Distinct, LogicalPlan, Union};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use std::sync::Arc;

/// Makes one union of unions of unions, of those without duplicates, too.
#[derive(Debug)]
pub(crate) struct FlatUnions;

impl OptimizerRule for FlatUnions {
    fn name(&self) -> &str {
        "flat_unions"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        Ok(match plan {
            LogicalPlan::Union(union) => flatten(union, false).update_data(LogicalPlan::Union),
            LogicalPlan::Distinct(Distinct::All(input)) => match Arc::unwrap_or_clone(input) {
                LogicalPlan::Union(union) => flatten(union, true).update_data(distinct),
                other => Transformed::no(LogicalPlan::Distinct(Distinct::All(Arc::new(other)))),
            },
            other => Transformed::no(other),
        })
    }
}

fn distinct(union: Union) -> LogicalPlan {
    LogicalPlan::Distinct(Distinct::All(Arc::new(LogicalPlan::Union(union))))
}

/// The union with the inputs of its inputs, in their order. `is_distinct` where duplicates are removed from it,
/// so that they need not be from its inputs.
fn flatten(union: Union, is_distinct: bool) -> Transformed<Union> {
    let nested = |input: &Arc<LogicalPlan>| nested_inputs(input, &union, is_distinct).is_some();
    if !union.inputs.iter().any(nested) {
        return Transformed::no(union);
    }
    let mut inputs = Vec::new();
    let mut open: Vec<Arc<LogicalPlan>> = union.inputs.iter().rev().cloned().collect();
    while let Some(input) = open.pop() {
        match nested_inputs(&input, &union, is_distinct) {
            Some(nested) => open.extend(nested.iter().rev().cloned()),
            None => inputs.push(input),
        }
    }
    let schema = Arc::clone(&union.schema);
    Transformed::yes(Union { inputs, schema })
}

/// The inputs of `input`, where it is a union of the same types as `outer`.
fn nested_inputs<'a>(
    input: &'a LogicalPlan,
    outer: &Union,
    is_distinct: bool,
) -> Option<&'a Vec<Arc<LogicalPlan>>> {
    let union = match input {
        LogicalPlan::Union(union) => union,
        LogicalPlan::Distinct(Distinct::All(input)) if is_distinct => match input.as_ref() {
            LogicalPlan::Union(union) => union,
            _ => return None,
        },
        _ => return None,
    };
    let types = union.schema.fields().iter().map(|field| field.data_type());
    let outer_types = outer.schema.fields().iter().map(|field| field.data_type());
    types.eq(outer_types).then_some(&union.inputs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
    use datafusion::optimizer::OptimizerContext;
    use datafusion::prelude::SessionContext;

    async fn flat(sql: &str) -> String {
        let context = SessionContext::new();
        let plan = context.sql(sql).await.unwrap().into_unoptimized_plan();
        let plan = plan
            .transform_down(|node| FlatUnions.rewrite(node, &OptimizerContext::new()))
            .unwrap();
        let mut shape = String::new();
        plan.data
            .apply(|node| {
                match node {
                    LogicalPlan::Union(union) => shape += &format!("U{}", union.inputs.len()),
                    LogicalPlan::Distinct(_) => shape += "D",
                    _ => {}
                }
                Ok(TreeNodeRecursion::Continue)
            })
            .unwrap();
        shape
    }

    #[tokio::test]
    async fn unions_of_unions_are_one() {
        for (sql, expected) in [
            ("SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3", "U3"),
            ("SELECT 1 UNION ALL (SELECT 2 UNION ALL SELECT 3)", "U3"),
            ("SELECT 1 UNION SELECT 2 UNION SELECT 3", "DU3"),
            ("SELECT 1 UNION ALL SELECT 2 UNION SELECT 3", "DU3"),
            // Duplicates within the first two are removed, others are not.
            ("SELECT 1 UNION SELECT 2 UNION ALL SELECT 3", "U2DU2"),
        ] {
            assert_eq!(flat(sql).await, expected, "{sql}");
        }
    }

    #[tokio::test]
    async fn the_order_of_inputs_is_kept() {
        let context = SessionContext::new();
        let sql = "SELECT 1 AS a UNION ALL SELECT 2 UNION ALL (SELECT 3 UNION ALL SELECT 4)";
        let plan = context.sql(sql).await.unwrap().into_unoptimized_plan();
        let plan = FlatUnions.rewrite(plan, &OptimizerContext::new()).unwrap();
        let shown = plan.data.display_indent().to_string();
        let places: Vec<_> = ["Int64(1)", "Int64(2)", "Int64(3)", "Int64(4)"]
            .iter()
            .map(|number| shown.find(number).unwrap())
            .collect();
        assert!(places.is_sorted(), "{shown}");
    }
}
