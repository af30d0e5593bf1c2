//! JSON texts that are made of values: the standard's `json_object` and `json_array`.

use super::convert::{Formats, from_array};
use super::value::Json;
use crate::registry::Functions;
use crate::rows;
use crate::scalar::{Body, Call, scalar};
use crate::value::{Argument, Kind, Output, Text};
use datafusion::arrow::array::{Array, ArrayRef, StructArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::{exec_err, plan_err};
use datafusion::error::Result;
use std::sync::Arc;

/// The field of a struct that stands for a text which is JSON already.
const JSON_TEXT: &str = "skep:json";

fn values(array: &ArrayRef) -> Result<Vec<Option<Json>>> {
    let values = from_array(array, &Formats::open(None)?)?;
    Ok(values.into_iter().map(|json| json.map(unwrapped)).collect())
}

/// The JSON that a value is, or that it holds as text.
fn unwrapped(json: Json) -> Json {
    match json {
        Json::Object(members) => match members.as_slice() {
            [(name, Json::Text(text))] if name == JSON_TEXT => {
                Json::read(text).unwrap_or(Json::Null)
            }
            [(name, Json::Null)] if name == JSON_TEXT => Json::Null,
            _ => Json::Object(members),
        },
        other => other,
    }
}

/// Objects of keys and values by turns.
fn object(keeps_nulls: bool) -> Body {
    let returns = |planned: &crate::scalar::Planned| match planned.types.len() % 2 {
        0 => Ok(DataType::Utf8),
        _ => plan_err!("json_object takes keys and values by turns"),
    };
    let evaluate = move |call: &Call| {
        let mut objects: Vec<Vec<(String, Json)>> = vec![Vec::new(); call.rows];
        for pair in call.arrays.chunks(2) {
            let [keys, of_keys] = pair else {
                return exec_err!("json_object takes keys and values by turns");
            };
            let keys = cast(keys, &DataType::Utf8)?;
            let keys = Text::open(&keys)?;
            for (row, (object, value)) in objects.iter_mut().zip(values(of_keys)?).enumerate() {
                let Some(key) = Text::at(&keys, row) else {
                    return exec_err!("a key of json_object is NULL");
                };
                match value {
                    None if !keeps_nulls => {}
                    value => object.push((key.to_owned(), value.unwrap_or(Json::Null))),
                }
            }
        }
        let texts = objects
            .into_iter()
            .map(|it| Some(Json::Object(it).to_string()));
        Ok(<Text as Output>::collect(texts.collect()))
    };
    Body::new(vec![], returns, evaluate).and_more(Kind::Any)
}

fn array(keeps_nulls: bool) -> Body {
    let evaluate = move |call: &Call| {
        let mut arrays: Vec<Vec<Json>> = vec![Vec::new(); call.rows];
        for items in &call.arrays {
            for (array, value) in arrays.iter_mut().zip(values(items)?) {
                match value {
                    None if !keeps_nulls => {}
                    value => array.push(value.unwrap_or(Json::Null)),
                }
            }
        }
        let texts = arrays
            .into_iter()
            .map(|it| Some(Json::Array(it).to_string()));
        Ok(<Text as Output>::collect(texts.collect()))
    };
    Body::new(vec![], |_| Ok(DataType::Utf8), evaluate).and_more(Kind::Any)
}

pub(super) fn add(functions: &mut Functions) {
    functions.add(
        scalar(
            "json_object(key, value, …)",
            "The JSON object of keys and values; NULL is null, with ABSENT ON NULL it is left out. Also written \
             `json_object('a': 1)` and `json_object(KEY 'a' VALUE 1)`.",
        )
        .example("json_object('a', 1, 'b', NULL)", r#"{"a":1,"b":null}"#)
        .body(object(true)),
    );
    functions.add(
        scalar(
            "skep_json_object_without_nulls(key, value, …)",
            "`json_object (… ABSENT ON NULL)`.",
        )
        .body(object(false)),
    );
    functions.add(
        scalar(
            "json_array(value, …)",
            "The JSON array of values; NULL is left out, with NULL ON NULL it is null.",
        )
        .example("json_array(1, NULL, 'x')", r#"[1,"x"]"#)
        .body(array(false)),
    );
    functions.add(
        scalar(
            "skep_json_array_with_nulls(value, …)",
            "`json_array (… NULL ON NULL)`.",
        )
        .body(array(true)),
    );
    functions.add(
        scalar(
            "json(text)",
            "A text that is JSON, as it is; an error for another. `text::json` is the same.",
        )
        .example(r#"json('{"a": 1}')"#, r#"{"a": 1}"#)
        .body(rows!(|text: Text| -> Text {
            match Json::read(text) {
                Some(_) => Ok(Some(text.to_owned())),
                None => exec_err!("'{text}' is not JSON"),
            }
        })),
    );
    add_nested(functions);
}

fn add_nested(functions: &mut Functions) {
    let fields = || Fields::from(vec![Field::new(JSON_TEXT, DataType::Utf8, true)]);
    functions.add(
        scalar(
            "skep_json_text(text)",
            "A text that is JSON, for what makes JSON of it.",
        )
        .body(Body::new(
            vec![Kind::Text],
            move |_| Ok(DataType::Struct(fields())),
            move |call| {
                let texts = cast(call.array(0)?, &DataType::Utf8)?;
                let nulls = texts.nulls().cloned();
                Ok(Arc::new(StructArray::try_new(
                    fields(),
                    vec![texts],
                    nulls,
                )?))
            },
        )),
    );
}
