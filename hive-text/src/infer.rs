//! Finds out what columns text files have, from a sample of their beginning.

mod csv;
mod json;

pub use csv::{CsvHints, infer_csv};
pub use json::{JsonShape, infer_json};

use crate::convert::whole_timestamp;
use arrow::compute::kernels::cast_utils::{Parser, string_to_datetime};
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Date32Type, TimeUnit};
use chrono::Utc;

/// How many rows of a sample are looked at.
pub const SAMPLE_ROWS_MAX: usize = 20_480;

/// A column that was found.
pub type InferredColumn = (String, DataType);

/// Which types all texts so far can be read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Candidates(u8);

/// Whether a text can be read as a type.
type IsKind = fn(&str) -> bool;

/// In the order in which they are preferred.
const KINDS: [(u8, IsKind); 7] = [
    (1, is_boolean),
    (1 << 1, is_integer),
    (1 << 2, is_large_integer),
    (1 << 3, is_double),
    (1 << 4, is_date),
    (1 << 5, is_timestamp),
    (1 << 6, is_zoned_timestamp),
];

/// How many of the kinds JSON writes without quotes.
const PLAIN_KINDS: usize = 4;

impl Candidates {
    /// No text has been seen.
    const ALL: Self = Self(0xff);

    fn narrow(&mut self, text: &str) {
        let text = text.trim_ascii();
        for (kind, is_kind) in KINDS {
            if self.0 & kind != 0 && !is_kind(text) {
                self.0 &= !kind;
            }
        }
        // One text was seen.
        self.0 &= 0x7f;
    }

    fn meet(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    fn accepts(self, text: &str) -> bool {
        let mut narrowed = self;
        narrowed.narrow(text);
        narrowed.data_type() == self.data_type()
    }

    fn data_type(self) -> DataType {
        if self == Self::ALL {
            return DataType::Utf8;
        }
        match KINDS.iter().position(|(kind, _)| self.0 & kind != 0) {
            Some(0) => DataType::Boolean,
            Some(1) => DataType::Int64,
            Some(2) => DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0),
            Some(3) => DataType::Float64,
            Some(4) => DataType::Date32,
            Some(5) => DataType::Timestamp(TimeUnit::Microsecond, None),
            Some(6) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            _ => DataType::Utf8,
        }
    }
}

fn is_boolean(text: &str) -> bool {
    let words = ["true", "false", "t", "f"];
    words.iter().any(|word| text.eq_ignore_ascii_case(word))
}

fn is_integer(text: &str) -> bool {
    is_large_integer(text) && text.parse::<i64>().is_ok()
}

/// What has zeros before it, like a postal code, is not a number: they would be lost.
fn is_large_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_plain = digits == "0" || !digits.starts_with('0');
    (1..=usize::from(DECIMAL128_MAX_PRECISION)).contains(&digits.len())
        && is_plain
        && digits.bytes().all(|digit| digit.is_ascii_digit())
}

fn is_double(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text).as_bytes();
    let is_plain = match digits {
        [b'0', second, ..] => !second.is_ascii_digit(),
        [first, ..] => first.is_ascii_digit() || *first == b'.',
        [] => false,
    };
    is_plain && text.parse::<f64>().is_ok()
}

fn is_date(text: &str) -> bool {
    text.len() == 10 && Date32Type::parse(text).is_some()
}

fn is_timestamp(text: &str) -> bool {
    is_moment(text) && !has_zone(text)
}

fn is_zoned_timestamp(text: &str) -> bool {
    is_moment(text) && has_zone(text)
}

fn is_moment(text: &str) -> bool {
    text.len() > 10 && string_to_datetime(&Utc, &whole_timestamp(text)).is_ok()
}

/// Whether something stands behind the time: `Z`, `+01:00`, the name of a zone.
fn has_zone(text: &str) -> bool {
    let behind_date = text.get(10..).unwrap_or_default().trim_start_matches('T');
    behind_date.contains(['+', '-']) || behind_date.contains(|letter: char| letter.is_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn type_of(texts: &[&str]) -> DataType {
        let mut candidates = Candidates::ALL;
        for text in texts {
            candidates.narrow(text);
        }
        candidates.data_type()
    }

    #[test]
    fn the_narrowest_type_of_all_texts_is_found() {
        let timestamp =
            |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
        for (texts, found) in [
            (&["true", "FALSE"][..], DataType::Boolean),
            (&["t", "F"], DataType::Boolean),
            (&["1", "-2", " 3", "0"], DataType::Int64),
            (&["1", "2.5e3", "-.5", "0.1"], DataType::Float64),
            (&["1", "99999999999999999999"], DataType::Decimal128(38, 0)),
            (&["007", "010"], DataType::Utf8),
            (&["+1"], DataType::Utf8),
            (&["1.5", "nan"], DataType::Utf8),
            (&["2024-02-29"], DataType::Date32),
            (&["2024-02-29", "2024-02-30"], DataType::Utf8),
            (&["2024-02-29", "2024-02-29 10:00:00"], DataType::Utf8),
            (&["2024-02-29 10:00"], timestamp(None)),
            (&["2024-02-29T10:00:00.5"], timestamp(None)),
            (&["2024-02-29T10:00:00Z"], timestamp(Some("UTC"))),
            (
                &["2024-02-29T10:00:00Z", "2024-02-29T10:00:00"],
                DataType::Utf8,
            ),
            (&["true", "1"], DataType::Utf8),
            (&[], DataType::Utf8),
        ] {
            assert_eq!(type_of(texts), found, "{texts:?}");
        }
    }
}
