//! `EXCEPT ALL` and `INTERSECT ALL` count how often a row is there.
//!
//! DataFusion makes an anti or a semi join of them, which drops or keeps all copies of a row where one is
//! on the other side: three rows EXCEPT ALL one of them are no rows, where the standard has two. This rule
//! numbers the copies on both sides and compares the numbers, too: the second copy of a row meets the
//! second copy of it. The joins of `EXCEPT` and `INTERSECT` without ALL have distinct rows on their left
//! and are right as they are.

use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, JoinType, NullEquality};
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::{Expr, ExprFunctionExt, Join, LogicalPlan, LogicalPlanBuilder};
use datafusion::optimizer::AnalyzerRule;
use std::sync::Arc;

/// The columns that number the copies of a row.
const LEFT_COPY: &str = "__left_copy";
const RIGHT_COPY: &str = "__right_copy";

/// Counts copies. It belongs after DataFusion's own analyzer rules, which make the types of both sides
/// one.
#[derive(Debug)]
pub struct CountedCopies;

impl AnalyzerRule for CountedCopies {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let counted = plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Join(join) if is_set_operation_with_all(&join) => {
                compare_copies(join).map(Transformed::yes)
            }
            other => Ok(Transformed::no(other)),
        })?;
        Ok(counted.data)
    }

    fn name(&self) -> &str {
        "counted_copies"
    }
}

/// Whether a join is what the planner makes of EXCEPT ALL or INTERSECT ALL. No join that somebody wrote
/// has NULLs that are equal in its keys before the optimizer has run.
fn is_set_operation_with_all(join: &Join) -> bool {
    matches!(join.join_type, JoinType::LeftSemi | JoinType::LeftAnti)
        && join.null_equality == NullEquality::NullEqualsNull
        && join.filter.is_none()
        && join.on.len() == join.left.schema().fields().len()
        && !matches!(join.left.as_ref(), LogicalPlan::Distinct(_))
}

fn compare_copies(join: Join) -> Result<LogicalPlan> {
    let columns = join.left.schema().columns();
    let (left_keys, right_keys): (Vec<Expr>, Vec<Expr>) = join.on.iter().cloned().unzip();
    let left = with_copies(&join.left, left_keys, LEFT_COPY)?;
    let right = with_copies(&join.right, right_keys, RIGHT_COPY)?;
    let mut on = join.on;
    on.push((copy(LEFT_COPY), copy(RIGHT_COPY)));
    let joined = Join::try_new(
        Arc::new(left),
        Arc::new(right),
        on,
        None,
        join.join_type,
        join.join_constraint,
        join.null_equality,
        join.null_aware,
    )?;
    LogicalPlanBuilder::from(LogicalPlan::Join(joined))
        .project(columns.into_iter().map(Expr::Column))?
        .build()
}

fn copy(name: &str) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}

/// The input with the number that a row has among its copies.
fn with_copies(input: &Arc<LogicalPlan>, keys: Vec<Expr>, name: &str) -> Result<LogicalPlan> {
    let number = row_number().partition_by(keys).build()?;
    let numbered = Expr::Column(Column::from_name(number.schema_name().to_string()));
    let columns = input.schema().columns().into_iter().map(Expr::Column);
    let shown: Vec<Expr> = columns.chain([numbered.alias(name)]).collect();
    LogicalPlanBuilder::from(Arc::clone(input))
        .window(vec![number])?
        .project(shown)?
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::util::pretty::pretty_format_batches;
    use datafusion::execution::SessionStateBuilder;
    use datafusion::prelude::SessionContext;

    async fn rows(sql: &str) -> Vec<String> {
        let state = SessionStateBuilder::new()
            .with_default_features()
            .with_analyzer_rule(Arc::new(CountedCopies))
            .build();
        let context = SessionContext::new_with_state(state);
        let batches = context.sql(sql).await.unwrap().collect().await.unwrap();
        let shown = pretty_format_batches(&batches).unwrap().to_string();
        let lines = shown.lines().skip(3).filter(|line| line.starts_with('|'));
        let cells = lines.map(|line| line.trim_matches(['|', ' ']).to_owned());
        let mut cells: Vec<String> = cells.collect();
        cells.sort();
        cells
    }

    const LEFT: &str = "(VALUES (1), (1), (1), (2), (NULL), (NULL), (3)) AS l(a)";
    const RIGHT: &str = "(VALUES (CAST(1 AS BIGINT)), (2), (2), (NULL), (4)) AS r(a)";

    #[tokio::test]
    async fn copies_are_counted() {
        let sql = format!("SELECT a FROM {LEFT} EXCEPT ALL SELECT a FROM {RIGHT}");
        assert_eq!(rows(&sql).await, ["", "1", "1", "3"]);
        let sql = format!("SELECT a FROM {LEFT} INTERSECT ALL SELECT a FROM {RIGHT}");
        assert_eq!(rows(&sql).await, ["", "1", "2"]);
        let sql = format!("SELECT a FROM {RIGHT} INTERSECT ALL SELECT a FROM {RIGHT}");
        assert_eq!(rows(&sql).await, ["", "1", "2", "2", "4"]);
    }

    #[tokio::test]
    async fn without_all_rows_are_distinct() {
        let sql = format!("SELECT a FROM {LEFT} EXCEPT SELECT a FROM {RIGHT}");
        assert_eq!(rows(&sql).await, ["3"]);
        let sql = format!("SELECT a FROM {LEFT} INTERSECT SELECT a FROM {RIGHT}");
        assert_eq!(rows(&sql).await, ["", "1", "2"]);
    }
}
