//! JSON texts as values of a type, and values as JSON texts.

use super::schema;
use super::value::Json;
use crate::dates::pattern::Pattern;
use crate::dates::read;
use crate::lists::list_from;
use crate::maps::map_from;
use crate::registry::Functions;
use crate::scalar::{Body, Planned, scalar};
use crate::value::{Argument, Date, Double, Kind, Long, Output, Text, Time};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Float64Array, Int64Array, StringArray,
    StructArray, new_null_array,
};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::compute::{CastOptions, cast, cast_with_options};
use datafusion::arrow::datatypes::{DataType, FieldRef, Fields};
use datafusion::common::{exec_err, plan_err};
use datafusion::error::Result;
use std::sync::Arc;

/// How times are written and read.
pub(super) struct Formats {
    timestamp: Option<Pattern>,
    date: Option<Pattern>,
}

impl Formats {
    /// Those of an argument that is a map of options.
    pub(super) fn open(options: Option<&ArrayRef>) -> Result<Self> {
        let pattern = |name: &str| match option(options, name)? {
            Some(text) => Pattern::read(&text).map(Some),
            None => Ok(None),
        };
        Ok(Self {
            timestamp: pattern("timestampformat")?,
            date: pattern("dateformat")?,
        })
    }

    fn read_timestamp(&self, text: &str) -> Option<i64> {
        match &self.timestamp {
            Some(pattern) => pattern.parse(text).map(read::micros),
            None => read::timestamp(text),
        }
    }

    fn read_date(&self, text: &str) -> Option<i32> {
        match &self.date {
            Some(pattern) => pattern.parse(text).map(|time| read::days(time.date())),
            None => read::date(text),
        }
    }
}

/// The value of an option, whose name is given in small letters.
pub(super) fn option(options: Option<&ArrayRef>, name: &str) -> Result<Option<String>> {
    let Some(map) = options.and_then(|options| options.as_map_opt()) else {
        return Ok(None);
    };
    if map.is_empty() || map.is_null(0) {
        return Ok(None);
    }
    let entries = map.value(0);
    let [keys, values] = entries.columns() else {
        return Ok(None);
    };
    let (keys, values) = (Text::open(keys)?, Text::open(values)?);
    let mut rows = 0..keys.len();
    let found =
        rows.find(|row| Text::at(&keys, *row).is_some_and(|key| key.eq_ignore_ascii_case(name)));
    Ok(found.and_then(|row| Text::at(&values, row).map(str::to_owned)))
}

/// The array of a type of JSON values; what does not fit the type is NULL.
pub(super) fn to_array(
    values: &[Option<&Json>],
    data_type: &DataType,
    formats: &Formats,
) -> Result<ArrayRef> {
    let loosely = CastOptions::default();
    Ok(match data_type {
        DataType::Null => new_null_array(&DataType::Null, values.len()),
        DataType::Boolean => Arc::new(truths(values)),
        of if of.is_integer() => cast_with_options(&integers(values), of, &loosely)?,
        DataType::Float16 | DataType::Float32 | DataType::Float64 => {
            cast_with_options(&doubles(values), data_type, &loosely)?
        }
        DataType::Decimal128(_, _) => {
            let texts: ArrayRef = Arc::new(texts_of(values).collect::<StringArray>());
            cast_with_options(&texts, data_type, &loosely)?
        }
        DataType::Date32 => {
            let days = texts_of(values).map(|text| text.and_then(|text| formats.read_date(&text)));
            <Date as Output>::collect(days.collect())
        }
        DataType::Timestamp(_, _) => {
            let times =
                texts_of(values).map(|text| text.and_then(|text| formats.read_timestamp(&text)));
            cast(&<Time as Output>::collect(times.collect()), data_type)?
        }
        DataType::Binary => {
            let bytes = texts_of(values).map(|text| text.map(String::into_bytes));
            Arc::new(bytes.collect::<BinaryArray>())
        }
        DataType::List(field) => to_lists(values, field, formats)?,
        DataType::Map(_, _) => to_maps(values, data_type, formats)?,
        DataType::Struct(fields) => to_structs(values, fields, formats)?,
        _ => Arc::new(texts_of(values).collect::<StringArray>()),
    })
}

fn texts_of(values: &[Option<&Json>]) -> impl Iterator<Item = Option<String>> {
    values.iter().map(|value| value.and_then(Json::unquoted))
}

fn truths(values: &[Option<&Json>]) -> BooleanArray {
    let truth = |value: &Option<&Json>| match value {
        Some(Json::Boolean(truth)) => Some(*truth),
        _ => None,
    };
    values.iter().map(truth).collect()
}

fn integers(values: &[Option<&Json>]) -> Int64Array {
    let whole = |value: &Option<&Json>| match value {
        Some(Json::Integer(number)) => Some(*number),
        _ => None,
    };
    values.iter().map(whole).collect()
}

fn doubles(values: &[Option<&Json>]) -> Float64Array {
    let number = |value: &Option<&Json>| match value {
        Some(Json::Integer(number)) => Some(*number as f64),
        Some(Json::Large(number)) => Some(*number as f64),
        Some(Json::Double(number)) => Some(*number),
        Some(Json::Text(text)) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    };
    values.iter().map(number).collect()
}

fn to_lists(values: &[Option<&Json>], field: &FieldRef, formats: &Formats) -> Result<ArrayRef> {
    let (mut items, mut lengths, mut valid) = (Vec::new(), Vec::new(), Vec::new());
    for value in values {
        let before = items.len();
        match value {
            Some(Json::Array(found)) => items.extend(found.iter().map(Some)),
            // One object stands for an array of it.
            Some(one @ Json::Object(_)) if field.data_type().is_nested() => items.push(Some(*one)),
            _ => {}
        }
        valid.push(matches!(value, Some(Json::Array(_))) || items.len() > before);
        lengths.push(items.len() - before);
    }
    let items = to_array(&items, field.data_type(), formats)?;
    list_from(items, lengths, valid, Arc::clone(field))
}

fn to_maps(values: &[Option<&Json>], data_type: &DataType, formats: &Formats) -> Result<ArrayRef> {
    let Some((_, of_value)) = crate::arrays::map_types(data_type) else {
        return exec_err!("a map is expected");
    };
    let (mut keys, mut found) = (Vec::new(), Vec::new());
    let (mut lengths, mut valid) = (Vec::new(), Vec::new());
    for value in values {
        let before = keys.len();
        valid.push(matches!(value, Some(Json::Object(_))));
        if let Some(Json::Object(members)) = value {
            keys.extend(members.iter().map(|(key, _)| Some(key.clone())));
            found.extend(members.iter().map(|(_, value)| Some(value)));
        }
        lengths.push(keys.len() - before);
    }
    let found = to_array(&found, &of_value, formats)?;
    map_from(
        <Text as Output>::collect(keys),
        found,
        lengths,
        valid,
        data_type,
    )
}

fn to_structs(values: &[Option<&Json>], fields: &Fields, formats: &Formats) -> Result<ArrayRef> {
    let columns = fields.iter().map(|field| {
        let members = values.iter().map(|value| {
            let value = (*value)?;
            value.member(field.name())
        });
        let members: Vec<Option<&Json>> = members.collect();
        to_array(&members, field.data_type(), formats)
    });
    let valid = values
        .iter()
        .map(|value| matches!(value, Some(Json::Object(_))));
    let nulls = NullBuffer::from(valid.collect::<Vec<bool>>());
    let columns = columns.collect::<Result<Vec<_>>>()?;
    Ok(Arc::new(StructArray::try_new(
        fields.clone(),
        columns,
        Some(nulls),
    )?))
}

/// The JSON of each row; `None` for NULL.
pub(super) fn from_array(array: &ArrayRef, formats: &Formats) -> Result<Vec<Option<Json>>> {
    let rows = 0..array.len();
    Ok(match array.data_type() {
        DataType::Null => vec![None; array.len()],
        DataType::Boolean => {
            let values = array.as_boolean();
            values
                .iter()
                .map(|value| value.map(Json::Boolean))
                .collect()
        }
        of if of.is_integer() => {
            let values = Long::open(array)?;
            rows.map(|row| Long::at(&values, row).map(Json::Integer))
                .collect()
        }
        DataType::Float16 | DataType::Float32 | DataType::Float64 => {
            let values = Double::open(array)?;
            rows.map(|row| Double::at(&values, row).map(Json::Double))
                .collect()
        }
        of if of.is_decimal() => {
            let texts = cast(array, &DataType::Utf8)?;
            let texts = Text::open(&texts)?;
            let number = |text: &str| Json::read(text).unwrap_or(Json::Null);
            rows.map(|row| Text::at(&texts, row).map(number)).collect()
        }
        DataType::Timestamp(_, _) => from_times(array, formats)?,
        DataType::Date32 | DataType::Date64 => from_dates(array, formats)?,
        DataType::List(_) => from_lists(array, formats)?,
        DataType::Map(_, _) => from_maps(array, formats)?,
        DataType::Struct(fields) => from_structs(array, fields, formats)?,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
            use base64::Engine;
            let bytes = crate::value::Bytes::open(array)?;
            let text =
                |bytes: &[u8]| Json::Text(base64::engine::general_purpose::STANDARD.encode(bytes));
            rows.map(|row| crate::value::Bytes::at(&bytes, row).map(text))
                .collect()
        }
        _ => {
            let texts = Text::open(array)?;
            rows.map(|row| Text::at(&texts, row).map(|text| Json::Text(text.to_owned())))
                .collect()
        }
    })
}

fn from_times(array: &ArrayRef, formats: &Formats) -> Result<Vec<Option<Json>>> {
    let times = Time::open(array)?;
    let text = |time: i64| {
        let moment = read::to_time(time).unwrap_or_default();
        Json::Text(match &formats.timestamp {
            Some(pattern) => pattern.format(moment),
            None => moment.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
        })
    };
    Ok((0..array.len())
        .map(|row| Time::at(&times, row).map(text))
        .collect())
}

fn from_dates(array: &ArrayRef, formats: &Formats) -> Result<Vec<Option<Json>>> {
    let days = Date::open(array)?;
    let text = |day: i32| {
        let date = read::to_date(day).unwrap_or_default();
        Json::Text(match &formats.date {
            Some(pattern) => pattern.format(date.and_time(chrono::NaiveTime::MIN)),
            None => date.to_string(),
        })
    };
    Ok((0..array.len())
        .map(|row| Date::at(&days, row).map(text))
        .collect())
}

fn from_lists(array: &ArrayRef, formats: &Formats) -> Result<Vec<Option<Json>>> {
    let lists = array.as_list::<i32>();
    let items = from_array(lists.values(), formats)?;
    let offsets = lists.value_offsets();
    let of = |row: usize| {
        let (start, end) = (*offsets.get(row)? as usize, *offsets.get(row + 1)? as usize);
        let items = items.get(start..end)?.iter();
        let items = items.map(|item| item.clone().unwrap_or(Json::Null));
        lists.is_valid(row).then(|| Json::Array(items.collect()))
    };
    Ok((0..array.len()).map(of).collect())
}

fn from_maps(array: &ArrayRef, formats: &Formats) -> Result<Vec<Option<Json>>> {
    let maps = array.as_map();
    let keys = from_array(maps.keys(), formats)?;
    let values = from_array(maps.values(), formats)?;
    let offsets = maps.value_offsets();
    let of = |row: usize| {
        let (start, end) = (*offsets.get(row)? as usize, *offsets.get(row + 1)? as usize);
        let entries = keys.get(start..end)?.iter().zip(values.get(start..end)?);
        let members = entries.map(|(key, value)| {
            let key = key.as_ref().and_then(Json::unquoted).unwrap_or_default();
            (key, value.clone().unwrap_or(Json::Null))
        });
        maps.is_valid(row).then(|| Json::Object(members.collect()))
    };
    Ok((0..array.len()).map(of).collect())
}

fn from_structs(array: &ArrayRef, fields: &Fields, formats: &Formats) -> Result<Vec<Option<Json>>> {
    let structs = array.as_struct();
    let columns = structs.columns().iter();
    let columns = columns.map(|column| from_array(column, formats));
    let columns: Vec<Vec<Option<Json>>> = columns.collect::<Result<_>>()?;
    let of = |row: usize| {
        // Members that are NULL are left out.
        let members = fields.iter().zip(&columns).filter_map(|(field, column)| {
            let value = column.get(row).cloned().flatten()?;
            Some((field.name().clone(), value))
        });
        structs
            .is_valid(row)
            .then(|| Json::Object(members.collect()))
    };
    Ok((0..array.len()).map(of).collect())
}

fn planned_schema(planned: &Planned) -> Result<DataType> {
    let Some(text) = planned.text(1) else {
        return match planned.constants.is_empty() {
            true => Ok(DataType::Utf8),
            false => plan_err!("the schema of from_json is a constant text"),
        };
    };
    match schema::read(text) {
        Some(data_type) => Ok(data_type),
        None => plan_err!("'{text}' is not a schema such as 'a INT, b ARRAY<STRING>'"),
    }
}

fn from_json(has_options: bool) -> Body {
    let mut kinds = vec![Kind::Text, Kind::Text];
    kinds.extend(has_options.then_some(Kind::Map));
    Body::new(kinds, planned_schema, |call| {
        let texts = Text::open(call.array(0)?)?;
        let formats = Formats::open(call.arrays.get(2))?;
        let values = (0..call.rows).map(|row| {
            Text::at(&texts, row).and_then(|text| match Json::read(text) {
                None if matches!(call.return_type, DataType::Struct(_))
                    && !text.trim().is_empty() =>
                {
                    // What is not JSON is a struct of NULLs.
                    Some(Json::Object(Vec::new()))
                }
                read => read,
            })
        });
        let values: Vec<Option<Json>> = values.collect();
        let values: Vec<Option<&Json>> = values.iter().map(Option::as_ref).collect();
        to_array(&values, &call.return_type, &formats)
    })
}

fn to_json(has_options: bool) -> Body {
    let mut kinds = vec![Kind::Any];
    kinds.extend(has_options.then_some(Kind::Map));
    Body::new(
        kinds,
        |_| Ok(DataType::Utf8),
        |call| {
            let formats = Formats::open(call.arrays.get(1))?;
            let rows = from_array(call.array(0)?, &formats)?;
            let texts = rows
                .into_iter()
                .map(|json| json.map(|json| json.to_string()));
            Ok(<Text as Output>::collect(texts.collect()))
        },
    )
}

pub(super) fn add(functions: &mut Functions) {
    functions.add(
        scalar(
            "from_json(json, schema[, options])",
            "The value of a JSON text, by a schema such as `a INT, b ARRAY<STRING>`; what does not fit is NULL.",
        )
        .example(r#"from_json('{"a":1, "b":0.8}', 'a INT, b DOUBLE')"#, "{a: 1, b: 0.8}")
        .body(from_json(false))
        .body(from_json(true)),
    );
    functions.add(
        scalar(
            "to_json(value[, options])",
            "The JSON text of a value; fields that are NULL are left out.",
        )
        .example(
            "to_json(named_struct('a', 1, 'b', array('x', NULL)))",
            r#"{"a":1,"b":["x",null]}"#,
        )
        .body(to_json(false))
        .body(to_json(true)),
    );
}
