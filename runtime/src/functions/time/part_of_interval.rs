//! The fields of intervals. Years and months, days, and parts of a day are three counts that do not carry over into
//! each other.

use arrow::array::{ArrayRef, Float64Array, Int64Array, IntervalMonthDayNanoArray};
use arrow::datatypes::IntervalMonthDayNano;
use std::sync::Arc;

const NANOS_PER_SECOND: i64 = 1_000_000_000;
const NANOS_PER_MINUTE: i64 = 60 * NANOS_PER_SECOND;
const NANOS_PER_HOUR: i64 = 60 * NANOS_PER_MINUTE;
const SECONDS_PER_DAY: f64 = 24.0 * 60.0 * 60.0;
const DAYS_PER_MONTH: f64 = 30.0;
/// The length of a year of the Julian calendar.
const DAYS_PER_YEAR: f64 = 365.25;

/// A field of intervals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IntervalField {
    Millennium,
    Century,
    Decade,
    Year,
    Quarter,
    Month,
    Week,
    Day,
    Hour,
    Minute,
    Second,
    Millisecond,
    Microsecond,
    Nanosecond,
    Epoch,
}

/// One field of each.
pub(super) fn part(intervals: &IntervalMonthDayNanoArray, field: IntervalField) -> ArrayRef {
    if field == IntervalField::Epoch {
        let seconds: Float64Array = intervals
            .iter()
            .map(|interval| interval.map(epoch))
            .collect();
        return Arc::new(seconds);
    }
    let parts: Int64Array = intervals
        .iter()
        .map(|interval| interval.map(|interval| whole(interval, field)))
        .collect();
    Arc::new(parts)
}

fn whole(interval: IntervalMonthDayNano, field: IntervalField) -> i64 {
    let months = i64::from(interval.months);
    let nanos = interval.nanoseconds;
    match field {
        IntervalField::Millennium => months / 12_000,
        IntervalField::Century => months / 1_200,
        IntervalField::Decade => months / 120,
        IntervalField::Year => months / 12,
        IntervalField::Quarter => months % 12 / 3 + 1,
        IntervalField::Month => months % 12,
        IntervalField::Week => i64::from(interval.days) / 7,
        IntervalField::Day => i64::from(interval.days),
        IntervalField::Hour => nanos / NANOS_PER_HOUR,
        IntervalField::Minute => nanos / NANOS_PER_MINUTE % 60,
        IntervalField::Second => nanos / NANOS_PER_SECOND % 60,
        IntervalField::Millisecond => nanos % NANOS_PER_MINUTE / 1_000_000,
        IntervalField::Microsecond => nanos % NANOS_PER_MINUTE / 1_000,
        IntervalField::Nanosecond => nanos % NANOS_PER_MINUTE,
        IntervalField::Epoch => epoch(interval) as i64,
    }
}

/// Seconds, where twelve months are a year of 365.25 days and other months 30 days, as in PostgreSQL and DuckDB.
fn epoch(interval: IntervalMonthDayNano) -> f64 {
    let years = f64::from(interval.months / 12);
    let months = f64::from(interval.months % 12);
    let days = years * DAYS_PER_YEAR + months * DAYS_PER_MONTH + f64::from(interval.days);
    days * SECONDS_PER_DAY + interval.nanoseconds as f64 / NANOS_PER_SECOND as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_carry_over() {
        let interval = IntervalMonthDayNano::new(26, 40, 90_061_500_000_000);
        for (field, expected) in [
            (IntervalField::Year, 2),
            (IntervalField::Month, 2),
            (IntervalField::Quarter, 1),
            (IntervalField::Day, 40),
            (IntervalField::Hour, 25),
            (IntervalField::Minute, 1),
            (IntervalField::Second, 1),
            (IntervalField::Millisecond, 1_500),
            (IntervalField::Microsecond, 1_500_000),
        ] {
            assert_eq!(whole(interval, field), expected, "{field:?}");
        }
        let year = IntervalMonthDayNano::new(12, 0, 0);
        assert!((epoch(year) - 31_557_600.0).abs() < f64::EPSILON);
    }
}
