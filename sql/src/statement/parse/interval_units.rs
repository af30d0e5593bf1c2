//! Units in the text of an interval: those that the reader of intervals does not know are written as others, and
//! what is no unit is refused by name.

use super::word_order::no_unit;
use skep_protocol::{ErrorCode, QueryError};

/// What the reader of intervals knows.
const KNOWN: &[&str] = &[
    "c",
    "cent",
    "cents",
    "centuries",
    "century",
    "d",
    "day",
    "days",
    "dec",
    "decade",
    "decades",
    "decs",
    "h",
    "hour",
    "hours",
    "hr",
    "hrs",
    "m",
    "microsecond",
    "microseconds",
    "millisecond",
    "milliseconds",
    "min",
    "mins",
    "minute",
    "minutes",
    "mon",
    "mons",
    "month",
    "months",
    "ms",
    "msec",
    "msecond",
    "mseconds",
    "msecs",
    "nanosecond",
    "nanoseconds",
    "s",
    "sec",
    "second",
    "seconds",
    "secs",
    "us",
    "usec",
    "usecond",
    "useconds",
    "usecs",
    "w",
    "week",
    "weeks",
    "y",
    "year",
    "years",
    "yr",
    "yrs",
];

/// Units that are a number of others.
const MULTIPLES: &[(&[&str], i64, &str)] = &[
    (&["quarter", "quarters"], 3, "months"),
    (
        &[
            "mil",
            "mils",
            "millenium",
            "millennia",
            "millennium",
            "millenniums",
        ],
        1000,
        "years",
    ),
];

/// The text with units that its reader knows.
///
/// # Errors
/// `Syntax` for a word that is no unit, and for parts of a unit that only whole numbers go with.
pub(super) fn known_units(text: &str) -> Result<String, QueryError> {
    let mut parts: Vec<String> = Vec::new();
    for part in split(text) {
        let is_word = part.chars().all(char::is_alphabetic);
        let word = part.to_lowercase();
        if !is_word || KNOWN.contains(&word.as_str()) {
            parts.push(part);
            continue;
        }
        let multiple = MULTIPLES
            .iter()
            .find(|(names, _, _)| names.contains(&word.as_str()));
        let Some((_, times, unit)) = multiple else {
            return Err(no_unit(&part));
        };
        let number = parts.pop();
        let product = number.as_deref().and_then(|number| {
            let number: i64 = number.parse().ok()?;
            number.checked_mul(*times)
        });
        let Some(product) = product else {
            let number = number.unwrap_or_default();
            let text = format!("'{number}' is not a whole number of the unit {word}");
            return Err(QueryError::new(ErrorCode::Syntax, text));
        };
        parts.push(product.to_string());
        parts.push((*unit).to_owned());
    }
    Ok(parts.join(" "))
}

/// The words and what is between them, without spaces.
fn split(text: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    let mut was_letter = None;
    for letter in text.chars() {
        if letter.is_whitespace() {
            was_letter = None;
            continue;
        }
        let is_letter = letter.is_alphabetic();
        match parts.last_mut() {
            Some(part) if was_letter == Some(is_letter) => part.push(letter),
            _ => parts.push(letter.to_string()),
        }
        was_letter = Some(is_letter);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_written_as_the_reader_knows_them() {
        for (text, expected) in [
            ("1 day", "1 day"),
            ("1", "1"),
            ("2quarters -1 day", "6 months -1 day"),
            (
                "1 Millennium 2 decades 1.5 hours",
                "1000 years 2 decades 1.5 hours",
            ),
            ("3 C", "3 C"),
        ] {
            assert_eq!(known_units(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_unit_is_named() {
        for (text, message) in [
            ("1 fortnight", "'fortnight' is no unit of an interval"),
            ("1 day 2 dayz", "'dayz' is no unit of an interval"),
            ("P1Y", "'P' is no unit of an interval"),
            (
                "1.5 quarters",
                "'1.5' is not a whole number of the unit quarters",
            ),
            ("quarter", "'' is not a whole number of the unit quarter"),
        ] {
            assert_eq!(known_units(text).unwrap_err().message, message, "{text}");
        }
    }
}
