//! Zeros and NaN are equal, and in order, wherever keys are made.

use super::*;
use datafusion::arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::common::assert_batches_eq;
use datafusion::execution::SessionStateBuilder;
use datafusion::prelude::SessionContext;

/// `t(id, x)`: two zeros, two NaNs, a number and NULL.
fn context() -> SessionContext {
    let state = SessionStateBuilder::new()
        .with_default_features()
        .with_analyzer_rule(Arc::new(FloatKeys))
        .build();
    let context = SessionContext::new_with_state(state);
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(1..=6));
    let values: ArrayRef = Arc::new(Float64Array::from(vec![
        Some(0.0),
        Some(-0.0),
        Some(f64::NAN),
        Some(-f64::NAN),
        Some(5.0),
        None,
    ]));
    let batch = RecordBatch::try_from_iter([("id", ids), ("x", values)]).unwrap();
    context.register_batch("t", batch).unwrap();
    context
}

async fn rows(sql: &str) -> Vec<String> {
    let frame = context().sql(sql).await.expect(sql);
    let batches = frame.collect().await.expect(sql);
    let table = pretty_format_batches(&batches).unwrap().to_string();
    let lines = table.lines().filter(|line| line.starts_with("| "));
    let cells = lines.map(|line| line.trim_matches(['|', ' ']).replace(" ", ""));
    cells.skip(1).collect()
}

#[tokio::test]
async fn zeros_are_equal_and_so_are_nans() {
    for (sql, expected) in [
        ("SELECT id FROM t WHERE x = 0.0 ORDER BY 1", "1 2"),
        ("SELECT id FROM t WHERE x = -0.0 ORDER BY 1", "1 2"),
        ("SELECT id FROM t WHERE x < 0.0 ORDER BY 1", ""),
        ("SELECT id FROM t WHERE x <= -0.0 ORDER BY 1", "1 2"),
        ("SELECT id FROM t WHERE x >= 0.0 ORDER BY 1", "1 2 3 4 5"),
        ("SELECT id FROM t WHERE x > 5.0 ORDER BY 1", "3 4"),
        ("SELECT id FROM t WHERE x < 5.0 ORDER BY 1", "1 2"),
        ("SELECT id FROM t WHERE 5.0 >= x ORDER BY 1", "1 2 5"),
        ("SELECT id FROM t WHERE NOT x < 5.0 ORDER BY 1", "3 4 5"),
        ("SELECT id FROM t WHERE x <> 5.0 ORDER BY 1", "1 2 3 4"),
        ("SELECT id FROM t WHERE x = 'NaN'::DOUBLE ORDER BY 1", "3 4"),
        (
            "SELECT id FROM t WHERE x BETWEEN 0.0 AND 6.0 ORDER BY 1",
            "1 2 5",
        ),
        ("SELECT id FROM t WHERE x IN (-0.0, 7.0) ORDER BY 1", "1 2"),
        (
            "SELECT id FROM t WHERE x NOT IN (0.0, 7.0) ORDER BY 1",
            "3 4 5",
        ),
        ("SELECT count(DISTINCT x) FROM t", "3"),
        ("SELECT count(*) FROM (SELECT DISTINCT x FROM t)", "4"),
        (
            "SELECT count(*) FROM (SELECT x FROM t UNION SELECT -x FROM t)",
            "5",
        ),
        (
            "SELECT count(*) FROM (SELECT x FROM t INTERSECT SELECT -x FROM t)",
            "3",
        ),
        (
            "SELECT count(*) FROM (SELECT x FROM t EXCEPT SELECT -x FROM t)",
            "1",
        ),
        ("SELECT count(*) FROM t a JOIN t b ON a.x = b.x", "9"),
        ("SELECT count(*) FROM t a JOIN t b USING (x)", "9"),
        (
            "SELECT count(*) FROM t a JOIN t b ON a.x >= b.x AND a.id <> b.id",
            "12",
        ),
        ("SELECT count(*) FROM t GROUP BY x ORDER BY 1", "1 1 2 2"),
        ("SELECT max(x), min(-x) FROM t", "NaN|-5.0"),
        (
            "SELECT rank() OVER (ORDER BY x) FROM t ORDER BY id",
            "1 1 4 4 3 6",
        ),
        (
            "SELECT count(*) OVER (PARTITION BY x) FROM t ORDER BY id",
            "2 2 2 2 1 1",
        ),
        (
            "SELECT id FROM t ORDER BY x DESC NULLS LAST, id",
            "3 4 5 1 2 6",
        ),
        (
            "SELECT CASE x WHEN 0.0 THEN id END FROM t WHERE id < 3 ORDER BY id",
            "1 2",
        ),
        (
            "SELECT nullif(x, 0.0) IS NULL FROM t WHERE id < 4 ORDER BY id",
            "true true false",
        ),
        ("SELECT x FROM t WHERE id = 2", "-0.0"),
        (
            "SELECT array_has(array_agg(x), 0.0), array_position(array_agg(x), -0.0) FROM t WHERE id = 2",
            "true|1",
        ),
        ("SELECT median(x) FROM t WHERE id IN (2, 3, 4)", "NaN"),
        (
            "SELECT count(*) FROM t GROUP BY ROLLUP (x) ORDER BY 1",
            "1 1 2 2 6",
        ),
        (
            "SELECT count(DISTINCT x), sum(id) FROM t GROUP BY x ORDER BY 2",
            "1|3 1|5 0|6 1|7",
        ),
    ] {
        assert_eq!(rows(sql).await.join(" "), expected, "{sql}");
    }
}

#[tokio::test]
async fn columns_keep_their_names() {
    let sql = "SELECT t.x, max(x) FROM t GROUP BY t.x HAVING max(t.x) = 5";
    let frame = context().sql(sql).await.unwrap();
    let batches = frame.collect().await.unwrap();
    assert_batches_eq!(
        [
            "+-----+----------+",
            "| x   | max(t.x) |",
            "+-----+----------+",
            "| 5.0 | 5.0      |",
            "+-----+----------+",
        ],
        &batches
    );
}
