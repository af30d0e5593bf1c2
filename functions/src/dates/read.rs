//! Texts as dates and timestamps, by Spark's rules for casts: `2016`, `2016-4`, `2016-04-08`, and, for
//! timestamps, a time and a zone behind it.

pub use super::units::{DAY, SECOND, days, micros, to_date, to_time};
use super::zones;
use chrono::{NaiveDate, NaiveTime};

/// Reads a date; whatever follows a space or a `T` is left out.
pub fn date(text: &str) -> Option<i32> {
    let text = text.trim();
    let (date, _) = split_date(text)?;
    date_part(date).map(days)
}

/// Reads a timestamp; without a time it is midnight. A zone is taken off: the time is that in UTC.
pub fn timestamp(text: &str) -> Option<i64> {
    let text = text.trim();
    let (date, rest) = split_date(text)?;
    let date = date_part(date)?;
    let rest = rest.trim_start_matches([' ', 'T']);
    let end = rest
        .find(|letter: char| !(letter.is_ascii_digit() || letter == ':' || letter == '.'))
        .unwrap_or(rest.len());
    let (clock, zone) = rest.split_at(end);
    let time = match clock {
        "" => NaiveTime::MIN,
        clock => clock_part(clock)?,
    };
    let local = micros(date.and_time(time));
    match zone.trim() {
        "" => Some(local),
        zone => zones::to_utc(local, &zones::parse(zone)?),
    }
}

fn split_date(text: &str) -> Option<(&str, &str)> {
    let end = text.find([' ', 'T']).unwrap_or(text.len());
    text.split_at_checked(end)
}

fn date_part(text: &str) -> Option<NaiveDate> {
    let (is_negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut parts = text.split('-');
    let year = parts.next()?;
    if !(4..=6).contains(&year.len()) {
        return None;
    }
    let year: i32 = digits(year)?.try_into().ok()?;
    let mut next = || match parts.next() {
        None => Some(1),
        Some(part) if part.len() <= 2 => digits(part),
        Some(_) => None,
    };
    let (month, day) = (next()?, next()?);
    if parts.next().is_some() {
        return None;
    }
    let year = if is_negative { -year } else { year };
    NaiveDate::from_ymd_opt(year, month, day)
}

fn clock_part(text: &str) -> Option<NaiveTime> {
    let mut parts = text.split(':');
    let hour = digits(parts.next()?)?;
    let minute = parts.next().map_or(Some(0), digits)?;
    let (second, micro) = match parts.next() {
        None => (0, 0),
        Some(second) => {
            let (whole, fraction) = second.split_once('.').unwrap_or((second, ""));
            (digits(whole)?, fraction_micros(fraction)?)
        }
    };
    match parts.next() {
        None => NaiveTime::from_hms_micro_opt(hour, minute, second, micro),
        Some(_) => None,
    }
}

/// The digits behind the point of a second, as microseconds; what is smaller is cut.
pub fn fraction_micros(digits: &str) -> Option<u32> {
    if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let six: String = digits
        .chars()
        .chain(std::iter::repeat('0'))
        .take(6)
        .collect();
    six.parse().ok()
}

fn digits(text: &str) -> Option<u32> {
    match text.bytes().all(|digit| digit.is_ascii_digit()) {
        true => text.parse().ok(),
        false => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_may_be_short() {
        for (text, expected) in [
            ("1970-01-02", Some(1)),
            ("1971", Some(365)),
            ("1970-2", Some(31)),
            (" 1970-01-02T10:00:00 ", Some(1)),
            ("1970-13-01", None),
            ("1970-02-30", None),
            ("02-01-1970", None),
            ("", None),
            ("abc", None),
        ] {
            assert_eq!(date(text), expected, "{text}");
        }
    }

    #[test]
    fn timestamps_may_have_zones() {
        for (text, expected) in [
            ("1970-01-01 00:00:01.5", Some(1_500_000)),
            ("1970-01-01", Some(0)),
            ("1970-01-01 1:2", Some(3_720_000_000)),
            ("1970-01-01T01:00:00Z", Some(3_600_000_000)),
            ("1970-01-01 01:00:00+01:00", Some(0)),
            ("1970-01-01 25:00:00", None),
            ("x", None),
        ] {
            assert_eq!(timestamp(text), expected, "{text}");
        }
    }
}
