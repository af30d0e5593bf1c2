//! The names that a session can see, for completion and for tools: read with Flight SQL's metadata
//! calls, so that no SQL of ours appears in the server's list of queries.

use crate::client::Client;
use crate::error::ClientError;
use arrow::array::{Array, BinaryArray, StringArray};
use arrow::datatypes::{DataType, Schema};
use arrow::record_batch::RecordBatch;
use arrow_flight::IpcMessage;
use arrow_flight::sql::{CommandGetDbSchemas, CommandGetTables};

/// A table or view that the session can see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// The database that it is in.
    pub database: String,
    /// Its name within the database.
    pub name: String,
    /// `TABLE`, `VIEW`, `LOCAL TEMPORARY` or `SYSTEM TABLE`.
    pub table_type: String,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type, as SQL names it where SQL has a name for it.
    pub data_type: String,
}

impl Client {
    /// The names of all databases.
    ///
    /// # Errors
    /// As for [`Client::execute`].
    pub async fn databases(&mut self) -> Result<Vec<String>, ClientError> {
        let command = CommandGetDbSchemas {
            catalog: None,
            db_schema_filter_pattern: None,
        };
        let mut names = Vec::new();
        for batch in self.metadata(&command).await? {
            names.extend(texts(&batch, "db_schema_name")?);
        }
        Ok(names)
    }

    /// The tables and views of `database`, or of all databases.
    ///
    /// # Errors
    /// As for [`Client::execute`].
    pub async fn tables(&mut self, database: Option<&str>) -> Result<Vec<Table>, ClientError> {
        let command = CommandGetTables {
            catalog: None,
            db_schema_filter_pattern: database.map(escape_pattern),
            table_name_filter_pattern: None,
            table_types: Vec::new(),
            include_schema: false,
        };
        let mut tables = Vec::new();
        for batch in self.metadata(&command).await? {
            let databases = texts(&batch, "db_schema_name")?;
            let names = texts(&batch, "table_name")?;
            let types = texts(&batch, "table_type")?;
            let rows = databases.into_iter().zip(names).zip(types);
            tables.extend(rows.map(|((database, name), table_type)| Table {
                database,
                name,
                table_type,
            }));
        }
        Ok(tables)
    }

    /// The columns of a table or view; none where there is no such table.
    ///
    /// # Errors
    /// As for [`Client::execute`].
    pub async fn columns(
        &mut self,
        database: &str,
        table: &str,
    ) -> Result<Vec<Column>, ClientError> {
        let command = CommandGetTables {
            catalog: None,
            db_schema_filter_pattern: Some(escape_pattern(database)),
            table_name_filter_pattern: Some(escape_pattern(table)),
            table_types: Vec::new(),
            include_schema: true,
        };
        let mut columns = Vec::new();
        for batch in self.metadata(&command).await? {
            let schemas = batch
                .column_by_name("table_schema")
                .and_then(|array| array.as_any().downcast_ref::<BinaryArray>())
                .ok_or_else(|| {
                    ClientError::Protocol("its metadata has no column 'table_schema'".to_owned())
                })?;
            for bytes in schemas.iter().flatten() {
                let message = IpcMessage(bytes.to_vec().into());
                let schema = Schema::try_from(message)
                    .map_err(|error| ClientError::Protocol(error.to_string()))?;
                columns.extend(schema.fields().iter().map(|field| Column {
                    name: field.name().clone(),
                    data_type: sql_type(field.data_type()),
                }));
            }
        }
        Ok(columns)
    }
}

fn sql_type(data_type: &DataType) -> String {
    let name = match data_type {
        DataType::Boolean => "BOOLEAN",
        DataType::Int8 => "TINYINT",
        DataType::Int16 => "SMALLINT",
        DataType::Int32 => "INT",
        DataType::Int64 => "BIGINT",
        DataType::Float32 => "FLOAT",
        DataType::Float64 => "DOUBLE",
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "STRING",
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "BINARY",
        DataType::Date32 => "DATE",
        DataType::Timestamp(_, _) => "TIMESTAMP",
        DataType::Decimal128(precision, scale) => return format!("DECIMAL({precision}, {scale})"),
        other => return other.to_string(),
    };
    name.to_owned()
}

/// A name as a pattern that matches this name only.
fn escape_pattern(name: &str) -> String {
    let mut pattern = String::with_capacity(name.len());
    for character in name.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern
}

/// A column of text; a null is an empty text.
fn texts(batch: &RecordBatch, column: &str) -> Result<Vec<String>, ClientError> {
    let array = batch
        .column_by_name(column)
        .and_then(|array| array.as_any().downcast_ref::<StringArray>())
        .ok_or_else(|| {
            ClientError::Protocol(format!("its metadata has no text column '{column}'"))
        })?;
    Ok(array
        .iter()
        .map(|text| text.unwrap_or_default().to_owned())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_matches_only_itself() {
        assert_eq!(escape_pattern("tpch_sf1"), "tpch\\_sf1");
        assert_eq!(escape_pattern("50%\\"), "50\\%\\\\");
    }
}
