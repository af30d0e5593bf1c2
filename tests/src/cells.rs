//! Results as text, in the way in which DataFusion's own logic tests write them: `NULL`, `(empty)` for
//! the empty string, floating point to twelve digits.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Float32Type, Float64Type, Schema};
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use sqllogictest::DefaultColumnType;

/// The letters of a schema: I for integers, R for numbers with a fraction, T for everything else.
pub fn types(schema: &Schema) -> Vec<DefaultColumnType> {
    let of = |data_type: &DataType| match data_type {
        integer if integer.is_integer() => DefaultColumnType::Integer,
        number if number.is_numeric() => DefaultColumnType::FloatingPoint,
        _ => DefaultColumnType::Text,
    };
    schema
        .fields()
        .iter()
        .map(|field| of(field.data_type()))
        .collect()
}

/// Every value as text.
pub fn rows(batches: &[RecordBatch]) -> Vec<Vec<String>> {
    batches.iter().flat_map(batch_rows).collect()
}

fn batch_rows(batch: &RecordBatch) -> Vec<Vec<String>> {
    let columns: Vec<Vec<String>> = batch.columns().iter().map(|column| cells(column)).collect();
    (0..batch.num_rows())
        .map(|row| columns.iter().map(|column| column[row].clone()).collect())
        .collect()
}

fn cells(column: &dyn Array) -> Vec<String> {
    let options = FormatOptions::default().with_null("NULL");
    let formatter = ArrayFormatter::try_new(column, &options).expect("a type that can be shown");
    let cell = |row: usize| match column.data_type() {
        _ if column.is_null(row) => "NULL".to_owned(),
        DataType::Float64 => float(column.as_primitive::<Float64Type>().value(row)),
        DataType::Float32 => float(f64::from(column.as_primitive::<Float32Type>().value(row))),
        _ => formatter.value(row).to_string(),
    };
    let mark_empty = |text: String| {
        if text.is_empty() {
            "(empty)".to_owned()
        } else {
            text
        }
    };
    (0..column.len()).map(|row| mark_empty(cell(row))).collect()
}

/// Sums of the same numbers in another order differ in the last digits.
fn float(value: f64) -> String {
    if !value.is_finite() {
        return value.to_string();
    }
    let rounded: f64 = format!("{value:.11e}")
        .parse()
        .expect("what was written is read");
    // No negative zero.
    (rounded + 0.0).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floating_point_is_cut_to_what_any_order_of_adding_agrees_on() {
        assert_eq!(float(0.1 + 0.2), "0.3");
        assert_eq!(float(-0.0), "0");
        assert_eq!(float(1e300), 1e300_f64.to_string());
        assert_eq!(float(f64::NAN), "NaN");
    }
}
