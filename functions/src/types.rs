//! What the types of values are called in SQL.

use datafusion::arrow::datatypes::{DataType, IntervalUnit};

/// The name of a type, as Spark and Hive show it.
pub fn sql_name(data_type: &DataType) -> String {
    use DataType as T;
    match data_type {
        T::Null => "void".to_owned(),
        T::Boolean => "boolean".to_owned(),
        T::Int8 | T::UInt8 => "tinyint".to_owned(),
        T::Int16 | T::UInt16 => "smallint".to_owned(),
        T::Int32 | T::UInt32 => "int".to_owned(),
        T::Int64 | T::UInt64 => "bigint".to_owned(),
        T::Float16 | T::Float32 => "float".to_owned(),
        T::Float64 => "double".to_owned(),
        T::Decimal32(precision, scale)
        | T::Decimal64(precision, scale)
        | T::Decimal128(precision, scale)
        | T::Decimal256(precision, scale) => format!("decimal({precision},{scale})"),
        T::Utf8 | T::LargeUtf8 | T::Utf8View => "string".to_owned(),
        T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_) => "binary".to_owned(),
        T::Date32 | T::Date64 => "date".to_owned(),
        T::Timestamp(_, None) => "timestamp".to_owned(),
        T::Timestamp(_, Some(_)) => "timestamp with time zone".to_owned(),
        T::Time32(_) | T::Time64(_) => "time".to_owned(),
        T::Interval(IntervalUnit::YearMonth) => "interval year to month".to_owned(),
        T::Interval(IntervalUnit::DayTime) | T::Duration(_) => "interval day to second".to_owned(),
        T::Interval(IntervalUnit::MonthDayNano) => "interval".to_owned(),
        T::List(item) | T::LargeList(item) | T::FixedSizeList(item, _) | T::ListView(item) => {
            format!("array<{}>", sql_name(item.data_type()))
        }
        T::LargeListView(item) => format!("array<{}>", sql_name(item.data_type())),
        T::Struct(fields) => {
            let fields = fields
                .iter()
                .map(|field| format!("{}:{}", field.name(), sql_name(field.data_type())));
            format!("struct<{}>", fields.collect::<Vec<_>>().join(","))
        }
        T::Map(entries, _) => match entries.data_type() {
            T::Struct(fields) => {
                let fields = fields.iter().map(|field| sql_name(field.data_type()));
                format!("map<{}>", fields.collect::<Vec<_>>().join(","))
            }
            other => format!("map<{}>", sql_name(other)),
        },
        T::Dictionary(_, value) => sql_name(value),
        T::RunEndEncoded(_, value) => sql_name(value.data_type()),
        T::Union(_, _) => "union".to_owned(),
    }
}
