//! How the model's parts are written into columns of text and numbers, the same in every store.

use crate::error::CatalogError;
use crate::model::{Column, ColumnId, PartitionColumn};
use arrow::datatypes::DataType;
use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use skep_protocol::storage_url::StorageUrl;
use std::str::FromStr;

#[derive(Serialize, Deserialize)]
struct ColumnRow {
    id: u32,
    name: String,
    /// Only where it differs from the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    #[serde(rename = "type")]
    data_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sql_type: Option<String>,
    nullable: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct PartitionColumnRow {
    name: String,
    #[serde(rename = "type")]
    data_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sql_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
}

/// Writes anything as JSON.
pub(crate) fn to_json<T: Serialize + ?Sized>(value: &T) -> Result<String, CatalogError> {
    serde_json::to_string(value).map_err(|error| CatalogError::Damaged(error.to_string()))
}

/// Reads what [`to_json`] wrote.
pub(crate) fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, CatalogError> {
    serde_json::from_str(text).map_err(|error| CatalogError::Damaged(error.to_string()))
}

/// Writes columns as JSON.
pub(crate) fn encode_columns(table: &str, columns: &[Column]) -> Result<String, CatalogError> {
    let rows = columns
        .iter()
        .map(|column| {
            Ok(ColumnRow {
                id: column.id.0,
                name: column.name.clone(),
                source: (column.source_name != column.name).then(|| column.source_name.clone()),
                data_type: encode_type(table, &column.name, &column.data_type)?,
                sql_type: column.sql_type.clone(),
                nullable: column.nullable,
                comment: column.comment.clone(),
            })
        })
        .collect::<Result<Vec<_>, CatalogError>>()?;
    to_json(&rows)
}

/// Reads what [`encode_columns`] wrote.
pub(crate) fn decode_columns(text: &str) -> Result<Vec<Column>, CatalogError> {
    from_json::<Vec<ColumnRow>>(text)?
        .into_iter()
        .map(|row| {
            Ok(Column {
                id: ColumnId(row.id),
                source_name: row.source.unwrap_or_else(|| row.name.clone()),
                data_type: decode_type(&row.data_type)?,
                sql_type: row.sql_type,
                name: row.name,
                nullable: row.nullable,
                comment: row.comment,
            })
        })
        .collect()
}

/// Writes partition columns as JSON.
pub(crate) fn encode_partition_columns(
    table: &str,
    columns: &[PartitionColumn],
) -> Result<String, CatalogError> {
    let rows = columns
        .iter()
        .map(|column| {
            Ok(PartitionColumnRow {
                name: column.name.clone(),
                data_type: encode_type(table, &column.name, &column.data_type)?,
                sql_type: column.sql_type.clone(),
                comment: column.comment.clone(),
            })
        })
        .collect::<Result<Vec<_>, CatalogError>>()?;
    to_json(&rows)
}

/// Reads what [`encode_partition_columns`] wrote.
pub(crate) fn decode_partition_columns(text: &str) -> Result<Vec<PartitionColumn>, CatalogError> {
    from_json::<Vec<PartitionColumnRow>>(text)?
        .into_iter()
        .map(|row| {
            Ok(PartitionColumn {
                data_type: decode_type(&row.data_type)?,
                sql_type: row.sql_type,
                name: row.name,
                comment: row.comment,
            })
        })
        .collect()
}

/// Writes a type as Arrow spells it. A type whose spelling Arrow does not read back is refused here,
/// before it can damage the catalog.
fn encode_type(table: &str, column: &str, data_type: &DataType) -> Result<String, CatalogError> {
    let text = data_type.to_string();
    match DataType::from_str(&text) {
        Ok(parsed) if parsed == *data_type => Ok(text),
        _ => Err(CatalogError::InvalidDefinition {
            table: table.to_owned(),
            reason: format!("column '{column}' has type {text}, which is not supported"),
        }),
    }
}

fn decode_type(text: &str) -> Result<DataType, CatalogError> {
    DataType::from_str(text).map_err(|error| CatalogError::Damaged(error.to_string()))
}

/// A location, which a store keeps as text.
pub(crate) fn decode_location(text: &str) -> Result<StorageUrl, CatalogError> {
    StorageUrl::parse(text).map_err(|error| CatalogError::Damaged(error.to_string()))
}

/// A moment, which a store keeps as microseconds.
pub(crate) fn decode_time(micros: i64) -> Result<DateTime<Utc>, CatalogError> {
    DateTime::from_timestamp_micros(micros)
        .ok_or_else(|| CatalogError::Damaged(format!("{micros} is no time")))
}

/// A count, which a store keeps as a signed number.
pub(crate) fn encode_count(count: u64) -> Result<i64, CatalogError> {
    i64::try_from(count).map_err(|_| CatalogError::Damaged(format!("{count} is too large")))
}

/// Reads what [`encode_count`] wrote.
pub(crate) fn decode_count<T: TryFrom<i64>>(count: i64) -> Result<T, CatalogError> {
    T::try_from(count).map_err(|_| CatalogError::Damaged(format!("{count} is not a count")))
}

/// The number of a file's partition; a column of a primary key cannot be NULL.
pub(crate) fn encode_partition(partition: Option<u32>) -> i64 {
    partition.map_or(-1, i64::from)
}

/// Reads what [`encode_partition`] wrote.
pub(crate) fn decode_partition(number: i64) -> Result<Option<u32>, CatalogError> {
    match number {
        -1 => Ok(None),
        number => decode_count(number).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::{Field, Fields, TimeUnit};
    use std::sync::Arc;

    #[test]
    fn types_survive_being_kept() {
        let item = Arc::new(Field::new("item", DataType::Utf8, true));
        let fields = Fields::from(vec![
            Field::new("a", DataType::Int32, true),
            Field::new("B c", DataType::List(Arc::clone(&item)), false),
        ]);
        let types = [
            DataType::Int8,
            DataType::Utf8,
            DataType::Decimal128(15, 2),
            DataType::Date32,
            DataType::Timestamp(TimeUnit::Microsecond, None),
            DataType::Timestamp(TimeUnit::Nanosecond, Some("Europe/Berlin".into())),
            DataType::FixedSizeBinary(16),
            DataType::List(item),
            DataType::Struct(fields),
        ];
        let columns: Vec<_> = types
            .into_iter()
            .enumerate()
            .map(|(index, data_type)| Column {
                id: ColumnId(index as u32),
                name: format!("c{index}"),
                source_name: format!("C{index}"),
                data_type,
                sql_type: (index == 1).then(|| "varchar(10)".to_owned()),
                nullable: index % 2 == 0,
                comment: (index == 3).then(|| "a date".to_owned()),
            })
            .collect();
        let text = encode_columns("t", &columns).unwrap();
        assert_eq!(decode_columns(&text).unwrap(), columns, "{text}");
    }
}
