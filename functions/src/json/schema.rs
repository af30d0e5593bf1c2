//! Types as DDL writes them, `a INT, b ARRAY<STRING>`, and the types that JSON texts have.

use super::value::Json;
use crate::maps::map_type;
use crate::value::item;
use datafusion::arrow::datatypes::{DataType, Field, Fields, TimeUnit};

/// Reads a type, or a list of columns, which is a struct.
pub(crate) fn read(text: &str) -> Option<DataType> {
    let mut reader = Reader { rest: text.trim() };
    if let Some(found) = reader.data_type()
        && reader.rest.is_empty()
    {
        return Some(found);
    }
    let mut reader = Reader { rest: text.trim() };
    let fields = reader.fields()?;
    reader.rest.is_empty().then_some(DataType::Struct(fields))
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn accept(&mut self, letter: char) -> bool {
        match self.rest.trim_start().strip_prefix(letter) {
            Some(rest) => {
                self.rest = rest.trim_start();
                true
            }
            None => false,
        }
    }

    fn word(&mut self) -> Option<&'a str> {
        let text = self.rest.trim_start();
        if let Some(quoted) = text.strip_prefix('`') {
            let (word, rest) = quoted.split_once('`')?;
            self.rest = rest.trim_start();
            return Some(word);
        }
        let end = text
            .find(|letter: char| !(letter.is_alphanumeric() || letter == '_'))
            .unwrap_or(text.len());
        let (word, rest) = text.split_at_checked(end)?;
        self.rest = rest.trim_start();
        (!word.is_empty()).then_some(word)
    }

    fn number(&mut self) -> Option<i16> {
        self.word()?.parse().ok()
    }

    fn fields(&mut self) -> Option<Fields> {
        let mut fields = Vec::new();
        loop {
            let name = self.word()?;
            self.accept(':');
            let data_type = self.data_type()?;
            let mut after = Reader { rest: self.rest };
            if after
                .word()
                .is_some_and(|word| word.eq_ignore_ascii_case("not"))
                && after
                    .word()
                    .is_some_and(|word| word.eq_ignore_ascii_case("null"))
            {
                self.rest = after.rest;
            }
            fields.push(Field::new(name, data_type, true));
            if !self.accept(',') {
                return Some(fields.into());
            }
        }
    }

    fn data_type(&mut self) -> Option<DataType> {
        let word = self.word()?.to_ascii_lowercase();
        Some(match word.as_str() {
            "boolean" => DataType::Boolean,
            "tinyint" | "byte" => DataType::Int8,
            "smallint" | "short" => DataType::Int16,
            "int" | "integer" => DataType::Int32,
            "bigint" | "long" => DataType::Int64,
            "float" | "real" => DataType::Float32,
            "double" => DataType::Float64,
            "string" | "text" => DataType::Utf8,
            "varchar" | "char" => {
                if self.accept('(') {
                    self.number()?;
                    self.accept(')').then_some(())?;
                }
                DataType::Utf8
            }
            "binary" => DataType::Binary,
            "date" => DataType::Date32,
            "timestamp" | "timestamp_ntz" => DataType::Timestamp(TimeUnit::Microsecond, None),
            "void" | "null" => DataType::Null,
            "decimal" | "dec" | "numeric" => {
                let (mut precision, mut scale) = (10, 0);
                if self.accept('(') {
                    precision = self.number()?;
                    if self.accept(',') {
                        scale = self.number()?;
                    }
                    self.accept(')').then_some(())?;
                }
                let is_valid = (1..=38).contains(&precision) && (0..=precision).contains(&scale);
                is_valid.then_some(DataType::Decimal128(precision as u8, scale as i8))?
            }
            "array" => {
                self.accept('<').then_some(())?;
                let of = self.data_type()?;
                self.accept('>').then_some(DataType::List(item(of)))?
            }
            "map" => {
                self.accept('<').then_some(())?;
                let key = self.data_type()?;
                self.accept(',').then_some(())?;
                let value = self.data_type()?;
                self.accept('>').then_some(map_type(key, value))?
            }
            "struct" => {
                self.accept('<').then_some(())?;
                let fields = self.fields()?;
                self.accept('>').then_some(DataType::Struct(fields))?
            }
            _ => return None,
        })
    }
}

/// The type of a value, in DDL.
pub(crate) fn of_value(json: &Json) -> String {
    match json {
        Json::Null => "STRING".to_owned(),
        Json::Boolean(_) => "BOOLEAN".to_owned(),
        Json::Integer(_) => "BIGINT".to_owned(),
        Json::Large(_) => "DECIMAL(20,0)".to_owned(),
        Json::Double(_) => "DOUBLE".to_owned(),
        Json::Text(_) => "STRING".to_owned(),
        Json::Array(items) => {
            let types = items
                .iter()
                .filter(|item| **item != Json::Null)
                .map(of_value);
            let of = types.reduce(|one, other| match (one.as_str(), other.as_str()) {
                (one, other) if one == other => one.to_owned(),
                ("BIGINT", "DOUBLE") | ("DOUBLE", "BIGINT") => "DOUBLE".to_owned(),
                _ => "STRING".to_owned(),
            });
            format!("ARRAY<{}>", of.unwrap_or_else(|| "STRING".to_owned()))
        }
        Json::Object(members) => {
            let mut members: Vec<&(String, Json)> = members.iter().collect();
            members.sort_by(|one, other| one.0.cmp(&other.0));
            let fields = members
                .iter()
                .map(|(name, value)| format!("{}: {}", field_name(name), of_value(value)));
            format!("STRUCT<{}>", fields.collect::<Vec<_>>().join(", "))
        }
    }
}

fn field_name(name: &str) -> String {
    let is_plain = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    if is_plain {
        name.to_owned()
    } else {
        format!("`{name}`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::sql_name;

    #[test]
    fn types_are_read() {
        for (text, expected) in [
            ("a INT, b DOUBLE", Some("struct<a:int,b:double>")),
            (
                "struct<a:array<string>,b:map<string,decimal(5,2)>>",
                Some("struct<a:array<string>,b:map<string,decimal(5,2)>>"),
            ),
            ("time Timestamp", Some("struct<time:timestamp>")),
            ("int", Some("int")),
            ("", None),
            ("a", None),
            ("a INT b", None),
            ("array<", None),
        ] {
            assert_eq!(
                read(text).map(|of| sql_name(&of)).as_deref(),
                expected,
                "{text}"
            );
        }
    }
}
