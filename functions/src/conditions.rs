//! Functions that ask whether something is NULL or equal, choose between values, and raise errors.

use crate::registry::Functions;
use crate::rows;
use crate::scalar::{Body, Scalar, scalar};
use crate::types::sql_name;
use crate::value::{Argument, Boolean, Bytes, Kind, Output, Text};
use datafusion::arrow::array::{Array, ArrayRef, BooleanArray, new_null_array};
use datafusion::arrow::compute::kernels::cmp::not_distinct;
use datafusion::arrow::compute::kernels::zip::zip;
use datafusion::arrow::compute::{interleave, is_not_null, is_null};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::exec_err;
use datafusion::error::Result;
use std::sync::Arc;

/// Adds them.
pub(crate) fn add(functions: &mut Functions) {
    add_choice(functions);
    add_comparisons(functions);
    add_zeros(functions);
    add_type(functions);
    add_errors(functions);
}

fn add_choice(functions: &mut Functions) {
    functions.add(
        scalar(
            "if(condition, then, otherwise)",
            "One value where a condition is true, and the other where it is not.",
        )
        .example("if(1 < 2, 'a', 'b')", "a")
        .aliases(&["iff"])
        .body(Body::new(
            vec![Kind::Boolean, Kind::Common, Kind::Common],
            |planned| Ok(planned.data_type(1)),
            |call| {
                let condition = Boolean::open(call.array(0)?)?;
                Ok(zip(&condition, call.array(1)?, call.array(2)?)?)
            },
        ))
        .rewritten(|_, args| match args {
            // Only one of them is computed for a row.
            [condition, then, otherwise] => {
                use datafusion::logical_expr::when;
                when(condition.clone(), then.clone())
                    .otherwise(otherwise.clone())
                    .ok()
            }
            _ => None,
        }),
    );
}

fn add_comparisons(functions: &mut Functions) {
    functions.add(
        scalar("isnull(value)", "Whether a value is NULL.")
            .example("isnull(1)", "false")
            .body(Body::new(
                vec![Kind::Any],
                |_| Ok(DataType::Boolean),
                |call| Ok(Arc::new(is_null(call.array(0)?)?)),
            ))
            .rewritten(|_, args| args.first().map(|value| value.clone().is_null())),
    );
    functions.add(
        scalar("isnotnull(value)", "Whether a value is not NULL.")
            .example("isnotnull(1)", "true")
            .body(Body::new(
                vec![Kind::Any],
                |_| Ok(DataType::Boolean),
                |call| Ok(Arc::new(is_not_null(call.array(0)?)?)),
            ))
            .rewritten(|_, args| args.first().map(|value| value.clone().is_not_null())),
    );
    functions.add(
        scalar(
            "equal_null(a, b)",
            "Whether two values are equal, where NULL equals NULL.",
        )
        .example("equal_null(NULL, NULL)", "true")
        .body(Body::new(
            vec![Kind::Common, Kind::Common],
            |_| Ok(DataType::Boolean),
            |call| equal_null(call.array(0)?, call.array(1)?),
        )),
    );
}

fn add_zeros(functions: &mut Functions) {
    functions.add(
        scalar("nullifzero(number)", "The number, or NULL for 0.")
            .example("nullifzero(0)", "NULL")
            .body(Body::new(
                vec![Kind::Number],
                |planned| Ok(planned.data_type(0)),
                |call| {
                    let number = call.array(0)?;
                    let null = new_null_array(number.data_type(), 1);
                    choose(&zeros(number)?, &null, number)
                },
            )),
    );
    functions.add(
        scalar("zeroifnull(number)", "The number, or 0 for NULL.")
            .example("zeroifnull(CAST(NULL AS INT))", "0")
            .body(Body::new(
                vec![Kind::Number],
                |planned| Ok(planned.data_type(0)),
                |call| {
                    use datafusion::scalar::ScalarValue;
                    let number = call.array(0)?;
                    let zero = ScalarValue::new_zero(number.data_type())?.to_array()?;
                    choose(&is_null(number)?, &zero, number)
                },
            )),
    );
}

fn add_type(functions: &mut Functions) {
    functions.add(
        scalar("typeof(value)", "The type of a value, as Spark calls it.")
            .example("typeof(array(1))", "array<bigint>")
            .body(Body::new(
                vec![Kind::Any],
                |_| Ok(DataType::Utf8),
                |call| {
                    let name = sql_name(call.array(0)?.data_type());
                    Ok(<Text as Output>::collect(vec![Some(name); call.rows]))
                },
            )),
    );
}

fn zeros(number: &ArrayRef) -> Result<BooleanArray> {
    use datafusion::scalar::ScalarValue;
    let zero = ScalarValue::new_zero(number.data_type())?.to_scalar()?;
    Ok(datafusion::arrow::compute::kernels::cmp::eq(number, &zero)?)
}

/// The one value of `first` where the condition is true, and `others` where it is not.
fn choose(condition: &BooleanArray, first: &ArrayRef, others: &ArrayRef) -> Result<ArrayRef> {
    let scalar = datafusion::arrow::array::Scalar::new(Arc::clone(first));
    Ok(zip(condition, &scalar, others)?)
}

fn equal_null(left: &ArrayRef, right: &ArrayRef) -> Result<ArrayRef> {
    if !left.data_type().is_nested() && !left.data_type().is_null() {
        return Ok(Arc::new(not_distinct(left, right)?));
    }
    let compare = datafusion::arrow::array::make_comparator(left, right, Default::default());
    match compare {
        Ok(compare) => {
            let equal = (0..left.len()).map(|row| Some(compare(row, row).is_eq()));
            Ok(Arc::new(equal.collect::<BooleanArray>()))
        }
        Err(_) if left.data_type().is_null() => {
            Ok(Arc::new(BooleanArray::from(vec![true; left.len()])))
        }
        Err(error) => Err(error.into()),
    }
}

fn add_errors(functions: &mut Functions) {
    functions.add(
        scalar("raise_error(message)", "An error with this text.")
            .volatile()
            .body(Body::new(
                vec![Kind::Text],
                |_| Ok(DataType::Null),
                |call| {
                    let texts = Text::open(call.array(0)?)?;
                    match (0..call.rows).next() {
                        None => Ok(new_null_array(&DataType::Null, 0)),
                        Some(row) => exec_err!("{}", Text::at(&texts, row).unwrap_or_default()),
                    }
                },
            )),
    );
    functions.add(
        scalar(
            "assert_true(condition[, message])",
            "NULL where a condition is true, and an error where it is not.",
        )
        .volatile()
        .example("assert_true(0 < 1)", "NULL")
        .body(asserted(1))
        .body(asserted(2)),
    );
}

fn asserted(arguments: usize) -> Body {
    let kinds = [Kind::Boolean, Kind::Text];
    Body::new(
        kinds.into_iter().take(arguments).collect(),
        |_| Ok(DataType::Null),
        |call| {
            let conditions = Boolean::open(call.array(0)?)?;
            for row in 0..call.rows {
                if Boolean::at(&conditions, row) == Some(true) {
                    continue;
                }
                let message = match call.arrays.get(1) {
                    None => None,
                    Some(texts) => Text::at(&Text::open(texts)?, row).map(str::to_owned),
                };
                return exec_err!(
                    "{}",
                    message.unwrap_or_else(|| "the condition is not true".to_owned())
                );
            }
            Ok(new_null_array(&DataType::Null, call.rows))
        },
    )
}

/// `decode` of bytes by a character set, and of a value by what it equals.
pub(crate) fn decode(charset: fn(&[u8], &str) -> Result<String>) -> Scalar {
    scalar(
        "decode(bytes, charset)",
        "Bytes of a character set as text; with more arguments, decode(value, search, result, …, otherwise), \
         the result behind what equals the value.",
    )
    .hive()
    .example("decode(encode('abc', 'utf-8'), 'utf-8')", "abc")
    .example("decode(2, 1, 'Southlake', 2, 'San Francisco', 'Non domestic')", "San Francisco")
    .body(rows!(|bytes: Bytes, name: Text| -> Text { charset(bytes, name).map(Some) }))
    .body(
        Body::new(
            vec![Kind::Any, Kind::Any, Kind::Any],
            |planned| {
                // The results must have one type: that of the first which is not NULL.
                let count = planned.types.len();
                let results = (0..count).filter(|index| is_result(*index, count));
                let mut types = results.map(|index| planned.data_type(index));
                Ok(types.find(|of| !of.is_null()).unwrap_or(DataType::Utf8))
            },
            |call| searched(&call.arrays, call.rows, &call.return_type),
        )
        .and_more(Kind::Any),
    )
}

/// Whether an argument of `decode` is a result.
fn is_result(index: usize, count: usize) -> bool {
    index >= 2 && (index.is_multiple_of(2) || (index + 1 == count && count.is_multiple_of(2)))
}

fn searched(arrays: &[ArrayRef], rows: usize, data_type: &DataType) -> Result<ArrayRef> {
    use datafusion::arrow::compute::cast;
    let Some((value, others)) = arrays.split_first() else {
        return exec_err!("decode takes a value");
    };
    let mut results: Vec<ArrayRef> = vec![new_null_array(data_type, rows.max(1))];
    let mut chosen: Vec<Option<usize>> = vec![None; rows];
    for pair in others.chunks(2) {
        match pair {
            [search, result] => {
                let search = cast(search, value.data_type())?;
                let equal = equal_null(value, &search)?;
                let equal = Boolean::open(&equal)?;
                for (row, choice) in chosen.iter_mut().enumerate() {
                    if choice.is_none() && equal.value(row) {
                        *choice = Some(results.len());
                    }
                }
                results.push(cast(result, data_type)?);
            }
            [otherwise] => {
                for choice in chosen.iter_mut().filter(|choice| choice.is_none()) {
                    *choice = Some(results.len());
                }
                results.push(cast(otherwise, data_type)?);
            }
            _ => {}
        }
    }
    let indices: Vec<(usize, usize)> = chosen
        .iter()
        .enumerate()
        .map(|(row, choice)| (choice.unwrap_or(0), row))
        .collect();
    let arrays: Vec<&dyn Array> = results.iter().map(AsRef::as_ref).collect();
    Ok(interleave(&arrays, &indices)?)
}
