//! Scalar subqueries that may return several rows must fail, not multiply the rows around them.
//!
//! Distributed plans turn uncorrelated scalar subqueries into joins (their values do not cross stages
//! in memory), and such a join pairs every outer row with every row of the subquery: two rows where
//! one is allowed double the result without a word. This rule puts an aggregate on top of every such
//! subquery, [`single_value`], that returns the one value, `NULL` for none, and an error for more.
//! Correlated ones need nothing: DataFusion refuses them unless they are aggregated.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Subquery};
use datafusion::optimizer::AnalyzerRule;
use skep_exchange::functions::single_value;
use std::sync::Arc;

/// Guards the uncorrelated scalar subqueries of a plan. It belongs after DataFusion's own analyzer
/// rules.
#[derive(Debug)]
pub struct SingleRowSubqueries;

impl AnalyzerRule for SingleRowSubqueries {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let guarded = plan.transform_up_with_subqueries(|node| {
            node.map_expressions(|expression| expression.transform_up(guard))?
                .map_data(LogicalPlan::recompute_schema)
        })?;
        Ok(guarded.data)
    }

    fn name(&self) -> &str {
        "single_row_subqueries"
    }
}

fn guard(expression: Expr) -> Result<Transformed<Expr>> {
    match expression {
        Expr::ScalarSubquery(subquery) if needs_guard(&subquery) => {
            let plan = one_row(subquery.subquery.as_ref().clone())?;
            let subquery = subquery.with_plan(Arc::new(plan));
            Ok(Transformed::yes(Expr::ScalarSubquery(subquery)))
        }
        other => Ok(Transformed::no(other)),
    }
}

fn needs_guard(subquery: &Subquery) -> bool {
    subquery.outer_ref_columns.is_empty()
        && subquery.subquery.max_rows().is_none_or(|rows| rows > 1)
}

/// `plan`'s one value under its own name.
fn one_row(plan: LogicalPlan) -> Result<LogicalPlan> {
    let columns = plan.schema().columns();
    let [column] = columns.as_slice() else {
        let text = format!(
            "a scalar subquery has {} columns instead of one",
            columns.len()
        );
        return Err(DataFusionError::Plan(text));
    };
    let value = single_value().call(vec![Expr::Column(column.clone())]);
    let name = value.schema_name().to_string();
    LogicalPlanBuilder::from(plan)
        .aggregate(Vec::<Expr>::new(), vec![value])?
        .project(vec![
            Expr::Column(datafusion::common::Column::from_name(name))
                .alias_qualified(column.relation.clone(), column.name.clone()),
        ])?
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::AsArray;
    use datafusion::arrow::datatypes::Int64Type;
    use datafusion::execution::SessionStateBuilder;
    use datafusion::prelude::{SessionConfig, SessionContext};

    /// A session as distributed planning needs it, with or without the rule.
    async fn session(guarded: bool) -> SessionContext {
        let mut config = SessionConfig::new().with_target_partitions(3);
        config
            .options_mut()
            .optimizer
            .enable_physical_uncorrelated_scalar_subquery = false;
        let mut builder = SessionStateBuilder::new()
            .with_config(config)
            .with_default_features();
        if guarded {
            builder = builder.with_analyzer_rule(Arc::new(SingleRowSubqueries));
        }
        let context = SessionContext::new_with_state(builder.build());
        for sql in [
            "CREATE TABLE t AS SELECT * FROM (VALUES (1, 10), (2, 20), (2, 21)) v(k, x)",
            "CREATE TABLE u AS SELECT * FROM (VALUES (1), (2)) v(k)",
        ] {
            context.sql(sql).await.unwrap().collect().await.unwrap();
        }
        context
    }

    async fn rows(context: &SessionContext, sql: &str) -> Result<Vec<Option<i64>>> {
        let batches = context.sql(sql).await?.collect().await?;
        Ok(batches
            .iter()
            .flat_map(|batch| {
                batch
                    .column(0)
                    .as_primitive::<Int64Type>()
                    .iter()
                    .collect::<Vec<_>>()
            })
            .collect())
    }

    const SEVERAL: &str = "SELECT (SELECT x FROM t WHERE k = 2) AS v FROM u";

    #[tokio::test]
    async fn without_the_rule_rows_multiply() {
        assert_eq!(rows(&session(false).await, SEVERAL).await.unwrap().len(), 4);
    }

    #[tokio::test]
    async fn several_rows_are_an_error() {
        let context = session(true).await;
        for sql in [
            SEVERAL,
            "SELECT k FROM u WHERE k = (SELECT k FROM t)",
            "SELECT k FROM u WHERE k = (SELECT k FROM t GROUP BY k)",
            "SELECT k + (SELECT x FROM t LIMIT 2) FROM u",
            "SELECT k FROM u WHERE k IN (SELECT k FROM t WHERE x = (SELECT x FROM t))",
        ] {
            let error = rows(&context, sql).await.unwrap_err();
            assert!(
                error
                    .to_string()
                    .contains("scalar subquery returned more than one row"),
                "{sql}: {error}"
            );
        }
    }

    #[tokio::test]
    async fn one_row_and_no_row_are_values() {
        let context = session(true).await;
        let one = "SELECT (SELECT x FROM t WHERE k = 1) AS v FROM u";
        assert_eq!(rows(&context, one).await.unwrap(), [Some(10), Some(10)]);
        let none = "SELECT (SELECT x FROM t WHERE k = 3) AS v FROM u";
        assert_eq!(rows(&context, none).await.unwrap(), [None, None]);
        let null = "SELECT (SELECT CASE WHEN x > 99 THEN x END FROM t WHERE k = 1) FROM u";
        assert_eq!(rows(&context, null).await.unwrap(), [None, None]);
        let filter = "SELECT k FROM u WHERE k * 10 = (SELECT x FROM t WHERE k = 1)";
        assert_eq!(rows(&context, filter).await.unwrap(), [Some(1)]);
    }

    #[tokio::test]
    async fn subqueries_of_one_row_are_left_alone() {
        let context = session(true).await;
        for sql in [
            "SELECT k FROM u WHERE k < (SELECT max(x) FROM t)",
            "SELECT (SELECT x FROM t LIMIT 1) FROM u",
            "SELECT (SELECT max(x) FROM t WHERE t.k = u.k) FROM u",
        ] {
            let plan = context
                .sql(sql)
                .await
                .unwrap()
                .into_optimized_plan()
                .unwrap();
            assert!(
                !plan.display_indent().to_string().contains("single_value"),
                "{sql}"
            );
            rows(&context, sql).await.unwrap();
        }
    }
}
