//! Texts as numbers by a format, and numbers in other bases.

use crate::registry::Functions;
use crate::rows;
use crate::scalar::{Body, Scalar, scalar};
use crate::value::{Argument, Bytes, BytesOnly, Kind, Long, Text};
use datafusion::arrow::array::Decimal128Array;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{exec_err, plan_err};
use std::sync::Arc;

/// How many digits a format has before and behind its point.
fn digits_of(format: &str) -> (u8, i8) {
    let format = format.to_ascii_uppercase().replace('D', ".");
    let (whole, fraction) = format.split_once('.').unwrap_or((&format, ""));
    let count = |text: &str| {
        text.chars()
            .filter(|letter| matches!(letter, '9' | '0'))
            .count()
    };
    (
        (count(whole) + count(fraction)).clamp(1, 38) as u8,
        count(fraction).min(38) as i8,
    )
}

/// The number, as a count of its smallest digit, that a text in this format stands for.
fn to_number(text: &str, format: &str) -> Option<i128> {
    let (precision, scale) = digits_of(format);
    let text = text.trim();
    let (text, is_angled) = match text
        .strip_prefix('<')
        .and_then(|text| text.strip_suffix('>'))
    {
        Some(text) => (text, true),
        None => (text, false),
    };
    let is_negative = is_angled || text.starts_with('-') || text.ends_with('-');
    let upper = format.to_ascii_uppercase();
    let has_sign = upper.contains('S') || upper.contains("MI") || upper.ends_with("PR");
    if is_negative && !has_sign {
        return None;
    }
    let text = text.trim_matches(['+', '-']);
    let text = match text.strip_prefix('$') {
        Some(text) if upper.contains('$') => text,
        Some(_) => return None,
        None => text,
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if whole.contains(',') && !upper.contains(['G', ',']) {
        return None;
    }
    let whole = whole.replace(',', "");
    let scale = scale as usize;
    let fits =
        fraction.len() <= scale && whole.trim_start_matches('0').len() + scale <= precision.into();
    let digits = format!(
        "{whole}{fraction}{}",
        "0".repeat(scale - fraction.len().min(scale))
    );
    let is_number = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    let value: i128 = (fits && is_number).then(|| digits.parse().ok()).flatten()?;
    Some(if is_negative { -value } else { value })
}

fn add_to_number(syntax: &'static str, text: &'static str, is_loose: bool) -> Scalar {
    scalar(syntax, text).body(Body::new(
        vec![Kind::Text, Kind::Text],
        |planned| match planned.text(1) {
            Some(format) => {
                let (precision, scale) = digits_of(format);
                Ok(DataType::Decimal128(precision, scale))
            }
            None if planned.constants.is_empty() => Ok(DataType::Decimal128(38, 18)),
            None => plan_err!("the format of to_number is a constant"),
        },
        move |call| {
            let (texts, formats) = (Text::open(call.array(0)?)?, Text::open(call.array(1)?)?);
            let DataType::Decimal128(precision, scale) = call.return_type else {
                return exec_err!("to_number gives a decimal");
            };
            let mut numbers = Vec::with_capacity(call.rows);
            for row in 0..call.rows {
                numbers.push(match (Text::at(&texts, row), Text::at(&formats, row)) {
                    (Some(text), Some(format)) => match to_number(text, format) {
                        None if !is_loose => {
                            return exec_err!("'{text}' is not of the format '{format}'");
                        }
                        number => number,
                    },
                    _ => None,
                });
            }
            let numbers =
                Decimal128Array::from(numbers).with_precision_and_scale(precision, scale)?;
            Ok(Arc::new(numbers))
        },
    ))
}

/// A whole number in another base. Bases are 2 to 36; the result is unsigned unless the second is negative.
fn conv(text: &str, from: i64, to: i64) -> Option<String> {
    let base = u32::try_from(from)
        .ok()
        .filter(|base| (2..=36).contains(base))?;
    let to_base = u128::from(to.unsigned_abs());
    if !(2..=36).contains(&to_base) {
        return None;
    }
    let text = text.trim();
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    if digits.is_empty() {
        return None;
    }
    let mut value: u64 = 0;
    for digit in digits.chars().map_while(|letter| letter.to_digit(base)) {
        let next = value
            .checked_mul(base.into())
            .and_then(|value| value.checked_add(digit.into()));
        match next {
            Some(next) => value = next,
            None => {
                value = u64::MAX;
                break;
            }
        }
    }
    let value = if is_negative {
        value.wrapping_neg()
    } else {
        value
    };
    let is_signed = to < 0 && (value as i64) < 0;
    let mut rest = u128::from(if is_signed {
        value.wrapping_neg()
    } else {
        value
    });
    let mut reversed = Vec::new();
    while rest > 0 || reversed.is_empty() {
        reversed.extend(char::from_digit((rest % to_base) as u32, to_base as u32));
        rest /= to_base;
    }
    reversed.extend(is_signed.then_some('-'));
    Some(
        reversed
            .iter()
            .rev()
            .map(char::to_ascii_uppercase)
            .collect(),
    )
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

pub(super) fn add(functions: &mut Functions) {
    functions.add(
        add_to_number(
            "to_number(text, format)",
            "The decimal that a text in a format of 9, 0, `,`, `.`, `$`, S, MI and PR stands for.",
            false,
        )
        .example("to_number('12,454.8-', '99,999.9S')", "-12454.8"),
    );
    functions.add(
        add_to_number(
            "try_to_number(text, format)",
            "The decimal that a text in a format stands for, or NULL.",
            true,
        )
        .example("try_to_number('$78.12', '$99.99')", "78.12"),
    );
    functions.add(
        scalar(
            "conv(number, from_base, to_base)",
            "A whole number of one base in another; unsigned, unless to_base is negative.",
        )
        .example("conv('100', 2, 10)", "4")
        .example("conv(-10, 16, -10)", "-16")
        .body(rows!(|number: Text, from: Long, to: Long| -> Text {
            Ok(conv(number, from, to))
        })),
    );
    functions.add(
        scalar("bin(number)", "The binary digits of a whole number.")
            .example("bin(13)", "1101")
            .body(rows!(|number: Long| -> Text {
                Ok(Some(format!("{number:b}")))
            })),
    );
    functions.add(
        scalar(
            "hex(value)",
            "The hexadecimal digits of a whole number, or of the bytes of a text.",
        )
        .example("hex(17)", "11")
        .example("hex('Spark SQL')", "537061726B2053514C")
        .body(rows!(|bytes: BytesOnly| -> Text { Ok(Some(hex(bytes))) }))
        .body(Body::new(
            vec![Kind::Number],
            |_| Ok(DataType::Utf8),
            |call| {
                use crate::value::Output;
                let numbers = Long::open(call.array(0)?)?;
                let digits = (0..call.rows)
                    .map(|row| Long::at(&numbers, row).map(|number| format!("{number:X}")));
                Ok(<Text as Output>::collect(digits.collect()))
            },
        ))
        .body(rows!(|bytes: Bytes| -> Text { Ok(Some(hex(bytes))) })),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_by_their_format() {
        for (text, format, expected) in [
            ("454", "999", Some(454)),
            ("454.00", "000.00", Some(45400)),
            ("12,454", "99,999", Some(12454)),
            ("$78.12", "$99.99", Some(7812)),
            ("12,454.8-", "99,999.9S", Some(-124_548)),
            ("x", "9", None),
            ("10", "9", None),
            ("", "9", None),
        ] {
            assert_eq!(to_number(text, format), expected, "{text} {format}");
        }
    }

    #[test]
    fn bases_are_converted() {
        for (text, from, to, expected) in [
            ("100", 2, 10, Some("4")),
            ("-10", 16, -10, Some("-16")),
            ("-1", 10, 16, Some("FFFFFFFFFFFFFFFF")),
            ("zz", 36, 10, Some("1295")),
            ("9", 8, 10, Some("0")),
            ("", 2, 10, None),
            ("1", 1, 10, None),
        ] {
            assert_eq!(conv(text, from, to).as_deref(), expected, "{text}");
        }
    }
}
