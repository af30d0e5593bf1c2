//! Items of arrays and maps: how many, which one, and where.

use crate::lists::{Lists, items_at};
use crate::registry::Functions;
use crate::scalar::{Body, Planned, scalar};
use crate::value::{Argument, Int, Kind, Long, Output};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, DynComparator, MapArray, make_comparator,
};
use datafusion::arrow::compute::{SortOptions, cast};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{exec_err, plan_err};
use datafusion::error::Result;
use std::sync::Arc;

/// The type of a map's keys and that of its values.
pub(crate) fn map_types(data_type: &DataType) -> Option<(DataType, DataType)> {
    let DataType::Map(entries, _) = data_type else {
        return None;
    };
    match entries.data_type() {
        DataType::Struct(fields) => match fields.as_ref() {
            [key, value] => Some((key.data_type().clone(), value.data_type().clone())),
            _ => None,
        },
        _ => None,
    }
}

pub(super) fn item_type(planned: &Planned, index: usize) -> Result<DataType> {
    match planned.data_type(index) {
        DataType::List(field) => Ok(field.data_type().clone()),
        DataType::Map(entries, ordered) => {
            match map_types(&DataType::Map(Arc::clone(&entries), ordered)) {
                Some((_, value)) => Ok(value),
                None => plan_err!("an argument is not a map"),
            }
        }
        _ => plan_err!("an argument is not an array"),
    }
}

/// Compares items with values, as ORDER BY does.
pub(crate) fn comparator(left: &ArrayRef, right: &ArrayRef) -> Result<DynComparator> {
    let options = SortOptions {
        descending: false,
        nulls_first: true,
    };
    match left.data_type() == right.data_type() {
        true => Ok(make_comparator(left, right, options)?),
        false => Ok(make_comparator(
            left,
            &cast(right, left.data_type())?,
            options,
        )?),
    }
}

fn lengths(array: &ArrayRef) -> Result<Vec<Option<i32>>> {
    if let Some(map) = array.as_map_opt() {
        let lengths = (0..map.len()).map(|row| map.is_valid(row).then(|| map.value_length(row)));
        return Ok(lengths.collect());
    }
    let lists = Lists::open(array)?;
    let length = |row| lists.at(row).map(|range| range.len() as i32);
    Ok((0..array.len()).map(length).collect())
}

fn counted(kind: Kind, of_null: Option<i32>) -> Body {
    Body::new(
        vec![kind],
        |_| Ok(DataType::Int32),
        move |call| {
            let lengths = lengths(call.array(0)?)?;
            let lengths = lengths.into_iter().map(|length| length.or(of_null));
            Ok(<Int as Output>::collect(lengths.collect()))
        },
    )
}

/// The item of each row at an index, where `offset` gives it of the index and the length.
pub(crate) fn picked(offset: fn(i64, i64) -> Result<Option<i64>>) -> Body {
    Body::new(
        vec![Kind::List, Kind::Long],
        |planned| item_type(planned, 0),
        move |call| {
            let lists = Lists::open(call.array(0)?)?;
            let indices = Long::open(call.array(1)?)?;
            let mut picked = Vec::with_capacity(call.rows);
            for row in 0..call.rows {
                picked.push(match (lists.at(row), Long::at(&indices, row)) {
                    (Some(range), Some(index)) => {
                        let found = offset(index, range.len() as i64)?;
                        found
                            .and_then(|found| usize::try_from(found).ok())
                            .filter(|found| *found < range.len())
                            .map(|found| range.start + found)
                    }
                    _ => None,
                });
            }
            items_at(lists.items(), picked)
        },
    )
}

/// The value of each row's key.
pub(crate) fn looked_up() -> Body {
    Body::new(
        vec![Kind::Map, Kind::Any],
        |planned| item_type(planned, 0),
        |call| {
            let Some(map) = call.array(0)?.as_map_opt() else {
                return exec_err!("an argument is not a map");
            };
            let found = positions(map, call.array(1)?)?;
            items_at(map.values(), found)
        },
    )
}

/// Where the keys are among those of each row's map; `None` where they are not.
pub(crate) fn positions(map: &MapArray, keys: &ArrayRef) -> Result<Vec<Option<usize>>> {
    let keys = match keys.data_type() == map.keys().data_type() {
        true => Arc::clone(keys),
        false => cast(keys, map.keys().data_type())?,
    };
    let compare = comparator(map.keys(), &keys)?;
    let offsets = map.value_offsets();
    Ok((0..map.len())
        .map(|row| {
            let (start, end) = (*offsets.get(row)? as usize, *offsets.get(row + 1)? as usize);
            let is_known = map.is_valid(row) && keys.is_valid(row);
            let mut range = start..end;
            is_known
                .then(|| range.find(|index| compare(*index, row).is_eq()))
                .flatten()
        })
        .collect())
}

fn from_one(index: i64, length: i64) -> Result<Option<i64>> {
    match index {
        0 => exec_err!("the items of an array are counted from 1, or from -1 at its end"),
        1.. => Ok(Some(index - 1)),
        _ => Ok(Some(length + index)),
    }
}

pub(super) fn add(functions: &mut Functions) {
    add_sizes(functions);
    add_picks(functions);
    add_searches(functions);
}

fn add_sizes(functions: &mut Functions) {
    functions.add(
        scalar(
            "size(collection)",
            "The number of items of an array or of entries of a map; -1 for NULL.",
        )
        .example("size(array('b', 'd', 'c', 'a'))", "4")
        .body(counted(Kind::Map, Some(-1)))
        .body(counted(Kind::List, Some(-1))),
    );
    functions.add(
        scalar(
            "array_size(array)",
            "The number of items of an array; NULL for NULL.",
        )
        .example("array_size(array('b', 'd', 'c', 'a'))", "4")
        .body(counted(Kind::List, None)),
    );
}

fn add_picks(functions: &mut Functions) {
    functions.add(
        scalar(
            "element_at(collection, key)",
            "The item of an array at a position counted from 1, or from -1 at its end, or the value of a \
             map's key; NULL where there is none.",
        )
        .hive()
        .example("element_at(array(1, 2, 3), -1)", "3")
        .example("element_at(map(1, 'a', 2, 'b'), 2)", "b")
        .body(looked_up())
        .body(picked(from_one)),
    );
    functions.add(
        scalar(
            "try_element_at(collection, key)",
            "The item of an array at a position counted from 1, or from -1 at its end, or the value of a \
             map's key; NULL where there is none.",
        )
        .example("try_element_at(array(1, 2, 3), 5)", "NULL")
        .body(looked_up())
        .body(picked(from_one)),
    );
    functions.add(
        scalar(
            "get(array, index)",
            "The item of an array at an index counted from 0, or NULL.",
        )
        .example("get(array(1, 2, 3), 0)", "1")
        .body(picked(|index, _| Ok(Some(index)))),
    );
    functions.add(
        scalar(
            "skep_item(collection, key)",
            "What `collection[key]` is in Hive's dialect.",
        )
        .body(looked_up())
        .body(picked(|index, _| Ok(Some(index)))),
    );
}

fn add_searches(functions: &mut Functions) {
    functions.add(
        scalar(
            "array_position(array, item)",
            "The position of the first such item, counted from 1; 0 where there is none.",
        )
        .hive()
        .example("array_position(array(312, 773, 708, 708), 708)", "3")
        .body(Body::new(
            vec![Kind::List, Kind::Any],
            |_| Ok(DataType::Int64),
            |call| {
                let lists = Lists::open(call.array(0)?)?;
                let wanted = call.array(1)?;
                let compare = same_types(&lists, wanted)?;
                let positions = (0..call.rows).map(|row| {
                    let range = lists.at(row)?;
                    let start = range.start;
                    wanted.is_valid(row).then(|| {
                        let found = range.into_iter().find(|index| compare(*index, row).is_eq());
                        found.map_or(0, |found| (found - start + 1) as i64)
                    })
                });
                Ok(<Long as Output>::collect(positions.collect()))
            },
        )),
    );
    functions.add(
        scalar(
            "array_contains(array, item)",
            "Whether an array has an item; NULL where it may be one of those that are NULL.",
        )
        .hive()
        .example("array_contains(array(1, 2, 3), 2)", "true")
        .body(Body::new(
            vec![Kind::List, Kind::Any],
            |_| Ok(DataType::Boolean),
            |call| {
                let lists = Lists::open(call.array(0)?)?;
                let wanted = call.array(1)?;
                let compare = same_types(&lists, wanted)?;
                let nulls = lists.items().logical_nulls();
                let is_null =
                    |index: usize| nulls.as_ref().is_some_and(|nulls| nulls.is_null(index));
                let found = (0..call.rows).map(|row| {
                    let range = lists.at(row).filter(|_| wanted.is_valid(row))?;
                    let is_there = range.clone().any(|index| compare(index, row).is_eq());
                    match is_there {
                        true => Some(true),
                        false => (!range.into_iter().any(is_null)).then_some(false),
                    }
                });
                Ok(Arc::new(found.collect::<BooleanArray>()))
            },
        )),
    );
}

/// Compares the items of arrays with values.
pub(super) fn same_types(lists: &Lists, values: &ArrayRef) -> Result<DynComparator> {
    let items = lists.items();
    if items.data_type().is_null() || values.data_type().is_null() {
        return Ok(Box::new(|_, _| std::cmp::Ordering::Less));
    }
    use datafusion::logical_expr::type_coercion::binary::comparison_coercion;
    match comparison_coercion(items.data_type(), values.data_type()) {
        Some(common) => comparator(&cast(items, &common)?, &cast(values, &common)?),
        None => comparator(items, values),
    }
}
