//! The ORDER BY of aggregates, and DISTINCT over several values.
//!
//! An aggregate operator has its input in one order. DataFusion refuses aggregates that want different ones, counts
//! an average among those that want one, and fails where DISTINCT stands beside them. Here an order that changes no
//! result is forgotten, and aggregates that stand beside others keep and sort their rows themselves
//! (`exchange/src/functions/ordered.rs`). `count(DISTINCT a, b)` counts the rows in which both have a value.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::functions::core::r#struct;
use datafusion::logical_expr::expr::{AggregateFunction, Sort};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, WindowFunctionDefinition, lit, when};
use datafusion::optimizer::AnalyzerRule;
use skep_runtime::functions::{direction, ordered};
use std::collections::HashSet;
use std::sync::Arc;

/// Aggregates whose result does not depend on the order of rows.
const UNORDERED: &[&str] = &[
    "any_value",
    "approx_distinct",
    "approx_median",
    "avg",
    "bit_and",
    "bit_or",
    "bit_xor",
    "bool_and",
    "bool_or",
    "corr",
    "count",
    "covar_pop",
    "covar_samp",
    "max",
    "median",
    "min",
    "regr_avgx",
    "regr_avgy",
    "regr_count",
    "regr_intercept",
    "regr_r2",
    "regr_slope",
    "regr_sxx",
    "regr_sxy",
    "regr_syy",
    "stddev",
    "stddev_pop",
    "sum",
    "var",
    "var_pop",
];

/// Gives every aggregate its own order. It belongs before the rule that has floating point numbers compared by keys.
#[derive(Debug)]
pub struct AggregateOrders;

impl AnalyzerRule for AggregateOrders {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let mended = plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Aggregate(aggregate) if needs_mending(&aggregate) => {
                mend(aggregate).map(Transformed::yes)
            }
            LogicalPlan::Window(_) => {
                let names = NamePreserver::new(&node);
                node.map_expressions(|expression| {
                    let name = names.save(&expression);
                    let counted = expression.transform_up(count_rows_in_window)?;
                    Ok(counted.update_data(|expression| name.restore(expression)))
                })?
                .map_data(LogicalPlan::recompute_schema)
            }
            other => Ok(Transformed::no(other)),
        })?;
        Ok(mended.data)
    }

    fn name(&self) -> &str {
        "aggregate_orders"
    }
}

fn calls(aggregate: &Aggregate) -> impl Iterator<Item = &AggregateFunction> {
    aggregate.aggr_expr.iter().filter_map(call_of)
}

fn call_of(expression: &Expr) -> Option<&AggregateFunction> {
    match expression {
        Expr::AggregateFunction(call) => Some(call),
        Expr::Alias(alias) => call_of(&alias.expr),
        _ => None,
    }
}

fn needs_mending(aggregate: &Aggregate) -> bool {
    calls(aggregate).any(|call| !call.params.order_by.is_empty() || is_distinct_count(call))
}

fn is_distinct_count(call: &AggregateFunction) -> bool {
    call.func.name() == "count" && call.params.distinct && call.params.args.len() > 1
}

/// Whether an aggregate has an order that its result depends on.
fn is_ordered(call: &AggregateFunction) -> bool {
    let params = &call.params;
    // WITHIN GROUP is not an order but an argument.
    !params.order_by.is_empty()
        && !call.func.supports_within_group_clause()
        && !UNORDERED.contains(&call.func.name())
}

fn mend(mut aggregate: Aggregate) -> Result<LogicalPlan> {
    let orders: HashSet<&Vec<Sort>> = calls(&aggregate)
        .filter(|call| is_ordered(call))
        .map(|call| &call.params.order_by)
        .collect();
    let is_mixed = orders.len() > 1
        || !orders.is_empty() && calls(&aggregate).any(|call| call.params.distinct);
    let names = NamePreserver::new_for_projection();
    for expression in &mut aggregate.aggr_expr {
        let value = std::mem::take(expression);
        let name = names.save(&value);
        let mended = value.transform_up(|part| Ok(mend_call(part, is_mixed)))?;
        *expression = name.restore(mended.data);
    }
    LogicalPlan::Aggregate(aggregate).recompute_schema()
}

fn mend_call(expression: Expr, is_mixed: bool) -> Transformed<Expr> {
    let Expr::AggregateFunction(mut call) = expression else {
        return Transformed::no(expression);
    };
    if is_distinct_count(&call) {
        call.params.args = vec![row_of(std::mem::take(&mut call.params.args))];
    }
    if UNORDERED.contains(&call.func.name()) {
        call.params.order_by = Vec::new();
    } else if is_mixed && is_ordered(&call) {
        sort_within(&mut call);
    }
    Transformed::yes(Expr::AggregateFunction(call))
}

/// Makes an aggregate sort its rows itself.
fn sort_within(call: &mut AggregateFunction) {
    let sorts = std::mem::take(&mut call.params.order_by);
    let directions = sorts.iter();
    let directions: String = directions
        .map(|sort| direction(sort.asc, sort.nulls_first))
        .collect();
    let keys = sorts.into_iter().map(|sort| sort.expr).collect();
    call.params.args.push(lit(directions));
    call.params.args.push(r#struct().call(keys));
    call.func = Arc::new(ordered(Arc::clone(&call.func)));
}

/// Several values as one, which is NULL where one of them is.
fn row_of(values: Vec<Expr>) -> Expr {
    let are_there = values.iter().map(|value| value.clone().is_not_null());
    let row = r#struct().call(values.clone());
    match conjunction(are_there) {
        Some(are_there) => when(are_there, row.clone()).end().unwrap_or(row),
        None => row,
    }
}

fn count_rows_in_window(expression: Expr) -> Result<Transformed<Expr>> {
    let Expr::WindowFunction(mut call) = expression else {
        return Ok(Transformed::no(expression));
    };
    let is_count = matches!(&call.fun, WindowFunctionDefinition::AggregateUDF(function)
        if function.name() == "count");
    let params = &mut call.params;
    let is_distinct_count = is_count && params.distinct && params.args.len() > 1;
    if is_distinct_count {
        params.args = vec![row_of(std::mem::take(&mut params.args))];
    }
    Ok(Transformed::new_transformed(
        Expr::WindowFunction(call),
        is_distinct_count,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::util::pretty::pretty_format_batches;
    use datafusion::execution::{FunctionRegistry, SessionStateBuilder};
    use datafusion::prelude::{SessionConfig, SessionContext};
    use skep_runtime::functions::FunctionSet;

    async fn row(sql: &str) -> String {
        let mut state = SessionStateBuilder::new()
            .with_config(SessionConfig::new().with_target_partitions(3))
            .with_default_features()
            .with_analyzer_rule(Arc::new(AggregateOrders))
            .build();
        FunctionSet::default().register(&mut state).unwrap();
        assert!(state.udafs().contains("skep_ordered_array_agg"));
        let context = SessionContext::new_with_state(state);
        let sql = format!("SELECT {sql} FROM (VALUES (1, 'b'), (2, 'a'), (3, NULL)) t(v, s)");
        let frame = context.sql(&sql).await.expect(&sql);
        let batches = frame.collect().await.expect(&sql);
        let table = pretty_format_batches(&batches).unwrap().to_string();
        let row = table.lines().nth(3).unwrap().trim_matches(['|', ' ']);
        row.split('|').map(str::trim).collect::<Vec<_>>().join("|")
    }

    #[tokio::test]
    async fn every_aggregate_has_its_own_order() {
        for (sql, expected) in [
            (
                "array_agg(v ORDER BY v DESC), avg(v ORDER BY s)",
                "[3, 2, 1]|2.0",
            ),
            (
                "array_agg(v ORDER BY s NULLS FIRST), array_agg(v ORDER BY v)",
                "[3, 2, 1]|[1, 2, 3]",
            ),
            (
                "string_agg(s, ',' ORDER BY s), string_agg(s, ',' ORDER BY v)",
                "a,b|b,a",
            ),
            (
                "array_agg(v ORDER BY v DESC), count(DISTINCT s), count(DISTINCT v, s)",
                "[3, 2, 1]|2|2",
            ),
            ("count(DISTINCT s, s)", "2"),
        ] {
            assert_eq!(row(sql).await, expected, "{sql}");
        }
    }
}
