//! Durations: `500ms`, `5s`, `10min`, `4h`, and several parts in a row, `1h30min`.

use super::{Kind, Raw, quoted};
use std::time::Duration;

/// Units with their length in milliseconds, longest first; the first name is the one that is shown.
const UNITS: [(&[&str], u64); 5] = [
    (&["d", "day", "days"], 86_400_000),
    (&["h", "hour", "hours"], 3_600_000),
    (&["min", "m", "minute", "minutes"], 60_000),
    (&["s", "sec", "second", "seconds"], 1_000),
    (&["ms", "millisecond", "milliseconds"], 1),
];

/// A duration of at least `MIN_MS` milliseconds.
pub struct Time<const MIN_MS: u64>;

impl<const MIN_MS: u64> Kind for Time<MIN_MS> {
    type Value = Duration;

    fn syntax() -> String {
        let examples = "such as `500ms`, `5s`, `10min` or `4h`";
        match MIN_MS {
            0 => format!("a duration, {examples}"),
            min => format!("a duration of at least `{}`, {examples}", show_millis(min)),
        }
    }

    fn parse(raw: &Raw) -> Result<Duration, String> {
        let text = raw.scalar()?;
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(format!(
                "{text} has no unit: write {text}ms, {text}s, {text}min or {text}h"
            ));
        }
        let millis = parse_millis(text).ok_or_else(|| format!("expected {}", Self::syntax()))?;
        match millis >= MIN_MS {
            true => Ok(Duration::from_millis(millis)),
            false => Err(format!("must be at least {}", show_millis(MIN_MS))),
        }
    }

    fn show(value: &Duration) -> Option<String> {
        let millis = u64::try_from(value.as_millis()).unwrap_or(u64::MAX);
        Some(quoted(&show_millis(millis)))
    }
}

fn parse_millis(text: &str) -> Option<u64> {
    let mut rest = text.trim();
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (number, after) = split_at_first(rest, |c| !c.is_ascii_digit());
        let (unit, after) = split_at_first(after.trim_start(), |c| !c.is_ascii_alphabetic());
        let factor = UNITS.iter().find(|(names, _)| names.contains(&unit))?.1;
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(factor)?)?;
        rest = after.trim_start();
    }
    (!text.trim().is_empty()).then_some(total)
}

fn split_at_first(text: &str, ends: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(ends).unwrap_or(text.len()))
}

/// The duration in the longest unit in which it is a whole number.
fn show_millis(millis: u64) -> String {
    let unit = UNITS
        .iter()
        .find(|(_, factor)| millis >= *factor && millis.is_multiple_of(*factor));
    match unit {
        Some((names, factor)) => format!("{}{}", millis / factor, names[0]),
        None => format!("{millis}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_their_units() {
        for (text, millis) in [
            ("500ms", 500),
            ("5s", 5_000),
            ("5 seconds", 5_000),
            ("10min", 600_000),
            ("1h30min", 5_400_000),
            ("1d 1h", 90_000_000),
            ("0s", 0),
        ] {
            assert_eq!(parse_millis(text), Some(millis), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "s", "5x", "-5s", "1.5h", "5s5", "99999999999999999999s"] {
            assert!(Time::<0>::parse(&Raw::One(text.into())).is_err(), "{text}");
        }
        let error = Time::<0>::parse(&Raw::One("30".into())).unwrap_err();
        assert_eq!(error, "30 has no unit: write 30ms, 30s, 30min or 30h");
        let error = Time::<100>::parse(&Raw::One("50ms".into())).unwrap_err();
        assert_eq!(error, "must be at least 100ms");
    }

    #[test]
    fn durations_are_shown_as_they_can_be_read() {
        for millis in [0, 1, 1_000, 1_500, 60_000, 90_000, 86_400_000] {
            assert_eq!(parse_millis(&show_millis(millis)), Some(millis));
        }
        assert_eq!(show_millis(600_000), "10min");
    }
}
