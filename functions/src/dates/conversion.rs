//! Dates and timestamps from texts and numbers, and back.

use super::pattern::Patterns;
use super::{read, zones};
use crate::registry::Functions;
use crate::rows;
use crate::scalar::{Scalar, scalar};
use crate::value::{Argument, Date, Double, Int, Kind, Long, Text, Time};
use chrono::NaiveDate;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringArray};
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::exec_err;
use datafusion::error::Result;
use datafusion::functions::datetime::expr_fn::{current_date, now};
use datafusion::logical_expr::cast;

/// A time, or a text that a pattern reads.
struct TimeOrText;

enum TimeColumn {
    Times(Vec<Option<i64>>),
    Texts(StringArray),
}

enum TimeItem<'a> {
    Time(i64),
    Text(&'a str),
}

impl TimeItem<'_> {
    fn micros(self, patterns: &mut Patterns, pattern: &str) -> Result<Option<i64>> {
        match self {
            Self::Time(time) => Ok(Some(time)),
            Self::Text(text) => Ok(patterns.get(pattern)?.parse(text).map(read::micros)),
        }
    }
}

impl Argument for TimeOrText {
    type Column = TimeColumn;
    type Item<'a> = TimeItem<'a>;
    const KIND: Kind = Kind::Time;

    fn open(array: &ArrayRef) -> Result<TimeColumn> {
        match array.as_string_opt::<i32>() {
            Some(texts) => Ok(TimeColumn::Texts(texts.clone())),
            None => Time::open(array).map(TimeColumn::Times),
        }
    }

    fn at(column: &TimeColumn, row: usize) -> Option<TimeItem<'_>> {
        match column {
            TimeColumn::Times(times) => Time::at(times, row).map(TimeItem::Time),
            TimeColumn::Texts(texts) => texts
                .is_valid(row)
                .then(|| TimeItem::Text(texts.value(row))),
        }
    }
}

/// Days of a time.
fn day_of(micros: i64) -> Option<i32> {
    i32::try_from(micros.div_euclid(read::DAY)).ok()
}

const STANDARD: &str = "yyyy-MM-dd HH:mm:ss";

pub(super) fn add(functions: &mut Functions) {
    add_texts(functions);
    add_epochs(functions);
    add_parts(functions);
    functions.add(
        scalar("curdate()", "The date of today in UTC.")
            .body(rows!(|| -> Date {
                exec_err!("curdate is not evaluated row by row")
            }))
            .rewritten(|_, _| Some(current_date())),
    );
}

fn to_date(syntax: &'static str, text: &'static str) -> Scalar {
    scalar(syntax, text)
        .body(rows!(|text: Date| -> Date { Ok(Some(text)) }))
        .body(rows!(let mut patterns = Patterns::default();
        |text: TimeOrText, pattern: Text| -> Date {
            Ok(text.micros(&mut patterns, pattern)?.and_then(day_of))
        }))
}

fn to_timestamp(syntax: &'static str, text: &'static str) -> Scalar {
    scalar(syntax, text)
        .body(rows!(|text: Time| -> Time { Ok(Some(text)) }))
        .body(rows!(|seconds: Double| -> Time {
            Ok(seconds_to_micros(seconds))
        }))
        .body(rows!(let mut patterns = Patterns::default();
            |text: TimeOrText, pattern: Text| -> Time { text.micros(&mut patterns, pattern) }))
}

fn seconds_to_micros(seconds: f64) -> Option<i64> {
    let micros = (seconds * 1e6).round();
    (micros.abs() < 9.2e18).then_some(micros as i64)
}

fn add_texts(functions: &mut Functions) {
    functions.add(
        scalar(
            "date_format(timestamp, pattern)",
            "The text of a time by a pattern of Java's, such as `yyyy-MM-dd HH:mm:ss`.",
        )
        .hive()
        .example("date_format('2016-04-08', 'y')", "2016")
        .example(
            "date_format(TIMESTAMP '2016-04-08 14:05:09', 'MMM d, h:mm a')",
            "Apr 8, 2:05 PM",
        )
        .body(rows!(let mut patterns = Patterns::default();
        |time: Time, pattern: Text| -> Text {
            let pattern = patterns.get(pattern)?;
            Ok(read::to_time(time).map(|time| pattern.format(time)))
        })),
    );
    functions.add(
        to_date(
            "to_date(text[, pattern])",
            "The date that a text stands for, or NULL.",
        )
        .hive()
        .example("to_date('2009-07-30 04:17:52')", "2009-07-30")
        .example("to_date('31/12/2016', 'dd/MM/yyyy')", "2016-12-31"),
    );
    functions.add(
        to_date(
            "try_to_date(text[, pattern])",
            "The date that a text stands for, or NULL.",
        )
        .example("try_to_date('foo', 'yyyy-MM-dd')", "NULL"),
    );
    functions.add(
        to_timestamp(
            "to_timestamp(text[, pattern])",
            "The time that a text stands for, or NULL.",
        )
        .hive()
        .aliases(&["to_timestamp_ntz", "to_timestamp_ltz"])
        .example("to_timestamp('2016-12-31 00:12:00')", "2016-12-31T00:12:00")
        .example(
            "to_timestamp('2016-12-31', 'yyyy-MM-dd')",
            "2016-12-31T00:00:00",
        ),
    );
    functions.add(
        to_timestamp(
            "try_to_timestamp(text[, pattern])",
            "The time that a text stands for, or NULL.",
        )
        .example("try_to_timestamp('foo', 'yyyy-MM-dd')", "NULL"),
    );
    add_unix_times(functions);
}

fn add_unix_times(functions: &mut Functions) {
    functions.add(
        scalar(
            "from_unixtime(seconds[, pattern])",
            "The text of the time that is so many seconds after 1970-01-01 00:00:00 UTC, by a pattern of Java's.",
        )
        .hive()
        .example("from_unixtime(0, 'yyyy-MM-dd HH:mm:ss')", "1970-01-01 00:00:00")
        .body(rows!(let mut patterns = Patterns::default();
            |seconds: Long| -> Text { from_unixtime(seconds, patterns.get(STANDARD)?) }))
        .body(rows!(let mut patterns = Patterns::default();
            |seconds: Long, pattern: Text| -> Text {
                from_unixtime(seconds, patterns.get(pattern)?)
            })),
    );
    functions.add(
        scalar(
            "unix_timestamp([time[, pattern]])",
            "The seconds between 1970-01-01 00:00:00 UTC and a time, or the statement's beginning; NULL for \
             a text that is no time.",
        )
        .aliases(&["to_unix_timestamp"])
        .example("unix_timestamp('2016-04-08', 'yyyy-MM-dd')", "1460073600")
        .body(rows!(|| -> Long { exec_err!("unix_timestamp is not evaluated row by row") }))
        .body(rows!(|time: Time| -> Long { Ok(Some(time.div_euclid(read::SECOND))) }))
        .body(rows!(let mut patterns = Patterns::default();
            |time: TimeOrText, pattern: Text| -> Long {
                let time = time.micros(&mut patterns, pattern)?;
                Ok(time.map(|time| time.div_euclid(read::SECOND)))
            }))
        .rewritten(|_, args| {
            let seconds = DataType::Timestamp(TimeUnit::Second, None);
            args.is_empty()
                .then(|| cast(cast(now(), seconds), DataType::Int64))
        }),
    );
}

fn from_unixtime(seconds: i64, pattern: &super::pattern::Pattern) -> Result<Option<String>> {
    let micros = seconds.checked_mul(read::SECOND);
    Ok(micros
        .and_then(read::to_time)
        .map(|time| pattern.format(time)))
}

fn add_epochs(functions: &mut Functions) {
    add_since_epoch(functions);
    add_from_epoch(functions);
}

fn add_since_epoch(functions: &mut Functions) {
    functions.add(
        scalar("unix_date(date)", "The days between 1970-01-01 and a date.")
            .example("unix_date(DATE '1970-01-02')", "1")
            .body(rows!(|date: Date| -> Int { Ok(Some(date)) })),
    );
    functions.add(
        scalar(
            "date_from_unix_date(days)",
            "The date so many days after 1970-01-01.",
        )
        .example("date_from_unix_date(1)", "1970-01-02")
        .body(rows!(|days: Long| -> Date { Ok(i32::try_from(days).ok()) })),
    );
    functions.add(
        scalar(
            "unix_seconds(timestamp)",
            "The seconds between 1970-01-01 00:00:00 UTC and a time.",
        )
        .example("unix_seconds(TIMESTAMP '1970-01-01 00:00:01')", "1")
        .body(rows!(|time: Time| -> Long {
            Ok(Some(time.div_euclid(read::SECOND)))
        })),
    );
    functions.add(
        scalar(
            "unix_millis(timestamp)",
            "The milliseconds between 1970-01-01 00:00:00 UTC and a time.",
        )
        .example("unix_millis(TIMESTAMP '1970-01-01 00:00:01')", "1000")
        .body(rows!(|time: Time| -> Long {
            Ok(Some(time.div_euclid(1000)))
        })),
    );
    functions.add(
        scalar(
            "unix_micros(timestamp)",
            "The microseconds between 1970-01-01 00:00:00 UTC and a time.",
        )
        .example("unix_micros(TIMESTAMP '1970-01-01 00:00:01')", "1000000")
        .body(rows!(|time: Time| -> Long { Ok(Some(time)) })),
    );
}

fn add_from_epoch(functions: &mut Functions) {
    functions.add(
        scalar(
            "timestamp_seconds(number)",
            "The time so many seconds after 1970-01-01 00:00:00 UTC.",
        )
        .example("timestamp_seconds(1230219000)", "2008-12-25T15:30:00")
        .body(rows!(|seconds: Double| -> Time {
            Ok(seconds_to_micros(seconds))
        })),
    );
    functions.add(
        scalar(
            "timestamp_millis(number)",
            "The time so many milliseconds after 1970-01-01 00:00:00 UTC.",
        )
        .example("timestamp_millis(1230219000123)", "2008-12-25T15:30:00.123")
        .body(rows!(|millis: Long| -> Time {
            Ok(millis.checked_mul(1000))
        })),
    );
    functions.add(
        scalar(
            "timestamp_micros(number)",
            "The time so many microseconds after 1970-01-01 00:00:00 UTC.",
        )
        .example(
            "timestamp_micros(1230219000123123)",
            "2008-12-25T15:30:00.123123",
        )
        .body(rows!(|micros: Long| -> Time { Ok(Some(micros)) })),
    );
}

/// A time from its parts. A second of 60 is the next minute.
fn time_of(date: [i64; 3], hour: i64, minute: i64, second: f64) -> Option<i64> {
    let [year, month, day] = date;
    let date = date_of(year, month, day)?;
    let micros = (second * 1e6).round() as i64;
    let is_valid = (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60 * read::SECOND).contains(&micros);
    is_valid.then(|| {
        i64::from(read::days(date)) * read::DAY + (hour * 60 + minute) * 60 * read::SECOND + micros
    })
}

fn date_of(year: i64, month: i64, day: i64) -> Option<NaiveDate> {
    let year = i32::try_from(year).ok()?;
    NaiveDate::from_ymd_opt(year, month.try_into().ok()?, day.try_into().ok()?)
}

fn make_timestamp(syntax: &'static str, is_loose: bool) -> Scalar {
    let checked = move |made: Option<i64>| match made {
        None if !is_loose => exec_err!("the parts do not make a timestamp"),
        made => Ok(made),
    };
    scalar(
        syntax,
        match is_loose {
            false => {
                "The time with these parts, on the clocks of a zone; an error where there is none."
            }
            true => "The time with these parts, on the clocks of a zone; NULL where there is none.",
        },
    )
    .body(rows!(|year: Long,
                 month: Long,
                 day: Long,
                 hour: Long,
                 minute: Long,
                 second: Double|
     -> Time {
        checked(time_of([year, month, day], hour, minute, second))
    }))
    .body(rows!(|year: Long,
                      month: Long,
                      day: Long,
                      hour: Long,
                      minute: Long,
                      second: Double,
                      zone: Text|
     -> Time {
        let local = time_of([year, month, day], hour, minute, second);
        checked(
            local
                .zip(zones::parse(zone))
                .and_then(|(local, zone)| zones::to_utc(local, &zone)),
        )
    }))
}

fn add_parts(functions: &mut Functions) {
    functions.add(
        make_timestamp(
            "make_timestamp(year, month, day, hour, minute, second[, zone])",
            false,
        )
        .aliases(&["make_timestamp_ntz", "make_timestamp_ltz"])
        .example(
            "make_timestamp(2014, 12, 28, 6, 30, 45.887)",
            "2014-12-28T06:30:45.887",
        )
        .example(
            "make_timestamp(2014, 12, 28, 6, 30, 45.887, 'CET')",
            "2014-12-28T05:30:45.887",
        ),
    );
    functions.add(
        make_timestamp(
            "try_make_timestamp(year, month, day, hour, minute, second[, zone])",
            true,
        )
        .aliases(&["try_make_timestamp_ntz", "try_make_timestamp_ltz"])
        .example("try_make_timestamp(2024, 13, 22, 15, 30, 0)", "NULL"),
    );
}
