//! Which part of rows conditions are taken to keep.

use super::*;
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::logical_expr::{col, lit};

fn schema() -> DFSchema {
    let fields = vec![
        Field::new("n", DataType::Int64, true),
        Field::new("s", DataType::Utf8, true),
    ];
    DFSchema::try_from(Schema::new(fields)).unwrap()
}

fn columns() -> Vec<ColumnProfile> {
    let number = ColumnProfile {
        distinct: 100.0,
        bounds: Some((1.0, 100.0)),
        step: Some(1.0),
        ..ColumnProfile::unknown(1e4, 8.0)
    };
    let text = ColumnProfile {
        distinct: 5.0,
        null_fraction: 0.5,
        ..ColumnProfile::unknown(1e4, 8.0)
    };
    vec![number, text]
}

fn kept(condition: &Expr) -> f64 {
    selectivity(condition, &schema(), &columns())
}

fn is_about(found: f64, wanted: f64) -> bool {
    (found - wanted).abs() < 1e-6
}

#[test]
fn conditions_on_one_column_are_one() {
    assert!(is_about(kept(&col("n").eq(lit(7_i64))), 0.01));
    let range = col("n").gt_eq(lit(11_i64)).and(col("n").lt_eq(lit(30_i64)));
    assert!(is_about(kept(&range), 0.2), "{}", kept(&range));
    assert!(is_about(
        kept(&col("n").between(lit(11_i64), lit(30_i64))),
        0.2
    ));
    // The range says nothing more.
    let both = range.and(col("n").eq(lit(20_i64)));
    assert!(is_about(kept(&both), 0.01));
    let list = col("n").in_list(vec![lit(1_i64), lit(2_i64), lit(3_i64)], false);
    assert!(is_about(kept(&list), 0.03));
    let either = col("n").eq(lit(1_i64)).or(col("n").eq(lit(2_i64)));
    assert!(is_about(kept(&either), 0.02));
}

#[test]
fn nulls_are_no_values() {
    assert!(is_about(kept(&col("s").eq(lit("a"))), 0.1));
    assert!(is_about(kept(&col("s").is_null()), 0.5));
    assert!(is_about(kept(&col("s").is_not_null()), 0.5));
}

#[test]
fn each_further_column_has_less_weight() {
    let both = col("n").eq(lit(7_i64)).and(col("s").eq(lit("a")));
    assert!(
        is_about(kept(&both), 0.01 * 0.1_f64.sqrt()),
        "{}",
        kept(&both)
    );
    assert!(is_about(backed_off(&mut []), 1.0));
}

#[test]
fn what_is_outside_of_the_bounds_is_rare() {
    assert!(kept(&col("n").gt(lit(1_000_i64))) < 1e-3);
    assert!(kept(&col("n").lt(lit(1_000_i64))) > 0.99);
    assert!(kept(&col("s").like(lit("a%"))) < kept(&col("s").not_like(lit("a%"))));
}

#[test]
fn a_filter_narrows_its_columns() {
    let mut columns = columns();
    let condition = col("n").gt(lit(90_i64)).and(col("s").eq(lit("a")));
    filtered(&condition, &schema(), &mut columns);
    assert!(columns[0].distinct < 12.0 && columns[0].distinct > 9.0);
    assert_eq!(columns[1].distinct, 1.0);
    assert_eq!(columns[1].null_fraction, 0.0);
}
