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
            Self::TableNotFound { .. } => ErrorCode::TableNotFound,
            Self::UserNotFound(_) => ErrorCode::UserNotFound,
            Self::DatabaseExists(_) | Self::TableExists { .. } | Self::UserExists(_) => {
                ErrorCode::AlreadyExists
            }
            Self::DatabaseNotEmpty { .. }
            | Self::DatabaseProtected(_)
            | Self::DataDirectoryInUse { .. } => ErrorCode::InvalidState,
            Self::InvalidName { .. } | Self::InvalidDefinition { .. } | Self::LocationEmpty(_) => {
                ErrorCode::InvalidArgument
            }
            Self::Location(error) => error.code(),
            Self::LocationNotFound(_) | Self::FileNotFound(_) => ErrorCode::FileNotFound,
            Self::CorruptFile { .. }
            | Self::SchemaMismatch { .. }
            | Self::UnfitFile { .. }
            | Self::PartitionValue { .. } => ErrorCode::DataCorrupt,
            Self::Storage { .. } => ErrorCode::Storage,
            Self::DataDirectory { .. } | Self::Store { .. } | Self::Conflict => {
                ErrorCode::CatalogStore
            }
            Self::NewerCatalog { .. } => ErrorCode::VersionMismatch,
            Self::Damaged(_) => ErrorCode::Internal,
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
