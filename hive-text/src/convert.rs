//! From the texts of a column to values of its type.
//!
//! Arrow's casts do most. They cut decimals that have more digits than their type, know no exponents in them, and
//! take no number with spaces around it; so numbers are read here.

use crate::bad_value::bad_value;
use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, Decimal128Array, PrimitiveArray, StringArray,
};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    DataType, Decimal128Type, DecimalType, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow::error::ArrowError;
use skep_runtime::sql_type::sql_type;
use std::borrow::Cow;
use std::sync::Arc;

/// How many digits an exponent may move the point: more would be zero or too large for any decimal.
const EXPONENT_MAX: i32 = 400;

/// The values that `texts` write.
///
/// # Errors
/// `DataCorrupt` with the first text that is no value of the type.
pub(crate) fn convert(texts: &StringArray, to: &DataType) -> Result<ArrayRef, ArrowError> {
    match to {
        DataType::Int8 => integers::<Int8Type>(texts, to),
        DataType::Int16 => integers::<Int16Type>(texts, to),
        DataType::Int32 => integers::<Int32Type>(texts, to),
        DataType::Int64 => integers::<Int64Type>(texts, to),
        DataType::UInt8 => integers::<UInt8Type>(texts, to),
        DataType::UInt16 => integers::<UInt16Type>(texts, to),
        DataType::UInt32 => integers::<UInt32Type>(texts, to),
        DataType::UInt64 => integers::<UInt64Type>(texts, to),
        DataType::Decimal128(precision, scale) => decimals(texts, *precision, *scale),
        _ => others(texts, to),
    }
}

fn no_value(text: &str, to: &DataType) -> ArrowError {
    let shown: String = text.chars().take(40).collect();
    bad_value(format!("'{shown}' is not a value of type {}", sql_type(to)))
}

fn integers<T>(texts: &StringArray, to: &DataType) -> Result<ArrayRef, ArrowError>
where
    T: ArrowPrimitiveType,
    T::Native: std::str::FromStr + TryFrom<i128>,
{
    let value = |text: &str| {
        let text = text.trim_ascii();
        // Whole numbers may be written as 1.0 or 1e3.
        let whole = || rounded(text, 0).filter(|number| number.is_exact);
        let parsed = text.parse().ok();
        parsed.or_else(|| T::Native::try_from(whole()?.unscaled).ok())
    };
    let values = texts.iter().map(|text| match text {
        Some(text) => value(text).map(Some).ok_or_else(|| no_value(text, to)),
        None => Ok(None),
    });
    let values: PrimitiveArray<T> = values.collect::<Result<_, _>>()?;
    Ok(Arc::new(values))
}

fn decimals(texts: &StringArray, precision: u8, scale: i8) -> Result<ArrayRef, ArrowError> {
    let to = DataType::Decimal128(precision, scale);
    let value = |text: &str| {
        let unscaled = rounded(text.trim_ascii(), scale)?.unscaled;
        Decimal128Type::validate_decimal_precision(unscaled, precision, scale).ok()?;
        Some(unscaled)
    };
    let values = texts.iter().map(|text| match text {
        Some(text) => value(text).map(Some).ok_or_else(|| no_value(text, &to)),
        None => Ok(None),
    });
    let values: Decimal128Array = values.collect::<Result<_, _>>()?;
    Ok(Arc::new(values.with_precision_and_scale(precision, scale)?))
}

/// A number as a decimal of some scale.
struct Rounded {
    unscaled: i128,
    /// Whether nothing was lost.
    is_exact: bool,
}

/// The number that `text` writes, with `scale` digits behind the point; half is rounded away from zero.
fn rounded(text: &str, scale: i8) -> Option<Rounded> {
    let (is_negative, text) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = || whole.bytes().chain(fraction.bytes());
    if digits().next().is_none() || !digits().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let exponent = exponent.clamp(-EXPONENT_MAX, EXPONENT_MAX);
    // How many of the digits stand before the point of the result's unscaled value.
    let kept = i32::try_from(whole.len()).ok()? + exponent + i32::from(scale);
    let mut unscaled: i128 = 0;
    let mut is_exact = true;
    let mut rounds_up = false;
    for (place, digit) in (0_i32..).zip(digits()) {
        let digit = digit - b'0';
        if place < kept {
            unscaled = unscaled.checked_mul(10)?.checked_add(digit.into())?;
        } else {
            rounds_up |= place == kept && digit >= 5;
            is_exact &= digit == 0;
        }
    }
    let written = i32::try_from(whole.len() + fraction.len()).ok()?;
    if unscaled != 0 {
        for _ in written..kept {
            unscaled = unscaled.checked_mul(10)?;
        }
    }
    unscaled = unscaled.checked_add(rounds_up.into())?;
    let unscaled = if is_negative { -unscaled } else { unscaled };
    Some(Rounded { unscaled, is_exact })
}

fn others(texts: &StringArray, to: &DataType) -> Result<ArrayRef, ArrowError> {
    let is_text = matches!(
        to,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
    );
    let has_spaces = |text: Option<&str>| text.is_some_and(|text| text.trim_ascii() != text);
    let trimmed: Option<StringArray> = (!is_text && texts.iter().any(has_spaces))
        .then(|| texts.iter().map(|text| Some(text?.trim_ascii())).collect());
    let texts = trimmed.as_ref().unwrap_or(texts);
    let lenient = CastOptions::default();
    let mut values = cast_with_options(texts, to, &lenient)?;
    if values.null_count() == texts.null_count() {
        return Ok(values);
    }
    if matches!(to, DataType::Timestamp(..)) {
        let whole = texts.iter().map(|text| Some(whole_timestamp(text?)));
        let whole: StringArray = whole.collect();
        values = cast_with_options(&whole, to, &lenient)?;
        if values.null_count() == texts.null_count() {
            return Ok(values);
        }
    }
    let lost = (0..texts.len()).find(|row| texts.is_valid(*row) && values.is_null(*row));
    let text = lost.map_or("", |row| texts.value(row));
    Err(no_value(text, to))
}

/// A timestamp that is written in short, with two digits for each part and with seconds: `2024-1-5 3:04` is
/// `2024-01-05 03:04:00`.
pub(crate) fn whole_timestamp(text: &str) -> Cow<'_, str> {
    let parts = || {
        let (date, time) = text.split_once([' ', 'T'])?;
        let end = time.find(|letter: char| !letter.is_ascii_digit() && letter != ':');
        let (clock, rest) = time.split_at(end.unwrap_or(time.len()));
        let date = padded(date, '-', 3)?;
        let clock = padded(clock, ':', 2)?;
        let seconds = if clock.matches(':').count() == 1 {
            ":00"
        } else {
            ""
        };
        Some(format!("{date} {clock}{seconds}{rest}"))
    };
    match parts() {
        Some(whole) if whole != text => Cow::Owned(whole),
        _ => Cow::Borrowed(text),
    }
}

/// Numbers with at least two digits each; `None` where there are fewer than `count_min` or others.
fn padded(text: &str, separator: char, count_min: usize) -> Option<String> {
    let numbers: Vec<&str> = text.split(separator).collect();
    let is_number =
        |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if numbers.len() < count_min || numbers.len() > 3 || !numbers.iter().all(is_number) {
        return None;
    }
    let numbers: Vec<String> = numbers
        .iter()
        .map(|number| format!("{number:0>2}"))
        .collect();
    Some(numbers.join(&separator.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::AsArray;

    fn decimal(text: &str, precision: u8, scale: i8) -> Option<i128> {
        let to = DataType::Decimal128(precision, scale);
        let values = convert(&StringArray::from(vec![text]), &to).ok()?;
        Some(values.as_primitive::<Decimal128Type>().value(0))
    }

    #[test]
    fn decimals_are_rounded_half_up() {
        for (text, unscaled) in [
            ("12.345", 1235),
            ("-12.345", -1235),
            ("12.3449999", 1234),
            ("0.005", 1),
            ("-0.005", -1),
            ("0.0049", 0),
            ("0.05e-1", 1),
            ("1.2345e1", 1235),
            ("1234.5E-2", 1235),
            ("999e-3", 100),
            (" +7 ", 700),
            (".5", 50),
            ("5.", 500),
            ("0e999", 0),
            ("1e-999", 0),
        ] {
            assert_eq!(decimal(text, 6, 2), Some(unscaled), "{text}");
        }
        assert_eq!(decimal("149", 5, -2), Some(1));
        assert_eq!(decimal("150", 5, -2), Some(2));
        let nines = "99999999999999999999999999999999999999";
        assert_eq!(decimal(nines, 38, 0), nines.parse().ok());
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        for text in [
            "9999.995", "10000", "1e4", "1e999", "", "-", "1.2.3", "1e", "0x1", "NaN", "1,5", "1_0",
        ] {
            assert_eq!(decimal(text, 6, 2), None, "{text}");
        }
        assert_eq!(
            decimal("99999999999999999999999999999999999999.5", 38, 0),
            None
        );
    }

    #[test]
    fn whole_numbers_may_have_a_point() {
        let whole = |text: &str| {
            let values = convert(&StringArray::from(vec![text]), &DataType::Int8).ok()?;
            Some(values.as_primitive::<Int8Type>().value(0))
        };
        assert_eq!(whole("-128"), Some(-128));
        assert_eq!(whole(" 1.0 "), Some(1));
        assert_eq!(whole("1.2e1"), Some(12));
        assert_eq!(whole("1.5"), None);
        assert_eq!(whole("128"), None);
        assert_eq!(whole("one"), None);
    }

    #[test]
    fn timestamps_may_be_written_in_short() {
        for (text, whole) in [
            ("2024-1-5 3:04", "2024-01-05 03:04:00"),
            ("2024-01-05T10:00Z", "2024-01-05 10:00:00Z"),
            ("2024-01-05 10:00:1.5", "2024-01-05 10:00:01.5"),
            ("2024-01-05", "2024-01-05"),
            ("yesterday 10:00", "yesterday 10:00"),
        ] {
            assert_eq!(whole_timestamp(text), whole);
        }
        let timestamp = DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, None);
        let texts = StringArray::from(vec![Some("2024-1-5 3:04"), None, Some("2024-01-05")]);
        assert_eq!(convert(&texts, &timestamp).unwrap().null_count(), 1);
        let texts = StringArray::from(vec![Some("2024-1-5 3:04"), Some("2024-01-05 25:00")]);
        assert!(convert(&texts, &timestamp).is_err());
    }

    #[test]
    fn the_text_that_is_no_value_is_shown() {
        let texts = StringArray::from(vec![Some("2024-02-29"), None, Some("2024-02-30")]);
        let error = convert(&texts, &DataType::Date32).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("'2024-02-30' is not a value of type"),
            "{error}"
        );
    }
}
