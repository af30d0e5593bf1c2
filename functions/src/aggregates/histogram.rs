//! Histograms of a bounded number of bins, by Ben-Haim and Tom-Tov ("A Streaming Parallel Decision Tree
//! Algorithm", 2010), as Hive makes them.

use super::Described;
use super::collected::{Collected, Gathered};
use crate::registry::Functions;
use crate::value::{Argument, Double, Kind, Long, item};
use datafusion::arrow::array::{ArrayRef, Float64Array, StructArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::utils::SingleRowListArrayBuilder;
use datafusion::common::{exec_err, plan_err};
use datafusion::error::Result;
use datafusion::scalar::ScalarValue;
use std::sync::Arc;

fn fields(of: &DataType) -> Fields {
    Fields::from(vec![
        Field::new("x", of.clone(), true),
        Field::new("y", DataType::Float64, true),
    ])
}

/// Puts a value into the bins, and the two nearest together where there are too many.
fn put(bins: &mut Vec<(f64, f64)>, value: f64, bins_max: usize) {
    match bins.binary_search_by(|(centre, _)| centre.total_cmp(&value)) {
        Ok(found) => {
            if let Some((_, count)) = bins.get_mut(found) {
                *count += 1.0;
            }
        }
        Err(place) => bins.insert(place, (value, 1.0)),
    }
    if bins.len() <= bins_max {
        return;
    }
    let distances = bins.windows(2).enumerate().map(|(index, pair)| match pair {
        [(one, _), (other, _)] => (index, other - one),
        _ => (index, f64::INFINITY),
    });
    let nearest = distances.min_by(|(_, one), (_, other)| one.total_cmp(other));
    let Some((index, _)) = nearest else {
        return;
    };
    let (other, other_count) = bins.remove(index + 1);
    if let Some((centre, count)) = bins.get_mut(index) {
        let total = *count + other_count;
        *centre = (*centre * *count + other * other_count) / total;
        *count = total;
    }
}

fn histogram(gathered: &Gathered) -> Result<ScalarValue> {
    let values = Double::open(gathered.column(0)?)?;
    let counts = Long::open(gathered.column(1)?)?;
    let Some(bins_max) = Long::at(&counts, 0) else {
        return ScalarValue::try_new_null(gathered.returned);
    };
    if bins_max < 2 {
        return exec_err!("a histogram needs two bins at least, not {bins_max}");
    }
    let mut bins = Vec::new();
    for value in values.iter().flatten() {
        put(&mut bins, value, bins_max as usize);
    }
    if bins.is_empty() {
        return ScalarValue::try_new_null(gathered.returned);
    }
    let of = gathered.column(0)?.data_type();
    let (centres, counts): (Vec<f64>, Vec<f64>) = bins.into_iter().unzip();
    let centres: ArrayRef = Arc::new(Float64Array::from(centres));
    let counts: ArrayRef = Arc::new(Float64Array::from(counts));
    let bins = StructArray::try_new(fields(of), vec![cast(&centres, of)?, counts], None)?;
    Ok(SingleRowListArrayBuilder::new(Arc::new(bins)).build_list_scalar())
}

pub(super) fn add(functions: &mut Functions) {
    let described = Described {
        syntax: "histogram_numeric(number, bins)",
        aliases: &[],
        text: "A histogram of so many bins: an array of structs of their centre x and the count y.",
        examples: &[(
            "histogram_numeric(x, 5) FROM (VALUES (0), (1), (2), (10)) t(x)",
            "[{x: 0, y: 1.0}, {x: 1, y: 1.0}, {x: 2, y: 1.0}, {x: 10, y: 1.0}]",
        )],
    };
    let function = Collected::new(
        &described,
        |types| match types {
            [number, bins] => Some(vec![Kind::Number.accept(number)?, Kind::Long.accept(bins)?]),
            _ => None,
        },
        |types| match types {
            [number, _] => Ok(DataType::List(item(DataType::Struct(fields(number))))),
            _ => plan_err!("histogram_numeric takes a number and how many bins there are"),
        },
        histogram,
    );
    functions.add(described.entry(function));
}
