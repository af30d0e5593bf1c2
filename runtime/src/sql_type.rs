//! Types as SQL writes them.

use arrow::datatypes::{DataType, Field};

/// A type as SQL writes it, in Hive's spelling, where SQL has a name for it; elsewhere as Arrow writes it.
pub fn sql_type(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => "boolean".to_owned(),
        DataType::Int8 => "tinyint".to_owned(),
        DataType::Int16 => "smallint".to_owned(),
        DataType::Int32 => "int".to_owned(),
        DataType::Int64 => "bigint".to_owned(),
        DataType::Float32 => "float".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "string".to_owned(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "binary".to_owned(),
        DataType::Date32 => "date".to_owned(),
        DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
        DataType::Timestamp(_, None) => "timestamp".to_owned(),
        DataType::Interval(_) => "interval".to_owned(),
        DataType::Time32(_) | DataType::Time64(_) => "time".to_owned(),
        DataType::Timestamp(_, Some(_)) => "timestamp with local time zone".to_owned(),
        DataType::List(item) | DataType::LargeList(item) => {
            format!("array<{}>", sql_type(item.data_type()))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) => {
                let parts: Vec<_> = pair
                    .iter()
                    .map(|field| sql_type(field.data_type()))
                    .collect();
                format!("map<{}>", parts.join(","))
            }
            other => other.to_string(),
        },
        DataType::Struct(fields) => {
            let part = |field: &std::sync::Arc<Field>| {
                format!("{}:{}", field.name(), sql_type(field.data_type()))
            };
            let parts: Vec<_> = fields.iter().map(part).collect();
            format!("struct<{}>", parts.join(","))
        }
        other => other.to_string(),
    }
}
