//! What may fail is evaluated only where the conditions before it hold.

use super::*;
use crate::optimizer::rules::logical_rules;
use crate::physical::rules::physical_rules;
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::execution::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use std::sync::Arc;

fn context() -> SessionContext {
    let config = SessionConfig::new().with_target_partitions(2);
    let state = SessionStateBuilder::new()
        .with_config(config)
        .with_default_features()
        .with_optimizer_rules(logical_rules())
        .with_physical_optimizer_rules(physical_rules())
        .with_query_planner(Arc::new(GuardedPlanner))
        .build();
    SessionContext::new_with_state(state)
}

/// The rows of a statement over `t(x, y, k, v)`, of which half divide by zero or are no numbers, and `d(k, z)`.
async fn rows(sql: &str) -> datafusion::error::Result<String> {
    let context = context();
    for table in [
        "CREATE TABLE t AS SELECT * FROM (VALUES (1, 0, 'a', 'one'), (4, 2, 'b', '20'), (5, 0, 'c', NULL), \
         (9, 3, 'd', '3'), (NULL, NULL, 'b', '40'), (7, 1, NULL, 'x')) AS t(x, y, k, v)",
        "CREATE TABLE d AS SELECT * FROM (VALUES ('b', 1), ('d', 0), ('e', 2)) AS d(k, z)",
    ] {
        context.sql(table).await?.collect().await?;
    }
    let batches = context.sql(sql).await?.collect().await?;
    let text = pretty_format_batches(&batches)?.to_string();
    let lines = text.lines().filter(|line| line.starts_with("| "));
    let cells = lines.skip(1).map(|line| line.replace(['|', ' '], ""));
    let mut cells: Vec<String> = cells.collect();
    cells.sort();
    Ok(cells.join(" "))
}

#[tokio::test]
async fn guards_hold() {
    let number = "v SIMILAR TO '[0-9]+'";
    for (sql, expected) in [
        ("SELECT x FROM t WHERE y <> 0 AND x / y >= 2", "4 7 9"),
        (
            "SELECT x FROM t WHERE (y <> 0 AND x / y >= 3) OR k = 'a'",
            "1 7 9",
        ),
        ("SELECT x FROM t WHERE NOT (y = 0 OR x / y < 3)", "7 9"),
        (
            "SELECT x FROM t WHERE CASE WHEN y = 0 THEN false ELSE x / y >= 3 END",
            "7 9",
        ),
        ("SELECT x FROM t WHERE y = 0 OR x / y >= 3", "1 5 7 9"),
        (
            "SELECT v FROM t WHERE v ~ '^[0-9]+$' AND CAST(v AS INT) > 10",
            "20 40",
        ),
        (
            "SELECT v FROM t WHERE k = 'b' AND CAST(v AS INT) > 10",
            "20 40",
        ),
        (
            "SELECT q FROM (SELECT CAST(v AS INT) AS q FROM t WHERE k = 'b') WHERE q > 30",
            "40",
        ),
        (
            "SELECT x / y FROM (SELECT x, y, k FROM t WHERE y <> 0) WHERE x / y > 1",
            "2 3 7",
        ),
        (
            "SELECT y <> 0 AND x / y > 2 FROM t WHERE x IS NOT NULL",
            "false false false true true",
        ),
        (
            "SELECT y = 0 OR x / y > 2 FROM t WHERE x IS NOT NULL",
            "false true true true true",
        ),
        (
            "SELECT COALESCE(nullif(x, 5), 10 / y) FROM t WHERE x <> 5",
            "1 4 7 9",
        ),
        (
            "SELECT k, sum(x) FROM t WHERE k IS NOT NULL GROUP BY k HAVING sum(y) <> 0 AND sum(x) / sum(y) > 2",
            "d9",
        ),
        (
            "SELECT k, sum(x / y) FILTER (WHERE y <> 0) FROM t WHERE k < 'c' GROUP BY k",
            "a b2",
        ),
        (
            "SELECT sum(CAST(v AS INT)) FILTER (WHERE k = 'b') FROM t",
            "60",
        ),
        (
            "SELECT t.x FROM t JOIN d ON t.k = d.k AND d.z <> 0 WHERE t.x / d.z > 1",
            "4",
        ),
        (
            "SELECT t.x FROM t JOIN d ON t.k = d.k WHERE CAST(t.v AS INT) > 3",
            "4",
        ),
        (
            "SELECT t.x, d.z FROM t LEFT JOIN d ON t.y <> 0 AND t.x / t.y = d.z WHERE t.k = 'a' OR t.k = 'b'",
            "1 42",
        ),
        (
            "SELECT t.x FROM t, d WHERE t.k = d.k AND CAST(t.v AS INT) = d.z + 19",
            "4",
        ),
        (
            "SELECT count(*) FROM t WHERE k IN (SELECT k FROM d) AND CAST(v AS INT) > 3",
            "2",
        ),
    ] {
        let sql = sql.replace("NUMBER", number);
        match rows(&sql).await {
            Ok(found) => assert_eq!(found.trim(), expected, "{sql}"),
            Err(error) => panic!("{sql}: {error}"),
        }
    }
}

#[tokio::test]
async fn what_nothing_guards_still_fails() {
    for sql in [
        "SELECT x FROM t WHERE x / y >= 2",
        "SELECT x FROM t WHERE x / y >= 2 AND k <> 'zz'",
        "SELECT CAST(v AS INT) FROM t",
        "SELECT y <> 0 OR x / y > 1 FROM t",
    ] {
        assert!(rows(sql).await.is_err(), "{sql}");
    }
}

async fn optimized(sql: &str) -> String {
    let context = context();
    let table = "CREATE TABLE t (x INT, y INT, k VARCHAR, v VARCHAR)";
    context.sql(table).await.unwrap();
    let plan = context.sql(sql).await.unwrap();
    plan.into_optimized_plan()
        .unwrap()
        .display_indent()
        .to_string()
}

#[tokio::test]
async fn what_cannot_fail_is_left_alone() {
    for sql in [
        "SELECT x FROM t WHERE y > 0 AND x / 2 > 1 AND k LIKE 'a%' AND upper(v) = 'A'",
        "SELECT x FROM t WHERE x + y > 1",
        "SELECT x FROM t WHERE x < 7 AND y + 1 > 0",
        "SELECT x FROM t WHERE y > 0 AND k > CAST(DATE '2024-01-01' + INTERVAL '1' YEAR AS VARCHAR)",
    ] {
        let plan = optimized(sql).await;
        assert!(!plan.contains("guarded"), "{sql}: {plan}");
    }
}

#[tokio::test]
async fn long_chains_stay_linear() {
    let terms: Vec<String> = (1..1000)
        .map(|number| format!("x / y = {number}"))
        .collect();
    let sql = format!("SELECT x FROM t WHERE y <> 0 AND ({})", terms.join(" OR "));
    assert!(optimized(&sql).await.len() < 200_000);
    assert_eq!(rows(&sql).await.unwrap(), "4 7 9");
}
