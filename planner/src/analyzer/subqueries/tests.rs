//! Subqueries become joins whose rows are right, and whose plans do not grow.

use super::*;
use crate::optimizer::null_aware_joins::NullAwareJoinsHaveOneKey;
use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::Int64Type;
use datafusion::execution::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use std::sync::Arc;

/// A session as distributed planning needs it.
async fn session() -> SessionContext {
    let mut config = SessionConfig::new().with_target_partitions(3);
    config
        .options_mut()
        .optimizer
        .enable_physical_uncorrelated_scalar_subquery = false;
    let state = SessionStateBuilder::new()
        .with_config(config)
        .with_default_features()
        .with_analyzer_rule(Arc::new(UnnestedSubqueries))
        .with_optimizer_rule(Arc::new(NullAwareJoinsHaveOneKey))
        .build();
    let context = SessionContext::new_with_state(state);
    for sql in [
        "CREATE TABLE t AS SELECT * FROM (VALUES (1, 1), (2, 1), (NULL, 2), (4, 3)) v(k, g)",
        "CREATE TABLE u AS SELECT * FROM (VALUES (1, 1), (NULL, 1), (5, 2)) v(k, g)",
        "CREATE TABLE nothing AS SELECT * FROM u WHERE k = 100",
        "CREATE TABLE x AS SELECT * FROM (VALUES (1, 10), (2, 20), (2, 21)) v(k, x)",
        "CREATE TABLE y AS SELECT * FROM (VALUES (1), (2)) v(k)",
    ] {
        context.sql(sql).await.unwrap().collect().await.unwrap();
    }
    context
}

/// The first column of a query's rows.
async fn rows(sql: &str) -> Result<Vec<Option<i64>>> {
    let batches = session().await.sql(sql).await?.collect().await?;
    let columns = batches.iter().flat_map(|batch| {
        let column = batch.column(0).as_primitive::<Int64Type>();
        column.iter().collect::<Vec<_>>()
    });
    Ok(columns.collect())
}

/// The same in order.
async fn sorted(sql: &str) -> Vec<Option<i64>> {
    let mut rows = rows(sql).await.unwrap();
    rows.sort_unstable();
    rows
}

/// The keys of `t` for which the condition holds, in order, NULL as 0.
async fn keys(condition: &str) -> Vec<i64> {
    let sql = format!("SELECT k FROM t WHERE {condition}");
    let rows = sorted(&sql).await;
    rows.into_iter().map(Option::unwrap_or_default).collect()
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

#[tokio::test]
async fn several_rows_are_an_error() {
    for sql in [
        "SELECT (SELECT x FROM x WHERE k = 2) AS v FROM y",
        "SELECT k FROM y WHERE k = (SELECT k FROM x)",
        "SELECT k FROM y WHERE k = (SELECT k FROM x GROUP BY k)",
        "SELECT k + (SELECT x FROM x LIMIT 2) FROM y",
        "SELECT k FROM y WHERE k IN (SELECT k FROM x WHERE x = (SELECT x FROM x))",
        "SELECT (SELECT x FROM x WHERE x.k = y.k) FROM y",
    ] {
        let error = rows(sql).await.unwrap_err().to_string();
        let expected = "scalar subquery returned more than one row";
        assert!(error.contains(expected), "{sql}: {error}");
    }
}

#[tokio::test]
async fn several_rows_that_nobody_reads_are_no_error() {
    let sql = "SELECT (SELECT x FROM x WHERE x.k = y.k) FROM y WHERE k = 1";
    assert_eq!(rows(sql).await.unwrap(), [Some(10)]);
}

#[tokio::test]
async fn one_row_and_no_row_are_values() {
    let one = "SELECT (SELECT x FROM x WHERE k = 1) AS v FROM y";
    assert_eq!(rows(one).await.unwrap(), [Some(10), Some(10)]);
    let none = "SELECT (SELECT x FROM x WHERE k = 3) AS v FROM y";
    assert_eq!(rows(none).await.unwrap(), [None, None]);
    let null = "SELECT (SELECT CASE WHEN x > 99 THEN x END FROM x WHERE k = 1) FROM y";
    assert_eq!(rows(null).await.unwrap(), [None, None]);
    let filter = "SELECT k FROM y WHERE k * 10 = (SELECT x FROM x WHERE k = 1)";
    assert_eq!(rows(filter).await.unwrap(), [Some(1)]);
}

#[tokio::test]
async fn the_same_table_outside_and_inside() {
    assert_eq!(
        keys("g = 3 OR k IN (SELECT k FROM t WHERE k < 2)").await,
        [1, 4]
    );
    assert_eq!(keys("k = ANY (SELECT k FROM t WHERE k < 3)").await, [1, 2]);
    assert_eq!(keys("k > ALL (SELECT k FROM t WHERE k < 3)").await, [4]);
    assert_eq!(keys("k <> ALL (SELECT k FROM t WHERE k < 3)").await, [4]);
    assert!(keys("k <= ALL (SELECT k FROM t)").await.is_empty());
    let nested =
        "EXISTS (SELECT 1 FROM u WHERE EXISTS (SELECT 1 FROM u w WHERE w.k = t.k AND w.g = u.g))";
    assert_eq!(keys(nested).await, [1]);
}

#[tokio::test]
async fn aggregates_without_rows() {
    let all = [0, 1, 2, 4];
    assert_eq!(
        keys("EXISTS (SELECT count(*) FROM u WHERE u.k = t.k)").await,
        all
    );
    assert!(
        keys("NOT EXISTS (SELECT sum(k) FROM u WHERE u.k = t.k)")
            .await
            .is_empty()
    );
    let having = "EXISTS (SELECT count(*) FROM u WHERE u.k = t.k HAVING count(*) = 0)";
    assert_eq!(keys(having).await, [0, 2, 4]);
    assert_eq!(
        keys("1 IN (SELECT count(*) FROM u WHERE u.k = t.k)").await,
        [1]
    );
    assert_eq!(
        keys("0 IN (SELECT count(*) FROM u WHERE u.k = t.k LIMIT 1)").await,
        [0, 2, 4]
    );
    assert!(
        keys("0 IN (SELECT count(*) FROM u WHERE u.k = t.k LIMIT 0)")
            .await
            .is_empty()
    );
    let plus = "SELECT (SELECT count(*) + 1 FROM u WHERE u.k = t.k) FROM t";
    assert_eq!(sorted(plus).await, [Some(1), Some(1), Some(1), Some(2)]);
}

#[tokio::test]
async fn ranges_and_limits() {
    let smaller = "SELECT (SELECT count(*) FROM t s WHERE s.k < t.k) FROM t";
    assert_eq!(sorted(smaller).await, [Some(0), Some(0), Some(1), Some(2)]);
    let before = "SELECT (SELECT s.k FROM t s WHERE s.k < t.k ORDER BY s.k DESC LIMIT 1) FROM t";
    assert_eq!(sorted(before).await, [None, None, Some(1), Some(2)]);
    let offset =
        "SELECT (SELECT s.k FROM t s WHERE s.k < t.k ORDER BY s.k DESC LIMIT 1 OFFSET 1) FROM t";
    assert_eq!(sorted(offset).await, [None, None, None, Some(1)]);
}

#[tokio::test]
async fn lateral_joins() {
    let top = "SELECT l.k FROM t CROSS JOIN LATERAL \
               (SELECT k FROM t s WHERE s.k < t.k ORDER BY k LIMIT 1) l";
    assert_eq!(sorted(top).await, [Some(1), Some(1)]);
    let counted = "SELECT l.n FROM t LEFT JOIN LATERAL \
                   (SELECT count(*) AS n FROM u WHERE u.k = t.k) l ON true";
    assert_eq!(sorted(counted).await, [Some(0), Some(0), Some(0), Some(1)]);
    let rows = "SELECT l.c FROM t, LATERAL (VALUES (t.k), (t.g)) l(c) WHERE t.k < 3";
    assert_eq!(sorted(rows).await, [Some(1), Some(1), Some(1), Some(2)]);
    let across = "SELECT l.s FROM y a, y b CROSS JOIN LATERAL (SELECT a.k * 10 + b.k AS s) l";
    assert_eq!(
        sorted(across).await,
        [Some(11), Some(12), Some(21), Some(22)]
    );
}

#[tokio::test]
async fn every_clause() {
    let selected = "SELECT CASE WHEN k IN (SELECT k FROM u) THEN 1 END FROM t";
    assert_eq!(sorted(selected).await, [None, None, None, Some(1)]);
    let grouped = "SELECT count(*) FROM t GROUP BY k IN (SELECT k FROM u WHERE k > 0)";
    assert_eq!(sorted(grouped).await, [Some(1), Some(1), Some(2)]);
    let summed = "SELECT sum((SELECT max(u.k) FROM u WHERE u.g = t.g)) FROM t";
    assert_eq!(sorted(summed).await, [Some(7)]);
    let ordered = "SELECT k FROM t ORDER BY (SELECT -t.k) NULLS FIRST";
    assert_eq!(
        rows(ordered).await.unwrap(),
        [None, Some(4), Some(2), Some(1)]
    );
    let on = "SELECT u.k FROM t LEFT JOIN u ON t.g = u.g AND u.k IN (SELECT k FROM x)";
    assert_eq!(sorted(on).await, [None, None, Some(1), Some(1)]);
}

/// How many joins a query's plan has, and how many stand above one another.
async fn joins(sql: &str) -> (usize, usize) {
    fn count(plan: &LogicalPlan) -> (usize, usize) {
        let below: Vec<_> = plan.inputs().into_iter().map(count).collect();
        let own = usize::from(matches!(plan, LogicalPlan::Join(_)));
        let all: usize = below.iter().map(|(all, _)| all).sum();
        let depth = below.iter().map(|(_, depth)| depth).max();
        (own + all, own + depth.copied().unwrap_or(0))
    }
    let frame = session().await.sql(sql).await.unwrap();
    count(&frame.into_optimized_plan().unwrap())
}

#[tokio::test]
async fn plans_grow_with_the_number_of_subqueries() {
    let nested = |operator: &str, depth: usize| {
        (0..depth).fold("SELECT k FROM u".to_owned(), |inner, level| {
            format!("SELECT k FROM t t{level} WHERE g = {level} OR k {operator} ({inner})")
        })
    };
    assert_eq!(joins(&nested("IN", 6)).await, (6, 6));
    for operator in ["NOT IN", "> ANY", "<> ALL"] {
        let (eight, _) = joins(&nested(operator, 8)).await;
        let (four, _) = joins(&nested(operator, 4)).await;
        assert!(
            eight <= 2 * four + 4 && eight < 40,
            "{operator}: {four}, {eight}"
        );
    }
    let many: Vec<String> = (0..12)
        .map(|place| format!("k IN (SELECT k FROM u WHERE g = {place}) AS c{place}"))
        .collect();
    let (all, depth) = joins(&format!("SELECT {} FROM t", many.join(", "))).await;
    assert!(all <= 25 && depth <= 18, "{all} {depth}");
}

#[tokio::test]
async fn nested_in_is_true_false_or_unknown() {
    let inner = "SELECT k FROM u WHERE g = 9 OR k NOT IN (SELECT k FROM t WHERE k IS NOT NULL)";
    let second = format!("SELECT k FROM t WHERE g = 9 OR k NOT IN ({inner})");
    let third = format!("SELECT k FROM t WHERE g = 9 OR k NOT IN ({second})");
    assert_eq!(keys(&format!("g = 9 OR k IN ({second})")).await, [1, 2, 4]);
    assert!(keys(&format!("g = 9 OR k IN ({third})")).await.is_empty());
    assert_eq!(
        keys(&format!("(k NOT IN ({third})) IS NULL")).await,
        Vec::<i64>::new()
    );
    assert_eq!(
        keys(&format!("g = 9 OR k NOT IN ({third})")).await,
        [0, 1, 2, 4]
    );
}
