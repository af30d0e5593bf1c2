//! Window functions keep their flags on the way to executors.
//!
//! Plans are sent without a window function's FILTER, and without its IGNORE NULLS where it is not an aggregate. This
//! rule puts functions in their place that have both built in (`exchange/src/functions`), so that the same is
//! computed wherever a window runs. What DataFusion itself does not look at, a FILTER or DISTINCT of a function
//! that is no aggregate, is refused.

use datafusion::common::plan_err;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::logical_expr::expr::{NullTreatment, WindowFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, LogicalPlan, WindowFunctionDefinition};
use datafusion::optimizer::AnalyzerRule;
use skep_runtime::functions::{filtered, ignoring_nulls};
use std::sync::Arc;

/// Builds the flags of window functions into the functions.
#[derive(Debug)]
pub struct WindowFlags;

impl AnalyzerRule for WindowFlags {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let rewritten = plan.transform_up_with_subqueries(|node| {
            if !matches!(node, LogicalPlan::Window(_)) {
                return Ok(Transformed::no(node));
            }
            let names = NamePreserver::new(&node);
            node.map_expressions(|expression| {
                let name = names.save(&expression);
                let rewritten = expression.transform_up(build_in)?;
                Ok(rewritten.update_data(|expression| name.restore(expression)))
            })?
            .map_data(LogicalPlan::recompute_schema)
        })?;
        Ok(rewritten.data)
    }

    fn name(&self) -> &str {
        "window_flags"
    }
}

fn build_in(expression: Expr) -> Result<Transformed<Expr>> {
    let Expr::WindowFunction(mut call) = expression else {
        return Ok(Transformed::no(expression));
    };
    let rewritten = match &call.fun {
        WindowFunctionDefinition::AggregateUDF(_) => build_in_filter(&mut call),
        WindowFunctionDefinition::WindowUDF(_) => build_in_null_treatment(&mut call)?,
    };
    Ok(Transformed::new_transformed(
        Expr::WindowFunction(call),
        rewritten,
    ))
}

fn build_in_filter(call: &mut WindowFunction) -> bool {
    let WindowFunctionDefinition::AggregateUDF(aggregate) = &call.fun else {
        return false;
    };
    let Some(condition) = call.params.filter.take() else {
        return false;
    };
    let filtered = filtered(Arc::clone(aggregate));
    call.fun = WindowFunctionDefinition::AggregateUDF(Arc::new(filtered));
    call.params.args.push(*condition);
    true
}

fn build_in_null_treatment(call: &mut WindowFunction) -> Result<bool> {
    let name = call.fun.name().to_owned();
    let params = &mut call.params;
    if params.filter.is_some() {
        return plan_err!("FILTER is for aggregates, and {name} is a window function");
    }
    if params.distinct {
        return plan_err!("DISTINCT is for aggregates, and {name} is a window function");
    }
    let treatment = params.null_treatment.take();
    if treatment != Some(NullTreatment::IgnoreNulls) {
        return Ok(treatment.is_some());
    }
    match ignoring_nulls(&name) {
        Some(function) => call.fun = WindowFunctionDefinition::WindowUDF(function),
        None => return plan_err!("{name} has no NULLs to ignore"),
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::execution::SessionStateBuilder;
    use datafusion::prelude::SessionContext;

    async fn planned(sql: &str) -> Result<String> {
        let state = SessionStateBuilder::new()
            .with_default_features()
            .with_analyzer_rule(Arc::new(WindowFlags))
            .build();
        let context = SessionContext::new_with_state(state);
        let frame = context.sql(sql).await?;
        Ok(frame.into_optimized_plan()?.display_indent().to_string())
    }

    #[tokio::test]
    async fn flags_become_functions() {
        for (call, function, name) in [
            (
                "sum(v) FILTER (WHERE v > 1) OVER (ORDER BY v)",
                "skep_filtered_sum(t.v, t.v > Int64(1))",
                "AS sum(t.v) FILTER (WHERE t.v > Int64(1))",
            ),
            (
                "lag(v, 2) IGNORE NULLS OVER (ORDER BY v)",
                "skep_lag_ignoring_nulls(t.v, Int64(2))",
                "AS lag(t.v,Int64(2)) IGNORE NULLS",
            ),
        ] {
            let sql = format!("SELECT {call} FROM (VALUES (1), (2)) t(v)");
            let plan = planned(&sql).await.unwrap();
            assert!(plan.contains(function), "{plan}");
            assert!(plan.contains(name), "{plan}");
        }
        let plain = "SELECT lag(v) RESPECT NULLS OVER (ORDER BY v) FROM (VALUES (1)) t(v)";
        assert!(!planned(plain).await.unwrap().contains("skep_"));
    }

    #[tokio::test]
    async fn what_nobody_would_look_at_is_refused() {
        for (call, message) in [
            ("last_value(DISTINCT v)", "DISTINCT is for aggregates"),
            ("rank() IGNORE NULLS", "rank has no NULLs to ignore"),
        ] {
            let sql = format!("SELECT {call} OVER (ORDER BY v) FROM (VALUES (1)) t(v)");
            let error = planned(&sql).await.unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}
