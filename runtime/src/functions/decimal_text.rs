//! Text that says a decimal, with an exponent or without one, rounded half up to the digits of its type.

use super::decimal_kernel::{largest, power_of_ten};
use super::decimal_type::{DIGITS_MAX, DecimalType};

/// Why text is not a value of a decimal type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoDecimal {
    /// It is not a number.
    NoNumber,
    /// It is a number with too many digits before the point.
    TooLarge,
}

/// The digits of the value that `text` says, without their point.
pub(super) fn parse(text: &str, to: DecimalType) -> Result<i128, NoDecimal> {
    let text = text.trim();
    let is_negative = text.starts_with('-');
    let number = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match number.split_once(['e', 'E']) {
        None => (number, 0),
        Some((mantissa, exponent)) => {
            let exponent = exponent.parse::<i32>();
            (mantissa, exponent.map_err(|_| NoDecimal::NoNumber)?)
        }
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = [whole, fraction].concat();
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(NoDecimal::NoNumber);
    }
    let scale = fraction.len() as i64 - i64::from(exponent);
    let value = shifted(digits.trim_start_matches('0'), i64::from(to.scale) - scale)
        .filter(|value| value.unsigned_abs() <= largest(to))
        .ok_or(NoDecimal::TooLarge)?;
    Ok(if is_negative { -value } else { value })
}

/// The digits, which do not begin with a zero, with so many more or, rounded, so many fewer of them.
fn shifted(digits: &str, more: i64) -> Option<i128> {
    if digits.is_empty() {
        return Some(0);
    }
    let count = digits.len() as i64;
    if count + more > i64::from(DIGITS_MAX) {
        return None;
    }
    if let Ok(more) = u32::try_from(more) {
        return digits
            .parse::<i128>()
            .ok()?
            .checked_mul(power_of_ten(more)?);
    }
    let Ok(kept) = usize::try_from(count + more) else {
        return Some(0);
    };
    let (kept, dropped) = digits.split_at_checked(kept)?;
    let value = match kept {
        "" => 0,
        kept => kept.parse::<i128>().ok()?,
    };
    Some(value + i128::from(dropped.as_bytes().first() >= Some(&b'5')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_half_up() {
        let money = DecimalType {
            precision: 5,
            scale: 2,
        };
        for (text, expected) in [
            ("1.5", Ok(150)),
            (" -1.005 ", Ok(-101)),
            ("+.005", Ok(1)),
            ("0.00499999999999999999999999999999999999999999999", Ok(0)),
            ("5.", Ok(500)),
            ("1e2", Ok(10000)),
            ("1.2345E+1", Ok(1235)),
            ("12345e-7", Ok(0)),
            ("1e-100", Ok(0)),
            ("0e100", Ok(0)),
            ("000000000000000000000000000000000000000000012", Ok(1200)),
            ("999.994", Ok(99999)),
            ("999.995", Err(NoDecimal::TooLarge)),
            ("1e100", Err(NoDecimal::TooLarge)),
            ("", Err(NoDecimal::NoNumber)),
            (".", Err(NoDecimal::NoNumber)),
            ("1e", Err(NoDecimal::NoNumber)),
            ("--1", Err(NoDecimal::NoNumber)),
            ("1.2.3", Err(NoDecimal::NoNumber)),
            ("x", Err(NoDecimal::NoNumber)),
        ] {
            assert_eq!(parse(text, money), expected, "{text}");
        }
    }

    #[test]
    fn all_digits_are_kept() {
        let fine = DecimalType {
            precision: 38,
            scale: 20,
        };
        let text = "123456789012345678.90123456789012345678";
        assert_eq!(
            parse(text, fine),
            Ok(12_345_678_901_234_567_890_123_456_789_012_345_678)
        );
    }
}
