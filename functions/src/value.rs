//! How the rows of arguments are read, and those of results are written: a type for each kind of value,
//! which says what other types may stand for it.

use crate::dates::read;
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Float64Array, Int32Array,
    Int64Array, StringArray, TimestampMicrosecondArray,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Field, FieldRef, Float64Type, Int64Type, TimeUnit,
    TimestampMicrosecondType,
};
use datafusion::common::exec_err;
use datafusion::error::Result;
use std::sync::Arc;

/// What an argument may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text; everything else that has a text.
    Text,
    /// A whole number; fractions are cut, texts are read.
    Long,
    /// A floating point number; every other number, and texts.
    Double,
    /// A date; timestamps and texts are read.
    Date,
    /// A timestamp; dates and texts are read.
    Time,
    /// A date or a timestamp, and no text.
    TimeOnly,
    /// True or false.
    Boolean,
    /// Bytes; texts are their UTF-8.
    Bytes,
    /// Bytes, and nothing else.
    BytesOnly,
    /// An array.
    List,
    /// A map.
    Map,
    /// Any number.
    Number,
    /// Anything.
    Any,
    /// Anything that has one type together with the other arguments of this kind.
    Common,
}

impl Kind {
    /// The type as which an argument of `data_type` is given to the function; `None` where it may not be.
    pub fn accept(self, data_type: &DataType) -> Option<DataType> {
        use DataType as T;
        let is_text = matches!(data_type, T::Utf8 | T::LargeUtf8 | T::Utf8View);
        let is_bytes = matches!(
            data_type,
            T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_)
        );
        let is_null = data_type.is_null();
        let is_time = matches!(data_type, T::Date32 | T::Date64 | T::Timestamp(_, _));
        let is_number = data_type.is_numeric();
        let is_plain = is_number || is_time || data_type.is_temporal() || *data_type == T::Boolean;
        match self {
            Self::Text if is_text || is_bytes || is_null || is_plain => Some(T::Utf8),
            Self::Long if is_number || is_text || is_null || *data_type == T::Boolean => {
                Some(T::Int64)
            }
            Self::Double if is_number || is_text || is_null || *data_type == T::Boolean => {
                Some(T::Float64)
            }
            Self::Number if is_number => Some(data_type.clone()),
            Self::Number if is_null => Some(T::Float64),
            Self::Date if is_text => Some(T::Utf8),
            Self::Date if is_null => Some(T::Date32),
            Self::Date | Self::Time | Self::TimeOnly if is_time => Some(data_type.clone()),
            Self::Time if is_text => Some(T::Utf8),
            Self::Time if is_null => Some(T::Timestamp(TimeUnit::Microsecond, None)),
            Self::Boolean if *data_type == T::Boolean || is_text || is_null || is_number => {
                Some(T::Boolean)
            }
            Self::Bytes if is_text || is_bytes || is_null => Some(T::Binary),
            Self::BytesOnly if is_bytes => Some(T::Binary),
            Self::List => match data_type {
                T::List(_) => Some(data_type.clone()),
                T::LargeList(item) | T::FixedSizeList(item, _) | T::ListView(item) => {
                    Some(T::List(Arc::clone(item)))
                }
                T::Null => Some(T::new_list(T::Null, true)),
                _ => None,
            },
            Self::Map => matches!(data_type, T::Map(_, _)).then(|| data_type.clone()),
            Self::Any | Self::Common => Some(data_type.clone()),
            _ => None,
        }
    }
}

/// An argument that is read row by row.
pub trait Argument {
    /// All of its rows.
    type Column;
    /// One of them.
    type Item<'a>;
    /// What it takes.
    const KIND: Kind;

    /// Reads the rows.
    ///
    /// # Errors
    /// Where a text does not stand for a value.
    fn open(array: &ArrayRef) -> Result<Self::Column>;

    /// One row; `None` for NULL.
    fn at(column: &Self::Column, row: usize) -> Option<Self::Item<'_>>;
}

/// A result that is written row by row.
pub trait Output {
    /// One row.
    type Item;

    /// Its type.
    fn data_type() -> DataType;

    /// All rows.
    fn collect(rows: Vec<Option<Self::Item>>) -> ArrayRef;
}

/// Text.
pub struct Text;
/// 64 bit integers.
pub struct Long;
/// 32 bit integers, for results.
pub struct Int;
/// Double precision numbers.
pub struct Double;
/// Days since 1970-01-01.
pub struct Date;
/// Microseconds since 1970-01-01 00:00:00.
pub struct Time;
/// Truth values.
pub struct Boolean;
/// Bytes.
pub struct Bytes;
/// Bytes that are not written as text.
pub struct BytesOnly;
/// Lists of texts, for results.
pub struct Texts;

macro_rules! plain_argument {
    ($life:lifetime, $name:ident, $kind:expr, $array:ty, $item:ty, $data_type:expr, $down:expr) => {
        impl Argument for $name {
            type Column = $array;
            type Item<$life> = $item;
            const KIND: Kind = $kind;

            fn open(array: &ArrayRef) -> Result<$array> {
                let array = cast(array, &$data_type)?;
                let down: fn(&ArrayRef) -> Option<&$array> = $down;
                match down(&array) {
                    Some(array) => Ok(array.clone()),
                    None => exec_err!("an argument has an unexpected type"),
                }
            }

            fn at<$life>(column: &$life $array, row: usize) -> Option<$item> {
                column.is_valid(row).then(|| column.value(row))
            }
        }
    };
}

plain_argument!(
    'a,
    Long,
    Kind::Long,
    Int64Array,
    i64,
    DataType::Int64,
    |array| array.as_primitive_opt::<Int64Type>()
);
plain_argument!(
    'a,
    Double,
    Kind::Double,
    Float64Array,
    f64,
    DataType::Float64,
    |array| array.as_primitive_opt::<Float64Type>()
);
plain_argument!(
    'a,
    Boolean,
    Kind::Boolean,
    BooleanArray,
    bool,
    DataType::Boolean,
    |array| array.as_boolean_opt()
);
plain_argument!(
    'a,
    Text,
    Kind::Text,
    StringArray,
    &'a str,
    DataType::Utf8,
    |array| array.as_string_opt::<i32>()
);
plain_argument!(
    'a,
    Bytes,
    Kind::Bytes,
    BinaryArray,
    &'a [u8],
    DataType::Binary,
    |array| array.as_binary_opt::<i32>()
);
plain_argument!(
    'a,
    BytesOnly,
    Kind::BytesOnly,
    BinaryArray,
    &'a [u8],
    DataType::Binary,
    |array| array.as_binary_opt::<i32>()
);

impl Argument for Date {
    type Column = Vec<Option<i32>>;
    type Item<'a> = i32;
    const KIND: Kind = Kind::Date;

    fn open(array: &ArrayRef) -> Result<Self::Column> {
        if let Some(texts) = array.as_string_opt::<i32>() {
            return Ok(texts.iter().map(|text| text.and_then(read::date)).collect());
        }
        let days = cast(array, &DataType::Date32)?;
        Ok(days.as_primitive::<Date32Type>().iter().collect())
    }

    fn at(column: &Self::Column, row: usize) -> Option<i32> {
        column.get(row).copied().flatten()
    }
}

impl Argument for Time {
    type Column = Vec<Option<i64>>;
    type Item<'a> = i64;
    const KIND: Kind = Kind::Time;

    fn open(array: &ArrayRef) -> Result<Self::Column> {
        if let Some(texts) = array.as_string_opt::<i32>() {
            return Ok(texts
                .iter()
                .map(|text| text.and_then(read::timestamp))
                .collect());
        }
        let array = match array.data_type() {
            DataType::Timestamp(_, Some(_)) => crate::dates::zones::local(array)?,
            _ => Arc::clone(array),
        };
        let times = cast(&array, &DataType::Timestamp(TimeUnit::Microsecond, None))?;
        let times = times.as_primitive::<TimestampMicrosecondType>();
        Ok(times.iter().collect())
    }

    fn at(column: &Self::Column, row: usize) -> Option<i64> {
        column.get(row).copied().flatten()
    }
}

macro_rules! plain_output {
    ($name:ident, $array:ty, $item:ty, $data_type:expr) => {
        impl Output for $name {
            type Item = $item;

            fn data_type() -> DataType {
                $data_type
            }

            fn collect(rows: Vec<Option<$item>>) -> ArrayRef {
                Arc::new(<$array>::from_iter(rows))
            }
        }
    };
}

plain_output!(Text, StringArray, String, DataType::Utf8);
plain_output!(Long, Int64Array, i64, DataType::Int64);
plain_output!(Int, Int32Array, i32, DataType::Int32);
plain_output!(Double, Float64Array, f64, DataType::Float64);
plain_output!(Date, Date32Array, i32, DataType::Date32);
plain_output!(
    Time,
    TimestampMicrosecondArray,
    i64,
    DataType::Timestamp(TimeUnit::Microsecond, None)
);
plain_output!(Boolean, BooleanArray, bool, DataType::Boolean);
plain_output!(Bytes, BinaryArray, Vec<u8>, DataType::Binary);

impl Output for Texts {
    type Item = Vec<Option<String>>;

    fn data_type() -> DataType {
        DataType::List(item(DataType::Utf8))
    }

    fn collect(rows: Vec<Option<Self::Item>>) -> ArrayRef {
        use datafusion::arrow::array::{ListBuilder, StringBuilder};
        let mut lists = ListBuilder::new(StringBuilder::new()).with_field(item(DataType::Utf8));
        for row in rows {
            match row {
                Some(texts) => lists.append_value(texts),
                None => lists.append_null(),
            }
        }
        Arc::new(lists.finish())
    }
}

/// The field of a list's items.
pub fn item(data_type: DataType) -> FieldRef {
    Arc::new(Field::new_list_field(data_type, true))
}
