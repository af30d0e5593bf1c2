//! Percentiles, and the value that is most often there.

use super::Described;
use super::collected::{Collected, Gathered};
use crate::registry::Functions;
use crate::value::{Argument, Double, Kind, Long, item};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, Float64Array, new_empty_array};
use datafusion::arrow::compute::{SortOptions, concat, sort_to_indices};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::utils::SingleRowListArrayBuilder;
use datafusion::common::{exec_err, plan_err};
use datafusion::error::Result;
use datafusion::scalar::ScalarValue;
use std::collections::HashMap;
use std::sync::Arc;

fn is_list(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(_, _)
    )
}

/// The type of the percentages: a double, or an array of them.
fn percentages_type(given: &DataType) -> Option<DataType> {
    match is_list(given) {
        true => Some(DataType::List(item(DataType::Float64))),
        false => Kind::Double.accept(given),
    }
}

/// The percentages of a call, which are the same in all rows.
fn percentages(gathered: &Gathered, index: usize) -> Result<Vec<f64>> {
    let given = gathered.column(index)?;
    if given.is_empty() {
        return Ok(Vec::new());
    }
    let numbers: ArrayRef = match given.as_list_opt::<i32>() {
        Some(lists) => lists.value(0),
        None => given.slice(0, 1),
    };
    let numbers = Double::open(&numbers)?;
    let mut found = Vec::new();
    for row in 0..numbers.len() {
        match Double::at(&numbers, row) {
            Some(part) if (0.0..=1.0).contains(&part) => found.push(part),
            Some(part) => return exec_err!("the percentage {part} is not between 0 and 1"),
            None => return exec_err!("a percentage is NULL"),
        }
    }
    Ok(found)
}

/// Where the values that are not NULL are, in their order, each so often as it counts.
fn sorted(gathered: &Gathered, frequencies: Option<usize>) -> Result<Vec<(usize, i64)>> {
    let values = gathered.column(0)?;
    let options = gathered.order.unwrap_or(SortOptions {
        descending: false,
        nulls_first: true,
    });
    let order = sort_to_indices(values, Some(options), None)?;
    let counts = match frequencies {
        Some(index) => Some(Long::open(gathered.column(index)?)?),
        None => None,
    };
    let mut sorted = Vec::new();
    for index in order.values() {
        let index = *index as usize;
        let count = match &counts {
            None => 1,
            Some(counts) => Long::at(counts, index).unwrap_or(0),
        };
        if count < 0 {
            return exec_err!("the frequency {count} is negative");
        }
        if values.is_valid(index) && count > 0 {
            sorted.push((index, count));
        }
    }
    Ok(sorted)
}

/// Which of the sorted values stands at a place, counted from 0.
fn at_place(sorted: &[(usize, i64)], place: i64) -> usize {
    let mut seen = 0;
    for (index, count) in sorted {
        seen += count;
        if place < seen {
            return *index;
        }
    }
    sorted.last().map_or(0, |(index, _)| *index)
}

/// Percentiles between values, of numbers.
fn continuous(gathered: &Gathered) -> Result<ScalarValue> {
    let sorted = sorted(gathered, (gathered.columns.len() > 2).then_some(2))?;
    let total: i64 = sorted.iter().map(|(_, count)| count).sum();
    let is_array = is_list(gathered.returned);
    if total == 0 {
        return ScalarValue::try_new_null(gathered.returned);
    }
    let numbers = Double::open(gathered.column(0)?)?;
    let mut results = Vec::new();
    for part in percentages(gathered, 1)? {
        let place = part * (total - 1) as f64;
        let (low, high) = (
            at_place(&sorted, place.floor() as i64),
            at_place(&sorted, place.ceil() as i64),
        );
        let (low, high) = (numbers.value(low), numbers.value(high));
        results.push(match low == high {
            true => low,
            false => (place.ceil() - place) * low + (place - place.floor()) * high,
        });
    }
    Ok(match is_array {
        true => {
            let results: ArrayRef = Arc::new(Float64Array::from(results));
            SingleRowListArrayBuilder::new(results).build_list_scalar()
        }
        false => ScalarValue::Float64(results.first().copied()),
    })
}

/// Percentiles that are values.
fn discrete(gathered: &Gathered) -> Result<ScalarValue> {
    let sorted = sorted(gathered, None)?;
    let values = gathered.column(0)?;
    if sorted.is_empty() {
        return ScalarValue::try_new_null(gathered.returned);
    }
    let mut results = Vec::new();
    for part in percentages(gathered, 1)? {
        let rank = (part * sorted.len() as f64).ceil() as i64 - 1;
        results.push(values.slice(at_place(&sorted, rank.max(0)), 1));
    }
    match is_list(gathered.returned) {
        true => {
            let parts: Vec<&dyn Array> = results.iter().map(AsRef::as_ref).collect();
            let results = match parts.is_empty() {
                true => new_empty_array(values.data_type()),
                false => concat(&parts)?,
            };
            Ok(SingleRowListArrayBuilder::new(results).build_list_scalar())
        }
        false => match results.first() {
            Some(result) => super::only(result),
            None => ScalarValue::try_new_null(gathered.returned),
        },
    }
}

/// The value that is most often there; of several, the least.
fn most_frequent(gathered: &Gathered) -> Result<ScalarValue> {
    let values = gathered.column(0)?;
    let mut counts: HashMap<ScalarValue, usize> = HashMap::new();
    for row in 0..values.len() {
        if values.is_valid(row) {
            let value = ScalarValue::try_from_array(values, row)?;
            *counts.entry(value).or_default() += 1;
        }
    }
    let is_descending = gathered.order.is_some_and(|order| order.descending);
    let best = counts.into_iter().max_by(|(a, a_count), (b, b_count)| {
        let order = a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal);
        let tie = if is_descending {
            order
        } else {
            order.reverse()
        };
        a_count.cmp(b_count).then(tie)
    });
    match best {
        Some((value, _)) => Ok(value),
        None => ScalarValue::try_new_null(gathered.returned),
    }
}

fn of_values(types: &[DataType]) -> Result<DataType> {
    match types {
        [value, part, ..] if is_list(part) => Ok(DataType::List(item(value.clone()))),
        [value, ..] => Ok(value.clone()),
        [] => plan_err!("an argument is missing"),
    }
}

fn with_percentage(types: &[DataType]) -> Option<Vec<DataType>> {
    match types {
        [value, part] => Some(vec![value.clone(), percentages_type(part)?]),
        // How exact it is, which is always exactly.
        [value, part, accuracy] => Some(vec![
            value.clone(),
            percentages_type(part)?,
            Kind::Long.accept(accuracy)?,
        ]),
        _ => None,
    }
}

pub(super) fn add(functions: &mut Functions) {
    add_percentile(functions);
    add_discrete(functions);
    add_mode(functions);
}

fn add_percentile(functions: &mut Functions) {
    let described = Described {
        syntax: "percentile(number, percentage[, frequency])",
        aliases: &[],
        text: "The number below which a part, 0 to 1, of all numbers lies, between two where that is in between; \
               for an array of parts, an array. Each number counts as often as frequency says.",
        examples: &[
            ("percentile(x, 0.3) FROM (VALUES (0), (10)) t(x)", "3.0"),
            (
                "percentile(x, array(0.25, 0.75)) FROM (VALUES (0), (10)) t(x)",
                "[2.5, 7.5]",
            ),
        ],
    };
    let function = Collected::new(
        &described,
        |types| match types {
            [value, part] => Some(vec![Kind::Double.accept(value)?, percentages_type(part)?]),
            [value, part, frequency] => Some(vec![
                Kind::Double.accept(value)?,
                percentages_type(part)?,
                Kind::Long.accept(frequency)?,
            ]),
            _ => None,
        },
        |types| match types {
            [_, part, ..] if is_list(part) => Ok(DataType::List(item(DataType::Float64))),
            _ => Ok(DataType::Float64),
        },
        continuous,
    );
    functions.add(described.entry(function));
}

fn add_discrete(functions: &mut Functions) {
    let described = Described {
        syntax: "percentile_approx(value, percentage[, accuracy])",
        aliases: &["approx_percentile"],
        text: "The least value that is not below a part, 0 to 1, of all values; for an array of parts, an array. \
               It is always exact.",
        examples: &[(
            "percentile_approx(x, 0.5, 100) FROM (VALUES (0), (6), (7), (9), (10)) t(x)",
            "7",
        )],
    };
    let function = Collected::new(&described, with_percentage, of_values, discrete);
    functions.add(described.entry(function));

    let described = Described {
        syntax: "percentile_disc(percentage) WITHIN GROUP (ORDER BY value)",
        aliases: &["quantile_disc"],
        text: "The first value in the order that is not before a part, 0 to 1, of all values.",
        examples: &[(
            "percentile_disc(0.25) WITHIN GROUP (ORDER BY x) FROM (VALUES (0), (10)) t(x)",
            "0",
        )],
    };
    let function = Collected::new(&described, with_percentage, of_values, discrete).within_group();
    functions.add(described.entry(function));
}

fn add_mode(functions: &mut Functions) {
    let described = Described {
        syntax: "mode(value)",
        aliases: &[],
        text: "The value that is most often there, the least of several; also mode() WITHIN GROUP (ORDER BY value).",
        examples: &[("mode(x) FROM (VALUES (0), (10), (10)) t(x)", "10")],
    };
    let function = Collected::new(
        &described,
        |types| match types {
            [value] => Some(vec![value.clone()]),
            [value, DataType::Boolean] => Some(vec![value.clone(), DataType::Boolean]),
            _ => None,
        },
        of_values,
        most_frequent,
    )
    .within_group();
    functions.add(described.entry(function));
}
