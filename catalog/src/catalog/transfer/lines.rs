//! The lines of an exported catalog, and how they become parts of the model.

use super::access_lines::{GrantLine, MembershipLine, RoleLine};
use crate::error::CatalogError;
use crate::model::{
    Bucketing, ColumnBounds, DataFile, Database, FileFormat, Partition, RetiredColumn,
    StorageOptions, TableDefinition, TableKind, User, View, ViewColumn, ViewDefinition,
};
use crate::store::encoding;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use skep_protocol::storage_url::StorageUrl;
use std::collections::BTreeMap;

/// The number of the form, and of the one before there were roles and grants.
const FORM: u32 = 2;
const FORM_WITHOUT_ACCESS: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    Catalog(Header),
    Database(DatabaseLine),
    User(UserLine),
    Role(RoleLine),
    Member(MembershipLine),
    Grant(GrantLine),
    Abandoned(String),
    View(ViewLine),
    Table(Box<TableLine>),
    Partition(PartitionLine),
    File(FileLine),
    End(End),
}

#[derive(Serialize, Deserialize)]
pub(super) struct Header {
    form: u32,
}

impl Header {
    pub(super) fn current() -> Self {
        Self { form: FORM }
    }

    pub(super) fn is_known(&self) -> bool {
        [FORM, FORM_WITHOUT_ACCESS].contains(&self.form)
    }

    /// Whether users could do everything when it was written.
    pub(super) fn is_without_access(&self) -> bool {
        self.form == FORM_WITHOUT_ACCESS
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct End {
    pub lines: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct DatabaseLine {
    name: String,
    comment: Option<String>,
    location: Option<String>,
    properties: BTreeMap<String, String>,
    owner: String,
    created_at_us: i64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct UserLine {
    name: String,
    password_hash: String,
    admin: bool,
    created_at_us: i64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct ViewLine {
    database: String,
    name: String,
    columns: Vec<ViewColumn>,
    sql: String,
    resolve_in: String,
    properties: BTreeMap<String, String>,
    comment: Option<String>,
    owner: String,
    created_at_us: i64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct TableLine {
    database: String,
    name: String,
    kind: String,
    format: String,
    storage: StorageOptions,
    location: String,
    columns: Value,
    columns_declared: bool,
    retired_columns: Vec<RetiredColumn>,
    partition_columns: Value,
    bucketing: Option<Bucketing>,
    properties: BTreeMap<String, String>,
    comment: Option<String>,
    owner: String,
    created_at_us: i64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct PartitionLine {
    number: u32,
    values: Vec<Option<String>>,
    location: String,
}

#[derive(Serialize, Deserialize)]
pub(super) struct FileLine {
    path: String,
    size_bytes: u64,
    rows: Option<u64>,
    last_modified_us: i64,
    e_tag: Option<String>,
    partition: Option<u32>,
    bounds: Vec<ColumnBounds>,
}

impl From<&std::sync::Arc<Database>> for DatabaseLine {
    fn from(database: &std::sync::Arc<Database>) -> Self {
        Self {
            name: database.name.clone(),
            comment: database.comment.clone(),
            location: database.location.as_ref().map(ToString::to_string),
            properties: database.properties.clone(),
            owner: database.owner.clone(),
            created_at_us: database.created_at.timestamp_micros(),
        }
    }
}

impl DatabaseLine {
    pub(super) fn decode(self) -> Result<Database, CatalogError> {
        Ok(Database {
            name: self.name,
            comment: self.comment,
            location: self.location.as_deref().map(location).transpose()?,
            properties: self.properties,
            owner: self.owner,
            created_at: encoding::decode_time(self.created_at_us)?,
        })
    }
}

impl From<&std::sync::Arc<User>> for UserLine {
    fn from(user: &std::sync::Arc<User>) -> Self {
        Self {
            name: user.name.clone(),
            password_hash: user.password_hash.clone(),
            admin: user.admin,
            created_at_us: user.created_at.timestamp_micros(),
        }
    }
}

impl UserLine {
    pub(super) fn decode(self) -> Result<User, CatalogError> {
        Ok(User {
            name: self.name,
            password_hash: self.password_hash,
            admin: self.admin,
            created_at: encoding::decode_time(self.created_at_us)?,
        })
    }
}

impl From<&View> for ViewLine {
    fn from(view: &View) -> Self {
        let definition = view.definition.clone();
        Self {
            database: definition.database,
            name: definition.name,
            columns: definition.columns,
            sql: definition.sql,
            resolve_in: definition.resolve_in,
            properties: definition.properties,
            comment: definition.comment,
            owner: definition.owner,
            created_at_us: definition.created_at.timestamp_micros(),
        }
    }
}

impl ViewLine {
    pub(super) fn decode(self) -> Result<ViewDefinition, CatalogError> {
        Ok(ViewDefinition {
            database: self.database,
            name: self.name,
            columns: self.columns,
            sql: self.sql,
            resolve_in: self.resolve_in,
            properties: self.properties,
            comment: self.comment,
            owner: self.owner,
            created_at: encoding::decode_time(self.created_at_us)?,
        })
    }
}

impl TableLine {
    pub(super) fn new(definition: &TableDefinition) -> Result<Self, CatalogError> {
        let name = &definition.name;
        let columns = encoding::encode_columns(name, &definition.columns)?;
        let partition_columns =
            encoding::encode_partition_columns(name, &definition.partition_columns)?;
        Ok(Self {
            database: definition.database.clone(),
            name: name.clone(),
            kind: definition.kind.as_str().to_owned(),
            format: definition.format.as_str().to_owned(),
            storage: definition.storage.clone(),
            location: definition.location.to_string(),
            columns: encoding::from_json(&columns)?,
            columns_declared: definition.columns_declared,
            retired_columns: definition.retired_columns.clone(),
            partition_columns: encoding::from_json(&partition_columns)?,
            bucketing: definition.bucketing.clone(),
            properties: definition.properties.clone(),
            comment: definition.comment.clone(),
            owner: definition.owner.clone(),
            created_at_us: definition.created_at.timestamp_micros(),
        })
    }

    pub(super) fn decode(self) -> Result<TableDefinition, CatalogError> {
        let unknown = |what: &str, name: &str| {
            CatalogError::Damaged(format!("table '{}' has {what} '{name}'", self.name))
        };
        let kind = TableKind::from_name(&self.kind).ok_or_else(|| unknown("kind", &self.kind))?;
        let format =
            FileFormat::from_name(&self.format).ok_or_else(|| unknown("format", &self.format))?;
        Ok(TableDefinition {
            kind,
            format,
            columns: encoding::decode_columns(&self.columns.to_string())?,
            partition_columns: encoding::decode_partition_columns(
                &self.partition_columns.to_string(),
            )?,
            location: location(&self.location)?,
            created_at: encoding::decode_time(self.created_at_us)?,
            database: self.database,
            name: self.name,
            storage: self.storage,
            columns_declared: self.columns_declared,
            retired_columns: self.retired_columns,
            bucketing: self.bucketing,
            properties: self.properties,
            comment: self.comment,
            owner: self.owner,
        })
    }
}

impl From<&Partition> for PartitionLine {
    fn from(partition: &Partition) -> Self {
        Self {
            number: partition.number,
            values: partition.values.clone(),
            location: partition.location.to_string(),
        }
    }
}

impl PartitionLine {
    pub(super) fn decode(self) -> Result<Partition, CatalogError> {
        Ok(Partition {
            number: self.number,
            values: self.values,
            location: location(&self.location)?,
        })
    }
}

impl From<&DataFile> for FileLine {
    fn from(file: &DataFile) -> Self {
        Self {
            path: file.path.clone(),
            size_bytes: file.size_bytes,
            rows: file.rows,
            last_modified_us: file.last_modified.timestamp_micros(),
            e_tag: file.e_tag.clone(),
            partition: file.partition,
            bounds: file.bounds.iter().collect(),
        }
    }
}

impl FileLine {
    pub(super) fn decode(self) -> Result<DataFile, CatalogError> {
        Ok(DataFile {
            path: self.path,
            size_bytes: self.size_bytes,
            rows: self.rows,
            last_modified: encoding::decode_time(self.last_modified_us)?,
            e_tag: self.e_tag,
            partition: self.partition,
            bounds: self.bounds.iter().collect(),
        })
    }
}

pub(super) fn location(text: &str) -> Result<StorageUrl, CatalogError> {
    encoding::decode_location(text)
}
