//! Days and microseconds since 1970-01-01 as dates and times, and back.

use chrono::{NaiveDate, NaiveDateTime};

/// Microseconds of a second.
pub const SECOND: i64 = 1_000_000;
/// Microseconds of a day.
pub const DAY: i64 = 86_400 * SECOND;

/// 1970-01-01.
const EPOCH: NaiveDate = match NaiveDate::from_ymd_opt(1970, 1, 1) {
    Some(date) => date,
    None => NaiveDate::MIN,
};

/// The date that is so many days after 1970-01-01.
pub fn to_date(days: i32) -> Option<NaiveDate> {
    let days = chrono::TimeDelta::try_days(i64::from(days))?;
    EPOCH.checked_add_signed(days)
}

/// How many days it is after 1970-01-01.
pub fn days(date: NaiveDate) -> i32 {
    i32::try_from((date - EPOCH).num_days()).unwrap_or(i32::MAX)
}

/// The time that is so many microseconds after 1970-01-01.
pub fn to_time(micros: i64) -> Option<NaiveDateTime> {
    chrono::DateTime::from_timestamp_micros(micros).map(|time| time.naive_utc())
}

/// How many microseconds it is after 1970-01-01.
pub fn micros(time: NaiveDateTime) -> i64 {
    time.and_utc().timestamp_micros()
}
