//! Compares a query's result with the expected one, as strictly as SQL allows.
//!
//! Rows tied in all columns of the `ORDER BY` may come in any order, and of the rows tied at a
//! `LIMIT` any may be there. Integers and decimals are compared exactly, floating point to a
//! relative tolerance. Text is compared as it is, trailing blanks included.

use thiserror::Error;

use crate::queries::ResultOrder;
use crate::value::{Rows, Value};

/// The relative difference up to which two floating-point results are the same: sums of up to
/// 10^9 terms in any order stay well below it.
const FLOAT_TOLERANCE: f64 = 1e-9;

/// What a result is compared with.
#[derive(Clone, Debug)]
pub struct Expected {
    /// The expected rows in order. Where the query has a limit these go on beyond it, to the
    /// last row that is tied with the row at the limit.
    pub rows: Rows,
    /// Whether all rows tied at the limit are there. If not, rows of the last group are held to
    /// their sort keys only.
    pub ties_complete: bool,
}

impl Expected {
    /// Keeps of `rows`, the result of a query with a raised limit, what a result cut at the
    /// query's own limit may hold. `raised_limit` is the limit that `rows` came from.
    pub fn from_raised_limit(mut rows: Rows, order: ResultOrder, raised_limit: usize) -> Expected {
        let Some(limit) = order.limit else {
            return Expected {
                rows,
                ties_complete: true,
            };
        };
        let fetched = rows.rows.len();
        if let Some(boundary) = limit
            .checked_sub(1)
            .and_then(|last| rows.rows.get(last))
            .cloned()
        {
            let tied = rows.rows[limit..]
                .iter()
                .take_while(|row| keys_match(order.sort_keys, &boundary, row))
                .count();
            rows.rows.truncate(limit + tied);
        }
        let ties_complete = fetched < raised_limit || rows.rows.len() < fetched;
        Expected {
            rows,
            ties_complete,
        }
    }
}

/// The first difference between a result and what was expected. Rows and columns count from one.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum Mismatch {
    /// Columns are missing or too many.
    #[error("{actual} columns instead of {expected}")]
    ColumnCount {
        /// How many there should be.
        expected: usize,
        /// How many there are.
        actual: usize,
    },
    /// Rows are missing or too many, those that are there being right.
    #[error("{actual} rows instead of {expected}")]
    RowCount {
        /// How many there should be.
        expected: usize,
        /// How many there are.
        actual: usize,
    },
    /// A value is not the expected one.
    #[error("row {row}, column {column} ({name}): {actual} instead of {expected}")]
    Value {
        /// The row.
        row: usize,
        /// The column.
        column: usize,
        /// The column's name.
        name: String,
        /// The expected value.
        expected: String,
        /// The value that is there.
        actual: String,
    },
    /// A row is none of those that may stand at its place.
    #[error("row {row} is none of the {tied} rows that share its sort keys: ({actual})")]
    TiedRow {
        /// The row.
        row: usize,
        /// How many rows may stand at its place.
        tied: usize,
        /// The row's values.
        actual: String,
    },
}

/// Compares a result with the expected one.
pub fn compare(expected: &Expected, actual: &Rows, order: ResultOrder) -> Result<(), Mismatch> {
    let rows = &expected.rows.rows;
    let columns = expected.rows.columns.len();
    // An empty result may come without any batch and so without columns.
    if actual.columns.len() != columns && !(actual.columns.is_empty() && actual.rows.is_empty()) {
        return Err(Mismatch::ColumnCount {
            expected: columns,
            actual: actual.columns.len(),
        });
    }
    let wanted = order
        .limit
        .map_or(rows.len(), |limit| limit.min(rows.len()));
    let mut start = 0;
    while start < wanted.min(actual.rows.len()) {
        let tied = rows[start..]
            .iter()
            .take_while(|row| keys_match(order.sort_keys, &rows[start], row))
            .count();
        let end = start + tied;
        let group = Group {
            expected: &rows[start..end],
            first_row: start,
            keys_only: !expected.ties_complete && end == rows.len(),
        };
        let last = end.min(wanted).min(actual.rows.len());
        group.compare(
            &actual.rows[start..last],
            &expected.rows.columns,
            order.sort_keys,
        )?;
        start = end;
    }
    if actual.rows.len() != wanted {
        return Err(Mismatch::RowCount {
            expected: wanted,
            actual: actual.rows.len(),
        });
    }
    Ok(())
}

/// Expected rows that share their sort keys.
struct Group<'a> {
    expected: &'a [Vec<Value>],
    first_row: usize,
    keys_only: bool,
}

impl Group<'_> {
    fn compare(
        &self,
        actual: &[Vec<Value>],
        names: &[String],
        sort_keys: &[usize],
    ) -> Result<(), Mismatch> {
        let all: Vec<usize> = (0..names.len()).collect();
        let mut used = vec![false; self.expected.len()];
        for (index, row) in actual.iter().enumerate() {
            let columns = if self.expected.len() == 1 && !self.keys_only {
                &all
            } else {
                sort_keys
            };
            let differs = |column: &&usize| !same(&self.expected[0][**column], &row[**column]);
            if let Some(&column) = columns.iter().find(differs) {
                return Err(Mismatch::Value {
                    row: self.first_row + index + 1,
                    column: column + 1,
                    name: names[column].clone(),
                    expected: self.expected[0][column].to_string(),
                    actual: row[column].to_string(),
                });
            }
            if self.keys_only {
                continue;
            }
            let found = self
                .expected
                .iter()
                .enumerate()
                .position(|(candidate, expected)| {
                    !used[candidate]
                        && expected
                            .iter()
                            .zip(row)
                            .all(|(left, right)| same(left, right))
                });
            match found {
                Some(candidate) => used[candidate] = true,
                None => {
                    let values: Vec<String> = row.iter().map(Value::to_string).collect();
                    return Err(Mismatch::TiedRow {
                        row: self.first_row + index + 1,
                        tied: self.expected.len(),
                        actual: values.join(", "),
                    });
                }
            }
        }
        Ok(())
    }
}

fn keys_match(sort_keys: &[usize], left: &[Value], right: &[Value]) -> bool {
    sort_keys.iter().all(|&key| same(&left[key], &right[key]))
}

/// Whether two values are the same result.
pub fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Null, Value::Null) => true,
        (Value::Boolean(left), Value::Boolean(right)) => left == right,
        (Value::Date(left), Value::Date(right)) => left == right,
        (Value::Text(left), Value::Text(right)) => left == right,
        (Value::Float(left), Value::Float(right)) => floats_same(*left, *right),
        (
            Value::Number {
                unscaled: left,
                scale: left_scale,
            },
            Value::Number {
                unscaled: right,
                scale: right_scale,
            },
        ) => numbers_same((*left, *left_scale), (*right, *right_scale)),
        (Value::Number { unscaled, scale }, Value::Float(float))
        | (Value::Float(float), Value::Number { unscaled, scale }) => {
            number_is_float(*unscaled, *scale, *float)
        }
        _ => false,
    }
}

fn floats_same(left: f64, right: f64) -> bool {
    left == right
        || (left.is_nan() && right.is_nan())
        || (left - right).abs() <= FLOAT_TOLERANCE * left.abs().max(right.abs())
}

/// A decimal with fraction digits stands for a float (an average, a quotient) if it is the float
/// rounded or cut at that number of digits: engines differ in which, but not by more than one
/// unit in the last place.
fn number_is_float(unscaled: i128, scale: u8, float: f64) -> bool {
    let number = unscaled as f64 / 10f64.powi(i32::from(scale));
    let last_place = if scale == 0 {
        0.0
    } else {
        10f64.powi(-i32::from(scale))
    };
    floats_same(number, float) || (number - float).abs() <= last_place
}

/// How many fraction digits averages and quotients have at least. Engines round or cut them.
const ROUNDED_SCALE: u8 = 6;

/// Decimals are equal exactly, but for the last place of what engines round.
fn numbers_same(left: (i128, u8), right: (i128, u8)) -> bool {
    if normalized(left.0, left.1) == normalized(right.0, right.1) {
        return true;
    }
    let (coarse, fine) = (left.1.min(right.1), left.1.max(right.1));
    let scaled = |(unscaled, scale): (i128, u8)| {
        let factor = 10_i128.checked_pow(u32::from(fine - scale))?;
        unscaled.checked_mul(factor)
    };
    let last_place = 10_i128.checked_pow(u32::from(fine - coarse));
    match (scaled(left), scaled(right), last_place) {
        (Some(left), Some(right), Some(last_place)) => {
            coarse >= ROUNDED_SCALE && left.abs_diff(right) <= last_place.unsigned_abs()
        }
        _ => false,
    }
}

/// The same number with as few fraction digits as possible.
fn normalized(mut unscaled: i128, mut scale: u8) -> (i128, u8) {
    while scale > 0 && unscaled % 10 == 0 {
        unscaled /= 10;
        scale -= 1;
    }
    (unscaled, scale)
}

#[cfg(test)]
mod tests;
