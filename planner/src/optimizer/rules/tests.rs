//! What DataFusion's rules make of these statements by themselves is wrong.

use super::*;
use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::Int64Type;
use datafusion::execution::SessionStateBuilder;
use datafusion::prelude::SessionContext;

async fn session() -> SessionContext {
    let state = SessionStateBuilder::new()
        .with_default_features()
        .with_optimizer_rules(logical_rules())
        .build();
    let context = SessionContext::new_with_state(state);
    for sql in [
        "CREATE TABLE a AS VALUES (1, 1, 1), (2, NULL, 2), (NULL, 3, 3), (NULL, NULL, 4)",
        "CREATE TABLE b AS VALUES (1, 1, 1), (2, NULL, 2), (NULL, 3, 3), (NULL, NULL, 4)",
        "CREATE TABLE c AS VALUES (1, 1, 1), (NULL, NULL, 4), (NULL, 7, 5)",
    ] {
        context.sql(sql).await.unwrap().collect().await.unwrap();
    }
    context
}

/// How many rows a query has.
async fn count(context: &SessionContext, query: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM ({query})");
    let batches = context.sql(&sql).await.unwrap().collect().await.unwrap();
    batches[0].column(0).as_primitive::<Int64Type>().value(0)
}

#[tokio::test]
async fn a_filter_without_columns_does_not_pass_what_has_a_row_of_nothing() {
    let context = session().await;
    for (query, expected) in [
        ("SELECT count(*) AS n FROM a HAVING random() > 2", 0),
        ("SELECT count(*) AS n FROM a HAVING random() < 2", 1),
        (
            "SELECT * FROM (SELECT 1 AS o, n FROM (SELECT count(*) AS n FROM a)) WHERE o * 2 = abs(o)",
            0,
        ),
        (
            "SELECT * FROM (SELECT 1 AS o, n FROM (SELECT count(*) AS n FROM a)) WHERE o = abs(o)",
            1,
        ),
        (
            "SELECT * FROM (SELECT 1 AS o, k FROM (SELECT column1 AS k, count(*) AS n FROM a \
             GROUP BY ROLLUP (column1))) WHERE o * 2 = abs(o)",
            0,
        ),
        (
            "SELECT * FROM (SELECT column1 AS k, count(*) AS n FROM a GROUP BY ROLLUP (column1)) \
             WHERE random() > 2 AND k > 0",
            0,
        ),
    ] {
        assert_eq!(count(&context, query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn chance_decides_about_groups_and_not_about_their_rows() {
    let context = session().await;
    for grouped in [
        "SELECT value % 2 AS g, count(*) AS n FROM range(1000) GROUP BY 1",
        "SELECT value % 2 AS g, count(*) OVER (PARTITION BY value % 2) AS n FROM range(1000)",
    ] {
        let query = format!("SELECT * FROM ({grouped}) WHERE random() < 0.5 AND n <> 500");
        assert_eq!(count(&context, &query).await, 0, "{query}");
    }
}

#[tokio::test]
async fn nulls_are_equal_where_that_is_said_and_nowhere_else() {
    let context = session().await;
    for (query, expected) in [
        // A key that WHERE adds.
        (
            "SELECT 1 FROM a JOIN b ON a.column1 IS NOT DISTINCT FROM b.column1 \
             WHERE a.column2 = b.column2",
            2,
        ),
        (
            "SELECT 1 FROM a, b WHERE a.column1 IS NOT DISTINCT FROM b.column1",
            6,
        ),
        // Joins of both kinds side by side, in both orders, and beside a cross join.
        (
            "SELECT 1 FROM a JOIN b ON a.column1 = b.column1 \
             JOIN c ON a.column2 IS NOT DISTINCT FROM c.column2",
            2,
        ),
        (
            "SELECT 1 FROM a JOIN b ON a.column1 IS NOT DISTINCT FROM b.column1 \
             JOIN c ON a.column2 = c.column2",
            1,
        ),
        (
            "SELECT 1 FROM a JOIN b ON a.column1 IS NOT DISTINCT FROM b.column1 CROSS JOIN c",
            18,
        ),
        (
            "SELECT 1 FROM a LEFT JOIN b ON a.column1 IS NOT DISTINCT FROM b.column1 \
             WHERE a.column2 = b.column2",
            2,
        ),
        (
            "SELECT 1 FROM a LEFT JOIN b ON (a.column1 IS NOT DISTINCT FROM b.column1) \
             AND b.column1 IS NOT NULL",
            4,
        ),
    ] {
        assert_eq!(count(&context, query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn chance_decides_about_pairs_and_not_about_one_side() {
    let context = session().await;
    let sql =
        "SELECT 1 FROM a JOIN b ON a.column3 = b.column3 WHERE random() < 0.5 AND a.column1 = 1";
    let plan = context.sql(sql).await.unwrap().into_optimized_plan();
    let shown = plan.unwrap().to_string();
    let (above, below) = shown.split_once("Inner Join").unwrap();
    assert!(above.contains("random()"), "{shown}");
    assert!(
        !below.contains("random()") && below.contains("column1"),
        "{shown}"
    );
}

/// The condition is carried out by keys in the end, and not row by row.
#[tokio::test]
async fn equal_nulls_still_are_keys() {
    let context = session().await;
    let sql = "SELECT 1 FROM a JOIN b ON a.column1 IS NOT DISTINCT FROM b.column1 \
               JOIN c ON a.column3 = c.column3";
    let plan = context.sql(sql).await.unwrap().into_optimized_plan();
    let shown = plan.unwrap().to_string();
    assert_eq!(shown.matches("Inner Join: ").count(), 2, "{shown}");
    assert!(!shown.contains("Filter"), "{shown}");
    assert!(!shown.contains("IS NOT DISTINCT"), "{shown}");
}
