//! The parts of a JSON text, each as it is written: numbers keep their digits.

use crate::bad_value::{bad_value, text_of};
use arrow::error::ArrowError;
use serde::de::IgnoredAny;
use std::borrow::Cow;

/// A value with the raw texts of its parts.
pub(crate) enum JsonValue<'a> {
    Null,
    /// A string.
    Text(Cow<'a, str>),
    /// A number, `true` or `false`, as written.
    Plain(&'a str),
    Array(Vec<&'a [u8]>),
    Object(JsonObject<'a>),
}

/// The entries of an object, in their order. A key may be there several times.
pub(crate) struct JsonObject<'a>(Vec<(Cow<'a, str>, &'a [u8])>);

impl<'a> JsonValue<'a> {
    /// Reads the outermost level of `raw`, which is one value.
    ///
    /// # Errors
    /// `DataCorrupt` where it is invalid.
    pub(crate) fn new(raw: &'a [u8]) -> Result<Self, ArrowError> {
        let raw = raw.trim_ascii();
        Ok(match raw.first() {
            Some(b'n') => Self::Null,
            Some(b'"') => Self::Text(string(raw)?),
            Some(b'[') => Self::Array(items(raw)?),
            Some(b'{') => Self::Object(JsonObject(entries(raw)?)),
            Some(_) => Self::Plain(text_of(raw)?),
            None => return Err(bad_value("a JSON value is missing".to_owned())),
        })
    }
}

impl<'a> JsonObject<'a> {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The value of each field. A key that is spelled as the field comes before one that differs in case, and of
    /// several the last counts.
    pub(crate) fn values_of<'n>(
        &self,
        names: impl Iterator<Item = &'n String>,
    ) -> impl Iterator<Item = Option<&'a [u8]>> {
        names.map(|name| {
            let entries = || self.0.iter().rev();
            let exact = entries().find(|(key, _)| key == name);
            let found = exact.or_else(|| entries().find(|(key, _)| is_same_name(key, name)));
            found.map(|(_, value)| *value)
        })
    }
}

impl<'o, 'a> IntoIterator for &'o JsonObject<'a> {
    type Item = &'o (Cow<'a, str>, &'a [u8]);
    type IntoIter = std::slice::Iter<'o, (Cow<'a, str>, &'a [u8])>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

/// Whether two names are one where case does not matter.
pub(crate) fn is_same_name(left: &str, right: &str) -> bool {
    left.eq_ignore_ascii_case(right)
        || (!(left.is_ascii() && right.is_ascii()) && left.to_lowercase() == right.to_lowercase())
}

/// How long the first value of `text` is, behind the spaces before it: `None` where there is none.
///
/// # Errors
/// `DataCorrupt` where it is not JSON.
pub(crate) fn value_length(text: &[u8]) -> Result<Option<usize>, ArrowError> {
    let mut values = serde_json::Deserializer::from_slice(text).into_iter::<IgnoredAny>();
    match values.next() {
        None => Ok(None),
        Some(Ok(_)) => Ok(Some(values.byte_offset())),
        Some(Err(error)) => Err(no_json(text, &error)),
    }
}

fn no_json(text: &[u8], error: &serde_json::Error) -> ArrowError {
    let shown = String::from_utf8_lossy(text);
    let shown: String = shown
        .lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(40)
        .collect();
    // The places within this text say nothing about the file.
    let reason = error.to_string();
    let reason = reason
        .rsplit_once(" at line ")
        .map_or(&*reason, |(reason, _)| reason);
    bad_value(format!("'{}' is not JSON: {reason}", shown.trim_end()))
}

fn string(raw: &[u8]) -> Result<Cow<'_, str>, ArrowError> {
    let inner = raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default();
    match inner.contains(&b'\\') {
        false => text_of(inner).map(Cow::Borrowed),
        true => serde_json::from_slice::<String>(raw)
            .map(Cow::Owned)
            .map_err(|error| no_json(raw, &error)),
    }
}

/// Cuts a value off the front of `rest`.
fn take<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], ArrowError> {
    let length = value_length(rest)?;
    let length = length.ok_or_else(|| bad_value("a JSON value is missing".to_owned()))?;
    let (value, behind) = rest.split_at(length);
    *rest = behind.trim_ascii_start();
    Ok(value.trim_ascii())
}

/// Passes over a mark, if it is the next one.
fn accept(rest: &mut &[u8], mark: u8) -> bool {
    match rest.split_first() {
        Some((first, behind)) if *first == mark => {
            *rest = behind.trim_ascii_start();
            true
        }
        _ => false,
    }
}

fn misplaced(rest: &[u8]) -> ArrowError {
    let shown: String = String::from_utf8_lossy(rest).chars().take(20).collect();
    bad_value(format!("'{shown}' stands where JSON has something else"))
}

fn items(raw: &[u8]) -> Result<Vec<&[u8]>, ArrowError> {
    let mut rest = raw;
    accept(&mut rest, b'[');
    let mut items = Vec::new();
    if accept(&mut rest, b']') {
        return Ok(items);
    }
    loop {
        items.push(take(&mut rest)?);
        if accept(&mut rest, b']') {
            return Ok(items);
        }
        if !accept(&mut rest, b',') {
            return Err(misplaced(rest));
        }
    }
}

/// A member of an object: its name, and its value as it is written.
type Member<'a> = (Cow<'a, str>, &'a [u8]);

fn entries(raw: &[u8]) -> Result<Vec<Member<'_>>, ArrowError> {
    let mut rest = raw;
    accept(&mut rest, b'{');
    let mut entries = Vec::new();
    if accept(&mut rest, b'}') {
        return Ok(entries);
    }
    loop {
        if rest.first() != Some(&b'"') {
            return Err(misplaced(rest));
        }
        let key = string(take(&mut rest)?)?;
        if !accept(&mut rest, b':') {
            return Err(misplaced(rest));
        }
        entries.push((key, take(&mut rest)?));
        if accept(&mut rest, b'}') {
            return Ok(entries);
        }
        if !accept(&mut rest, b',') {
            return Err(misplaced(rest));
        }
    }
}

/// The bytes that Arrow writes into JSON as hexadecimal digits.
///
/// # Errors
/// `DataCorrupt` where there are others.
pub(crate) fn bytes_of_hex(text: &str) -> Result<Vec<u8>, ArrowError> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pair = |pair: &[u8]| match pair {
        [high, low] => u8::try_from(digit(*high)? * 16 + digit(*low)?).ok(),
        _ => None,
    };
    let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(pair).collect();
    bytes.ok_or_else(|| bad_value("bytes are not in hexadecimal digits".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str) -> JsonObject<'_> {
        match JsonValue::new(text.as_bytes()).unwrap() {
            JsonValue::Object(object) => object,
            _ => panic!("no object"),
        }
    }

    fn values(text: &str, names: &[&str]) -> Vec<Option<String>> {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let object = object(text);
        let text = |raw: &[u8]| String::from_utf8(raw.to_vec()).unwrap();
        object
            .values_of(names.iter())
            .map(|value| value.map(text))
            .collect()
    }

    #[test]
    fn parts_are_as_written() {
        let text = r#" { "a" : 1.50e0, "b":[1, {"c":"}"} ],"ü\n":"x" ,"d":null}"#;
        let found = values(text, &["a", "b", "ü\n", "d", "e"]);
        let found: Vec<Option<&str>> = found.iter().map(Option::as_deref).collect();
        let list = r#"[1, {"c":"}"} ]"#;
        let wanted = [
            Some("1.50e0"),
            Some(list),
            Some("\"x\""),
            Some("null"),
            None,
        ];
        assert_eq!(found, wanted);
    }

    #[test]
    fn names_are_found_whatever_their_case() {
        let one = |text: &str| values(text, &["Id"]).remove(0).unwrap();
        assert_eq!(one(r#"{"ID": 1}"#), "1");
        assert_eq!(one(r#"{"ID": 1, "id": 2}"#), "2");
        assert_eq!(one(r#"{"Id": 3, "id": 2}"#), "3");
        assert!(is_same_name("ÜBER", "über"));
    }

    #[test]
    fn what_is_no_json_is_an_error() {
        for text in [
            "{\"a\" 1}",
            "{\"a\":1,}",
            "{a:1}",
            "{\"a\":}",
            "{\"a\":tru}",
            "{\"a\":01}",
        ] {
            assert!(JsonValue::new(text.as_bytes()).is_err(), "{text}");
        }
        assert!(value_length(b"{\"a\": [1}").is_err());
        assert_eq!(value_length(b"  ").unwrap(), None);
        assert_eq!(value_length(b" 12 {").unwrap(), Some(3));
    }
}
