//! How rows of the catalog's database become parts of the model.

use super::database::Row;
use super::encoding;
use crate::error::CatalogError;
use crate::model::{
    CatalogVersion, ColumnBounds, DataFile, Database, FileBounds, FileFormat, Partition, Table,
    TableDefinition, TableId, TableKind, User, View, ViewDefinition,
};
use skep_protocol::storage_url::StorageUrl;

pub(super) fn read_database(row: &Row) -> Result<Database, CatalogError> {
    let location: Option<String> = row.get("location")?;
    Ok(Database {
        name: row.get("name")?,
        comment: row.get("comment")?,
        location: location
            .as_deref()
            .map(encoding::decode_location)
            .transpose()?,
        properties: encoding::from_json(row.get("properties")?)?,
        owner: row.get("owner")?,
        created_at: encoding::decode_time(row.get("created_at")?)?,
    })
}

pub(super) fn read_user(row: &Row) -> Result<User, CatalogError> {
    Ok(User {
        name: row.get("name")?,
        password_hash: row.get("password_hash")?,
        admin: row.get("is_admin")?,
        created_at: encoding::decode_time(row.get("created_at")?)?,
    })
}

pub(super) fn read_table(row: &Row) -> Result<Table, CatalogError> {
    let kind: &str = row.get("kind")?;
    let format: &str = row.get("format")?;
    let bucketing: Option<&str> = row.get("bucketing")?;
    let unknown = |what: &str, name: &str| CatalogError::Damaged(format!("{what} '{name}'"));
    Ok(Table {
        id: TableId(row.get("id")?),
        version: CatalogVersion(encoding::decode_count(row.get("version")?)?),
        definition: TableDefinition {
            database: row.get("database_name")?,
            name: row.get("name")?,
            kind: TableKind::from_name(kind).ok_or_else(|| unknown("table kind", kind))?,
            format: FileFormat::from_name(format).ok_or_else(|| unknown("format", format))?,
            storage: encoding::from_json(row.get("storage")?)?,
            location: encoding::decode_location(row.get("location")?)?,
            columns: encoding::decode_columns(row.get("columns")?)?,
            columns_declared: row.get("columns_declared")?,
            retired_columns: encoding::from_json(row.get("retired_columns")?)?,
            partition_columns: encoding::decode_partition_columns(row.get("partition_columns")?)?,
            bucketing: bucketing.map(encoding::from_json).transpose()?,
            properties: encoding::from_json(row.get("properties")?)?,
            comment: row.get("comment")?,
            owner: row.get("owner")?,
            created_at: encoding::decode_time(row.get("created_at")?)?,
        },
    })
}

pub(super) fn read_view(row: &Row) -> Result<View, CatalogError> {
    Ok(View {
        id: TableId(row.get("id")?),
        version: CatalogVersion(encoding::decode_count(row.get("version")?)?),
        definition: ViewDefinition {
            database: row.get("database_name")?,
            name: row.get("name")?,
            columns: encoding::from_json(row.get("columns")?)?,
            sql: row.get("query")?,
            resolve_in: row.get("resolve_in")?,
            properties: encoding::from_json(row.get("properties")?)?,
            comment: row.get("comment")?,
            owner: row.get("owner")?,
            created_at: encoding::decode_time(row.get("created_at")?)?,
        },
    })
}

pub(super) fn read_location(row: &Row) -> Result<StorageUrl, CatalogError> {
    encoding::decode_location(row.get(0)?)
}

pub(super) fn read_number(row: &Row) -> Result<i64, CatalogError> {
    row.get(0)
}

pub(super) fn read_text(row: &Row) -> Result<String, CatalogError> {
    row.get(0)
}

/// Columns by position, in the order of SELECT_PARTITIONS: there may be very many rows.
pub(super) fn read_partition(row: &Row) -> Result<Partition, CatalogError> {
    Ok(Partition {
        number: encoding::decode_count(row.get(0)?)?,
        values: encoding::from_json(row.get(1)?)?,
        location: encoding::decode_location(row.get(2)?)?,
    })
}

/// Columns by position, in the order of SELECT_FILES: there may be very many rows.
pub(super) fn read_file(row: &Row) -> Result<DataFile, CatalogError> {
    let partition: i64 = row.get(1)?;
    let rows: Option<i64> = row.get(3)?;
    Ok(DataFile {
        path: row.get(0)?,
        partition: encoding::decode_partition(partition)?,
        size_bytes: encoding::decode_count(row.get(2)?)?,
        rows: rows.map(encoding::decode_count).transpose()?,
        last_modified: encoding::decode_time(row.get(4)?)?,
        e_tag: row.get(5)?,
        bounds: read_bounds(row.get(6)?)?,
    })
}

/// Catalogs of the first schema have a JSON array.
pub(super) fn read_bounds(bytes: &[u8]) -> Result<FileBounds, CatalogError> {
    if bytes.first() == Some(&b'[') {
        let columns: Vec<ColumnBounds> = serde_json::from_slice(bytes)
            .map_err(|error| CatalogError::Damaged(error.to_string()))?;
        return Ok(columns.iter().collect());
    }
    FileBounds::from_bytes(bytes)
        .ok_or_else(|| CatalogError::Damaged("a file's bounds cannot be read".to_owned()))
}
