//! Texts, bytes and arrays put together.

use crate::lists::{Lists, list_of, nullable_list};
use crate::registry::Functions;
use crate::scalar::{Body, Call, scalar};
use crate::value::{Argument, BytesOnly, Int, Kind, Output, Text};
use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::arrow::compute::{cast, concat};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::exec_err;
use datafusion::error::Result;

fn joined_lists(call: &Call) -> Result<ArrayRef> {
    let DataType::List(field) = call.return_type.clone() else {
        return exec_err!("concat takes arrays, or texts");
    };
    let lists: Vec<Lists> = call.arrays.iter().map(Lists::open).collect::<Result<_>>()?;
    let (mut starts, mut length) = (Vec::new(), 0);
    let mut arrays: Vec<ArrayRef> = Vec::new();
    for list in &lists {
        starts.push(length);
        length += list.items().len();
        arrays.push(cast(list.items(), field.data_type())?);
    }
    let arrays: Vec<&dyn Array> = arrays.iter().map(AsRef::as_ref).collect();
    let items = concat(&arrays)?;
    let rows = (0..call.rows).map(|row| {
        let ranges: Option<Vec<_>> = lists.iter().map(|list| list.at(row)).collect();
        let ranges = ranges?.into_iter().zip(&starts);
        let indices = ranges.flat_map(|(range, start)| range.map(move |index| Some(index + start)));
        Some(indices.collect())
    });
    list_of(rows.collect(), &items, field)
}

fn joined<T: Argument>(call: &Call) -> Result<Vec<Option<Vec<u8>>>>
where
    for<'a> T::Item<'a>: AsRef<[u8]>,
{
    let columns: Vec<T::Column> = call.arrays.iter().map(T::open).collect::<Result<_>>()?;
    let rows = (0..call.rows).map(|row| {
        let mut whole = Vec::new();
        for column in &columns {
            whole.extend_from_slice(T::at(column, row)?.as_ref());
        }
        Some(whole)
    });
    Ok(rows.collect())
}

/// The texts of each row with a separator between them; those of arrays, too, and none for NULL.
fn with_separator(call: &Call) -> Result<ArrayRef> {
    enum Column {
        Texts(<Text as Argument>::Column),
        Lists(Lists, <Text as Argument>::Column),
    }
    let separators = Text::open(call.array(0)?)?;
    let mut columns = Vec::new();
    for array in call.arrays.iter().skip(1) {
        columns.push(match array.data_type() {
            DataType::List(_) => {
                let lists = Lists::open(array)?;
                let items = Text::open(lists.items())?;
                Column::Lists(lists, items)
            }
            _ => Column::Texts(Text::open(array)?),
        });
    }
    let rows = (0..call.rows).map(|row| {
        let separator = Text::at(&separators, row)?;
        let mut parts: Vec<&str> = Vec::new();
        for column in &columns {
            match column {
                Column::Texts(texts) => parts.extend(Text::at(texts, row)),
                Column::Lists(lists, items) => {
                    let range = lists.at(row).unwrap_or(0..0);
                    parts.extend(range.filter_map(|index| Text::at(items, index)));
                }
            }
        }
        Some(parts.join(separator))
    });
    Ok(<Text as Output>::collect(rows.collect()))
}

fn field(call: &Call) -> Result<ArrayRef> {
    let columns: Vec<_> = call.arrays.iter().map(Text::open).collect::<Result<_>>()?;
    let Some((values, others)) = columns.split_first() else {
        return exec_err!("field takes a value");
    };
    let rows = (0..call.rows).map(|row| {
        let found = Text::at(values, row).and_then(|value| {
            let mut others = others.iter();
            others.position(|other| Text::at(other, row) == Some(value))
        });
        Some(found.map_or(0, |found| found as i32 + 1))
    });
    Ok(<Int as Output>::collect(rows.collect()))
}

pub(super) fn add(functions: &mut Functions) {
    add_concat(functions);
    add_concat_ws(functions);
    add_field(functions);
}

fn add_concat(functions: &mut Functions) {
    functions.add(
        scalar(
            "concat(value, …)",
            "Texts, bytes or arrays put together; NULL where one is NULL.",
        )
        .hive()
        .example("concat('Spark', 'SQL')", "SparkSQL")
        .example("concat('Spark', NULL)", "NULL")
        .example(
            "concat(array(1, 2, 3), array(4, 5), array(6))",
            "[1, 2, 3, 4, 5, 6]",
        )
        .body(Body::new(
            vec![],
            |_| Ok(DataType::Utf8),
            |call| {
                Ok(<Text as Output>::collect(vec![
                    Some(String::new());
                    call.rows
                ]))
            },
        ))
        .body(
            Body::new(
                vec![Kind::Text],
                |_| Ok(DataType::Utf8),
                |call| {
                    let rows = joined::<Text>(call)?.into_iter();
                    let rows =
                        rows.map(|row| row.map(|row| String::from_utf8_lossy(&row).into_owned()));
                    Ok(<Text as Output>::collect(rows.collect()))
                },
            )
            .and_more(Kind::Text)
            .unless(|types| types.iter().all(|of| BytesOnly::KIND.accept(of).is_some())),
        )
        .body(
            Body::new(
                vec![Kind::BytesOnly],
                |_| Ok(DataType::Binary),
                |call| {
                    let rows = joined::<BytesOnly>(call)?;
                    Ok(<crate::value::Bytes as Output>::collect(rows))
                },
            )
            .and_more(Kind::BytesOnly),
        )
        .body(
            Body::new(
                vec![Kind::List],
                |planned| {
                    let known = planned.types.iter();
                    let mut known =
                        known.filter(|of| **of != DataType::new_list(DataType::Null, true));
                    Ok(nullable_list(known.next().unwrap_or(&planned.data_type(0))))
                },
                joined_lists,
            )
            .and_more(Kind::List),
        ),
    );
}

fn add_concat_ws(functions: &mut Functions) {
    functions.add(
        scalar(
            "concat_ws(separator, value, …)",
            "Texts, and those of arrays, with a separator between them; NULL is left out.",
        )
        .hive()
        .example(
            "concat_ws(' ', 'Spark', NULL, array('SQL', '4'))",
            "Spark SQL 4",
        )
        .body(
            Body::new(vec![Kind::Text], |_| Ok(DataType::Utf8), with_separator).and_more(Kind::Any),
        ),
    );
}

fn add_field(functions: &mut Functions) {
    functions.add(
        scalar(
            "field(value, other, …)",
            "Which of the others, counted from 1, is the value; 0 for none.",
        )
        .example("field('b', 'a', 'b')", "2")
        .body(
            Body::new(vec![Kind::Text, Kind::Text], |_| Ok(DataType::Int32), field)
                .and_more(Kind::Text),
        ),
    );
}
