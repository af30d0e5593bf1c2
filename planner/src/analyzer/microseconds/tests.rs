//! Nanoseconds become microseconds, and far dates keep their values.

use super::*;
use datafusion::arrow::array::{ArrayRef, TimestampNanosecondArray};
use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::execution::SessionStateBuilder;
use datafusion::prelude::SessionContext;

/// A table `t` of one column `n` of nanoseconds.
fn context() -> SessionContext {
    let state = SessionStateBuilder::new()
        .with_default_features()
        .with_analyzer_rule(Arc::new(Microseconds))
        .build();
    let context = SessionContext::new_with_state(state);
    for function in of_session(&ConfigOptions::default()) {
        context.register_udf(function);
    }
    let nanos = DataType::Timestamp(TimeUnit::Nanosecond, None);
    let schema = Arc::new(Schema::new(vec![Field::new("n", nanos, true)]));
    let values: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![Some(1_500), None]));
    let batch = RecordBatch::try_new(schema, vec![values]).unwrap();
    context.register_batch("t", batch).unwrap();
    context
}

/// The type and the first value of a statement's first column.
async fn first(sql: &str) -> Result<(String, String)> {
    let batches = context().sql(sql).await?.collect().await?;
    let column = batches[0].column(0);
    let value = array_value_to_string(column, 0)?;
    Ok((column.data_type().to_string(), value))
}

#[tokio::test]
async fn far_dates_meet_timestamps() {
    for (sql, value) in [
        ("SELECT DATE '9999-12-31' > now()", "true"),
        ("SELECT DATE '0001-01-01' < now()", "true"),
        (
            "SELECT count(*) FROM (VALUES (DATE '9999-12-31')) v(d) WHERE d > '3000-01-01T00:00:00'",
            "1",
        ),
        (
            "SELECT arrow_cast('2024-01-01', 'Timestamp(Microsecond, None)') < DATE '9999-12-31'",
            "true",
        ),
        ("SELECT count(*) FROM t WHERE n < DATE '9999-12-31'", "1"),
        ("SELECT count(*) FROM t WHERE n IN (SELECT n FROM t)", "1"),
        ("SELECT count(*) FROM t a JOIN t b ON a.n = b.n", "1"),
        (
            "SELECT count(n) FROM (SELECT n FROM t UNION ALL SELECT now() AT TIME ZONE 'UTC' UNION ALL SELECT DATE '9999-12-31')",
            "3",
        ),
        (
            "SELECT count(*) FROM (SELECT n FROM t INTERSECT SELECT n FROM t)",
            "2",
        ),
        (
            "SELECT DATE '9999-12-30' + TIME '23:59:59' < DATE '9999-12-31'",
            "true",
        ),
    ] {
        let (_, found) = first(sql).await.expect(sql);
        assert_eq!(found, value, "{sql}");
    }
}

#[tokio::test]
async fn columns_that_are_handed_on_stay_nanoseconds() {
    for (sql, data_type) in [
        ("SELECT n FROM t", "Timestamp(ns)"),
        ("SELECT n AS m FROM t ORDER BY m", "Timestamp(ns)"),
        ("SELECT n FROM t GROUP BY n ORDER BY n", "Timestamp(ns)"),
        ("SELECT max(n) FROM t", "Timestamp(µs)"),
        (
            "SELECT coalesce(n, DATE '2024-01-01') FROM t",
            "Timestamp(µs)",
        ),
        (
            "SELECT arrow_cast('2024-01-01', 'Timestamp(Nanosecond, None)')",
            "Timestamp(µs)",
        ),
        (
            "SELECT * FROM (VALUES (arrow_cast('2024-01-01', 'Timestamp(Nanosecond, None)'))) v",
            "Timestamp(µs)",
        ),
        (
            "SELECT n FROM t UNION ALL SELECT DATE '9999-12-31'",
            "Timestamp(µs)",
        ),
    ] {
        let (found, _) = first(sql).await.expect(sql);
        assert_eq!(found, data_type, "{sql}");
    }
}

#[tokio::test]
async fn numbers_are_seconds() {
    let cast = |value: &str| format!("SELECT arrow_cast({value}, 'Timestamp(Microsecond, None)')");
    for value in ["1", "CAST(1 AS INT)"] {
        // A function is asked for what it says.
        let (_, found) = first(&cast(value)).await.expect(value);
        assert!(found.starts_with("1970-01-01T00:00:0"), "{found}");
    }
    for (sql, value) in [
        ("SELECT CAST(2 AS TIMESTAMP)", "1970-01-01T00:00:02"),
        (
            "SELECT CAST(CAST(2 AS INT) AS TIMESTAMP)",
            "1970-01-01T00:00:02",
        ),
        ("SELECT CAST(-1.5 AS TIMESTAMP)", "1969-12-31T23:59:58.500"),
        (
            "SELECT CAST(CAST('1969-12-31T23:59:58.5' AS TIMESTAMP) AS BIGINT)",
            "-2",
        ),
        (
            "SELECT CAST(CAST('1969-12-31T23:59:58.5' AS TIMESTAMP) AS DOUBLE)",
            "-1.5",
        ),
    ] {
        let (_, found) = first(sql).await.expect(sql);
        assert_eq!(found, value, "{sql}");
    }
}
