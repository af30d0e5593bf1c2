//! Values and types of decimals, by statements.

use super::*;
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::execution::{FunctionRegistry, SessionStateBuilder};
use datafusion::optimizer::Analyzer;
use datafusion::prelude::{SessionConfig, SessionContext};
use skep_runtime::functions::FunctionSet;
use std::sync::Arc;

/// The type that the plan says, and the first value of a statement's only column.
async fn first(sql: &str) -> Result<(String, String)> {
    let mut config = SessionConfig::new();
    config.options_mut().sql_parser.parse_float_as_decimal = true;
    let mut rules: Vec<Arc<dyn AnalyzerRule + Send + Sync>> = vec![Arc::new(NumericTypes)];
    rules.extend(Analyzer::new().rules);
    let mut state = SessionStateBuilder::new()
        .with_config(config)
        .with_default_features()
        .with_analyzer_rules(rules)
        .build();
    state.register_expr_planner(Arc::new(DecimalPlanner))?;
    FunctionSet::default().register(&mut state)?;
    let context = SessionContext::new_with_state(state);
    let plan = context.sql(sql).await?.into_optimized_plan()?;
    let told = plan.schema().field(0).data_type().to_string();
    let batches = context.sql(sql).await?.collect().await?;
    let batch = batches.iter().find(|batch| batch.num_rows() > 0);
    let batch = batch.expect("a row");
    assert_eq!(batch.column(0).data_type().to_string(), told, "{sql}");
    let text = array_value_to_string(batch.column(0), 0)?;
    Ok((told, text))
}

async fn assert_values(cases: &[(&str, &str)]) {
    for (sql, expected) in cases {
        let (_, value) = first(sql).await.expect(sql);
        assert_eq!(value, *expected, "{sql}");
    }
}

async fn assert_errors(cases: &[(&str, &str)]) {
    for (sql, expected) in cases {
        let error = first(sql).await.expect_err(sql).to_string();
        assert!(error.contains(expected), "{sql}: {error}");
    }
}

/// One row with a DECIMAL(10,2), a DECIMAL(38,10), a BIGINT and a DOUBLE.
const ROW: &str = "(SELECT CAST(x AS DECIMAL(10, 2)) AS d, CAST(x AS DECIMAL(38, 10)) AS w, \
     CAST(7 AS BIGINT) AS i, 2.5::DOUBLE AS f FROM (VALUES ('12.35')) AS v(x)) AS t";

#[tokio::test]
async fn operators_have_the_types_of_hive() {
    for (expression, data_type, value) in [
        ("d + 1", "Decimal128(11, 2)", "13.35"),
        ("d + i", "Decimal128(23, 2)", "19.35"),
        ("d * d", "Decimal128(21, 4)", "152.5225"),
        ("d / 3", "Decimal128(14, 6)", "4.116667"),
        ("-d / 3", "Decimal128(14, 6)", "-4.116667"),
        ("d % 5", "Decimal128(3, 2)", "2.35"),
        ("w * w", "Decimal128(38, 6)", "152.522500"),
        ("w / w", "Decimal128(38, 6)", "1.000000"),
        ("d * f", "Float64", "30.875"),
        ("d + d + d + d", "Decimal128(13, 2)", "49.40"),
        (
            "CASE WHEN i > 0 THEN i ELSE d / 3 END",
            "Decimal128(26, 6)",
            "7.000000",
        ),
        (
            "(CASE WHEN i < 0 THEN 1 ELSE d END) * 2",
            "Decimal128(12, 2)",
            "24.70",
        ),
    ] {
        let sql = format!("SELECT {expression} FROM {ROW}");
        let found = first(&sql).await.expect(&sql);
        assert_eq!(found, (data_type.to_owned(), value.to_owned()), "{sql}");
    }
}

#[tokio::test]
async fn rounding_yields_the_type_that_was_told() {
    for (expression, data_type, value) in [
        ("round(d, 1)", "Decimal128(10, 1)", "12.4"),
        ("round(d)", "Decimal128(9, 0)", "12"),
        ("round(d, 5)", "Decimal128(10, 2)", "12.35"),
        ("round(d, -1)", "Decimal128(9, 0)", "10"),
        ("round(d, i - 6)", "Decimal128(11, 2)", "12.40"),
        ("round(d, 1 + 0)", "Decimal128(11, 2)", "12.40"),
        ("ceil(d)", "Decimal128(9, 0)", "13"),
        ("floor(-d)", "Decimal128(9, 0)", "-13"),
        ("trunc(d, 1)", "Decimal128(9, 1)", "12.3"),
        ("abs(-d)", "Decimal128(10, 2)", "12.35"),
    ] {
        let sql = format!("SELECT {expression} FROM {ROW}");
        let found = first(&sql).await.expect(&sql);
        assert_eq!(found, (data_type.to_owned(), value.to_owned()), "{sql}");
    }
}

#[tokio::test]
async fn casts_round_half_up_and_refuse_what_does_not_fit() {
    assert_values(&[
        ("SELECT CAST(2.5 AS INT)", "3"),
        ("SELECT CAST(-2.5 AS INT)", "-3"),
        ("SELECT CAST(2.5::DOUBLE AS BIGINT)", "3"),
        ("SELECT CAST(1.005 AS DECIMAL(5, 2))", "1.01"),
        ("SELECT CAST(-1.005 AS DECIMAL(5, 2))", "-1.01"),
        ("SELECT TRY_CAST(1000.5 AS DECIMAL(5, 2))", ""),
        ("SELECT TRY_CAST(300 AS TINYINT) IS NULL", "true"),
        ("SELECT count(*) FROM (VALUES (1.4), (1.5)) t(x) WHERE CAST(x AS INT) = 1", "1"),
        ("SELECT count(*) FROM (VALUES (1.4), (1.5)) t(x) WHERE CAST(x AS DECIMAL(5, 0)) IN (1, 3)", "1"),
    ])
    .await;
    assert_errors(&[
        (
            "SELECT CAST(1000.5 AS DECIMAL(5, 2))",
            "1000.5 is beyond the range of its type decimal(5,2)",
        ),
        (
            "SELECT CAST(x AS INT) FROM (VALUES (2147483647.5)) t(x)",
            "beyond the range of its type int",
        ),
        (
            "SELECT CAST(1e10::DOUBLE AS INT)",
            "beyond the range of its type int",
        ),
    ])
    .await;
}

#[tokio::test]
async fn what_meets_loses_nothing() {
    assert_values(&[
        ("SELECT greatest(1.5, 1.55)", "1.55"),
        ("SELECT coalesce(NULL, 1.5, 2.555)", "1.500"),
        ("SELECT nullif(1.5, 1.55)", "1.5"),
        ("SELECT 1.0 = CAST('1.00000000000000000001' AS DECIMAL(38, 37))", "false"),
        ("SELECT 99999999999999999999999999999999999999 > 0.00000000000000000000000000000000000001", "true"),
        ("SELECT CAST(1 AS DECIMAL(5, 0)) > 1e-20::DOUBLE", "true"),
        ("SELECT CAST(0 AS DECIMAL(5, 0)) < CAST('1e-20' AS DOUBLE)", "true"),
        ("SELECT CAST('1.23' AS DECIMAL(5, 2)) = '1.234'", "false"),
        ("SELECT 1.25 IN (1.2, 1.250)", "true"),
        ("SELECT 1.25 BETWEEN 1.249 AND 1.251", "true"),
        ("SELECT count(*) FROM (SELECT 1.50 AS a UNION SELECT 1.5)", "1"),
        ("SELECT max(a) FROM (SELECT 1.5 AS a UNION ALL SELECT 1.555)", "1.555"),
        ("SELECT max(a) FROM (SELECT 1.5 AS a UNION ALL SELECT CAST('1e30' AS DOUBLE))", "1e30"),
        ("SELECT count(*) FROM (SELECT 1.50 AS a EXCEPT SELECT 1.5)", "0"),
        ("SELECT count(*) FROM (VALUES (1.50)) a(x) JOIN (VALUES (1.5), (1.51)) b(y) ON x = y", "1"),
        ("SELECT count(*) FROM (VALUES (1.50)) a(x) WHERE x IN (SELECT y FROM (VALUES (1.5), (1.51)) b(y))", "1"),
        ("SELECT arrow_cast(1.5, 'Float16') > 1", "true"),
        ("SELECT power(2.5, 2)", "6.25"),
    ])
    .await;
}

#[tokio::test]
async fn overflow_is_an_error() {
    let large = "CAST('60000000000000000000000000000000000000' AS DECIMAL(38, 0))";
    for expression in [
        format!("{large} + {large}"),
        format!("{large} * 2"),
        format!("{large} / 0.0000001"),
        format!("round({large}, -38)"),
    ] {
        let sql = format!("SELECT {expression}");
        assert_errors(&[(&sql, "is beyond the range of its type decimal(38,")]).await;
    }
    assert_errors(&[("SELECT 1.5 / 0", "ivide by zero")]).await;
}
