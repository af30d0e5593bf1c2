//! The whole chain without an engine: generated data, plain DataFusion, DuckDB's answers.

use super::*;
use crate::answers::answer;
use crate::compare::{Expected, compare};
use crate::generate::{GenerateOptions, generate};
use crate::queries::{all_queries, query, query_with_limit, result_order};
use crate::value::{Rows, Value};

const SCALE: f64 = 0.01;

async fn start() -> Single {
    let output = DataLocation::parse("memory:///tpch", &[]).expect("a location");
    let options = GenerateOptions {
        parts: Some(2),
        ..GenerateOptions::new(SCALE, output.clone())
    };
    generate(&options).await.expect("data");
    Single::start(2, &output).await.expect("started")
}

/// Plain DataFusion gives DuckDB's answers: two engines that share no code agree on all queries,
/// and the comparison neither misses nor invents a difference.
#[tokio::test]
async fn all_queries_have_the_kept_answers() {
    let single = start().await;
    for number in all_queries() {
        let sql = query(number, SCALE).expect("a query");
        let batches = single.query(&sql).await.expect("a result").batches;
        let actual = Rows::from_batches(&batches).expect("values");
        let rows = answer(number, SCALE).expect("readable").expect("kept");
        let expected = Expected {
            rows,
            ties_complete: true,
        };
        let order = result_order(number);
        assert_eq!(compare(&expected, &actual, order), Ok(()), "query {number}");

        let mut fewer = actual.clone();
        if fewer.rows.pop().is_some() {
            assert!(
                compare(&expected, &fewer, order).is_err(),
                "query {number} less a row"
            );
        }
        for column in 0..actual.columns.len() {
            let mut wrong = actual.clone();
            let Some(row) = wrong.rows.first_mut() else {
                continue;
            };
            row[column] = match &row[column] {
                // Two units in the last place: a rounded average may be off by one.
                Value::Number { unscaled, scale } => Value::Number {
                    unscaled: unscaled + 2 + unscaled.abs() / 1000,
                    scale: *scale,
                },
                Value::Float(float) => Value::Float(float * 1.001 + 1.0),
                Value::Null => Value::Text("not null".to_string()),
                _ => Value::Null,
            };
            let result = compare(&expected, &wrong, order);
            assert!(result.is_err(), "query {number}, column {column}");
        }
    }
}

#[tokio::test]
async fn a_raised_limit_gives_the_kept_ties() {
    let single = start().await;
    for number in all_queries()
        .into_iter()
        .filter(|number| result_order(*number).limit.is_some())
    {
        let order = result_order(number);
        let limit = order.limit.expect("a limit") + 100;
        let sql = query_with_limit(number, SCALE, limit).expect("a query");
        let batches = single.query(&sql).await.expect("a result").batches;
        let rows = Rows::from_batches(&batches).expect("values");
        let expected = Expected::from_raised_limit(rows, order, limit);
        let kept = answer(number, SCALE).expect("readable").expect("kept");
        assert_eq!(expected.rows.rows.len(), kept.rows.len(), "query {number}");
        assert!(expected.ties_complete);
    }
}

#[tokio::test]
async fn missing_data_is_named() {
    let nowhere = DataLocation::parse("memory:///nowhere", &[]).expect("a location");
    let error = Single::start(1, &nowhere).await.err().expect("no data");
    assert!(error.to_string().contains("lineitem"), "{error:#}");
}
