//! `IN` and `NOT IN` with a subquery when there are NULLs.
//!
//! `x NOT IN (1, NULL)` is never true. DataFusion knows that of `NOT IN` on its own in a WHERE, whose
//! subquery depends on nothing around it and whose `x` is computed from columns: it makes a join of it that
//! is aware of NULLs. Elsewhere its joins forget them: with a constant `x` or within an OR rows are
//! returned that should not be, and a correlated subquery fails. This rule writes these others down as
//! what they mean, with EXISTS, which knows no NULL.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, ExprSchema, ScalarValue, plan_err};
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::logical_expr::expr::InSubquery;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    Expr, ExprSchemable, Filter, LogicalPlan, LogicalPlanBuilder, Projection, exists, lit, not,
    not_exists, when,
};
use datafusion::optimizer::{AnalyzerRule, OptimizerConfig, OptimizerRule};
use std::sync::Arc;

/// What a subquery's value is called that is cast.
const VALUE: &str = "__in_value";

/// Writes down what `IN` means. It belongs after DataFusion's own analyzer rules, which make the types of
/// both sides one.
#[derive(Debug)]
pub struct NullAwareIn;

impl AnalyzerRule for NullAwareIn {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let written = plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Filter(filter) => filter_with_exists(filter),
            other => Ok(Transformed::no(other)),
        })?;
        Ok(written.data)
    }

    fn name(&self) -> &str {
        "null_aware_in"
    }
}

fn filter_with_exists(filter: Filter) -> Result<Transformed<LogicalPlan>> {
    let schema = filter.input.schema();
    let named = filter.predicate.clone().transform_up(name_value)?;
    let mut changed = named.transformed;
    let mut parts = Vec::new();
    for part in split_conjunction_owned(named.data) {
        let written = condition(part, schema)?;
        changed |= written.transformed;
        parts.push(written.data);
    }
    match conjunction(parts).filter(|_| changed) {
        Some(predicate) => {
            let filter = Filter::try_new(predicate, filter.input)?;
            Ok(Transformed::yes(LogicalPlan::Filter(filter)))
        }
        None => Ok(Transformed::no(LogicalPlan::Filter(filter))),
    }
}

/// Gives the value of a correlated subquery a name, where it is cast: the columns that the correlation
/// needs come to stand beside it, and one of them may be the one that is cast, with the same name.
fn name_value(expression: Expr) -> Result<Transformed<Expr>> {
    let Expr::InSubquery(mut within) = expression else {
        return Ok(Transformed::no(expression));
    };
    let cast = match within.subquery.subquery.as_ref() {
        LogicalPlan::Projection(projection) if !within.subquery.outer_ref_columns.is_empty() => {
            match projection.expr.as_slice() {
                [cast @ (Expr::Cast(_) | Expr::TryCast(_))] => Some((cast.clone(), projection)),
                _ => None,
            }
        }
        _ => None,
    };
    let Some((cast, projection)) = cast else {
        return Ok(Transformed::no(Expr::InSubquery(within)));
    };
    let named = Projection::try_new(vec![cast.alias(VALUE)], Arc::clone(&projection.input))?;
    within.subquery.subquery = Arc::new(LogicalPlan::Projection(named));
    Ok(Transformed::yes(Expr::InSubquery(within)))
}

/// One of the conditions that all have to hold: of these, only what is true counts.
fn condition(part: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let (inside, negated) = match part {
        Expr::Not(inner) if matches!(inner.as_ref(), Expr::InSubquery(_)) => (*inner, true),
        other => (other, false),
    };
    match inside {
        Expr::InSubquery(within) => {
            let is_not_in = within.negated != negated;
            if is_not_in && may_be_unknown(&within, schema)? && !has_own_join(&within) {
                return not_in(&within, schema).map(Transformed::yes);
            }
            let whole = Expr::InSubquery(within);
            Ok(Transformed::no(if negated { not(whole) } else { whole }))
        }
        other => other.transform_up(|inner| match inner {
            Expr::InSubquery(within) if may_be_unknown(&within, schema)? => {
                three_valued(&within, schema).map(Transformed::yes)
            }
            inner => Ok(Transformed::no(inner)),
        }),
    }
}

/// Whether DataFusion makes a join of it that is aware of NULLs.
fn has_own_join(within: &InSubquery) -> bool {
    within.subquery.outer_ref_columns.is_empty() && !within.expr.column_refs().is_empty()
}

fn may_be_unknown(within: &InSubquery, schema: &DFSchema) -> Result<bool> {
    // What stands for a column of a query further out is never written down anew.
    if within.expr.contains_outer() {
        return Ok(false);
    }
    Ok(within.expr.nullable(schema)? || value_may_be_null(within))
}

fn value_may_be_null(within: &InSubquery) -> bool {
    let fields = within.subquery.subquery.schema().fields();
    fields.first().is_none_or(|field| field.is_nullable())
}

/// No row of the subquery is equal, or might be.
fn not_in(within: &InSubquery, schema: &DFSchema) -> Result<Expr> {
    let (value, sought) = (value(within)?, outer(&within.expr, schema)?);
    let equal = value.clone().eq(sought.clone());
    let might_be = equal.or(value.is_null()).or(sought.is_null());
    Ok(not_exists(rows_with(within, Some(might_be))?))
}

/// True where a row is equal, unknown where one might be, and false otherwise.
fn three_valued(within: &InSubquery, schema: &DFSchema) -> Result<Expr> {
    let (value, sought) = (value(within)?, outer(&within.expr, schema)?);
    let found = exists(rows_with(within, Some(value.clone().eq(sought)))?);
    let mut unknown = Vec::new();
    if value_may_be_null(within) {
        unknown.push(exists(rows_with(within, Some(value.is_null()))?));
    }
    if within.expr.nullable(schema)? {
        let any = exists(rows_with(within, None)?);
        unknown.push(within.expr.as_ref().clone().is_null().and(any));
    }
    let unknown = unknown.into_iter().reduce(Expr::or);
    let written = when(found, lit(true))
        .when(
            unknown.unwrap_or_else(|| lit(false)),
            lit(ScalarValue::Boolean(None)),
        )
        .otherwise(lit(false))?;
    Ok(if within.negated {
        not(written)
    } else {
        written
    })
}

/// The subquery's column.
fn value(within: &InSubquery) -> Result<Expr> {
    let columns = within.subquery.subquery.schema().columns();
    match columns.as_slice() {
        [column] => Ok(Expr::Column(column.clone())),
        _ => plan_err!(
            "the subquery of IN has {} columns instead of one",
            columns.len()
        ),
    }
}

/// The subquery's rows for which `predicate` holds.
fn rows_with(within: &InSubquery, predicate: Option<Expr>) -> Result<Arc<LogicalPlan>> {
    let plan = LogicalPlanBuilder::from(Arc::clone(&within.subquery.subquery));
    let is_correlated = !within.subquery.outer_ref_columns.is_empty()
        || predicate.as_ref().is_some_and(Expr::contains_outer);
    let plan = match predicate {
        Some(predicate) => plan.filter(predicate)?,
        None => plan,
    };
    // Where nothing depends on the row outside, one row says it for all.
    let plan = match is_correlated {
        true => plan,
        false => plan.limit(0, Some(1))?,
    };
    plan.build().map(Arc::new)
}

/// The expression as it is written within the subquery.
fn outer(expression: &Expr, schema: &DFSchema) -> Result<Expr> {
    let written = expression.clone().transform_up(|inner| match inner {
        Expr::Column(column) => {
            let field = Arc::clone(schema.field_from_column(&column)?);
            Ok(Transformed::yes(Expr::OuterReferenceColumn(field, column)))
        }
        inner => Ok(Transformed::no(inner)),
    })?;
    Ok(written.data)
}

/// Refuses joins that are aware of NULLs and would be carried out by an operator that is not: the only one
/// that is has one key.
#[derive(Debug)]
pub struct NullAwareJoinsHaveOneKey;

impl OptimizerRule for NullAwareJoinsHaveOneKey {
    fn name(&self) -> &str {
        "null_aware_joins_have_one_key"
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        plan.apply_with_subqueries(|node| match node {
            LogicalPlan::Join(join) if join.null_aware && join.on.len() != 1 => {
                plan_err!("this NOT IN with NULLs is not supported: write NOT EXISTS")
            }
            _ => Ok(datafusion::common::tree_node::TreeNodeRecursion::Continue),
        })?;
        Ok(Transformed::no(plan))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::AsArray;
    use datafusion::arrow::datatypes::Int64Type;
    use datafusion::execution::SessionStateBuilder;
    use datafusion::prelude::SessionContext;

    async fn session() -> SessionContext {
        let state = SessionStateBuilder::new()
            .with_default_features()
            .with_analyzer_rule(Arc::new(NullAwareIn))
            .with_optimizer_rule(Arc::new(NullAwareJoinsHaveOneKey))
            .build();
        let context = SessionContext::new_with_state(state);
        for sql in [
            "CREATE TABLE t AS SELECT * FROM (VALUES (1, 1), (2, 1), (NULL, 2), (4, 3)) v(k, g)",
            "CREATE TABLE u AS SELECT * FROM (VALUES (1, 1), (NULL, 1), (5, 2)) v(k, g)",
            "CREATE TABLE nothing AS SELECT * FROM u WHERE k = 100",
        ] {
            context.sql(sql).await.unwrap().collect().await.unwrap();
        }
        context
    }

    /// The keys of `t` for which the condition holds, in order, NULL as 0.
    async fn keys(condition: &str) -> Vec<i64> {
        let sql = format!("SELECT k FROM t WHERE {condition}");
        let frame = session().await.sql(&sql).await.unwrap();
        let batches = frame.collect().await.unwrap();
        let columns = batches.iter().flat_map(|batch| {
            let column = batch.column(0).as_primitive::<Int64Type>();
            column
                .iter()
                .map(Option::unwrap_or_default)
                .collect::<Vec<_>>()
        });
        let mut keys: Vec<i64> = columns.collect();
        keys.sort_unstable();
        keys
    }

    #[tokio::test]
    async fn alone_in_a_where() {
        assert!(keys("k NOT IN (SELECT k FROM u)").await.is_empty());
        assert_eq!(
            keys("k NOT IN (SELECT k FROM u WHERE g = 2)").await,
            [1, 2, 4]
        );
        assert_eq!(keys("k NOT IN (SELECT k FROM nothing)").await, [0, 1, 2, 4]);
        assert_eq!(keys("k IN (SELECT k FROM u)").await, [1]);
    }

    #[tokio::test]
    async fn with_a_constant() {
        assert!(keys("5 NOT IN (SELECT k FROM u)").await.is_empty());
        assert!(keys("7 NOT IN (SELECT k FROM u)").await.is_empty());
        assert_eq!(
            keys("7 NOT IN (SELECT k FROM u WHERE g = 2)").await.len(),
            4
        );
        assert!(keys("NULL NOT IN (SELECT k FROM u)").await.is_empty());
        assert_eq!(keys("NULL NOT IN (SELECT k FROM nothing)").await.len(), 4);
    }

    #[tokio::test]
    async fn correlated() {
        let condition = "k NOT IN (SELECT u.k FROM u WHERE u.g = t.g)";
        assert_eq!(keys(condition).await, [4]);
        let condition = "k IN (SELECT u.k FROM u WHERE u.g = t.g)";
        assert_eq!(keys(condition).await, [1]);
    }

    #[tokio::test]
    async fn correlated_with_a_cast() {
        let condition = "g IN (SELECT CAST(u.k AS INT) FROM u WHERE u.g = t.g AND u.k < 2 + t.k)";
        assert_eq!(keys(condition).await, [1, 2]);
        let condition = "CAST(1 AS SMALLINT) IN (SELECT u.k FROM u WHERE u.g = t.g AND u.k <= t.k)";
        assert_eq!(keys(condition).await, [1, 2]);
    }

    #[tokio::test]
    async fn within_other_conditions() {
        assert_eq!(keys("k NOT IN (SELECT k FROM u) OR g = 3").await, [4]);
        assert_eq!(keys("(k IN (SELECT k FROM u)) IS NULL").await, [0, 2, 4]);
        assert_eq!(
            keys("NOT (k IN (SELECT k FROM u) OR g = 3)").await,
            Vec::<i64>::new()
        );
        assert_eq!(
            keys("(k IN (SELECT k FROM nothing)) IS NOT NULL")
                .await
                .len(),
            4
        );
        let correlated = "(k NOT IN (SELECT u.k FROM u WHERE u.g = t.g)) IS NULL";
        assert_eq!(keys(correlated).await, [0, 2]);
        let case = "CASE WHEN k NOT IN (SELECT k FROM u WHERE g = 2) THEN g ELSE 0 END = 1";
        assert_eq!(keys(case).await, [1, 2]);
    }
}
