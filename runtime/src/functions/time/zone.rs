//! Time zones: their names, and what a clock in one of them shows.

use crate::error::to_datafusion;
use arrow::array::timezone::Tz;
use chrono::{DateTime, MappedLocalTime, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc};
use datafusion::error::{DataFusionError, Result};
use skep_protocol::{ErrorCode, QueryError};

/// How far before a gap its clocks still went by the time of before.
const BEFORE_GAP: TimeDelta = TimeDelta::hours(26);

/// A time zone by its name, whatever the case of its letters, or by its offset: `Europe/Berlin`, `UTC`, `+05:30`,
/// `-8`.
///
/// # Errors
/// Where there is no such zone.
pub(super) fn parse(name: &str) -> Result<Tz> {
    let trimmed = name.trim();
    if trimmed.eq_ignore_ascii_case("z") || trimmed.eq_ignore_ascii_case("utc") {
        return fixed(0);
    }
    if let Some(seconds) = offset_seconds(trimmed) {
        return fixed(seconds);
    }
    let spellings = [
        trimmed.to_owned(),
        trimmed.to_ascii_uppercase(),
        capitalised(trimmed),
    ];
    let found = spellings.iter().find_map(|name| name.parse::<Tz>().ok());
    found.ok_or_else(|| {
        let text = format!("there is no time zone '{name}'");
        to_datafusion(QueryError::new(ErrorCode::Evaluation, text))
    })
}

/// The zone that is always so many seconds east of UTC.
///
/// # Errors
/// Where that is more than a day.
pub(super) fn fixed(seconds: i32) -> Result<Tz> {
    const MINUTE: i32 = 60;
    let minutes = seconds / MINUTE;
    let sign = match minutes < 0 {
        true => '-',
        false => '+',
    };
    let (hours, minutes) = (minutes.abs() / 60, minutes.abs() % 60);
    let name = format!("{sign}{hours:02}:{minutes:02}");
    let parsed = match seconds % MINUTE {
        0 => name.parse().ok(),
        _ => None,
    };
    parsed.ok_or_else(|| {
        let text = format!("there is no time zone with an offset of {seconds} seconds");
        to_datafusion(QueryError::new(ErrorCode::Evaluation, text))
    })
}

/// The seconds of `+5`, `-08`, `+05:30`, `+0530`.
fn offset_seconds(text: &str) -> Option<i32> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'+' => (1, text.get(1..)?),
        b'-' => (-1, text.get(1..)?),
        _ => return None,
    };
    let (hours, minutes) = match digits.split_once(':') {
        Some(parts) => parts,
        None if digits.len() == 4 => digits.split_at_checked(2)?,
        None => (digits, "0"),
    };
    let number = |text: &str| match text.len() {
        1 | 2 => text.parse::<u8>().ok().map(i32::from),
        _ => None,
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

/// `america/new_york` as `America/New_York`.
fn capitalised(name: &str) -> String {
    let mut starts = true;
    let letters = name.chars().map(|letter| {
        let spelled = match starts {
            true => letter.to_ascii_uppercase(),
            false => letter.to_ascii_lowercase(),
        };
        starts = !letter.is_ascii_alphabetic();
        spelled
    });
    letters.collect()
}

/// What clocks in the zone show at a moment, in microseconds.
pub(super) fn local_of(moment: i64, zone: &Tz) -> Result<i64> {
    let moment = utc(moment)?.naive_utc();
    let offset = zone.offset_from_utc_datetime(&moment).fix();
    Ok((moment + offset).and_utc().timestamp_micros())
}

/// The moment at which clocks in the zone show a time, both in microseconds. Of a time that they show twice,
/// the later moment; a time that they skip counts on from before the gap.
pub(super) fn moment_of(local: i64, zone: &Tz) -> Result<i64> {
    let local = utc(local)?.naive_utc();
    let offset = match zone.offset_from_local_datetime(&local) {
        MappedLocalTime::Single(offset) => offset,
        MappedLocalTime::Ambiguous(earlier, later) => later_of(local, earlier, later),
        MappedLocalTime::None => zone.offset_from_utc_datetime(&(local - BEFORE_GAP)),
    };
    Ok((local - offset.fix()).and_utc().timestamp_micros())
}

fn later_of<O: Offset>(local: NaiveDateTime, left: O, right: O) -> O {
    match local - left.fix() > local - right.fix() {
        true => left,
        false => right,
    }
}

/// The moment at which clocks show `local`, which they did some time near the moment `like`.
pub(super) fn moment_near(local: i64, like: i64, zone: &Tz) -> Result<i64> {
    let offset = local_of(like, zone)? - like;
    match local_of(local - offset, zone)? == local {
        true => Ok(local - offset),
        false => moment_of(local, zone),
    }
}

/// Microseconds as a date and a time.
///
/// # Errors
/// Beyond some 260,000 years.
pub(super) fn utc(micros: i64) -> Result<DateTime<Utc>> {
    DateTime::from_timestamp_micros(micros).ok_or_else(out_of_range)
}

/// The error about a timestamp that has none.
pub(super) fn out_of_range() -> DataFusionError {
    let text = "a timestamp is beyond the range of its type";
    to_datafusion(QueryError::new(ErrorCode::Evaluation, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(text: &str) -> i64 {
        let parsed = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S");
        parsed.unwrap().and_utc().timestamp_micros()
    }

    #[test]
    fn zones_have_many_spellings() {
        for (name, local) in [
            ("America/Denver", "2024-07-01 12:00:00"),
            ("america/denver", "2024-07-01 12:00:00"),
            ("utc", "2024-07-01 18:00:00"),
            ("Z", "2024-07-01 18:00:00"),
            ("+05:30", "2024-07-01 23:30:00"),
            ("-8", "2024-07-01 10:00:00"),
            ("+0200", "2024-07-01 20:00:00"),
        ] {
            let zone = parse(name).expect(name);
            let moment = micros("2024-07-01 18:00:00");
            assert_eq!(local_of(moment, &zone).unwrap(), micros(local), "{name}");
            assert_eq!(moment_of(micros(local), &zone).unwrap(), moment, "{name}");
        }
        for name in ["", "Mars/Base", "+25", "+1:2:3", "12", "+ab"] {
            let error = parse(name).expect_err(name).to_string();
            assert!(error.contains("there is no time zone"), "{error}");
        }
    }

    #[test]
    fn skipped_and_repeated_hours_have_a_moment() {
        let zone = parse("America/New_York").unwrap();
        let moment = |local: &str| moment_of(micros(local), &zone).unwrap();
        assert_eq!(moment("2024-03-10 02:30:00"), micros("2024-03-10 07:30:00"));
        assert_eq!(moment("2024-11-03 01:30:00"), micros("2024-11-03 06:30:00"));
        let first = micros("2024-11-03 05:30:00");
        let local = micros("2024-11-03 01:00:00");
        let near = moment_near(local, first, &zone).unwrap();
        assert_eq!(near, micros("2024-11-03 05:00:00"));
    }
}
