//! Result values in the one form that answers, the cluster and the oracle are compared in.
//!
//! Engines choose different types for the same column (a sum may be a 128-bit decimal here and a
//! 64-bit integer there), so that integers and decimals become one exact kind of number.

use std::fmt;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Decimal128Array, Float64Array,
    RecordBatch, StringArray,
};
use arrow::compute::cast;
use arrow::compute::kernels::cast_utils::Parser;
use arrow::datatypes::{DataType, Date32Type};
use arrow::error::ArrowError;
use thiserror::Error;

/// A value of a result.
#[derive(Clone, Debug)]
pub enum Value {
    /// NULL.
    Null,
    /// A truth value.
    Boolean(bool),
    /// An integer or a decimal: `unscaled / 10^scale`, exactly.
    Number {
        /// The digits.
        unscaled: i128,
        /// How many of them are behind the point.
        scale: u8,
    },
    /// A floating-point number.
    Float(f64),
    /// Days since 1970-01-01.
    Date(i32),
    /// A string.
    Text(String),
}

/// The rows of a result, with the names of its columns.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// The columns' names.
    pub columns: Vec<String>,
    /// The rows, each with a value per column.
    pub rows: Vec<Vec<Value>>,
}

/// A result cannot be turned into comparable values.
#[derive(Debug, Error)]
pub enum ValueError {
    /// Its type is none that the benchmark has.
    #[error("column '{column}' has type {data_type}, which results are not compared in")]
    Unsupported {
        /// The column.
        column: String,
        /// Its type.
        data_type: DataType,
    },
    /// Its values cannot be converted.
    #[error("column '{column}' cannot be read")]
    Arrow {
        /// The column.
        column: String,
        /// Why.
        #[source]
        source: ArrowError,
    },
}

impl Rows {
    /// The rows of record batches that share one schema.
    pub fn from_batches(batches: &[RecordBatch]) -> Result<Rows, ValueError> {
        let mut result = Rows::default();
        for batch in batches {
            let schema = batch.schema();
            if result.columns.is_empty() {
                result.columns = schema
                    .fields()
                    .iter()
                    .map(|field| field.name().clone())
                    .collect();
            }
            let columns = schema
                .fields()
                .iter()
                .zip(batch.columns())
                .map(|(field, array)| Column::new(field.name(), array))
                .collect::<Result<Vec<_>, _>>()?;
            let rows = (0..batch.num_rows())
                .map(|row| columns.iter().map(|column| column.value(row)).collect());
            result.rows.extend(rows);
        }
        Ok(result)
    }
}

/// A column in one of the few array types that values are read from.
enum Column {
    Null,
    Boolean(BooleanArray),
    Number(Decimal128Array, u8),
    Float(Float64Array),
    Date(Date32Array),
    Text(StringArray),
}

impl Column {
    fn new(name: &str, array: &ArrayRef) -> Result<Column, ValueError> {
        let unsupported = || ValueError::Unsupported {
            column: name.to_string(),
            data_type: array.data_type().clone(),
        };
        let to = |target: &DataType| {
            if array.data_type() == target {
                return Ok(Arc::clone(array));
            }
            cast(array, target).map_err(|source| ValueError::Arrow {
                column: name.to_string(),
                source,
            })
        };
        Ok(match array.data_type() {
            DataType::Null => Column::Null,
            DataType::Boolean => Column::Boolean(array.as_boolean().clone()),
            DataType::Decimal128(_, scale) => {
                let scale = u8::try_from(*scale).map_err(|_| unsupported())?;
                Column::Number(array.as_primitive().clone(), scale)
            }
            integer if integer.is_integer() => {
                Column::Number(to(&DataType::Decimal128(38, 0))?.as_primitive().clone(), 0)
            }
            DataType::Float16 | DataType::Float32 | DataType::Float64 => {
                Column::Float(to(&DataType::Float64)?.as_primitive().clone())
            }
            DataType::Date32 | DataType::Date64 => {
                Column::Date(to(&DataType::Date32)?.as_primitive().clone())
            }
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                Column::Text(to(&DataType::Utf8)?.as_string().clone())
            }
            DataType::Dictionary(_, values) => return Column::new(name, &to(values)?),
            _ => return Err(unsupported()),
        })
    }

    fn value(&self, row: usize) -> Value {
        let is_null = match self {
            Column::Null => true,
            Column::Boolean(array) => array.is_null(row),
            Column::Number(array, _) => array.is_null(row),
            Column::Float(array) => array.is_null(row),
            Column::Date(array) => array.is_null(row),
            Column::Text(array) => array.is_null(row),
        };
        if is_null {
            return Value::Null;
        }
        match self {
            Column::Null => Value::Null,
            Column::Boolean(array) => Value::Boolean(array.value(row)),
            Column::Number(array, scale) => Value::Number {
                unscaled: array.value(row),
                scale: *scale,
            },
            Column::Float(array) => Value::Float(array.value(row)),
            Column::Date(array) => Value::Date(array.value(row)),
            Column::Text(array) => Value::Text(array.value(row).to_string()),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("NULL"),
            Value::Boolean(value) => write!(f, "{value}"),
            Value::Number { unscaled, scale: 0 } => write!(f, "{unscaled}"),
            Value::Number { unscaled, scale } => {
                let scale = usize::from(*scale);
                let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
                let (whole, fraction) = digits.split_at(digits.len() - scale);
                write!(
                    f,
                    "{}{whole}.{fraction}",
                    if *unscaled < 0 { "-" } else { "" }
                )
            }
            Value::Float(value) => write!(f, "{value}"),
            Value::Date(days) => f.write_str(&date_text(*days)),
            Value::Text(text) => write!(f, "'{text}'"),
        }
    }
}

/// Parses a decimal such as `-12.340`, keeping its scale.
pub(crate) fn parse_number(text: &str) -> Option<Value> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let unscaled = format!("{whole}{fraction}").parse().ok()?;
    Some(Value::Number {
        unscaled,
        scale: u8::try_from(fraction.len()).ok()?,
    })
}

/// Parses a date in the form `1995-03-15`.
pub(crate) fn parse_date(text: &str) -> Option<Value> {
    Date32Type::parse(text).map(Value::Date)
}

fn date_text(days: i32) -> String {
    Date32Type::to_naive_date_opt(days).map_or_else(|| format!("day {days}"), |d| d.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int32Array, StringViewArray, UInt64Array};

    #[test]
    fn dates_and_numbers_survive_their_text_form() {
        for text in [
            "1970-01-01",
            "1992-02-29",
            "1995-03-15",
            "1998-12-31",
            "2000-03-01",
        ] {
            assert_eq!(parse_date(text).expect(text).to_string(), text);
        }
        for text in ["0", "-12.340", "0.05", "-0.05", "123141078.2283"] {
            assert_eq!(parse_number(text).expect(text).to_string(), text);
        }
        for text in ["", "1.x", "1.2.3", "1.-2", "1995-13-01", "soon"] {
            assert!(
                parse_number(text).is_none() && parse_date(text).is_none(),
                "{text}"
            );
        }
    }

    #[test]
    fn batches_become_values() {
        let batch = RecordBatch::try_from_iter([
            (
                "i",
                Arc::new(Int32Array::from(vec![Some(-7), None])) as ArrayRef,
            ),
            ("u", Arc::new(UInt64Array::from(vec![u64::MAX, 0]))),
            ("s", Arc::new(StringViewArray::from(vec!["a ", "b"]))),
        ])
        .expect("a batch");
        let rows = Rows::from_batches(&[batch]).expect("values");
        let text: Vec<String> = rows.rows.iter().flatten().map(Value::to_string).collect();
        assert_eq!(
            text,
            ["-7", "18446744073709551615", "'a '", "NULL", "0", "'b'"]
        );
        assert_eq!(rows.columns, ["i", "u", "s"]);
    }
}
