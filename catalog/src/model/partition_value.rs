//! The values of partition columns: how Hive writes them into directory names, and which types they
//! may have.

use arrow::array::{Array, ArrayRef, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::DataType;
use std::sync::Arc;

pub use skep_protocol::partition_path::{NULL_DIRECTORY, directory};

/// Splits `name=value`, a partition's directory, and undoes Hive's escapes. The value is `None` for
/// NULL; the whole is `None` where the directory is not a partition's.
pub fn parse_directory(directory: &str) -> Option<(String, Option<String>)> {
    let (name, value) = directory.split_once('=')?;
    if name.is_empty() {
        return None;
    }
    // An empty value is NULL: Hive cannot tell them apart, and Spark reads it like this, too.
    let value = match value {
        NULL_DIRECTORY | "" => None,
        value => Some(unescape(value)),
    };
    Some((unescape(name), value))
}

/// The values as directories have them: `1` for `01` in a column of integers. Text that is empty is
/// NULL, since no directory tells the two apart. The first value that is not of the type where one is
/// not.
pub fn canonical(
    values: Vec<Option<&str>>,
    data_type: &DataType,
) -> Result<Vec<Option<String>>, String> {
    if *data_type == DataType::Utf8 {
        let present = |value: Option<&str>| value.filter(|v| !v.is_empty()).map(str::to_owned);
        return Ok(values.into_iter().map(present).collect());
    }
    let trimmed = values.iter().map(|value| value.map(str::trim)).collect();
    let typed = to_array(trimmed, data_type)?;
    let text = cast_with_options(&typed, &DataType::Utf8, &CastOptions::default())
        .map_err(|error| error.to_string())?;
    let text = text.as_any().downcast_ref::<StringArray>();
    let text = text.into_iter().flatten();
    let is_timestamp = matches!(data_type, DataType::Timestamp(_, _));
    Ok(text
        .map(|value| {
            value.map(|value| match is_timestamp {
                true => value.replacen('T', " ", 1),
                false => value.to_owned(),
            })
        })
        .collect())
}

/// Undoes `%XX`. What is not an escape stands for itself, as in Hive.
fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let digit = |index: usize| {
        bytes
            .get(index)
            .and_then(|byte| char::from(*byte).to_digit(16))
    };
    let mut result = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while let Some(byte) = bytes.get(index) {
        match (*byte == b'%')
            .then(|| digit(index + 1).zip(digit(index + 2)))
            .flatten()
        {
            Some((high, low)) => {
                result.push((high * 16 + low) as u8);
                index += 3;
            }
            None => {
                result.push(*byte);
                index += 1;
            }
        }
    }
    String::from_utf8(result).unwrap_or_else(|_| text.to_owned())
}

/// The type of a partition column whose values are `values`, inferred like Spark does: whole numbers,
/// dates, else text.
pub fn infer_type<'a>(values: impl Iterator<Item = Option<&'a str>> + Clone) -> DataType {
    let present = values.flatten();
    let all = |accepts: fn(&str) -> bool| {
        let mut present = present.clone().peekable();
        present.peek().is_some() && present.all(accepts)
    };
    if all(|value| is_whole_number(value) && value.parse::<i32>().is_ok()) {
        DataType::Int32
    } else if all(|value| is_whole_number(value) && value.parse::<i64>().is_ok()) {
        DataType::Int64
    } else if all(is_date) {
        DataType::Date32
    } else {
        DataType::Utf8
    }
}

/// Digits with at most a minus sign: `+5` and ` 5` would not be found again under their number.
fn is_whole_number(value: &str) -> bool {
    let digits = value.strip_prefix('-').unwrap_or(value);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_date(value: &str) -> bool {
    value.len() == "2024-01-31".len()
        && chrono::NaiveDate::parse_from_str(value, "%Y-%m-%d").is_ok()
}

/// Whether partition columns may have the type.
pub fn is_supported(data_type: &DataType) -> bool {
    data_type.is_integer()
        || data_type.is_floating()
        || matches!(
            data_type,
            DataType::Boolean
                | DataType::Utf8
                | DataType::Date32
                | DataType::Decimal128(_, _)
                | DataType::Timestamp(_, None)
        )
}

/// The values as an array of their column's type; the first value that is not of the type where one
/// is not.
pub fn to_array(values: Vec<Option<&str>>, data_type: &DataType) -> Result<ArrayRef, String> {
    let text: ArrayRef = Arc::new(StringArray::from(values));
    let options = CastOptions {
        safe: true,
        ..CastOptions::default()
    };
    let first_of = |text: &ArrayRef| {
        text.as_any()
            .downcast_ref::<StringArray>()
            .and_then(|text| text.iter().flatten().next())
            .unwrap_or_default()
            .to_owned()
    };
    let array = cast_with_options(&text, data_type, &options).map_err(|_| first_of(&text))?;
    let offending = (0..text.len()).find(|index| text.is_valid(*index) && array.is_null(*index));
    match offending {
        Some(index) => Err(first_of(&text.slice(index, 1))),
        None => Ok(array),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_read_as_hive_writes_them() {
        let parse = |directory| parse_directory(directory);
        let pair =
            |name: &str, value: Option<&str>| Some((name.to_owned(), value.map(str::to_owned)));
        assert_eq!(parse("day=2024-01-31"), pair("day", Some("2024-01-31")));
        assert_eq!(parse("k=a%3Ab%2Fc%25"), pair("k", Some("a:b/c%")));
        assert_eq!(parse("k=50%"), pair("k", Some("50%")));
        assert_eq!(parse("k=%ff"), pair("k", Some("%ff")));
        assert_eq!(parse("k=x=y"), pair("k", Some("x=y")));
        assert_eq!(parse("k=__HIVE_DEFAULT_PARTITION__"), pair("k", None));
        assert_eq!(parse("plain"), None);
        assert_eq!(parse("=x"), None);
    }

    #[test]
    fn what_is_written_is_read_back() {
        for value in [
            "2024-01-31",
            "a/b=c%d",
            "two words",
            "Zürich 東京",
            "10:30",
            "%2F",
            "'\"#*?\\{[]^\u{1}\u{7f}",
        ] {
            let written = directory([("k", Some(value))]);
            assert!(!written.contains('/'), "{written}");
            assert_eq!(
                parse_directory(&written),
                Some(("k".to_owned(), Some(value.to_owned())))
            );
        }
        let two = directory([("ds", Some("a b/c")), ("hr", None)]);
        assert_eq!(two, "ds=a b%2Fc/hr=__HIVE_DEFAULT_PARTITION__");
    }

    #[test]
    fn values_have_one_form() {
        let one = |value, data_type| {
            canonical(vec![Some(value)], &data_type).map(|mut values| values.pop().flatten())
        };
        let some = |text: &str| Ok(Some(text.to_owned()));
        assert_eq!(one("01", DataType::Int32), some("1"));
        assert_eq!(one(" 7 ", DataType::Int64), some("7"));
        assert_eq!(one("2024-1-5", DataType::Date32), some("2024-01-05"));
        assert_eq!(one("TRUE", DataType::Boolean), some("true"));
        assert_eq!(one("1.5", DataType::Decimal128(10, 2)), some("1.50"));
        let micros = DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, None);
        assert_eq!(
            one("2024-01-31 10:00:00", micros),
            some("2024-01-31 10:00:00")
        );
        assert_eq!(one("  x", DataType::Utf8), some("  x"));
        assert_eq!(one("", DataType::Utf8), Ok(None));
        assert_eq!(one("x", DataType::Int32), Err("x".to_owned()));
    }

    #[test]
    fn types_are_inferred_like_spark_does() {
        let infer = |values: &[Option<&'static str>]| infer_type(values.iter().copied());
        assert_eq!(infer(&[Some("1"), Some("-20"), None]), DataType::Int32);
        assert_eq!(infer(&[Some("1"), Some("3000000000")]), DataType::Int64);
        assert_eq!(
            infer(&[Some("2024-01-31"), Some("1999-12-01")]),
            DataType::Date32
        );
        assert_eq!(infer(&[Some("2024-02-31")]), DataType::Utf8);
        assert_eq!(infer(&[Some("1"), Some("x")]), DataType::Utf8);
        assert_eq!(infer(&[Some("+1")]), DataType::Utf8);
        assert_eq!(infer(&[None]), DataType::Utf8);
    }

    #[test]
    fn the_value_that_is_not_of_the_type_is_named() {
        assert!(to_array(vec![Some("1"), None], &DataType::Int32).is_ok());
        let error = to_array(vec![Some("1"), None, Some("x")], &DataType::Int32).unwrap_err();
        assert_eq!(error, "x");
    }
}
