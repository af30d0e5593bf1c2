//! Intervals compare, group and sort by their length.

use super::*;
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::execution::SessionStateBuilder;
use datafusion::optimizer::Analyzer;
use datafusion::prelude::SessionContext;

const VALUES: &str = "(VALUES (1, INTERVAL '36 hours'), (2, INTERVAL '1 day'), (3, INTERVAL '24 hours'), \
     (4, INTERVAL '30 days'), (5, INTERVAL '1 month'), (6, CAST(NULL AS INTERVAL))) AS v(k, i)";

/// The first column of a statement's rows.
async fn column(sql: &str) -> Result<Vec<String>> {
    let mut rules: Vec<Arc<dyn AnalyzerRule + Send + Sync>> = vec![Arc::new(IntervalWindows)];
    rules.extend(Analyzer::new().rules);
    rules.push(Arc::new(IntervalOrder));
    let state = SessionStateBuilder::new()
        .with_default_features()
        .with_analyzer_rules(rules)
        .build();
    let context = SessionContext::new_with_state(state);
    let batches = context.sql(sql).await?.collect().await?;
    let mut values = Vec::new();
    for batch in &batches {
        for row in 0..batch.num_rows() {
            values.push(array_value_to_string(batch.column(0), row)?);
        }
    }
    Ok(values)
}

#[tokio::test]
async fn lengths_are_compared() {
    for (sql, expected) in [
        ("SELECT INTERVAL '36' HOUR > INTERVAL '1' DAY", "true"),
        ("SELECT INTERVAL '1' MONTH = INTERVAL '30' DAY", "true"),
        (
            "SELECT INTERVAL '1' MONTH IS DISTINCT FROM INTERVAL '30' DAY",
            "false",
        ),
        (
            "SELECT INTERVAL '25' HOUR BETWEEN INTERVAL '1' DAY AND INTERVAL '2' DAY",
            "true",
        ),
        (
            "SELECT INTERVAL '24' HOUR IN (INTERVAL '2' DAY, INTERVAL '1' DAY)",
            "true",
        ),
        (
            "SELECT CASE INTERVAL '24' HOUR WHEN INTERVAL '1' DAY THEN 'a' ELSE 'b' END",
            "a",
        ),
        (
            "SELECT nullif(INTERVAL '24' HOUR, INTERVAL '1' DAY) IS NULL",
            "true",
        ),
        (
            "SELECT greatest(INTERVAL '1' DAY, INTERVAL '36' HOUR, NULL) = INTERVAL '36' HOUR",
            "true",
        ),
        (
            "SELECT least(INTERVAL '2' DAY, INTERVAL '36' HOUR) = INTERVAL '36' HOUR",
            "true",
        ),
        (
            "SELECT (TIMESTAMP '2024-01-10' - TIMESTAMP '2024-01-01') > INTERVAL '5' DAY",
            "true",
        ),
    ] {
        assert_eq!(column(sql).await.expect(sql), [expected], "{sql}");
    }
}

#[tokio::test]
async fn rows_are_ordered_grouped_and_joined_by_length() {
    for (sql, expected) in [
        (
            format!("SELECT k FROM {VALUES} ORDER BY i DESC NULLS LAST, k"),
            "4,5,1,2,3,6",
        ),
        (
            format!("SELECT count(*) FROM {VALUES} GROUP BY i ORDER BY i NULLS FIRST"),
            "1,2,1,2",
        ),
        (
            format!("SELECT sum(k) FROM {VALUES} GROUP BY ROLLUP (i) ORDER BY 1"),
            "1,5,6,9,21",
        ),
        (
            format!("SELECT count(*) FROM (SELECT DISTINCT i FROM {VALUES})"),
            "4",
        ),
        (format!("SELECT count(DISTINCT i) FROM {VALUES}"), "3"),
        (
            format!("SELECT max(i) = INTERVAL '30' DAY FROM {VALUES}"),
            "true",
        ),
        (
            format!("SELECT min(i) = INTERVAL '1' DAY FROM {VALUES}"),
            "true",
        ),
        (
            format!("SELECT DISTINCT ON (i) k FROM {VALUES} ORDER BY i, k"),
            "2,1,4,6",
        ),
    ] {
        assert_eq!(column(&sql).await.expect(&sql).join(","), expected, "{sql}");
    }
}

#[tokio::test]
async fn windows_joins_and_subqueries_go_by_length() {
    for (sql, expected) in [
        (
            format!("SELECT rank() OVER (PARTITION BY i ORDER BY k) FROM {VALUES} ORDER BY k"),
            "1,1,2,1,2,1",
        ),
        (
            format!("SELECT dense_rank() OVER (ORDER BY i NULLS FIRST) FROM {VALUES} ORDER BY k"),
            "3,2,2,4,4,1",
        ),
        (
            format!(
                "SELECT max(i) OVER (ORDER BY k) = INTERVAL '36' HOUR FROM {VALUES} ORDER BY k LIMIT 3"
            ),
            "true,true,true",
        ),
        (
            format!(
                "SELECT a.k FROM {VALUES} JOIN (VALUES (INTERVAL '1' DAY)) w(j) ON i = j ORDER BY 1"
            )
            .replace("a.k", "k"),
            "2,3",
        ),
        (
            format!("SELECT k FROM {VALUES} WHERE i IN (SELECT INTERVAL '24' HOUR) ORDER BY 1"),
            "2,3",
        ),
        (
            format!(
                "SELECT count(*) FROM (SELECT i FROM {VALUES} INTERSECT SELECT INTERVAL '1440' MINUTE)"
            ),
            "1",
        ),
        (
            format!("SELECT first_value(k ORDER BY i DESC NULLS LAST, k) FROM {VALUES}"),
            "4",
        ),
        (
            format!("SELECT count(*) FROM (SELECT i FROM {VALUES} WHERE false GROUP BY i)"),
            "0",
        ),
    ] {
        assert_eq!(column(&sql).await.expect(&sql).join(","), expected, "{sql}");
    }
}

#[tokio::test]
async fn a_group_shows_one_of_its_values() {
    let sql = "SELECT CAST(i AS VARCHAR) FROM (VALUES (INTERVAL '36' HOUR)) v(i) GROUP BY i";
    assert_eq!(column(sql).await.unwrap(), ["36:00:00"]);
}
