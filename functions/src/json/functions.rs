//! Hive's and Spark's functions that look into JSON texts.

use super::path::Paths;
use super::schema;
use super::value::Json;
use crate::registry::Functions;
use crate::rows;
use crate::scalar::scalar;
use crate::value::{Boolean, Int, Text, Texts};
use datafusion::common::exec_err;

/// What `get_json_object` finds: a text without quotes, everything else as JSON, several as one array.
fn found_text(found: &[&Json], has_wildcard: bool) -> Option<String> {
    match found {
        [] => None,
        [one] => match one {
            Json::Text(_) if has_wildcard => Some(one.to_string()),
            one => one.unquoted(),
        },
        several => {
            Some(Json::Array(several.iter().map(|one| (*one).clone()).collect()).to_string())
        }
    }
}

pub(super) fn add(functions: &mut Functions) {
    add_parts(functions);
    add_checks(functions);
    add_field(functions);
}

/// What a JSON text consists of.
fn add_parts(functions: &mut Functions) {
    functions.add(
        scalar(
            "get_json_object(json, path)",
            "What a path such as `$.a[0].b` finds in a JSON text; NULL where that is nothing, null, or the text \
             is not JSON.",
        )
        .example(r#"get_json_object('{"a":"b"}', '$.a')"#, "b")
        .example(r#"get_json_object('[{"a":"b"},{"a":"c"}]', '$[*].a')"#, r#"["b","c"]"#)
        .body(rows!(let mut paths = Paths::default(); |json: Text, path: Text| -> Text {
            let Some(path) = paths.get(path) else {
                return Ok(None);
            };
            let json = Json::read(json);
            Ok(json.and_then(|json| found_text(&path.find(&json), path.has_wildcard)))
        })),
    );
    functions.add(
        scalar(
            "json_array_length(json)",
            "The number of items of a JSON array; NULL for everything else.",
        )
        .example("json_array_length('[1,2,3,4]')", "4")
        .body(rows!(|json: Text| -> Int {
            Ok(match Json::read(json) {
                Some(Json::Array(items)) => Some(items.len() as i32),
                _ => None,
            })
        })),
    );
    functions.add(
        scalar(
            "json_object_keys(json)",
            "The names of a JSON object's members; NULL for everything else.",
        )
        .example(
            r#"json_object_keys('{"f1":"abc","f2":{"f3":"a"}}')"#,
            "[f1, f2]",
        )
        .body(rows!(|json: Text| -> Texts {
            Ok(match Json::read(json) {
                Some(Json::Object(members)) => {
                    Some(members.into_iter().map(|(name, _)| Some(name)).collect())
                }
                _ => None,
            })
        })),
    );
}

/// What kind of a JSON text it is.
fn add_checks(functions: &mut Functions) {
    functions.add(
        scalar(
            "schema_of_json(json)",
            "The type of a JSON text, as DDL writes it.",
        )
        .example(
            r#"schema_of_json('[{"col":0}]')"#,
            "ARRAY<STRUCT<col: BIGINT>>",
        )
        .body(rows!(|json: Text| -> Text {
            match Json::read(json) {
                Some(json) => Ok(Some(schema::of_value(&json))),
                None => exec_err!("'{json}' is not JSON"),
            }
        })),
    );
    functions.add(
        scalar("json_valid(text)", "Whether a text is JSON.")
            .example("json_valid('[1,')", "false")
            .body(rows!(|json: Text| -> Boolean {
                Ok(Some(Json::read(json).is_some()))
            })),
    );
}

fn add_field(functions: &mut Functions) {
    functions.add(
        scalar(
            "skep_json_field(json, name)",
            "The member of a JSON object, as a text without quotes, for json_tuple.",
        )
        .body(rows!(|json: Text, name: Text| -> Text {
            Ok(Json::read(json).and_then(|json| json.member(name).and_then(Json::unquoted)))
        })),
    );
}
