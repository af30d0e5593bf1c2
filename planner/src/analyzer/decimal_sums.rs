//! Sums of decimals beside a `count(DISTINCT …)` keep their type.
//!
//! DataFusion's optimizer splits an aggregate with one DISTINCT into two, and sums what it has summed. A sum
//! of decimals has ten digits more than what is summed, so that the sum of sums has twenty: not what the
//! client was told, nor what the operators above expect. Aggregates with a FILTER are left whole, so this
//! rule gives such sums one that is always true.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, DFSchema};
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::logical_expr::{
    Aggregate, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, lit,
};
use datafusion::optimizer::AnalyzerRule;
use std::sync::Arc;

/// Keeps such aggregates whole. It belongs after DataFusion's own analyzer rules.
#[derive(Debug)]
pub struct WholeDecimalSums;

impl AnalyzerRule for WholeDecimalSums {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let kept = plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Aggregate(aggregate) if may_be_split(&aggregate) => {
                keep_whole(aggregate).map(Transformed::yes)
            }
            other => Ok(Transformed::no(other)),
        })?;
        Ok(kept.data)
    }

    fn name(&self) -> &str {
        "whole_decimal_sums"
    }
}

fn may_be_split(aggregate: &Aggregate) -> bool {
    let is_distinct =
        |expr: &Expr| matches!(expr, Expr::AggregateFunction(call) if call.params.distinct);
    let schema = aggregate.input.schema();
    aggregate.aggr_expr.iter().any(is_distinct)
        && aggregate
            .aggr_expr
            .iter()
            .any(|expr| is_decimal_sum(expr, schema))
}

fn is_decimal_sum(expr: &Expr, schema: &DFSchema) -> bool {
    let Expr::AggregateFunction(call) = expr else {
        return false;
    };
    let is_decimal = |argument: &Expr| {
        let data_type = argument.get_type(schema);
        data_type.is_ok_and(|data_type| {
            matches!(
                data_type,
                DataType::Decimal32(..)
                    | DataType::Decimal64(..)
                    | DataType::Decimal128(..)
                    | DataType::Decimal256(..)
            )
        })
    };
    call.func.name() == "sum"
        && !call.params.distinct
        && call.params.filter.is_none()
        && call.params.args.iter().any(is_decimal)
}

fn keep_whole(aggregate: Aggregate) -> Result<LogicalPlan> {
    let schema = Arc::clone(&aggregate.schema);
    let input = Arc::clone(aggregate.input.schema());
    let filtered = aggregate.aggr_expr.into_iter().map(|expr| match expr {
        Expr::AggregateFunction(mut call)
            if is_decimal_sum(&Expr::AggregateFunction(call.clone()), &input) =>
        {
            call.params.filter = Some(Box::new(lit(true)));
            Expr::AggregateFunction(call)
        }
        other => other,
    });
    let whole = Aggregate::try_new(aggregate.input, aggregate.group_expr, filtered.collect())?;
    let named = whole.schema.columns().into_iter().zip(schema.columns());
    let shown: Vec<Expr> = named
        .map(|(column, Column { relation, name, .. })| {
            let is_same = column.name == name && column.relation == relation;
            match is_same {
                true => Expr::Column(column),
                false => Expr::Column(column).alias_qualified(relation, name),
            }
        })
        .collect();
    LogicalPlanBuilder::from(LogicalPlan::Aggregate(whole))
        .project(shown)?
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::execution::SessionStateBuilder;
    use datafusion::prelude::SessionContext;

    #[tokio::test]
    async fn sums_have_the_type_that_was_planned() {
        let state = SessionStateBuilder::new()
            .with_default_features()
            .with_analyzer_rule(Arc::new(WholeDecimalSums))
            .build();
        let context = SessionContext::new_with_state(state);
        let table =
            "(VALUES (1, CAST(1.5 AS DECIMAL(12, 2))), (1, CAST(2 AS DECIMAL(12, 2)))) AS t(a, d)";
        for sql in [
            format!("SELECT count(DISTINCT a), sum(d) FROM {table}"),
            format!(
                "SELECT a, count(DISTINCT d) AS n, sum(d) AS s FROM {table} GROUP BY a HAVING sum(d) > 3"
            ),
        ] {
            let frame = context.sql(&sql).await.unwrap();
            let batches = frame.collect().await.unwrap();
            assert_eq!(batches[0].num_rows(), 1, "{sql}");
            let schema = batches[0].schema();
            let sum = schema.fields().last().unwrap();
            assert_eq!(*sum.data_type(), DataType::Decimal128(22, 2), "{sql}");
        }
    }
}
