//! What can go wrong in the catalog, and what users are told of it.

use skep_protocol::storage_url::StorageUrlError;
use skep_protocol::{ErrorCode, ErrorKind, QueryError};
use std::path::PathBuf;

/// A failure of the catalog.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// No such database.
    #[error("database '{name}' not found{}", did_you_mean(suggestion))]
    DatabaseNotFound {
        /// As asked for.
        name: String,
        /// The nearest name.
        suggestion: Option<String>,
    },
    /// No such table.
    #[error("table '{database}.{name}' not found{}", did_you_mean(suggestion))]
    TableNotFound {
        /// The database, which exists.
        database: String,
        /// As asked for.
        name: String,
        /// The nearest name.
        suggestion: Option<String>,
    },
    /// No such view.
    #[error("view '{database}.{name}' not found{}", did_you_mean(suggestion))]
    ViewNotFound {
        /// The database, which exists.
        database: String,
        /// As asked for.
        name: String,
        /// The nearest name.
        suggestion: Option<String>,
    },
    /// A table was wanted, and the name is a view's.
    #[error("'{database}.{name}' is a view")]
    IsView {
        /// Where.
        database: String,
        /// Which.
        name: String,
    },
    /// A view was wanted, and the name is a table's.
    #[error("'{database}.{name}' is a table")]
    IsTable {
        /// Where.
        database: String,
        /// Which.
        name: String,
    },
    /// No such column.
    #[error("table '{table}' has no column '{column}'{}", did_you_mean(suggestion))]
    ColumnNotFound {
        /// Where.
        table: String,
        /// As asked for.
        column: String,
        /// The nearest name.
        suggestion: Option<String>,
    },
    /// The name is taken.
    #[error("table '{table}' already has a column '{column}'")]
    ColumnExists {
        /// Where.
        table: String,
        /// Which.
        column: String,
    },
    /// A column's values cannot be read as the type that it is to have.
    #[error(
        "column '{column}' cannot become {to}, since it is {from}: only wider integers, DOUBLE for FLOAT, a higher decimal precision and more fields of a structure are possible"
    )]
    TypeNotWider {
        /// Which.
        column: String,
        /// What it is.
        from: String,
        /// What it was to be.
        to: String,
    },
    /// No such partition.
    #[error("table '{table}' has no partition ({partition})")]
    PartitionNotFound {
        /// Where.
        table: String,
        /// As asked for.
        partition: String,
    },
    /// The partition is there.
    #[error("table '{table}' already has a partition ({partition})")]
    PartitionExists {
        /// Where.
        table: String,
        /// Which.
        partition: String,
    },
    /// A statement's value for a partition column is not of its type.
    #[error("'{value}' is not a valid value for partition column '{column}' of type {data_type}")]
    InvalidPartitionValue {
        /// The column.
        column: String,
        /// The value.
        value: String,
        /// The column's type.
        data_type: String,
    },
    /// A statement does not say for each partition column what it is.
    #[error("table '{table}': {reason}")]
    InvalidPartition {
        /// Which table.
        table: String,
        /// What is wrong.
        reason: String,
    },
    /// A location overlaps with one whose files the catalog owns.
    #[error("location '{location}' cannot be used: it overlaps with that of table '{table}'")]
    LocationTaken {
        /// The location.
        location: String,
        /// Whose it is.
        table: String,
    },
    /// What was to be done is possible only with tables of the other kind.
    #[error("table '{table}' is {kind}: {reason}")]
    WrongKind {
        /// Which.
        table: String,
        /// What it is.
        kind: &'static str,
        /// Why that is in the way.
        reason: &'static str,
    },
    /// A property that was to go is not there.
    #[error("table '{table}' has no property '{property}'")]
    PropertyNotFound {
        /// Where.
        table: String,
        /// Which.
        property: String,
    },
    /// A table was dropped, replaced or changed while a statement wrote into it.
    #[error("table '{table}' {what} while the statement wrote into it")]
    WriteConflict {
        /// Which.
        table: String,
        /// What happened to it.
        what: &'static str,
    },
    /// What a snapshot consists of is no longer kept.
    #[error("version {0} of the catalog is no longer kept, try again")]
    VersionForgotten(u64),
    /// The name is taken.
    #[error("view '{database}.{name}' already exists")]
    ViewExists {
        /// Where.
        database: String,
        /// Which.
        name: String,
    },
    /// The name is taken.
    #[error("database '{0}' already exists")]
    DatabaseExists(String),
    /// The name is taken.
    #[error("table '{database}.{name}' already exists")]
    TableExists {
        /// Where.
        database: String,
        /// Which.
        name: String,
    },
    /// No such user.
    #[error("user '{0}' not found")]
    UserNotFound(String),
    /// The name is taken.
    #[error("user '{0}' already exists")]
    UserExists(String),
    /// No such role.
    #[error("role '{0}' not found")]
    RoleNotFound(String),
    /// The name is taken.
    #[error("role '{0}' already exists")]
    RoleExists(String),
    /// A name is a user's and was to be a role's, or the other way round.
    #[error("'{name}' is a {kind}: users and roles have different names")]
    PrincipalExists {
        /// Which.
        name: String,
        /// What it is.
        kind: &'static str,
    },
    /// A role would have itself.
    #[error("role '{role}' cannot be granted to role '{member}', which it has itself")]
    RoleCircle {
        /// Which.
        role: String,
        /// To which.
        member: String,
    },
    /// What is to be revoked was not granted.
    #[error("{0}")]
    NotGranted(String),
    /// Somebody has to be left who can create others.
    #[error("the first user has to be an administrator: write ADMIN after the password")]
    FirstUserIsNoAdministrator,
    /// Somebody has to be left who can create others.
    #[error("'{0}' is the last administrator")]
    LastAdministrator(String),
    /// What somebody owns would be nobody's.
    #[error("user '{user}' owns {what}: give it to somebody else first, with ALTER … OWNER TO")]
    UserOwns {
        /// Who.
        user: String,
        /// One thing.
        what: String,
    },
    /// Somebody may not do it.
    #[error("{0}")]
    NotPermitted(String),
    /// Dropped without CASCADE.
    #[error(
        "database '{name}' is not empty: it has {tables} table(s); drop them first or use CASCADE"
    )]
    DatabaseNotEmpty {
        /// Which.
        name: String,
        /// How many tables it has.
        tables: usize,
    },
    /// The database that is always there was to be dropped.
    #[error("database '{0}' cannot be dropped")]
    DatabaseProtected(String),
    /// A name that cannot be one.
    #[error("'{name}' cannot name a {what}: {reason}")]
    InvalidName {
        /// What it was to name.
        what: &'static str,
        /// As given.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The columns of a new table do not fit together.
    #[error("table '{table}': {reason}")]
    InvalidDefinition {
        /// Which.
        table: String,
        /// What is wrong.
        reason: String,
    },
    /// The location is malformed or not allowed.
    #[error(transparent)]
    Location(#[from] StorageUrlError),
    /// Nothing is there.
    #[error("location '{0}' not found")]
    LocationNotFound(String),
    /// There is no file to read a schema from.
    #[error("location '{0}' holds no data files to read a schema from: list the table's columns")]
    LocationEmpty(String),
    /// A file was there when the directory was listed, and is no longer.
    #[error("file '{0}' not found")]
    FileNotFound(String),
    /// A file is damaged or is something else.
    #[error("file '{file}' is not a valid Parquet file: {reason}")]
    CorruptFile {
        /// Which.
        file: String,
        /// What the reader said.
        reason: String,
    },
    /// A file has another type for a column than the table.
    #[error("file '{file}' has type {found} for column '{column}', where the table has {expected}")]
    SchemaMismatch {
        /// Which file.
        file: String,
        /// Which column.
        column: String,
        /// The table's type.
        expected: String,
        /// The file's type.
        found: String,
    },
    /// A file's columns cannot be matched with the table's by name.
    #[error("file '{file}' cannot be read as a part of the table: {reason}")]
    UnfitFile {
        /// Which.
        file: String,
        /// Why.
        reason: String,
    },
    /// A directory's value is not of its column's type.
    #[error(
        "file '{file}' lies in a partition with '{value}' for column '{column}' of type {data_type}"
    )]
    PartitionValue {
        /// A file in it.
        file: String,
        /// The partition column.
        column: String,
        /// The value.
        value: String,
        /// The column's type.
        data_type: String,
    },
    /// The storage failed.
    #[error("storage failed at '{location}': {source}")]
    Storage {
        /// Where.
        location: String,
        /// How.
        source: object_store::Error,
    },
    /// The data directory cannot be used.
    #[error("data directory '{}' cannot be used: {source}", path.display())]
    DataDirectory {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another process has the data directory.
    #[error("data directory '{}' is in use by {}", path.display(), owner(pid))]
    DataDirectoryInUse {
        /// Which.
        path: PathBuf,
        /// Whose, where the lock file says so.
        pid: Option<u32>,
    },
    /// The catalog was written by a newer Skep.
    #[error(
        "the catalog has schema version {found}, and this binary knows versions up to {supported}: use a newer one"
    )]
    NewerCatalog {
        /// Its version.
        found: i64,
        /// The newest known.
        supported: i64,
    },
    /// The catalog's database failed.
    #[error("the catalog's database failed to {action}: {source}")]
    Store {
        /// At what.
        action: &'static str,
        /// How.
        source: sqlx::Error,
    },
    /// There is no way to a location's storage.
    #[error("the storage of '{location}' cannot be used: {reason}")]
    Unreachable {
        /// The location.
        location: String,
        /// Why.
        reason: String,
    },
    /// A catalog was to be filled that has something in it.
    #[error("the catalog is not empty: import into a new one")]
    NotEmpty,
    /// An exported catalog cannot be read.
    #[error("line {line} of the exported catalog: {reason}")]
    InvalidExport {
        /// Which line, from one.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// An exported catalog could not be written or read.
    #[error("the exported catalog cannot be written or read: {0}")]
    Transfer(std::io::Error),
    /// The connection broke while the database committed.
    #[error(
        "the catalog's database did not say whether it has made the change: look before you try again ({source})"
    )]
    OutcomeUnknown {
        /// How.
        source: sqlx::Error,
    },
    /// The address of the catalog's database cannot be read.
    #[error("the address of the catalog's database is not valid: {0}")]
    InvalidDatabaseUrl(String),
    /// Somebody else changed the catalog first.
    #[error("the catalog was changed by others meanwhile, try again")]
    Conflict,
    /// The catalog's database holds something that cannot be.
    #[error("the catalog is damaged: {0}")]
    Damaged(String),
}

impl CatalogError {
    /// The stable code of the error.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::DatabaseNotFound { .. } => ErrorCode::DatabaseNotFound,
            Self::TableNotFound { .. } | Self::ViewNotFound { .. } => ErrorCode::TableNotFound,
            Self::IsView { .. } | Self::IsTable { .. } => ErrorCode::Semantic,
            Self::ColumnNotFound { .. } => ErrorCode::ColumnNotFound,
            Self::PartitionNotFound { .. } => ErrorCode::PartitionNotFound,
            Self::WriteConflict { .. } => ErrorCode::WriteConflict,
            Self::UserNotFound(_) | Self::RoleNotFound(_) => ErrorCode::UserNotFound,
            Self::NotPermitted(_) => ErrorCode::PermissionDenied,
            Self::DatabaseExists(_)
            | Self::TableExists { .. }
            | Self::ViewExists { .. }
            | Self::ColumnExists { .. }
            | Self::PartitionExists { .. }
            | Self::UserExists(_)
            | Self::RoleExists(_)
            | Self::PrincipalExists { .. } => ErrorCode::AlreadyExists,
            Self::DatabaseNotEmpty { .. }
            | Self::DatabaseProtected(_)
            | Self::LocationTaken { .. }
            | Self::NotEmpty
            | Self::RoleCircle { .. }
            | Self::NotGranted(_)
            | Self::FirstUserIsNoAdministrator
            | Self::LastAdministrator(_)
            | Self::UserOwns { .. }
            | Self::WrongKind { .. }
            | Self::PropertyNotFound { .. }
            | Self::DataDirectoryInUse { .. } => ErrorCode::InvalidState,
            Self::InvalidName { .. }
            | Self::InvalidDefinition { .. }
            | Self::TypeNotWider { .. }
            | Self::InvalidPartition { .. }
            | Self::InvalidPartitionValue { .. }
            | Self::InvalidDatabaseUrl(_)
            | Self::InvalidExport { .. }
            | Self::LocationEmpty(_) => ErrorCode::InvalidArgument,
            Self::Location(error) => error.code(),
            Self::LocationNotFound(_) | Self::FileNotFound(_) => ErrorCode::FileNotFound,
            Self::CorruptFile { .. }
            | Self::SchemaMismatch { .. }
            | Self::UnfitFile { .. }
            | Self::PartitionValue { .. } => ErrorCode::DataCorrupt,
            Self::Storage { .. } | Self::Unreachable { .. } | Self::Transfer(_) => {
                ErrorCode::Storage
            }
            Self::DataDirectory { .. }
            | Self::Store { .. }
            | Self::Conflict
            | Self::VersionForgotten(_) => ErrorCode::CatalogStore,
            Self::NewerCatalog { .. } => ErrorCode::VersionMismatch,
            // Not one to try again blindly.
            Self::OutcomeUnknown { .. } | Self::Damaged(_) => ErrorCode::Internal,
        }
    }

    /// Whose fault it is.
    pub fn kind(&self) -> ErrorKind {
        self.code().kind()
    }
}

impl From<CatalogError> for QueryError {
    fn from(error: CatalogError) -> Self {
        QueryError::new(error.code(), error.to_string())
    }
}

fn did_you_mean(suggestion: &Option<String>) -> String {
    match suggestion {
        Some(name) => format!("; did you mean '{name}'?"),
        None => String::new(),
    }
}

fn owner(pid: &Option<u32>) -> String {
    match pid {
        Some(pid) => format!("process {pid}"),
        None => "another process".to_owned(),
    }
}
