//! Arrays made of others: sorted, cut, turned round, with items put in or left out.

use super::items::{comparator, same_types};
use crate::lists::{Lists, list_of, nullable_list};
use crate::registry::Functions;
use crate::rows;
use crate::scalar::{Body, Call, scalar};
use crate::value::{Argument, Boolean, Kind, Long, Text, item};
use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::arrow::compute::{cast, concat};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{exec_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::type_coercion::binary::type_union_coercion;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use std::cmp::Ordering;
use std::ops::Range;

/// The items of a row, by their indices.
type Row = Vec<Option<usize>>;

fn all(range: Range<usize>) -> Row {
    range.map(Some).collect()
}

/// A function that puts the items of one array into another order, or leaves some out.
fn reordered(change: fn(&Call, usize, &Lists, Row) -> Result<Option<Row>>, kinds: &[Kind]) -> Body {
    let kinds = [Kind::List].into_iter().chain(kinds.iter().copied());
    Body::new(
        kinds.collect(),
        |planned| Ok(nullable_list(&planned.data_type(0))),
        move |call| {
            let lists = Lists::open(call.array(0)?)?;
            let rows = (0..call.rows).map(|row| match lists.at(row) {
                Some(range) => change(call, row, &lists, all(range)),
                None => Ok(None),
            });
            list_of(rows.collect::<Result<_>>()?, lists.items(), lists.field())
        },
    )
}

fn long(call: &Call, argument: usize, row: usize) -> Result<Option<i64>> {
    let values = Long::open(&call.array(argument)?.slice(row, 1))?;
    Ok(Long::at(&values, 0))
}

/// Sorts arrays, with where NULL stands.
fn sorted(kinds: Vec<Kind>, nulls_first: fn(ascending: bool) -> bool) -> Body {
    Body::new(
        kinds,
        |planned| Ok(nullable_list(&planned.data_type(0))),
        move |call| {
            let lists = Lists::open(call.array(0)?)?;
            let items = lists.items();
            let orders = call.arrays.get(1).map(Boolean::open).transpose()?;
            let nulls = items.logical_nulls();
            let is_null = |index: usize| nulls.as_ref().is_some_and(|nulls| nulls.is_null(index));
            let compare = match items.data_type().is_null() {
                true => None,
                false => Some(comparator(items, items)?),
            };
            let rows = (0..call.rows).map(|row| {
                let ascending = match &orders {
                    None => true,
                    Some(orders) => Boolean::at(orders, row)?,
                };
                let mut indices: Vec<usize> = lists.at(row)?.collect();
                indices.sort_by(|a, b| match (is_null(*a), is_null(*b)) {
                    (true, true) => Ordering::Equal,
                    (true, false) if nulls_first(ascending) => Ordering::Less,
                    (true, false) => Ordering::Greater,
                    (false, true) if nulls_first(ascending) => Ordering::Greater,
                    (false, true) => Ordering::Less,
                    (false, false) => {
                        let order = compare.as_ref().map_or(Ordering::Equal, |c| c(*a, *b));
                        if ascending { order } else { order.reverse() }
                    }
                });
                Some(indices.into_iter().map(Some).collect::<Row>())
            });
            list_of(rows.collect(), items, lists.field())
        },
    )
}

pub(super) fn add(functions: &mut Functions) {
    add_orders(functions);
    add_removals(functions);
    add_insertions(functions);
}

fn add_orders(functions: &mut Functions) {
    functions.add(
        scalar(
            "sort_array(array[, ascending])",
            "The array sorted; NULL comes first, and last where ascending is false.",
        )
        .example(
            "sort_array(array('b', 'd', NULL, 'c', 'a'))",
            "[, a, b, c, d]",
        )
        .body(sorted(vec![Kind::List], |ascending| ascending))
        .body(sorted(vec![Kind::List, Kind::Boolean], |ascending| {
            ascending
        })),
    );
    functions.add(
        scalar(
            "array_sort(array[, (a, b) -> order])",
            "The array sorted, NULL last; by a lambda that is negative, 0 or positive where there is one.",
        )
        .hive()
        .example("array_sort(array('b', NULL, 'a'))", "[a, b, ]")
        .body(sorted(vec![Kind::List], |_| false)),
    );
    functions.add(
        scalar(
            "reverse(value)",
            "The text or the array from its end to its beginning.",
        )
        .hive()
        .example("reverse('Spark SQL')", "LQS krapS")
        .example("reverse(array(2, 1, 4, 3))", "[3, 4, 1, 2]")
        .body(reordered(
            |_, _, _, mut row| {
                row.reverse();
                Ok(Some(row))
            },
            &[],
        ))
        .body(rows!(|text: Text| -> Text {
            Ok(Some(text.chars().rev().collect()))
        })),
    );
    functions.add(
        scalar("shuffle(array[, seed])", "The array in a random order.")
            .volatile()
            .body(reordered(|_, _, _, row| Ok(Some(shuffled(row, None))), &[]))
            .body(reordered(
                |call, index, _, row| Ok(Some(shuffled(row, long(call, 1, index)?))),
                &[Kind::Long],
            )),
    );
}

fn add_removals(functions: &mut Functions) {
    functions.add(
        scalar(
            "slice(array, start, length)",
            "The items from a position on, which is counted from 1, or from -1 at the end.",
        )
        .example("slice(array(1, 2, 3, 4), -2, 2)", "[3, 4]")
        .body(reordered(sliced, &[Kind::Long, Kind::Long])),
    );
    functions.add(
        scalar(
            "array_remove(array, item)",
            "The array without all such items.",
        )
        .hive()
        .example("array_remove(array(1, 2, 3, NULL, 3), 3)", "[1, 2, ]")
        .body(reordered(
            |call, index, lists, mut row| {
                let wanted = call.array(1)?;
                if wanted.is_null(index) {
                    return Ok(None);
                }
                let compare = same_types(lists, wanted)?;
                row.retain(|item| item.is_some_and(|item| !compare(item, index).is_eq()));
                Ok(Some(row))
            },
            &[Kind::Any],
        )),
    );
}

fn add_insertions(functions: &mut Functions) {
    functions.add(
        scalar(
            "array_append(array, item)",
            "The array with an item behind its last; NULL for NULL.",
        )
        .hive()
        .example("array_append(array('b', 'd'), 'd')", "[b, d, d]")
        .body(inserted(false, |_, _, length| Ok(Some(length)))),
    );
    functions.add(
        scalar(
            "array_prepend(array, item)",
            "The array with an item before its first; NULL for NULL.",
        )
        .hive()
        .example("array_prepend(array('b', 'd'), 'd')", "[d, b, d]")
        .body(inserted(false, |_, _, _| Ok(Some(0)))),
    );
    functions.add(
        scalar(
            "array_insert(array, position, item)",
            "The array with an item put in at a position, which is counted from 1, or from -1 behind the last.",
        )
        .example("array_insert(array(1, 2, 3, 4), 5, 5)", "[1, 2, 3, 4, 5]")
        .example("array_insert(array(5, 3, 2, 1), -4, 4)", "[5, 4, 3, 2, 1]")
        .body(inserted(true, |call, row, length| {
            let Some(position) = long(call, 1, row)? else {
                return Ok(None);
            };
            match position {
                0 => exec_err!("the positions of an array are counted from 1, or from -1 at its end"),
                1.. => Ok(Some(position - 1)),
                _ => Ok(Some(length + 1 + position)),
            }
        })),
    );
}

fn shuffled(mut row: Row, seed: Option<i64>) -> Row {
    match seed {
        Some(seed) => row.shuffle(&mut rand::rngs::StdRng::seed_from_u64(seed as u64)),
        None => row.shuffle(&mut rand::rng()),
    }
    row
}

fn sliced(call: &Call, index: usize, _: &Lists, row: Row) -> Result<Option<Row>> {
    let (Some(start), Some(count)) = (long(call, 1, index)?, long(call, 2, index)?) else {
        return Ok(None);
    };
    let length = row.len() as i64;
    if start == 0 || count < 0 {
        return exec_err!("slice takes a start that is not 0, and a length that is not negative");
    }
    let begin = if start > 0 { start - 1 } else { length + start };
    if begin < 0 || begin >= length {
        return Ok(Some(Row::new()));
    }
    let kept = row.into_iter().skip(begin as usize).take(count as usize);
    Ok(Some(kept.collect()))
}

/// Puts the last argument into the array of the first, at the index that `place` gives of the length.
fn inserted(has_position: bool, place: fn(&Call, usize, i64) -> Result<Option<i64>>) -> Body {
    let kinds = match has_position {
        true => vec![Kind::List, Kind::Long, Kind::Any],
        false => vec![Kind::List, Kind::Any],
    };
    let last = kinds.len() - 1;
    Body::new(
        kinds,
        move |planned| {
            let DataType::List(field) = planned.data_type(0) else {
                return plan_err!("the first argument is not an array");
            };
            match type_union_coercion(field.data_type(), &planned.data_type(last)) {
                Some(common) => Ok(DataType::List(item(common))),
                None => plan_err!("the item is not of the array's type"),
            }
        },
        move |call| {
            let DataType::List(field) = call.return_type.clone() else {
                return exec_err!("an array is expected");
            };
            let lists = Lists::open(call.array(0)?)?;
            let old: ArrayRef = cast(lists.items(), field.data_type())?;
            let new: ArrayRef = cast(call.array(last)?, field.data_type())?;
            let items = concat(&[old.as_ref(), new.as_ref()])?;
            let mut rows = Vec::with_capacity(call.rows);
            for row in 0..call.rows {
                let Some(range) = lists.at(row) else {
                    rows.push(None);
                    continue;
                };
                let length = range.len() as i64;
                let added = Some(old.len() + row);
                let mut indices = all(range);
                match place(call, row, length)? {
                    None => {
                        rows.push(None);
                        continue;
                    }
                    Some(at) if !(-(1 << 24)..=1 << 24).contains(&at) => {
                        return exec_err!("the position is beyond what an array may have");
                    }
                    Some(at) if at < 0 => {
                        let gap = vec![None; (-at) as usize];
                        let filled = [added].into_iter().chain(gap).chain(indices);
                        rows.push(Some(filled.collect()));
                        continue;
                    }
                    Some(at) => {
                        while (indices.len() as i64) < at {
                            indices.push(None);
                        }
                        indices.insert(at as usize, added);
                    }
                }
                rows.push(Some(indices));
            }
            list_of(rows, &items, field)
        },
    )
}
