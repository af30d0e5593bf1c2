//! Lines of CSV as structs, and structs as lines.

use super::convert::{Formats, from_array, option, to_array};
use super::schema;
use super::value::Json;
use crate::registry::Functions;
use crate::scalar::{Body, scalar};
use crate::value::{Argument, Kind, Output, Text};
use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{exec_err, plan_err};
use datafusion::error::Result;

/// The fields of a line; those in double quotes may have the separator within.
fn fields(line: &str, separator: char) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut is_quoted = false;
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        let Some(field) = fields.last_mut() else {
            break;
        };
        match letter {
            '"' if is_quoted && letters.peek() == Some(&'"') => field.extend(letters.next()),
            '"' if is_quoted => is_quoted = false,
            '"' if field.trim().is_empty() => is_quoted = true,
            letter if letter == separator && !is_quoted => fields.push(String::new()),
            letter => field.push(letter),
        }
    }
    fields
}

fn separator(options: Option<&ArrayRef>) -> Result<char> {
    let given = match option(options, "sep")? {
        Some(given) => Some(given),
        None => option(options, "delimiter")?,
    };
    match given {
        None => Ok(','),
        Some(given) => match given.chars().next() {
            Some(letter) => Ok(letter),
            None => exec_err!("the separator of CSV is empty"),
        },
    }
}

/// A field as a value of a type; `None` for what is empty or does not fit.
fn value(field: &str, data_type: &DataType) -> Option<Json> {
    let trimmed = field.trim();
    if trimmed.is_empty() {
        return None;
    }
    match data_type {
        DataType::Boolean => trimmed.to_ascii_lowercase().parse().ok().map(Json::Boolean),
        of if of.is_integer() => trimmed.parse().ok().map(Json::Integer),
        DataType::Float16 | DataType::Float32 | DataType::Float64 => {
            trimmed.parse().ok().map(Json::Double)
        }
        DataType::Utf8 => Some(Json::Text(field.to_owned())),
        _ => Some(Json::Text(trimmed.to_owned())),
    }
}

fn from_csv(has_options: bool) -> Body {
    let mut kinds = vec![Kind::Text, Kind::Text];
    kinds.extend(has_options.then_some(Kind::Map));
    Body::new(
        kinds,
        |planned| match planned.text(1).map(schema::read) {
            Some(Some(DataType::Struct(fields))) => Ok(DataType::Struct(fields)),
            None if planned.constants.is_empty() => Ok(DataType::Utf8),
            _ => plan_err!("the schema of from_csv is a constant text such as 'a INT, b STRING'"),
        },
        |call| {
            let texts = Text::open(call.array(0)?)?;
            let options = call.arrays.get(2);
            let (formats, separator) = (Formats::open(options)?, separator(options)?);
            let DataType::Struct(columns) = &call.return_type else {
                return exec_err!("from_csv makes structs");
            };
            let rows = (0..call.rows).map(|row| {
                let found = fields(Text::at(&texts, row)?, separator);
                let members = columns.iter().zip(found).filter_map(|(column, field)| {
                    let value = value(&field, column.data_type())?;
                    Some((column.name().clone(), value))
                });
                Some(Json::Object(members.collect()))
            });
            let rows: Vec<Option<Json>> = rows.collect();
            let rows: Vec<Option<&Json>> = rows.iter().map(Option::as_ref).collect();
            to_array(&rows, &call.return_type, &formats)
        },
    )
}

fn quoted(field: String, separator: char) -> String {
    let is_plain = !field.contains([separator, '"', '\n']);
    match is_plain {
        true => field,
        false => format!("\"{}\"", field.replace('"', "\"\"")),
    }
}

fn to_csv(has_options: bool) -> Body {
    let mut kinds = vec![Kind::Any];
    kinds.extend(has_options.then_some(Kind::Map));
    Body::new(
        kinds,
        |_| Ok(DataType::Utf8),
        |call| {
            let options = call.arrays.get(1);
            let (formats, separator) = (Formats::open(options)?, separator(options)?);
            let Some(structs) = call.array(0)?.as_struct_opt() else {
                return exec_err!("to_csv takes a struct");
            };
            let columns = structs.columns().iter();
            let columns = columns.map(|column| from_array(column, &formats));
            let columns: Vec<Vec<Option<Json>>> = columns.collect::<Result<_>>()?;
            let rows = (0..call.rows).map(|row| {
                let fields = columns.iter().map(|column| {
                    let value = column.get(row).and_then(Option::as_ref);
                    quoted(
                        value.and_then(Json::unquoted).unwrap_or_default(),
                        separator,
                    )
                });
                let line = fields.collect::<Vec<String>>().join(&separator.to_string());
                structs.is_valid(row).then_some(line)
            });
            Ok(<Text as Output>::collect(rows.collect()))
        },
    )
}

fn type_of(field: &str) -> &'static str {
    let field = field.trim();
    match field {
        _ if field.parse::<i32>().is_ok() => "INT",
        _ if field.parse::<i64>().is_ok() => "BIGINT",
        _ if field.parse::<f64>().is_ok() => "DOUBLE",
        _ if field.eq_ignore_ascii_case("true") || field.eq_ignore_ascii_case("false") => "BOOLEAN",
        _ if field.len() == 10 && crate::dates::read::date(field).is_some() => "DATE",
        _ if crate::dates::read::timestamp(field).is_some() => "TIMESTAMP",
        _ => "STRING",
    }
}

pub(super) fn add(functions: &mut Functions) {
    functions.add(
        scalar(
            "from_csv(line, schema[, options])",
            "The struct of a line of CSV, by a schema such as `a INT, b STRING`; what does not fit is NULL.",
        )
        .example("from_csv('1, 0.8', 'a INT, b DOUBLE')", "{a: 1, b: 0.8}")
        .body(from_csv(false))
        .body(from_csv(true)),
    );
    functions.add(
        scalar(
            "to_csv(struct[, options])",
            "The line of CSV of a struct's fields.",
        )
        .example("to_csv(named_struct('a', 1, 'b', 'x,y'))", "1,\"x,y\"")
        .body(to_csv(false))
        .body(to_csv(true)),
    );
    functions.add(
        scalar(
            "schema_of_csv(line)",
            "The type of a line of CSV, as DDL writes it.",
        )
        .example("schema_of_csv('1,abc')", "STRUCT<_c0: INT, _c1: STRING>")
        .body(crate::rows!(|line: Text| -> Text {
            let fields = fields(line, ',');
            let types = fields.iter().enumerate();
            let types = types.map(|(index, field)| format!("_c{index}: {}", type_of(field)));
            Ok(Some(format!(
                "STRUCT<{}>",
                types.collect::<Vec<_>>().join(", ")
            )))
        })),
    );
}
