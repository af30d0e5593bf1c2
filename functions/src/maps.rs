//! Functions of maps.

use crate::arrays::{comparator, map_types};
use crate::lists::{Lists, items_at};
use crate::registry::Functions;
use crate::scalar::{Body, Call, scalar};
use crate::value::{Argument, Kind, Output, Text};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, MapArray, StructArray};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::compute::{cast, concat};
use datafusion::arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::{exec_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::type_coercion::binary::type_union_coercion;
use std::ops::Range;
use std::sync::Arc;

/// An argument that is a map.
pub(crate) struct Maps(MapArray);

impl Maps {
    pub(crate) fn open(array: &ArrayRef) -> Result<Self> {
        match array.as_map_opt() {
            Some(map) => Ok(Self(map.clone())),
            None => exec_err!("an argument is not a map"),
        }
    }

    pub(crate) fn keys(&self) -> &ArrayRef {
        self.0.keys()
    }

    pub(crate) fn values(&self) -> &ArrayRef {
        self.0.values()
    }

    /// Where the entries of one row are; `None` for NULL.
    pub(crate) fn at(&self, row: usize) -> Option<Range<usize>> {
        let offsets = self.0.value_offsets();
        let (start, end) = (offsets.get(row)?, offsets.get(row + 1)?);
        let range = usize::try_from(*start).ok()?..usize::try_from(*end).ok()?;
        self.0.is_valid(row).then_some(range)
    }
}

/// The type of a map, as DataFusion makes it.
pub(crate) fn map_type(key: DataType, value: DataType) -> DataType {
    let fields = Fields::from(vec![
        Field::new("key", key, false),
        Field::new("value", value, true),
    ]);
    let entries = Field::new("entries", DataType::Struct(fields), false);
    DataType::Map(Arc::new(entries), false)
}

/// Maps of so many entries each.
///
/// # Errors
/// Where a key is NULL, or keys, values and type do not fit.
pub(crate) fn map_from(
    keys: ArrayRef,
    values: ArrayRef,
    lengths: Vec<usize>,
    valid: Vec<bool>,
    data_type: &DataType,
) -> Result<ArrayRef> {
    if keys.logical_null_count() > 0 {
        return exec_err!("a key of a map is NULL");
    }
    let DataType::Map(entries, ordered) = data_type else {
        return exec_err!("a map is expected");
    };
    let DataType::Struct(fields) = entries.data_type() else {
        return exec_err!("a map is expected");
    };
    let columns = fields.iter().zip([keys, values]).map(|(field, column)| {
        match field.data_type() == column.data_type() {
            true => Ok(column),
            false => cast(&column, field.data_type()),
        }
    });
    let columns = columns.collect::<std::result::Result<Vec<_>, _>>()?;
    let nulls = NullBuffer::from(valid);
    let nulls = (nulls.null_count() > 0).then_some(nulls);
    let items = StructArray::try_new(fields.clone(), columns, None)?;
    let offsets = OffsetBuffer::from_lengths(lengths);
    Ok(Arc::new(MapArray::try_new(
        Arc::clone(entries),
        offsets,
        items,
        nulls,
        *ordered,
    )?))
}

/// Refuses a key that a map has twice.
///
/// # Errors
/// Where there is one.
pub(crate) fn check_keys(keys: &ArrayRef, lengths: &[usize]) -> Result<()> {
    if keys.data_type().is_null() {
        return Ok(());
    }
    let compare = comparator(keys, keys)?;
    let mut start = 0;
    for length in lengths {
        let mut sorted: Vec<usize> = (start..start + length).collect();
        sorted.sort_by(|a, b| compare(*a, *b));
        let is_twice = sorted
            .windows(2)
            .any(|pair| matches!(pair, [a, b] if compare(*a, *b).is_eq()));
        if is_twice {
            return exec_err!("a map has a key twice");
        }
        start += length;
    }
    Ok(())
}

fn concat_type(types: &[DataType]) -> Result<DataType> {
    let mut common: Option<(DataType, DataType)> = None;
    for of in types {
        let Some((key, value)) = map_types(of) else {
            return plan_err!("map_concat takes maps");
        };
        common = match common {
            None => Some((key, value)),
            Some((known_key, known_value)) => {
                type_union_coercion(&known_key, &key).zip(type_union_coercion(&known_value, &value))
            }
        };
        if common.is_none() {
            return plan_err!("the maps have no common type");
        }
    }
    match common {
        Some((key, value)) => Ok(map_type(key, value)),
        None => plan_err!("map_concat takes maps"),
    }
}

fn concatenated(call: &Call) -> Result<ArrayRef> {
    let Some((key, value)) = map_types(&call.return_type) else {
        return exec_err!("a map is expected");
    };
    let maps: Vec<Maps> = call.arrays.iter().map(Maps::open).collect::<Result<_>>()?;
    let column =
        |of: &DataType, column: fn(&Maps) -> &ArrayRef| -> Result<(ArrayRef, Vec<usize>)> {
            let mut starts = Vec::new();
            let mut length = 0;
            let mut arrays: Vec<ArrayRef> = Vec::new();
            for map in &maps {
                starts.push(length);
                length += column(map).len();
                arrays.push(cast(column(map), of)?);
            }
            let arrays: Vec<&dyn Array> = arrays.iter().map(AsRef::as_ref).collect();
            Ok((concat(&arrays)?, starts))
        };
    let (keys, starts) = column(&key, Maps::keys)?;
    let (values, _) = column(&value, Maps::values)?;
    let (mut indices, mut lengths, mut valid) = (Vec::new(), Vec::new(), Vec::new());
    for row in 0..call.rows {
        let ranges: Option<Vec<_>> = maps.iter().map(|map| map.at(row)).collect();
        valid.push(ranges.is_some());
        let before = indices.len();
        for (range, start) in ranges.unwrap_or_default().into_iter().zip(&starts) {
            indices.extend(range.map(|index| Some(index + start)));
        }
        lengths.push(indices.len() - before);
    }
    let (keys, values) = (
        items_at(&keys, indices.clone())?,
        items_at(&values, indices)?,
    );
    check_keys(&keys, &lengths)?;
    map_from(keys, values, lengths, valid, &call.return_type)
}

fn contains_key() -> Body {
    Body::new(
        vec![Kind::Map, Kind::Any],
        |_| Ok(DataType::Boolean),
        |call| {
            let Some(map) = call.array(0)?.as_map_opt() else {
                return exec_err!("an argument is not a map");
            };
            let keys = call.array(1)?;
            let found = crate::arrays::positions(map, keys)?;
            let found = found.into_iter().enumerate().map(|(row, found)| {
                (map.is_valid(row) && keys.is_valid(row)).then_some(found.is_some())
            });
            Ok(Arc::new(found.collect::<BooleanArray>()))
        },
    )
}

/// Maps of two arrays for each row.
fn from_arrays(call: &Call) -> Result<ArrayRef> {
    let (keys, values) = (Lists::open(call.array(0)?)?, Lists::open(call.array(1)?)?);
    let (mut of_keys, mut of_values) = (Vec::new(), Vec::new());
    let (mut lengths, mut valid) = (Vec::new(), Vec::new());
    for row in 0..call.rows {
        let ranges = keys.at(row).zip(values.at(row));
        valid.push(ranges.is_some());
        let (keys, values) = ranges.unwrap_or((0..0, 0..0));
        if keys.len() != values.len() {
            return exec_err!(
                "a map cannot have {} keys and {} values",
                keys.len(),
                values.len()
            );
        }
        lengths.push(keys.len());
        of_keys.extend(keys.map(Some));
        of_values.extend(values.map(Some));
    }
    let made = items_at(keys.items(), of_keys)?;
    check_keys(&made, &lengths)?;
    map_from(
        made,
        items_at(values.items(), of_values)?,
        lengths,
        valid,
        &call.return_type,
    )
}

/// Maps of arrays of pairs.
fn from_entries(call: &Call) -> Result<ArrayRef> {
    let lists = Lists::open(call.array(0)?)?;
    let Some(pairs) = lists.items().as_struct_opt() else {
        return exec_err!("the items are not structs");
    };
    let [keys, values] = pairs.columns() else {
        return exec_err!("the items are not structs of two fields");
    };
    let (mut indices, mut lengths, mut valid) = (Vec::new(), Vec::new(), Vec::new());
    for row in 0..call.rows {
        let range = lists
            .at(row)
            .filter(|range| !range.clone().any(|index| pairs.is_null(index)));
        valid.push(range.is_some());
        let range = range.unwrap_or(0..0);
        lengths.push(range.len());
        indices.extend(range.map(Some));
    }
    let (keys, values) = (items_at(keys, indices.clone())?, items_at(values, indices)?);
    check_keys(&keys, &lengths)?;
    map_from(keys, values, lengths, valid, &call.return_type)
}

fn text_map(call: &Call) -> Result<ArrayRef> {
    let texts = Text::open(call.array(0)?)?;
    let separator = |index: usize, usual: &'static str| -> Result<Vec<Option<String>>> {
        let Some(array) = call.arrays.get(index) else {
            return Ok(vec![Some(usual.to_owned()); call.rows]);
        };
        let texts = Text::open(array)?;
        let texts = (0..call.rows).map(|row| Text::at(&texts, row).map(str::to_owned));
        Ok(texts.collect())
    };
    let (pairs, colons) = (separator(1, ",")?, separator(2, ":")?);
    let (mut keys, mut values) = (Vec::new(), Vec::new());
    let (mut lengths, mut valid) = (Vec::new(), Vec::new());
    for (row, (pair, colon)) in pairs.iter().zip(&colons).enumerate() {
        let known = Text::at(&texts, row)
            .zip(pair.as_deref())
            .zip(colon.as_deref());
        valid.push(known.is_some());
        let before = keys.len();
        if let Some(((text, pair), colon)) = known {
            let [Ok(pair), Ok(colon)] = [regex::Regex::new(pair), regex::Regex::new(colon)] else {
                return exec_err!("a separator of str_to_map is not a regular expression");
            };
            for part in pair.split(text) {
                let mut halves = colon.splitn(part, 2);
                keys.push(halves.next().map(str::to_owned));
                values.push(halves.next().map(str::to_owned));
            }
        }
        lengths.push(keys.len() - before);
    }
    let (keys, values) = (
        <Text as Output>::collect(keys),
        <Text as Output>::collect(values),
    );
    check_keys(&keys, &lengths)?;
    map_from(keys, values, lengths, valid, &call.return_type)
}

/// Adds them.
pub(crate) fn add(functions: &mut Functions) {
    add_of_maps(functions);
    add_from_lists(functions);
    add_from_texts(functions);
}

/// Those that take maps.
fn add_of_maps(functions: &mut Functions) {
    functions.add(
        scalar(
            "map_concat(map, …)",
            "The entries of several maps in one; an error where they share a key.",
        )
        .example(
            "map_concat(map(1, 'a', 2, 'b'), map(3, 'c'))",
            "{1: a, 2: b, 3: c}",
        )
        .body(
            Body::new(
                vec![Kind::Map],
                |planned| concat_type(planned.types),
                concatenated,
            )
            .and_more(Kind::Map),
        ),
    );
    functions.add(
        scalar("map_contains_key(map, key)", "Whether a map has a key.")
            .example("map_contains_key(map(1, 'a', 2, 'b'), 1)", "true")
            .body(contains_key()),
    );
}

/// Those that make maps of arrays.
fn add_from_lists(functions: &mut Functions) {
    functions.add(
        scalar(
            "map_from_arrays(keys, values)",
            "The map of an array of keys and one of values.",
        )
        .example(
            "map_from_arrays(array(1.0, 3.0), array('2', '4'))",
            "{1.0: 2, 3.0: 4}",
        )
        .body(Body::new(
            vec![Kind::List, Kind::List],
            |planned| match (planned.data_type(0), planned.data_type(1)) {
                (DataType::List(key), DataType::List(value)) => {
                    Ok(map_type(key.data_type().clone(), value.data_type().clone()))
                }
                _ => plan_err!("map_from_arrays takes two arrays"),
            },
            from_arrays,
        )),
    );
    functions.add(
        scalar(
            "map_from_entries(pairs)",
            "The map of an array of structs of a key and a value.",
        )
        .example(
            "map_from_entries(array(struct(1, 'a'), struct(2, 'b')))",
            "{1: a, 2: b}",
        )
        .body(Body::new(
            vec![Kind::List],
            |planned| match planned.data_type(0) {
                DataType::List(field) => match field.data_type() {
                    DataType::Struct(fields) if fields.len() == 2 => {
                        let mut types = fields.iter().map(|field| field.data_type().clone());
                        let key = types.next().unwrap_or(DataType::Null);
                        Ok(map_type(key, types.next().unwrap_or(DataType::Null)))
                    }
                    _ => plan_err!("map_from_entries takes an array of structs of two fields"),
                },
                _ => plan_err!("map_from_entries takes an array"),
            },
            from_entries,
        )),
    );
}

fn add_from_texts(functions: &mut Functions) {
    let returned = || map_type(DataType::Utf8, DataType::Utf8);
    let text_maps =
        |count: usize| Body::new(vec![Kind::Text; count], move |_| Ok(returned()), text_map);
    functions.add(
        scalar(
            "str_to_map(text[, pairs[, colon]])",
            "The map of a text of pairs, between which a comma stands, and in them a colon, or what regular \
             expressions find.",
        )
        .example("str_to_map('a:1,b:2,c:3')", "{a: 1, b: 2, c: 3}")
        .body(text_maps(1))
        .body(text_maps(2))
        .body(text_maps(3)),
    );
}
