//! The standard's functions of JSON, and the operators `->` and `->>`.

use super::path::Paths;
use super::value::Json;
use crate::registry::Functions;
use crate::rows;
use crate::scalar::{Body, scalar};
use crate::value::{Argument, Boolean, Kind, Long, Output, Text};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::exec_err;
use datafusion::error::Result;

fn not_a_path<T>(path: &str) -> Result<T> {
    exec_err!("'{path}' is not JSON path")
}

/// The member or the item that a key stands for, a negative one counted from the end.
fn step<'a>(json: &'a Json, key: &Key) -> Option<&'a Json> {
    match key {
        Key::Name(name) => json.member(name),
        Key::Index(index) => match (json, *index) {
            (Json::Array(items), index) if index < 0 => {
                let back = usize::try_from(index.unsigned_abs()).ok()?;
                items.get(items.len().checked_sub(back)?)
            }
            (json, index) => json.item(usize::try_from(index).ok()?),
        },
    }
}

enum Key {
    Name(String),
    Index(i64),
}

/// An operator with a key: a name, a path or an index.
fn stepped(is_text: bool) -> Body {
    Body::new(
        vec![Kind::Text, Kind::Any],
        |_| Ok(DataType::Utf8),
        move |call| {
            let texts = Text::open(call.array(0)?)?;
            let keys = call.array(1)?;
            let names = match keys.data_type().is_integer() {
                true => Err(Long::open(keys)?),
                false => Ok(Text::open(keys)?),
            };
            let mut paths = Paths::default();
            let mut results = Vec::with_capacity(call.rows);
            for row in 0..call.rows {
                let key = match &names {
                    Ok(names) => Text::at(names, row).map(|name| Key::Name(name.to_owned())),
                    Err(indices) => Long::at(indices, row).map(Key::Index),
                };
                let json = Text::at(&texts, row).and_then(Json::read);
                let found = match (&json, &key) {
                    (Some(json), Some(Key::Name(path))) if path.starts_with('$') => paths
                        .get(path)
                        .and_then(|path| path.find(json).first().copied()),
                    (Some(json), Some(key)) => step(json, key),
                    _ => None,
                };
                results.push(found.and_then(|found| match is_text {
                    true => found.unquoted(),
                    false => Some(found.to_string()),
                }));
            }
            Ok(<Text as Output>::collect(results))
        },
    )
}

pub(super) fn add(functions: &mut Functions) {
    add_operators(functions);
    add_paths(functions);
}

fn add_operators(functions: &mut Functions) {
    functions.add(
        scalar(
            "json_get(json, key)",
            "What `json -> key` is: the member or the item, counted from 0, of a JSON text, as JSON.",
        )
        .aliases(&["json_extract"])
        .example(r#"json_get('{"a":"b"}', 'a')"#, r#""b""#)
        .body(stepped(false)),
    );
    functions.add(
        scalar(
            "json_get_text(json, key)",
            "What `json ->> key` is: the member or the item, counted from 0, of a JSON text, without quotes.",
        )
        .aliases(&["json_extract_string"])
        .example(r#"json_get_text('{"a":"b"}', 'a')"#, "b")
        .body(stepped(true)),
    );
}

fn add_paths(functions: &mut Functions) {
    functions.add(
        scalar(
            "json_value(json, path)",
            "The one text, number or truth value that a path finds in a JSON text, or NULL.",
        )
        .example(r#"json_value('{"a":[1,2]}', '$.a[1]')"#, "2")
        .body(
            rows!(let mut paths = Paths::default(); |json: Text, path: Text| -> Text {
                let Some(read) = paths.get(path) else {
                    return not_a_path(path);
                };
                Ok(Json::read(json).and_then(|json| match read.find(&json).as_slice() {
                    [Json::Array(_) | Json::Object(_)] => None,
                    [one] => one.unquoted(),
                    _ => None,
                }))
            }),
        ),
    );
    functions.add(
        scalar(
            "json_query(json, path)",
            "The one object or array that a path finds in a JSON text, or NULL.",
        )
        .example(r#"json_query('{"a":[1,2]}', '$.a')"#, "[1,2]")
        .body(
            rows!(let mut paths = Paths::default(); |json: Text, path: Text| -> Text {
                let Some(read) = paths.get(path) else {
                    return not_a_path(path);
                };
                Ok(Json::read(json).and_then(|json| match read.find(&json).as_slice() {
                    [one @ (Json::Array(_) | Json::Object(_))] => Some(one.to_string()),
                    _ => None,
                }))
            }),
        ),
    );
    functions.add(
        scalar(
            "json_exists(json, path)",
            "Whether a path finds something in a JSON text.",
        )
        .example(r#"json_exists('{"a":null}', '$.a')"#, "true")
        .body(
            rows!(let mut paths = Paths::default(); |json: Text, path: Text| -> Boolean {
                let Some(read) = paths.get(path) else {
                    return not_a_path(path);
                };
                Ok(Json::read(json).map(|json| !read.find(&json).is_empty()))
            }),
        ),
    );
}
