//! Integer arithmetic that leaves its type must fail, not wrap around.
//!
//! DataFusion adds the largest BIGINT and one to the smallest BIGINT. This rule puts the functions of
//! [`Arithmetic`] in the place of `+`, `-` and `*` where their result is an integer; decimals, dates
//! and intervals are checked by Arrow, and floating point has infinities.

use datafusion::common::DFSchema;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;
use skep_runtime::functions::Arithmetic;

/// Checks the integer arithmetic of a plan. It belongs after the rule that makes the types of both
/// sides of an operator one.
#[derive(Debug)]
pub struct CheckedArithmetic;

impl AnalyzerRule for CheckedArithmetic {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let checked = plan.transform_up_with_subqueries(|node| {
            let names = NamePreserver::new(&node);
            let schema = merge_schema(&node.inputs());
            let checked = |expression: Expr| {
                let name = names.save(&expression);
                let checked = expression.transform_up(|part| Ok(check(part, &schema)))?;
                Ok(checked.update_data(|expression| name.restore(expression)))
            };
            node.map_expressions(|expression| match expression {
                // It is not a column: those that it names are.
                Expr::GroupingSet(_) => expression.map_children(checked),
                column => checked(column),
            })?
            .map_data(LogicalPlan::recompute_schema)
        })?;
        Ok(checked.data)
    }

    fn name(&self) -> &str {
        "checked_arithmetic"
    }
}

fn check(expression: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let is_integer = |expression: &Expr| {
        let data_type = expression.get_type(schema);
        data_type.is_ok_and(|data_type| data_type.is_integer())
    };
    let (arithmetic, arguments) = match expression {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match Arithmetic::of(op) {
            Some(arithmetic) if is_integer(&left) && is_integer(&right) => {
                let mut arguments = values_of(arithmetic, *left);
                arguments.push(*right);
                (arithmetic, arguments)
            }
            _ => {
                let same = Expr::BinaryExpr(BinaryExpr { left, op, right });
                return Transformed::no(same);
            }
        },
        Expr::Negative(value) if is_integer(&value) => (Arithmetic::Negate, vec![*value]),
        other => return Transformed::no(other),
    };
    let call = ScalarFunction::new_udf(arithmetic.function(), arguments);
    Transformed::yes(Expr::ScalarFunction(call))
}

/// What one call takes in the place of `left`: the values of its own call where it does the same, since
/// `(a + b) + c` is `a + b + c`.
fn values_of(arithmetic: Arithmetic, left: Expr) -> Vec<Expr> {
    match left {
        Expr::ScalarFunction(call) if call.func == arithmetic.function() => call.args,
        left => vec![left],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::util::display::array_value_to_string;
    use datafusion::execution::SessionStateBuilder;
    use datafusion::prelude::SessionContext;
    use std::sync::Arc;

    /// The name and the first value of a statement's first column.
    async fn first(checked: bool, sql: &str) -> Result<(String, String)> {
        let mut builder = SessionStateBuilder::new().with_default_features();
        if checked {
            builder = builder.with_analyzer_rule(Arc::new(CheckedArithmetic));
        }
        let context = SessionContext::new_with_state(builder.build());
        let batches = context.sql(sql).await?.collect().await?;
        let batch = &batches[0];
        let name = batch.schema().field(0).name().clone();
        Ok((name, array_value_to_string(batch.column(0), 0)?))
    }

    #[tokio::test]
    async fn grouping_sets_have_keys_that_are_computed() {
        for (sql, expected) in [
            (
                "SELECT x + 1, count(*) FROM (VALUES (1), (1)) t(x) GROUP BY ROLLUP (x + 1) ORDER BY 1",
                "2",
            ),
            (
                "SELECT sum(g) FROM (SELECT grouping(-x, x * 2) AS g FROM (VALUES (1), (2)) t(x) \
                 GROUP BY CUBE (-x, x * 2))",
                "9",
            ),
        ] {
            let (_, value) = first(true, sql).await.expect(sql);
            assert_eq!(value, expected, "{sql}");
        }
        let sql = "SELECT x + 1 FROM (VALUES (9223372036854775807)) t(x) GROUP BY ROLLUP (x + 1)";
        let error = first(true, sql).await.expect_err(sql).to_string();
        assert!(error.contains("is beyond the range"), "{error}");
    }

    const OVERFLOWS: &[&str] = &[
        "SELECT 9223372036854775807 + 1",
        "SELECT x + 1 FROM (VALUES (9223372036854775807)) t(x)",
        "SELECT x - 2 FROM (VALUES (-9223372036854775807)) t(x)",
        "SELECT x * x FROM (VALUES (9223372036854775807)) t(x)",
        "SELECT -(x - 1) FROM (VALUES (-9223372036854775807)) t(x)",
        "SELECT CAST(x AS INT) + CAST(1 AS INT) FROM (VALUES (2147483647)) t(x)",
        "SELECT x + 1, count(*) FROM (VALUES (9223372036854775807)) t(x) GROUP BY x + 1",
        "SELECT 1 FROM (VALUES (9223372036854775807)) t(x) WHERE x + 1 < 0",
        "SELECT x + 1 - 1 FROM (VALUES (9223372036854775807)) t(x)",
        "SELECT x + 1 + y FROM (VALUES (9223372036854775807, -1)) t(x, y)",
        "SELECT 2 * x * y FROM (VALUES (9223372036854775807, 0)) t(x, y)",
        "SELECT (SELECT max(x * 2) FROM (VALUES (9223372036854775807)) t(x))",
    ];

    #[tokio::test]
    async fn without_the_rule_numbers_wrap_around() {
        for sql in OVERFLOWS {
            assert!(first(false, sql).await.is_ok(), "{sql}");
        }
    }

    #[tokio::test]
    async fn overflow_is_an_error() {
        for sql in OVERFLOWS {
            let error = first(true, sql).await.expect_err(sql).to_string();
            assert!(error.contains("is beyond the range"), "{sql}: {error}");
        }
    }

    #[tokio::test]
    async fn a_long_sum_is_one_call() {
        let sql = format!("SELECT x{} FROM (VALUES (5)) t(x)", " + x".repeat(140));
        let (name, value) = first(true, &sql).await.unwrap();
        assert_eq!(value, "705");
        assert_eq!(name, first(false, &sql).await.unwrap().0);
    }

    #[tokio::test]
    async fn names_and_values_are_what_they_were() {
        for sql in [
            "SELECT 1 + 2",
            "SELECT x - 1 FROM (VALUES (1), (NULL)) t(x)",
            "SELECT -x FROM (VALUES (5)) t(x)",
            "SELECT x - 1 - 2 - x, x + 1 + x + 2, x - (1 - (2 - x)) AS z FROM (VALUES (1), (NULL)) t(x)",
            "SELECT x * 2 * x * 3 FROM (VALUES (5)) t(x)",
            "SELECT CAST(x AS INT) + CAST(1 AS INT) + 1 FROM (VALUES (5)) t(x)",
            "SELECT x * 2 + 1 AS y FROM (VALUES (5)) t(x) ORDER BY y",
            "SELECT x + 1 FROM (VALUES (5)) t(x) GROUP BY x + 1 HAVING max(x + 1) > 2",
            "SELECT x * 1.5 FROM (VALUES (5)) t(x)",
            "SELECT DATE '2024-01-31' + INTERVAL '1' MONTH",
            "SELECT sum(x + 1) OVER (ORDER BY x + 1) FROM (VALUES (5), (6)) t(x) ORDER BY 1",
        ] {
            assert_eq!(
                first(true, sql).await.unwrap(),
                first(false, sql).await.unwrap(),
                "{sql}"
            );
        }
    }
}
