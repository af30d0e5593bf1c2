//! What columns the objects of a JSON file have.

use super::{Candidates, InferredColumn, KINDS, PLAIN_KINDS, SAMPLE_ROWS_MAX};
use crate::bad_value::bad_value;
use crate::json::{JsonValue, is_same_name, value_length};
use arrow::datatypes::{DataType, Field, Fields};
use arrow::error::ArrowError;
use datafusion::error::Result;

/// How deep values are looked into; what is nested further is text.
const DEPTH_MAX: usize = 16;

/// Adds to `shape` what a file has that begins with `sample`, which is all of it where `is_whole`.
///
/// # Errors
/// `DataCorrupt` where it is not JSON, or has something else than objects. With `skips_bad_lines` such lines are
/// passed over.
pub fn infer_json(
    sample: &[u8],
    is_whole: bool,
    skips_bad_lines: bool,
    shape: &mut JsonShape,
) -> Result<()> {
    let mut rest = sample.trim_ascii_start();
    if let Some(items) = rest.strip_prefix(b"[") {
        rest = items;
    }
    for _ in 0..SAMPLE_ROWS_MAX {
        rest = rest.trim_ascii_start();
        rest = rest.strip_prefix(b",").unwrap_or(rest);
        if rest.trim_ascii_start().starts_with(b"]") {
            break;
        }
        let end_of_line = memchr::memchr(b'\n', rest);
        let found = match value_length(rest) {
            Ok(None) => break,
            Ok(Some(length)) => shape.add(&rest[..length]).map(|()| length),
            Err(error) => Err(error),
        };
        let length = match (found, end_of_line) {
            (Ok(length), _) => length,
            // What the sample cuts off is not JSON.
            (Err(_), None) if !is_whole => break,
            (Err(_), end) if skips_bad_lines => end.unwrap_or(rest.len()),
            (Err(_), _) if !is_whole && is_cut(rest) => break,
            (Err(error), _) => return Err(error.into()),
        };
        rest = &rest[length..];
    }
    Ok(())
}

/// Whether it is its end that keeps a text from being JSON.
fn is_cut(text: &[u8]) -> bool {
    let mut values =
        serde_json::Deserializer::from_slice(text).into_iter::<serde::de::IgnoredAny>();
    matches!(values.next(), Some(Err(error)) if error.is_eof())
}

/// What the objects so far have in common.
#[derive(Debug, Default)]
pub struct JsonShape {
    fields: Vec<(String, Shape)>,
}

/// What the values of a field so far have in common.
#[derive(Clone, Debug)]
enum Shape {
    Nothing,
    Plain(Candidates),
    List(Box<Shape>),
    Struct(Vec<(String, Shape)>),
    /// What has nothing in common is kept as it is written.
    Anything,
}

impl JsonShape {
    /// The columns.
    pub fn columns(&self) -> Vec<InferredColumn> {
        let fields = self.fields.iter();
        fields
            .map(|(name, shape)| (name.clone(), shape.data_type()))
            .collect()
    }

    fn add(&mut self, raw: &[u8]) -> Result<(), ArrowError> {
        match Shape::of(raw, DEPTH_MAX)? {
            Shape::Struct(fields) => {
                merge_fields(&mut self.fields, fields);
                Ok(())
            }
            _ => {
                let text = String::from_utf8_lossy(raw.trim_ascii());
                let shown: String = text.chars().take(40).collect();
                Err(bad_value(format!("{shown} is not a JSON object")))
            }
        }
    }
}

impl Shape {
    fn of(raw: &[u8], depth: usize) -> Result<Self, ArrowError> {
        Ok(match JsonValue::new(raw)? {
            JsonValue::Null => Self::Nothing,
            _ if depth == 0 => Self::Anything,
            JsonValue::Plain(text) => Self::Plain(only(text, 0..PLAIN_KINDS)),
            JsonValue::Text(text) => Self::Plain(only(&text, PLAIN_KINDS..KINDS.len())),
            JsonValue::Array(items) => {
                let mut shape = Self::Nothing;
                for item in items {
                    shape = shape.merge(Self::of(item, depth - 1)?);
                }
                Self::List(Box::new(shape))
            }
            JsonValue::Object(entries) => {
                let mut fields = Vec::new();
                for (key, value) in &entries {
                    let field = (key.to_string(), Self::of(value, depth - 1)?);
                    merge_fields(&mut fields, vec![field]);
                }
                Self::Struct(fields)
            }
        })
    }

    fn merge(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nothing, shape) | (shape, Self::Nothing) => shape,
            (Self::Plain(left), Self::Plain(right)) => Self::Plain(left.meet(right)),
            (Self::List(left), Self::List(right)) => Self::List(Box::new(left.merge(*right))),
            (Self::Struct(mut fields), Self::Struct(others)) => {
                merge_fields(&mut fields, others);
                Self::Struct(fields)
            }
            _ => Self::Anything,
        }
    }

    fn data_type(&self) -> DataType {
        match self {
            Self::Plain(candidates) => candidates.data_type(),
            Self::List(item) => {
                DataType::List(Field::new_list_field(item.data_type(), true).into())
            }
            Self::Struct(fields) if !fields.is_empty() => {
                let field = |(name, shape): &(String, Self)| {
                    Field::new(name.to_lowercase(), shape.data_type(), true)
                };
                DataType::Struct(fields.iter().map(field).collect::<Fields>())
            }
            Self::Nothing | Self::Struct(_) | Self::Anything => DataType::Utf8,
        }
    }
}

/// The candidates among some kinds: numbers in quotes stay texts.
fn only(text: &str, kinds: std::ops::Range<usize>) -> Candidates {
    let mut candidates = Candidates::ALL;
    candidates.narrow(text);
    let mask = KINDS.get(kinds).unwrap_or_default();
    candidates.meet(Candidates(
        mask.iter().fold(0, |mask, (kind, _)| mask | kind),
    ))
}

fn merge_fields(fields: &mut Vec<(String, Shape)>, others: Vec<(String, Shape)>) {
    for (name, shape) in others {
        match fields
            .iter_mut()
            .find(|(known, _)| is_same_name(known, &name))
        {
            Some((_, known)) => {
                *known = std::mem::replace(known, Shape::Nothing).merge(shape);
            }
            None => fields.push((name, shape)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn infer(sample: &str, is_whole: bool) -> Result<Vec<InferredColumn>> {
        let mut shape = JsonShape::default();
        infer_json(sample.as_bytes(), is_whole, false, &mut shape)?;
        Ok(shape.columns())
    }

    fn shown(sample: &str) -> String {
        let columns = infer(sample, true).unwrap();
        let shown = |(name, data_type): &InferredColumn| format!("{name} {data_type}");
        columns.iter().map(shown).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn values_of_one_name_have_one_type() {
        assert_eq!(
            shown("{\"b\":1,\"a\":true}\n{\"A\":false,\"b\":2.5}"),
            "b Float64, a Boolean"
        );
        assert_eq!(
            shown("[{\"a\":1},{\"a\":null},{\"c\":\"1\"}]"),
            "a Int64, c Utf8"
        );
        assert_eq!(shown("{\"a\":1}{\"a\":\"x\"}"), "a Utf8");
        assert_eq!(shown("{\"a\":1}{\"a\":[1]}"), "a Utf8");
        assert_eq!(shown("{\"a\":\"2024-02-29\"}"), "a Date32");
        assert_eq!(shown("{\"a\":{}, \"b\":null}"), "a Utf8, b Utf8");
        let nested = infer("{\"a\":[{\"X\":1},{\"y\":\"t\"}]}", true).unwrap();
        let DataType::List(item) = &nested[0].1 else {
            panic!("{nested:?}");
        };
        let DataType::Struct(fields) = item.data_type() else {
            panic!("{nested:?}");
        };
        let names: Vec<&String> = fields.iter().map(|field| field.name()).collect();
        assert_eq!(names, ["x", "y"]);
    }

    #[test]
    fn what_is_no_object_is_an_error() {
        assert!(infer("1\n2\n", true).is_err());
        assert!(infer("{\"a\":1}\n{\"a\":", true).is_err());
        assert_eq!(infer("{\"a\":1}\n{\"a\":", false).unwrap().len(), 1);
        assert_eq!(infer("{\"a\":1}\n{\n\"a\":", false).unwrap().len(), 1);
        assert!(infer("{\"a\":1}\nnonsense\n{\"a\":1}", false).is_err());
    }
}
