//! The comparison must fail on each kind of wrong result, and on nothing else.

use super::*;

const BY_FIRST: ResultOrder = ResultOrder {
    sort_keys: &[0],
    limit: None,
};
const BY_FIRST_LIMIT_2: ResultOrder = ResultOrder {
    sort_keys: &[0],
    limit: Some(2),
};

fn number(unscaled: i128, scale: u8) -> Value {
    Value::Number { unscaled, scale }
}

fn text(value: &str) -> Value {
    Value::Text(value.to_string())
}

/// Rows of a number and a text.
fn rows(values: &[(i128, &str)]) -> Rows {
    Rows {
        columns: vec!["n".to_string(), "t".to_string()],
        rows: values
            .iter()
            .map(|(n, t)| vec![number(*n, 0), text(t)])
            .collect(),
    }
}

fn expected(values: &[(i128, &str)]) -> Expected {
    Expected {
        rows: rows(values),
        ties_complete: true,
    }
}

#[test]
fn equal_results_pass() {
    let values = [(1, "a"), (2, "b"), (3, "c")];
    assert_eq!(
        compare(&expected(&values), &rows(&values), BY_FIRST),
        Ok(())
    );
    assert_eq!(compare(&expected(&[]), &rows(&[]), BY_FIRST), Ok(()));
    assert_eq!(compare(&expected(&[]), &Rows::default(), BY_FIRST), Ok(()));
}

#[test]
fn wrong_values_are_located() {
    let wrong = compare(
        &expected(&[(1, "a"), (2, "b")]),
        &rows(&[(1, "a"), (2, "x")]),
        BY_FIRST,
    );
    let message = wrong.expect_err("a wrong value").to_string();
    assert_eq!(message, "row 2, column 2 (t): 'x' instead of 'b'");
}

#[test]
fn missing_and_surplus_rows_fail() {
    let two = [(1, "a"), (2, "b")];
    for actual in [vec![], vec![(1, "a")], vec![(1, "a"), (2, "b"), (2, "b")]] {
        let result = compare(&expected(&two), &rows(&actual), BY_FIRST);
        assert_eq!(
            result,
            Err(Mismatch::RowCount {
                expected: 2,
                actual: actual.len()
            })
        );
    }
    assert!(compare(&expected(&[]), &rows(&two), BY_FIRST).is_err());
}

#[test]
fn missing_columns_fail() {
    let actual = Rows {
        columns: vec!["n".to_string()],
        rows: vec![vec![number(1, 0)]],
    };
    let result = compare(&expected(&[(1, "a")]), &actual, BY_FIRST);
    assert_eq!(
        result,
        Err(Mismatch::ColumnCount {
            expected: 2,
            actual: 1
        })
    );
}

#[test]
fn order_matters_except_among_ties() {
    let tied = expected(&[(1, "a"), (1, "b"), (2, "c")]);
    assert_eq!(
        compare(&tied, &rows(&[(1, "b"), (1, "a"), (2, "c")]), BY_FIRST),
        Ok(())
    );
    assert!(compare(&tied, &rows(&[(2, "c"), (1, "a"), (1, "b")]), BY_FIRST).is_err());
    // The same row twice is not the two rows that were expected.
    let twice = compare(&tied, &rows(&[(1, "a"), (1, "a"), (2, "c")]), BY_FIRST);
    assert!(
        matches!(
            twice,
            Err(Mismatch::TiedRow {
                row: 2,
                tied: 2,
                ..
            })
        ),
        "{twice:?}"
    );
}

#[test]
fn any_row_tied_at_the_limit_may_be_returned() {
    let boundary = expected(&[(1, "a"), (2, "b"), (2, "c")]);
    assert_eq!(
        compare(&boundary, &rows(&[(1, "a"), (2, "b")]), BY_FIRST_LIMIT_2),
        Ok(())
    );
    assert_eq!(
        compare(&boundary, &rows(&[(1, "a"), (2, "c")]), BY_FIRST_LIMIT_2),
        Ok(())
    );
    assert!(compare(&boundary, &rows(&[(1, "a"), (2, "d")]), BY_FIRST_LIMIT_2).is_err());
    assert!(compare(&boundary, &rows(&[(2, "b"), (2, "c")]), BY_FIRST_LIMIT_2).is_err());
    let all = [(1, "a"), (2, "b"), (2, "c")];
    assert!(compare(&boundary, &rows(&all), BY_FIRST_LIMIT_2).is_err());
}

#[test]
fn an_open_boundary_is_held_to_its_keys() {
    let open = Expected {
        rows: rows(&[(1, "a"), (2, "b")]),
        ties_complete: false,
    };
    assert_eq!(
        compare(&open, &rows(&[(1, "a"), (2, "z")]), BY_FIRST_LIMIT_2),
        Ok(())
    );
    assert!(compare(&open, &rows(&[(1, "a"), (3, "b")]), BY_FIRST_LIMIT_2).is_err());
    assert!(compare(&open, &rows(&[(1, "z"), (2, "b")]), BY_FIRST_LIMIT_2).is_err());
}

#[test]
fn a_raised_limit_is_cut_after_the_ties() {
    let fetched = [(1, "a"), (2, "b"), (2, "c"), (3, "d")];
    let cut = Expected::from_raised_limit(rows(&fetched), BY_FIRST_LIMIT_2, 4);
    assert_eq!((cut.rows.rows.len(), cut.ties_complete), (3, true));
    let open = Expected::from_raised_limit(rows(&fetched[..3]), BY_FIRST_LIMIT_2, 3);
    assert_eq!((open.rows.rows.len(), open.ties_complete), (3, false));
    let short = Expected::from_raised_limit(rows(&fetched[..1]), BY_FIRST_LIMIT_2, 4);
    assert_eq!((short.rows.rows.len(), short.ties_complete), (1, true));
    let unlimited = Expected::from_raised_limit(rows(&fetched), BY_FIRST, 4);
    assert_eq!(
        (unlimited.rows.rows.len(), unlimited.ties_complete),
        (4, true)
    );
}

#[test]
fn decimals_are_exact_whatever_their_scale() {
    assert!(same(&number(150, 2), &number(15, 1)));
    assert!(same(&number(1500, 3), &number(15, 1)));
    assert!(same(&number(0, 4), &number(0, 0)));
    assert!(!same(&number(150, 2), &number(151, 2)));
    assert!(!same(&number(1, 0), &number(-1, 0)));
}

#[test]
fn floats_are_compared_to_a_relative_tolerance() {
    assert!(same(&Value::Float(1e12), &Value::Float(1e12 + 1.0)));
    assert!(!same(&Value::Float(1.0), &Value::Float(1.000_001)));
    assert!(!same(&Value::Float(0.0), &Value::Float(1e-15)));
    assert!(same(&Value::Float(f64::NAN), &Value::Float(f64::NAN)));
}

#[test]
fn a_decimal_may_round_or_cut_a_float_at_its_last_digit() {
    let average = Value::Float(0.049_985_295_838);
    assert!(same(&number(49_985, 6), &average));
    assert!(same(&number(49_986, 6), &average));
    assert!(!same(&number(49_987, 6), &average));
    // A count is not a rounded average.
    assert!(!same(&number(5, 0), &Value::Float(5.4)));
    assert!(same(&number(5, 0), &Value::Float(5.0)));
}

#[test]
fn null_and_text_are_only_themselves() {
    assert!(same(&Value::Null, &Value::Null));
    assert!(!same(&Value::Null, &number(0, 0)));
    assert!(!same(&Value::Null, &text("")));
    assert!(!same(&text("a"), &text("a ")));
    assert!(!same(&text("1"), &number(1, 0)));
}
