//! Sizes in bytes: `4GiB`, `512MB`, `1073741824`.

use super::{Kind, Raw, quoted};

/// Units by name in lower case. The binary ones come first: sizes are shown in them.
const UNITS: [(&str, u64); 9] = [
    ("tib", 1 << 40),
    ("gib", 1 << 30),
    ("mib", 1 << 20),
    ("kib", 1 << 10),
    ("b", 1),
    ("tb", 1_000_000_000_000),
    ("gb", 1_000_000_000),
    ("mb", 1_000_000),
    ("kb", 1_000),
];

/// A size of at least `MIN` bytes.
pub struct Size<const MIN: u64>;

impl<const MIN: u64> Kind for Size<MIN> {
    type Value = u64;

    fn syntax() -> String {
        match MIN {
            0 => "a size, such as `4GiB`, `512MB` or `1048576`".to_owned(),
            min => format!(
                "a size of at least `{}`, such as `4GiB`, `512MB` or `1073741824`",
                show_size(min)
            ),
        }
    }

    fn parse(raw: &Raw) -> Result<u64, String> {
        let text = raw.scalar()?;
        let bytes = parse_size(text).ok_or_else(|| format!("expected {}", Self::syntax()))?;
        match bytes >= MIN {
            true => Ok(bytes),
            false => Err(format!("must be at least {}", show_size(MIN))),
        }
    }

    fn show(value: &u64) -> Option<String> {
        Some(quoted(&show_size(*value)))
    }
}

/// Reads a size; fractions are allowed (`1.5GiB`) and rounded down to a whole byte.
fn parse_size(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
    let unit = unit.trim().to_ascii_lowercase();
    let factor = match unit.as_str() {
        "" => 1,
        unit => UNITS.iter().find(|(name, _)| *name == unit)?.1,
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(factor);
    }
    fraction(number, factor)
}

/// `number`, which has a decimal point, times `factor`, in whole numbers so that nothing is lost.
fn fraction(number: &str, factor: u64) -> Option<u64> {
    let (whole, decimals) = number.split_once('.')?;
    let whole: u128 = whole.parse().ok()?;
    // A decimal more would be less than a byte, even of a tebibyte.
    if decimals.is_empty() || decimals.len() > 12 {
        return None;
    }
    let denominator = 10_u128.checked_pow(u32::try_from(decimals.len()).ok()?)?;
    let decimals: u128 = decimals.parse().ok()?;
    let numerator = whole.checked_mul(denominator)?.checked_add(decimals)?;
    u64::try_from(numerator.checked_mul(factor.into())? / denominator).ok()
}

/// The size in the largest unit in which it is a whole number.
fn show_size(bytes: u64) -> String {
    match UNITS[..4]
        .iter()
        .find(|(_, factor)| bytes >= *factor && bytes.is_multiple_of(*factor))
    {
        Some((_, factor)) => {
            let name = match factor {
                0x100_0000_0000 => "TiB",
                0x4000_0000 => "GiB",
                0x10_0000 => "MiB",
                _ => "KiB",
            };
            format!("{}{name}", bytes / factor)
        }
        None => bytes.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_and_without_units() {
        for (text, bytes) in [
            ("4GiB", 4 << 30),
            ("512MB", 512_000_000),
            ("1073741824", 1 << 30),
            ("1.5 gib", 3 << 29),
            ("0.001kb", 1),
            ("7b", 7),
            ("2TiB", 2 << 40),
        ] {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in [
            "",
            "GiB",
            "4 G i B",
            "-1",
            "4XiB",
            "1.GiB",
            ".5GiB",
            "1.2.3MB",
            "99999999TiB",
        ] {
            assert_eq!(parse_size(text), None, "{text}");
        }
        let error = Size::<1024>::parse(&Raw::One("1000".into())).unwrap_err();
        assert_eq!(error, "must be at least 1KiB");
    }

    #[test]
    fn sizes_are_shown_as_they_can_be_read() {
        for bytes in [0, 1, 1000, 1024, 1 << 20, (1 << 20) + 1, 3 << 29, 5 << 40] {
            assert_eq!(parse_size(&show_size(bytes)), Some(bytes));
        }
        assert_eq!(show_size(3 << 29), "1536MiB");
    }
}
