//! Arrays of numbers, dates and times at equal distances, and arrays of what stands at one place in several.

use crate::dates::read;
use crate::lists::{Lists, items_at, list_from, list_of};
use crate::registry::Functions;
use crate::scalar::{Body, Call, scalar};
use crate::value::{Argument, Date, Kind, Long, Output, Time, item};
use chrono::{Months, NaiveDateTime};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, StructArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Field, Fields, IntervalMonthDayNanoType, IntervalUnit,
};
use datafusion::common::{exec_err, plan_err};
use datafusion::error::Result;
use datafusion::scalar::ScalarValue;
use std::sync::Arc;

/// The most items of one sequence.
const ITEMS_MAX: usize = 10_000_000;

fn numbers(start: i64, stop: i64, step: i64) -> Result<Vec<i64>> {
    if step == 0 && start != stop || (stop > start && step < 0) || (stop < start && step > 0) {
        return exec_err!("a sequence from {start} to {stop} cannot have steps of {step}");
    }
    let mut items = Vec::new();
    let mut next = Some(start);
    while let Some(item) = next.filter(|item| {
        if step >= 0 {
            *item <= stop
        } else {
            *item >= stop
        }
    }) {
        if items.len() >= ITEMS_MAX {
            return exec_err!("a sequence from {start} to {stop} has more than {ITEMS_MAX} items");
        }
        items.push(item);
        next = if step == 0 {
            None
        } else {
            item.checked_add(step)
        };
    }
    Ok(items)
}

/// A step in time.
#[derive(Clone, Copy)]
struct Step {
    months: i32,
    micros: i64,
}

fn later(time: NaiveDateTime, step: Step, count: i64) -> Option<i64> {
    let months = i64::from(step.months).checked_mul(count)?;
    let moved = Months::new(u32::try_from(months.unsigned_abs()).ok()?);
    let time = match months < 0 {
        true => time.checked_sub_months(moved)?,
        false => time.checked_add_months(moved)?,
    };
    read::micros(time).checked_add(step.micros.checked_mul(count)?)
}

fn times(start: i64, stop: i64, step: Step) -> Result<Vec<i64>> {
    let Some(from) = read::to_time(start) else {
        return exec_err!("a sequence begins at a time that is beyond the calendar");
    };
    let is_up = (step.months, step.micros) > (0, 0);
    if step.months == 0 && step.micros == 0 {
        return exec_err!("a sequence cannot have steps of no length");
    }
    if start != stop && is_up != (stop > start) {
        return exec_err!("a sequence cannot reach its end in the direction of its steps");
    }
    let mut items = Vec::new();
    while let Some(item) = later(from, step, items.len() as i64) {
        let is_over = if is_up { item > stop } else { item < stop };
        if is_over {
            break;
        }
        if items.len() >= ITEMS_MAX {
            return exec_err!("a sequence has more than {ITEMS_MAX} items");
        }
        items.push(item);
    }
    Ok(items)
}

fn collected<T: Output>(rows: Vec<Option<Vec<T::Item>>>, data_type: &DataType) -> Result<ArrayRef> {
    let DataType::List(field) = data_type else {
        return exec_err!("an array is expected");
    };
    let (mut items, mut lengths, mut valid) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        valid.push(row.is_some());
        let row = row.unwrap_or_default();
        lengths.push(row.len());
        items.extend(row.into_iter().map(Some));
    }
    let items = cast(&T::collect(items), field.data_type())?;
    list_from(items, lengths, valid, Arc::clone(field))
}

fn of_numbers(arguments: usize) -> Body {
    Body::new(
        vec![Kind::Number; arguments],
        |planned| match planned.types.iter().all(DataType::is_integer) {
            true => Ok(DataType::List(item(planned.data_type(0)))),
            false => plan_err!("sequence takes whole numbers, dates or timestamps"),
        },
        |call| {
            let (starts, stops) = (Long::open(call.array(0)?)?, Long::open(call.array(1)?)?);
            let steps = call.arrays.get(2).map(Long::open).transpose()?;
            let rows = (0..call.rows).map(|row| {
                let ends = Long::at(&starts, row).zip(Long::at(&stops, row));
                let step = match &steps {
                    Some(steps) => Long::at(steps, row),
                    None => ends.map(|(start, stop)| if start <= stop { 1 } else { -1 }),
                };
                ends.zip(step)
                    .map(|((start, stop), step)| numbers(start, stop, step))
                    .transpose()
            });
            collected::<Long>(rows.collect::<Result<_>>()?, &call.return_type)
        },
    )
}

fn of_times(arguments: usize) -> Body {
    let mut kinds = vec![Kind::TimeOnly, Kind::Time];
    if arguments == 3 {
        kinds.push(Kind::Any);
    }
    Body::new(
        kinds,
        |planned| {
            let of = match planned
                .types
                .iter()
                .take(2)
                .any(|of| matches!(of, DataType::Date32))
            {
                true => DataType::Date32,
                false => <Time as Output>::data_type(),
            };
            Ok(DataType::List(item(of)))
        },
        |call| {
            let (starts, stops) = (Time::open(call.array(0)?)?, Time::open(call.array(1)?)?);
            let steps = steps(call)?;
            let rows = (0..call.rows).map(|row| {
                let ends = Time::at(&starts, row).zip(Time::at(&stops, row));
                let step = match &steps {
                    Some(steps) => steps.get(row).copied().flatten(),
                    None => ends.map(|(start, stop)| Step {
                        months: 0,
                        micros: if start <= stop { read::DAY } else { -read::DAY },
                    }),
                };
                ends.zip(step)
                    .map(|((start, stop), step)| times(start, stop, step))
                    .transpose()
            });
            let rows: Vec<Option<Vec<i64>>> = rows.collect::<Result<_>>()?;
            match &call.return_type {
                DataType::List(field) if *field.data_type() == DataType::Date32 => {
                    let days = |time: i64| time.div_euclid(read::DAY) as i32;
                    let rows = rows
                        .into_iter()
                        .map(|row| row.map(|row| row.into_iter().map(days).collect()));
                    collected::<Date>(rows.collect(), &call.return_type)
                }
                _ => collected::<Time>(rows, &call.return_type),
            }
        },
    )
}

fn steps(call: &Call) -> Result<Option<Vec<Option<Step>>>> {
    let Some(steps) = call.arrays.get(2) else {
        return Ok(None);
    };
    let steps = cast(steps, &DataType::Interval(IntervalUnit::MonthDayNano))?;
    let steps = steps.as_primitive::<IntervalMonthDayNanoType>();
    let steps = steps.iter().map(|step| {
        step.map(|step| Step {
            months: step.months,
            micros: i64::from(step.days) * read::DAY + step.nanoseconds / 1000,
        })
    });
    Ok(Some(steps.collect()))
}

pub(super) fn add(functions: &mut Functions) {
    add_sequence(functions);
    add_zip(functions);
    add_item_fields(functions);
}

fn add_sequence(functions: &mut Functions) {
    functions.add(
        scalar(
            "sequence(start, stop[, step])",
            "The array of the numbers, dates or times from start to stop, by 1 or a day, or by step.",
        )
        .example("sequence(1, 5)", "[1, 2, 3, 4, 5]")
        .example(
            "sequence(DATE '2018-01-01', DATE '2018-03-01', INTERVAL 1 MONTH)",
            "[2018-01-01, 2018-02-01, 2018-03-01]",
        )
        .body(of_times(2))
        .body(of_times(3))
        .body(of_numbers(2))
        .body(of_numbers(3)),
    );
}

fn add_zip(functions: &mut Functions) {
    functions.add(
        scalar(
            "arrays_zip(array, …)",
            "The array of structs of what stands at one place in several arrays.",
        )
        .hive()
        .example(
            "arrays_zip(array(1, 2), array(3, 4))",
            "[{0: 1, 1: 3}, {0: 2, 1: 4}]",
        )
        .body(
            Body::new(
                vec![Kind::List],
                |planned| {
                    let fields = planned
                        .types
                        .iter()
                        .enumerate()
                        .map(|(index, of)| match of {
                            DataType::List(field) => {
                                Field::new(index.to_string(), field.data_type().clone(), true)
                            }
                            other => Field::new(index.to_string(), other.clone(), true),
                        });
                    let fields: Fields = fields.collect();
                    Ok(DataType::List(item(DataType::Struct(fields))))
                },
                zipped,
            )
            .and_more(Kind::List),
        ),
    );
}

fn add_item_fields(functions: &mut Functions) {
    functions.add(
        scalar(
            "skep_item_fields(array, index)",
            "A field of the items of an array of structs, for inline.",
        )
        .body(Body::new(
            vec![Kind::List, Kind::Long],
            |planned| {
                let index = planned.constants.get(1).copied().flatten();
                let index = match index {
                    Some(ScalarValue::Int64(Some(index))) => usize::try_from(*index).unwrap_or(0),
                    _ => 0,
                };
                match planned.data_type(0) {
                    DataType::List(field) => match field.data_type() {
                        DataType::Struct(fields) => match fields.get(index) {
                            Some(field) => Ok(DataType::List(item(field.data_type().clone()))),
                            None => plan_err!("there is no field {index}"),
                        },
                        _ => plan_err!("inline takes an array of structs"),
                    },
                    _ => plan_err!("inline takes an array"),
                }
            },
            |call| {
                let lists = Lists::open(call.array(0)?)?;
                let indices = Long::open(call.array(1)?)?;
                let index = Long::at(&indices, 0).unwrap_or(0) as usize;
                let (DataType::List(field), Some(items)) =
                    (&call.return_type, lists.items().as_struct_opt())
                else {
                    return exec_err!("inline takes an array of structs");
                };
                let Some(column) = items.columns().get(index) else {
                    return exec_err!("there is no field {index}");
                };
                let is_known = |at: usize| items.is_valid(at).then_some(at);
                let rows = (0..call.rows)
                    .map(|row| lists.at(row).map(|range| range.map(is_known).collect()));
                list_of(rows.collect(), column, Arc::clone(field))
            },
        )),
    );
}

fn zipped(call: &Call) -> Result<ArrayRef> {
    let DataType::List(field) = &call.return_type else {
        return exec_err!("an array is expected");
    };
    let DataType::Struct(fields) = field.data_type() else {
        return exec_err!("an array of structs is expected");
    };
    let lists: Vec<Lists> = call.arrays.iter().map(Lists::open).collect::<Result<_>>()?;
    let (mut lengths, mut valid) = (Vec::new(), Vec::new());
    let mut indices: Vec<Vec<Option<usize>>> = vec![Vec::new(); lists.len()];
    for row in 0..call.rows {
        let ranges: Option<Vec<_>> = lists.iter().map(|list| list.at(row)).collect();
        valid.push(ranges.is_some());
        let ranges = ranges.unwrap_or_default();
        let length = ranges.iter().map(|range| range.len()).max().unwrap_or(0);
        lengths.push(length);
        for (range, indices) in ranges.iter().zip(&mut indices) {
            indices.extend((0..length).map(|at| (at < range.len()).then_some(range.start + at)));
        }
    }
    let columns = lists
        .iter()
        .zip(indices)
        .map(|(list, indices)| items_at(list.items(), indices));
    let columns: Vec<ArrayRef> = columns.collect::<Result<_>>()?;
    let items = Arc::new(StructArray::try_new(fields.clone(), columns, None)?);
    list_from(items, lengths, valid, Arc::clone(field))
}
