//! Windows of time, `window(t, '5 minutes')`, and intervals from their parts.

use super::arithmetic::{Unit, unit};
use super::read;
use crate::registry::Functions;
use crate::rows;
use crate::scalar::{Body, Call, scalar};
use crate::value::{Argument, Double, Kind, Long, Output, Text, Time};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, IntervalMonthDayNanoArray, ListArray, StructArray,
};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::datatypes::{
    DataType, Field, FieldRef, Fields, IntervalMonthDayNano, IntervalUnit,
};
use datafusion::common::exec_err;
use datafusion::error::Result;
use std::sync::Arc;

/// In how many windows a time may lie.
const WINDOWS_MAX: i64 = 10_000;

/// A length of time, for results.
struct Span;

impl Output for Span {
    type Item = IntervalMonthDayNano;

    fn data_type() -> DataType {
        DataType::Interval(IntervalUnit::MonthDayNano)
    }

    fn collect(rows: Vec<Option<IntervalMonthDayNano>>) -> ArrayRef {
        Arc::new(IntervalMonthDayNanoArray::from_iter(rows))
    }
}

fn fields() -> Fields {
    Fields::from(vec![
        Field::new("start", <Time as Output>::data_type(), true),
        Field::new("end", <Time as Output>::data_type(), true),
    ])
}

/// A length such as `5 minutes` or `1 hour 30 minutes`, in microseconds.
fn length(text: &str) -> Result<i64> {
    let text = text.trim();
    let text = text.strip_prefix("interval ").unwrap_or(text);
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut length: i64 = 0;
    for pair in words.chunks(2) {
        let part = match pair {
            [count, name] => match (count.parse::<i64>(), unit(name)?) {
                (Ok(count), Unit::Micros(size)) => count.checked_mul(size),
                _ => None,
            },
            _ => None,
        };
        match part.and_then(|part| length.checked_add(part)) {
            Some(sum) => length = sum,
            None => return exec_err!("'{text}' is not a length of time such as '5 minutes'"),
        }
    }
    match length > 0 {
        true => Ok(length),
        false => exec_err!("a window of time must have a positive length, not '{text}'"),
    }
}

fn window(call: &Call) -> Result<ArrayRef> {
    let times = Time::open(call.array(0)?)?;
    let lengths = Text::open(call.array(1)?)?;
    let slides = call.arrays.get(2).map(Text::open).transpose()?;
    let offsets = call.arrays.get(3).map(Text::open).transpose()?;
    let (mut starts, mut ends) = (Vec::new(), Vec::new());
    for row in 0..call.rows {
        let known = Time::at(&times, row).zip(Text::at(&lengths, row));
        let Some((time, text)) = known else {
            starts.push(None);
            ends.push(None);
            continue;
        };
        let size = length(text)?;
        if let Some(slide) = slides.as_ref().and_then(|slides| Text::at(slides, row))
            && length(slide)? != size
        {
            return exec_err!("windows of time that overlap stand in GROUP BY alone");
        }
        let offset = match offsets.as_ref().and_then(|offsets| Text::at(offsets, row)) {
            Some(offset) => length(offset)?,
            None => 0,
        };
        let start = (time - offset).div_euclid(size) * size + offset;
        starts.push(Some(start));
        ends.push(start.checked_add(size));
    }
    let nulls = NullBuffer::from(starts.iter().map(Option::is_some).collect::<Vec<bool>>());
    let columns = vec![
        <Time as Output>::collect(starts),
        <Time as Output>::collect(ends),
    ];
    Ok(Arc::new(StructArray::try_new(
        fields(),
        columns,
        Some(nulls),
    )?))
}

/// All windows that a time lies in, the latest first, for windows that begin every `slide`.
fn sliding(call: &Call) -> Result<ArrayRef> {
    let times = Time::open(call.array(0)?)?;
    let lengths = Text::open(call.array(1)?)?;
    let slides = Text::open(call.array(2)?)?;
    let offsets = call.arrays.get(3).map(Text::open).transpose()?;
    let (mut starts, mut ends, mut sizes) = (Vec::new(), Vec::new(), Vec::new());
    for row in 0..call.rows {
        let known = Time::at(&times, row)
            .zip(Text::at(&lengths, row))
            .zip(Text::at(&slides, row));
        let before = starts.len();
        if let Some(((time, size), slide)) = known {
            let (size, slide) = (length(size)?, length(slide)?);
            if size / slide > WINDOWS_MAX {
                return exec_err!("a time may lie in {WINDOWS_MAX} windows, not in more");
            }
            let offset = match offsets.as_ref().and_then(|offsets| Text::at(offsets, row)) {
                Some(offset) => length(offset)?,
                None => 0,
            };
            let mut start = (time - offset).div_euclid(slide) * slide + offset;
            while start.saturating_add(size) > time {
                starts.push(Some(start));
                ends.push(start.checked_add(size));
                start = start.saturating_sub(slide);
            }
        }
        sizes.push(starts.len() - before);
    }
    let columns = vec![
        <Time as Output>::collect(starts),
        <Time as Output>::collect(ends),
    ];
    let windows = StructArray::try_new(fields(), columns, None)?;
    Ok(Arc::new(ListArray::try_new(
        item_of_windows(),
        OffsetBuffer::from_lengths(sizes),
        Arc::new(windows),
        None,
    )?))
}

fn item_of_windows() -> FieldRef {
    Arc::new(Field::new_list_field(DataType::Struct(fields()), true))
}

fn add_sliding(functions: &mut Functions) {
    let kinds = [Kind::Time, Kind::Text, Kind::Text, Kind::Text];
    let body = |count: usize| {
        let kinds = kinds.into_iter().take(count).collect();
        Body::new(kinds, |_| Ok(DataType::List(item_of_windows())), sliding)
    };
    functions.add(
        scalar(
            "skep_windows(timestamp, length, slide[, offset])",
            "The windows of time that overlap and that a time lies in.",
        )
        .body(body(3))
        .body(body(4)),
    );
}

pub(super) fn add(functions: &mut Functions) {
    add_sliding(functions);
    let kinds = [Kind::Time, Kind::Text, Kind::Text, Kind::Text];
    let windows = |count: usize| {
        let kinds = kinds.into_iter().take(count).collect();
        Body::new(kinds, |_| Ok(DataType::Struct(fields())), window)
    };
    functions.add(
        scalar(
            "window(timestamp, length[, slide, offset])",
            "The window of time, a struct of its start and its end, that a time lies in. All have the length \
             '5 minutes', say. Windows that begin every `slide` may overlap; they stand in GROUP BY, where a row counts in \
             each of its windows.",
        )
        .example(
            "window(TIMESTAMP '2021-01-01 00:06:30', '5 minutes')",
            "{start: 2021-01-01T00:05:00, end: 2021-01-01T00:10:00}",
        )
        .body(windows(2))
        .body(windows(3))
        .body(windows(4)),
    );
    functions.add(
        scalar(
            "window_time(window)",
            "The last microsecond of a window of time.",
        )
        .example(
            "window_time(window('2021-01-01 00:06:30', '5 minutes'))",
            "2021-01-01T00:09:59.999999",
        )
        .body(Body::new(
            vec![Kind::Any],
            |_| Ok(<Time as Output>::data_type()),
            |call| {
                let windows = call.array(0)?;
                let ends = windows
                    .as_struct_opt()
                    .and_then(|windows| windows.column_by_name("end"));
                let Some(ends) = ends else {
                    return exec_err!("window_time takes what window makes");
                };
                let ends = Time::open(ends)?;
                let last = (0..call.rows).map(|row| {
                    let end = Time::at(&ends, row).filter(|_| windows.is_valid(row));
                    end.map(|end| end - 1)
                });
                Ok(<Time as Output>::collect(last.collect()))
            },
        )),
    );
    add_intervals(functions);
}

fn days_and_time(
    days: i64,
    hours: i64,
    minutes: i64,
    seconds: f64,
) -> Option<IntervalMonthDayNano> {
    let micros = (seconds * 1e6).round() as i64;
    let minutes = hours.checked_mul(60)?.checked_add(minutes)?;
    let micros = minutes
        .checked_mul(60 * read::SECOND)?
        .checked_add(micros)?;
    Some(IntervalMonthDayNano {
        months: 0,
        days: i32::try_from(days).ok()?,
        nanoseconds: micros.checked_mul(1000)?,
    })
}

fn months(years: i64, months: i64) -> Option<IntervalMonthDayNano> {
    let months = years.checked_mul(12)?.checked_add(months)?;
    Some(IntervalMonthDayNano {
        months: i32::try_from(months).ok()?,
        days: 0,
        nanoseconds: 0,
    })
}

fn add_intervals(functions: &mut Functions) {
    functions.add(
        scalar(
            "make_ym_interval([years[, months]])",
            "The interval of so many years and months.",
        )
        .example("make_ym_interval(1, 2)", "14 mons")
        .body(rows!(|| -> Span { Ok(months(0, 0)) }))
        .body(rows!(|years: Long| -> Span { Ok(months(years, 0)) }))
        .body(rows!(|years: Long, count: Long| -> Span {
            Ok(months(years, count))
        })),
    );
    functions.add(
        scalar(
            "make_dt_interval([days[, hours[, minutes[, seconds]]]])",
            "The interval of so many days, hours, minutes and seconds.",
        )
        .example(
            "make_dt_interval(1, 12, 30, 1.5)",
            "1 days 12 hours 30 mins 1.500000000 secs",
        )
        .body(rows!(|| -> Span { Ok(days_and_time(0, 0, 0, 0.0)) }))
        .body(rows!(|days: Long| -> Span {
            Ok(days_and_time(days, 0, 0, 0.0))
        }))
        .body(rows!(|days: Long, hours: Long| -> Span {
            Ok(days_and_time(days, hours, 0, 0.0))
        }))
        .body(rows!(|days: Long, hours: Long, minutes: Long| -> Span {
            Ok(days_and_time(days, hours, minutes, 0.0))
        }))
        .body(rows!(|days: Long,
                              hours: Long,
                              minutes: Long,
                              seconds: Double|
         -> Span {
            Ok(days_and_time(days, hours, minutes, seconds))
        })),
    );
}
