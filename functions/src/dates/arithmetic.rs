//! Dates and timestamps that are so much later, what lies between two, and where a month begins or ends.

use super::{read, zones};
use crate::registry::Functions;
use crate::rows;
use crate::scalar::scalar;
use crate::value::{Boolean, Date, Double, Int, Long, Text, Time};
use chrono::{Datelike, Days, Months, NaiveDate, NaiveDateTime};
use datafusion::common::exec_err;
use datafusion::error::Result;

fn add_days(date: i32, days: i64) -> Option<i32> {
    i32::try_from(i64::from(date).checked_add(days)?).ok()
}

/// The same day so many months later, or the last one of that month.
fn add_months(date: NaiveDate, months: i64) -> Option<NaiveDate> {
    let count = Months::new(u32::try_from(months.unsigned_abs()).ok()?);
    match months < 0 {
        true => date.checked_sub_months(count),
        false => date.checked_add_months(count),
    }
}

fn last_day(date: NaiveDate) -> Option<NaiveDate> {
    date.with_day(1)?
        .checked_add_months(Months::new(1))?
        .checked_sub_days(Days::new(1))
}

/// Full months, and the rest as a part of 31 days. Where both are the same day or the last of their months,
/// times of the day do not count.
fn months_between(end: NaiveDateTime, start: NaiveDateTime) -> Option<f64> {
    let months =
        f64::from((end.year() - start.year()) * 12 + end.month() as i32 - start.month() as i32);
    let is_last =
        |time: NaiveDateTime| last_day(time.date()).is_some_and(|last| last == time.date());
    if end.day() == start.day() || (is_last(end) && is_last(start)) {
        return Some(months);
    }
    let in_month = |time: NaiveDateTime| {
        let time_of_day = time.time() - chrono::NaiveTime::MIN;
        let seconds = time_of_day.num_seconds();
        (i64::from(time.day()) * 86_400 + seconds) as f64
    };
    Some(months + (in_month(end) - in_month(start)) / (31.0 * 86_400.0))
}

fn weekday(name: &str) -> Option<u32> {
    let name = name.trim().to_ascii_uppercase();
    let days = [
        ("MO", "MON", "MONDAY"),
        ("TU", "TUE", "TUESDAY"),
        ("WE", "WED", "WEDNESDAY"),
        ("TH", "THU", "THURSDAY"),
        ("FR", "FRI", "FRIDAY"),
        ("SA", "SAT", "SATURDAY"),
        ("SU", "SUN", "SUNDAY"),
    ];
    let found = days
        .iter()
        .position(|(two, three, whole)| [*two, *three, *whole].contains(&name.as_str()))?;
    u32::try_from(found).ok()
}

/// The beginning of the period that a date lies in; `None` for an unknown or a shorter period.
fn trunc_date(date: NaiveDate, unit: &str) -> Option<NaiveDate> {
    match unit.to_ascii_lowercase().as_str() {
        "year" | "yyyy" | "yy" => NaiveDate::from_ymd_opt(date.year(), 1, 1),
        "quarter" | "q" => NaiveDate::from_ymd_opt(date.year(), date.month0() / 3 * 3 + 1, 1),
        "month" | "mon" | "mm" => date.with_day(1),
        "week" => {
            date.checked_sub_days(Days::new(u64::from(date.weekday().num_days_from_monday())))
        }
        _ => None,
    }
}

fn trunc_time(micros: i64, unit: &str) -> Option<i64> {
    let size = match unit.to_ascii_lowercase().as_str() {
        "day" | "dd" => read::DAY,
        "hour" => 3600 * read::SECOND,
        "minute" => 60 * read::SECOND,
        "second" => read::SECOND,
        "millisecond" => 1000,
        "microsecond" => 1,
        _ => {
            let date = trunc_date(read::to_time(micros)?.date(), unit)?;
            return Some(read::micros(date.and_time(chrono::NaiveTime::MIN)));
        }
    };
    Some(micros.div_euclid(size) * size)
}

/// A unit of time: so many months, or so many microseconds.
pub(super) enum Unit {
    Months(i64),
    Micros(i64),
}

pub(super) fn unit(name: &str) -> Result<Unit> {
    let name = name.to_ascii_lowercase();
    Ok(match name.strip_suffix('s').unwrap_or(&name) {
        "microsecond" => Unit::Micros(1),
        "millisecond" => Unit::Micros(1000),
        "second" => Unit::Micros(read::SECOND),
        "minute" => Unit::Micros(60 * read::SECOND),
        "hour" => Unit::Micros(3600 * read::SECOND),
        "day" | "dayofyear" => Unit::Micros(read::DAY),
        "week" => Unit::Micros(7 * read::DAY),
        "month" => Unit::Months(1),
        "quarter" => Unit::Months(3),
        "year" => Unit::Months(12),
        _ => return exec_err!("'{name}' is not a unit of time"),
    })
}

fn add_units(name: &str, count: i64, time: i64) -> Result<Option<i64>> {
    Ok(match unit(name)? {
        Unit::Micros(size) => count
            .checked_mul(size)
            .and_then(|micros| time.checked_add(micros)),
        Unit::Months(size) => read::to_time(time).and_then(|moment| {
            let date = add_months(moment.date(), count.checked_mul(size)?)?;
            Some(read::micros(date.and_time(moment.time())))
        }),
    })
}

/// How many full units lie between two times.
fn count_units(name: &str, start: i64, end: i64) -> Result<Option<i64>> {
    Ok(match unit(name)? {
        Unit::Micros(size) => Some((end - start) / size),
        Unit::Months(size) => match (read::to_time(start), read::to_time(end)) {
            (Some(from), Some(to)) => {
                let mut months = i64::from(to.year() - from.year()) * 12 + i64::from(to.month())
                    - i64::from(from.month());
                let (from_rest, to_rest) = ((from.day(), from.time()), (to.day(), to.time()));
                if months > 0 && to_rest < from_rest {
                    months -= 1;
                } else if months < 0 && to_rest > from_rest {
                    months += 1;
                }
                Some(months / size)
            }
            _ => None,
        },
    })
}

pub(super) fn add(functions: &mut Functions) {
    add_day_arithmetic(functions);
    add_month_arithmetic(functions);
    add_found_days(functions);
    add_truncation(functions);
    add_zones(functions);
}

fn add_day_arithmetic(functions: &mut Functions) {
    functions.add(
        scalar("date_add(date, days)", "The date so many days later.")
            .example("date_add('2016-07-30', 1)", "2016-07-31")
            .example(
                "date_add('MONTH', 1, TIMESTAMP '2016-01-31 10:00:00')",
                "2016-02-29T10:00:00",
            )
            .aliases(&["dateadd", "timestampadd"])
            .body(rows!(|date: Date, days: Long| -> Date {
                Ok(add_days(date, days))
            }))
            .body(rows!(|unit: Text, count: Long, time: Time| -> Time {
                add_units(unit, count, time)
            })),
    );
    functions.add(
        scalar("date_sub(date, days)", "The date so many days earlier.")
            .example("date_sub('2016-07-30', 1)", "2016-07-29")
            .body(rows!(|date: Date, days: Long| -> Date {
                Ok(days.checked_neg().and_then(|days| add_days(date, days)))
            })),
    );
    functions.add(
        scalar(
            "datediff(end, start)",
            "How many days after start the end is; with a unit before start and end, how many full units.",
        )
        .example("datediff('2009-07-31', '2009-07-30')", "1")
        .example("datediff('HOUR', TIMESTAMP '2020-01-01 00:00:00', TIMESTAMP '2020-01-02 01:30:00')", "25")
        .aliases(&["date_diff", "timestampdiff"])
        .body(rows!(|end: Date, start: Date| -> Int { Ok(end.checked_sub(start)) }))
        .body(rows!(|unit: Text, start: Time, end: Time| -> Long {
            count_units(unit, start, end)
        })),
    );
}

fn add_month_arithmetic(functions: &mut Functions) {
    functions.add(
        scalar(
            "add_months(date, months)",
            "The same day so many months later, or the last day of that month.",
        )
        .example("add_months('2016-08-31', 1)", "2016-09-30")
        .body(rows!(|date: Date, months: Long| -> Date {
            let date = read::to_date(date).and_then(|date| add_months(date, months));
            Ok(date.map(read::days))
        })),
    );
    functions.add(
        scalar(
            "months_between(end, start[, round])",
            "The months between two times, with what is left as a part of 31 days, rounded to 8 digits \
             unless round is false.",
        )
        .example("months_between('1997-02-28 10:30:00', '1996-10-30')", "3.94959677")
        .body(rows!(|end: Time, start: Time| -> Double {
            let months = between(end, start);
            Ok(months.map(|months| (months * 1e8).round() / 1e8))
        }))
        .body(rows!(|end: Time, start: Time, round: Boolean| -> Double {
            let months = between(end, start);
            Ok(months.map(|months| match round {
                true => (months * 1e8).round() / 1e8,
                false => months,
            }))
        })),
    );
}

fn add_found_days(functions: &mut Functions) {
    functions.add(
        scalar(
            "last_day(date)",
            "The last day of the month that a date lies in.",
        )
        .example("last_day('2009-01-12')", "2009-01-31")
        .body(rows!(|date: Date| -> Date {
            Ok(read::to_date(date).and_then(last_day).map(read::days))
        })),
    );
    functions.add(
        scalar(
            "next_day(date, day_of_week)",
            "The first date later than a date that is this day of the week: `TU`, `TUE` or `TUESDAY`.",
        )
        .example("next_day('2015-01-14', 'TU')", "2015-01-20")
        .body(rows!(|date: Date, day: Text| -> Date {
            let days = read::to_date(date).zip(weekday(day)).map(|(from, day)| {
                let today = from.weekday().num_days_from_monday();
                (day + 7 - today - 1) % 7 + 1
            });
            Ok(days.and_then(|days| add_days(date, i64::from(days))))
        })),
    );
}

fn between(end: i64, start: i64) -> Option<f64> {
    months_between(read::to_time(end)?, read::to_time(start)?)
}

fn add_truncation(functions: &mut Functions) {
    functions.add(
        scalar(
            "trunc(date, unit)",
            "The beginning of the year, quarter, month or week that a date lies in, NULL for another unit; \
             for a number and a count of digits, the number without those behind them.",
        )
        .hive()
        .example("trunc('2019-08-04', 'week')", "2019-07-29")
        .example("trunc('2009-02-12', 'MM')", "2009-02-01")
        .body(rows!(|date: Date, unit: Text| -> Date {
            Ok(read::to_date(date)
                .and_then(|date| trunc_date(date, unit))
                .map(read::days))
        }))
        .body(rows!(|number: Double| -> Double { Ok(Some(number.trunc())) }))
        .body(rows!(|number: Double, digits: Long| -> Double {
            let power = 10_f64.powi(digits as i32);
            Ok(Some((number * power).trunc() / power))
        })),
    );
    functions.add(
        scalar(
            "date_trunc(unit, timestamp)",
            "The beginning of the year, quarter, month, week, day, hour, minute, second, millisecond or \
             microsecond that a time lies in; NULL for another unit.",
        )
        .hive()
        .example("date_trunc('HOUR', '2015-03-05T09:32:05.359')", "2015-03-05T09:00:00")
        .body(rows!(|unit: Text, time: Time| -> Time { Ok(trunc_time(time, unit)) })),
    );
}

fn zone(name: &str) -> Result<datafusion::arrow::array::timezone::Tz> {
    match zones::parse(name) {
        Some(zone) => Ok(zone),
        None => exec_err!("'{name}' is not a time zone"),
    }
}

fn add_zones(functions: &mut Functions) {
    functions.add(
        scalar(
            "from_utc_timestamp(timestamp, zone)",
            "What the clocks of a zone show at a time in UTC.",
        )
        .example(
            "from_utc_timestamp('2016-08-31', 'Asia/Seoul')",
            "2016-08-31T09:00:00",
        )
        .body(rows!(|time: Time, name: Text| -> Time {
            Ok(zones::from_utc(time, &zone(name)?))
        })),
    );
    functions.add(
        scalar(
            "to_utc_timestamp(timestamp, zone)",
            "The time in UTC when the clocks of a zone show a time.",
        )
        .example(
            "to_utc_timestamp('2016-08-31', 'Asia/Seoul')",
            "2016-08-30T15:00:00",
        )
        .body(rows!(|time: Time, name: Text| -> Time {
            Ok(zones::to_utc(time, &zone(name)?))
        })),
    );
    functions.add(
        scalar(
            "convert_timezone([from, ]to, timestamp)",
            "What the clocks of one zone show when those of another, UTC where there is none, show a time.",
        )
        .example(
            "convert_timezone('Europe/Brussels', 'America/Los_Angeles', TIMESTAMP '2021-12-06 00:00:00')",
            "2021-12-05T15:00:00",
        )
        .body(rows!(|to: Text, time: Time| -> Time {
            Ok(zones::from_utc(time, &zone(to)?))
        }))
        .body(rows!(|from: Text, to: Text, time: Time| -> Time {
            let utc = zones::to_utc(time, &zone(from)?);
            let to = zone(to)?;
            Ok(utc.and_then(|utc| zones::from_utc(utc, &to)))
        })),
    );
    functions.add(
        scalar(
            "current_timezone()",
            "The zone of the session's timestamps.",
        )
        .example("current_timezone()", "UTC")
        .body(rows!(|| -> Text { Ok(Some("UTC".to_owned())) })),
    );
}
