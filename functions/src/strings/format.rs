//! Numbers, dates and bytes as texts of a given form.

use crate::dates::pattern::Patterns;
use crate::dates::read;
use crate::registry::Functions;
use crate::rows;
use crate::scalar::{Body, Scalar, scalar};
use crate::value::{Argument, BytesOnly, Double, Kind, Long, Output, Text, Time};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::exec_err;
use datafusion::error::Result;

/// Digits in groups of three.
fn grouped(digits: &str) -> String {
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The digits of a plain decimal number: its sign, and those before and behind the point.
fn split_number(number: &str) -> (bool, String, String) {
    let (is_negative, digits) = match number.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, number),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    (is_negative, whole.to_owned(), fraction.to_owned())
}

/// A plain number rounded to so many digits behind the point.
fn fixed(number: f64, digits: usize) -> String {
    format!("{number:.digits$}")
}

fn format_number(number: f64, digits: i64) -> Option<String> {
    let digits = usize::try_from(digits).ok()?;
    if !number.is_finite() {
        return Some(number.to_string());
    }
    let (is_negative, whole, fraction) = split_number(&fixed(number, digits));
    let sign = if is_negative { "-" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    Some(format!("{sign}{}{point}{fraction}", grouped(&whole)))
}

/// A number by a pattern such as `#,###.00`.
fn format_pattern(number: f64, pattern: &str) -> String {
    let (whole_pattern, fraction_pattern) = pattern.split_once('.').unwrap_or((pattern, ""));
    let zeros = |text: &str| text.chars().filter(|letter| *letter == '0').count();
    let digits = fraction_pattern
        .chars()
        .filter(|letter| matches!(letter, '#' | '0'))
        .count();
    let (is_negative, whole, mut fraction) = split_number(&fixed(number, digits));
    while fraction.len() > zeros(fraction_pattern) && fraction.ends_with('0') {
        fraction.pop();
    }
    let whole_min = zeros(whole_pattern);
    let whole = format!("{:0>whole_min$}", whole.trim_start_matches('0'));
    let whole = match whole_pattern.contains(',') {
        true => grouped(&whole),
        false => whole,
    };
    let sign = if is_negative { "-" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{whole}{point}{fraction}")
}

/// The whole digits of a number in the places of a format, with blanks where it has none.
fn whole_by_format(whole: &str, format: &str, has_fraction: bool) -> String {
    let mut digits = whole.bytes().rev().map(char::from);
    let mut reversed = String::new();
    let first_zero = format.find('0').unwrap_or(format.len());
    for (index, place) in format.char_indices().rev() {
        let has_more = digits.len() > 0;
        match place {
            ',' if has_more || index > first_zero => reversed.push(','),
            ',' => reversed.push(' '),
            _ => match digits.next() {
                Some(digit) => reversed.push(digit),
                None if index >= first_zero => reversed.push('0'),
                None if index + 1 == format.len() && !has_fraction => reversed.push('0'),
                None => reversed.push(' '),
            },
        }
    }
    reversed.chars().rev().collect()
}

/// A number by a format of `9`, `0`, `,`, `.`, `$`, `S`, `MI` and `PR`; `None` where it does not fit.
fn to_char(number: &str, format: &str) -> Option<String> {
    let format = format
        .to_ascii_uppercase()
        .replace('G', ",")
        .replace('D', ".");
    let (is_negative, whole, fraction) = split_number(number);
    let (body, is_angled) = match format.strip_suffix("PR") {
        Some(body) => (body, true),
        None => (format.as_str(), false),
    };
    let has_sign = |start: bool, text: &str| match start {
        true => text.starts_with('S') || text.starts_with("MI"),
        false => text.ends_with('S') || text.ends_with("MI"),
    };
    let (leading, trailing) = (has_sign(true, body), has_sign(false, body));
    let is_minus_alone = body.contains("MI");
    let digits_format = body.replace("MI", "").replace('S', "");
    let has_dollar = digits_format.contains('$');
    let digits_format = digits_format.replace('$', "");
    let (whole_format, fraction_format) = digits_format
        .split_once('.')
        .unwrap_or((&digits_format, ""));
    let places = whole_format
        .chars()
        .filter(|letter| matches!(letter, '9' | '0'))
        .count();
    let whole = whole.trim_start_matches('0');
    if whole.len() > places {
        return None;
    }
    let mut text = whole_by_format(whole, whole_format, !fraction_format.is_empty());
    if !fraction_format.is_empty() {
        let rest: String = fraction
            .chars()
            .chain(std::iter::repeat('0'))
            .take(fraction_format.len())
            .collect();
        text.push('.');
        text.push_str(&rest);
    }
    let blank = text.len() - text.trim_start().len();
    let number = format!("{}{}", if has_dollar { "$" } else { "" }, text.trim_start());
    let (before, after) = match (is_negative, is_angled) {
        (true, true) => ("<", ">"),
        (true, false) if trailing => ("", "-"),
        (true, false) => ("-", ""),
        (false, _) if leading && !is_minus_alone => ("+", ""),
        (false, _) if trailing && !is_minus_alone => ("", "+"),
        (false, _) => ("", ""),
    };
    Some(format!("{}{before}{number}{after}", " ".repeat(blank)))
}

/// The plain decimal texts of numbers, rounded to the digits that a format has.
fn plain_texts(array: &ArrayRef) -> Result<Vec<Option<String>>> {
    let texts = match array.data_type() {
        DataType::Float16 | DataType::Float32 | DataType::Float64 => {
            let numbers = Double::open(array)?;
            return Ok((0..array.len())
                .map(|row| Double::at(&numbers, row).map(|number| number.to_string()))
                .collect());
        }
        _ => cast(array, &DataType::Utf8)?,
    };
    let texts = texts.as_string::<i32>();
    Ok(texts.iter().map(|text| text.map(str::to_owned)).collect())
}

fn add_to_char(syntax: &'static str) -> Scalar {
    let bytes = rows!(|bytes: BytesOnly, format: Text| -> Text {
        match format.to_ascii_lowercase().as_str() {
            "base64" => Ok(Some(BASE64.encode(bytes))),
            "hex" => Ok(Some(
                bytes.iter().map(|byte| format!("{byte:02X}")).collect(),
            )),
            "utf-8" => Ok(Some(String::from_utf8_lossy(bytes).into_owned())),
            _ => exec_err!("'{format}' is not hex, base64 or utf-8"),
        }
    });
    let numbers = Body::new(
        vec![Kind::Number, Kind::Text],
        |_| Ok(<Text as Output>::data_type()),
        |call| {
            let numbers = plain_texts(call.array(0)?)?;
            let formats = Text::open(call.array(1)?)?;
            let texts = numbers.iter().enumerate().map(|(row, number)| {
                let (number, format) = (number.as_deref()?, Text::at(&formats, row)?);
                Some(to_char(number, format).unwrap_or_else(|| format.replace(['9', '0'], "#")))
            });
            Ok(<Text as Output>::collect(texts.collect()))
        },
    );
    scalar(
        syntax,
        "A number by a format of 9, 0, `,`, `.`, `$`, S, MI and PR; a date by a pattern of Java's; bytes as \
         base64, hex or utf-8.",
    )
    .body(bytes)
    .body(rows!(let mut patterns = Patterns::default();
        |time: OnlyTime, pattern: Text| -> Text {
            let pattern = patterns.get(pattern)?;
            Ok(read::to_time(time).map(|time| pattern.format(time)))
        }))
    .body(numbers)
}

/// A time that is not written as text.
struct OnlyTime;

impl Argument for OnlyTime {
    type Column = <Time as Argument>::Column;
    type Item<'a> = i64;
    const KIND: Kind = Kind::TimeOnly;

    fn open(array: &ArrayRef) -> Result<Self::Column> {
        Time::open(array)
    }

    fn at(column: &Self::Column, row: usize) -> Option<i64> {
        Time::at(column, row)
    }
}

pub(super) fn add(functions: &mut Functions) {
    functions.add(
        scalar(
            "format_number(number, digits)",
            "A number rounded to so many digits behind the point, with commas between thousands; or by a \
             pattern such as `#,###.00`.",
        )
        .example("format_number(12332.123456, 4)", "12,332.1235")
        .example("format_number(12332.123456, '##################.###')", "12332.123")
        .body(Body::new(
            vec![Kind::Double, Kind::Number],
            |_| Ok(<Text as Output>::data_type()),
            |call| {
                let numbers = Double::open(call.array(0)?)?;
                let digits = Long::open(call.array(1)?)?;
                let texts = (0..call.rows).map(|row| {
                    format_number(Double::at(&numbers, row)?, Long::at(&digits, row)?)
                });
                Ok(<Text as Output>::collect(texts.collect()))
            },
        ))
        .body(rows!(|number: Double, pattern: Text| -> Text {
            Ok(Some(format_pattern(number, pattern)))
        })),
    );
    functions.add(
        add_to_char("to_char(value, format)")
            .hive()
            .aliases(&["to_varchar"])
            .example("to_char(454, '999')", "454")
            .example("to_char(12454, '99G999')", "12,454"),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_form_that_is_asked_for() {
        for (number, format, expected) in [
            ("454", "999", Some("454")),
            ("454.00", "000D00", Some("454.00")),
            ("12454", "99G999", Some("12,454")),
            ("78.12", "$99.99", Some("$78.12")),
            ("-12454.8", "99G999D9S", Some("12,454.8-")),
            ("4", "0000", Some("0004")),
            ("0", "9", Some("0")),
            ("1000", "99", None),
        ] {
            assert_eq!(
                to_char(number, format).as_deref(),
                expected,
                "{number} {format}"
            );
        }
    }
}
