//! The one error that crosses a process boundary: a code that machines decide by, a message that
//! people read, and the place in the SQL where there is one.
//!
//! Library crates have error enums of their own and turn into a [`QueryError`] at their edge. Nothing
//! in Skep decides by an error's text.

use crate::proto::ErrorDetail;
use bytes::Bytes;
use prost::Message;
use std::fmt;
use tonic::{Code, Status};

/// Whose fault an error is, which decides who is told and what may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The statement, its data or the caller's rights: the user can mend it.
    User,
    /// Memory, disk, queue places or time ran out.
    Resources,
    /// Something outside the engine failed: storage, the network, the catalog's database, a node.
    External,
    /// A defect of Skep or of a library below it.
    Internal,
}

impl ErrorKind {
    /// The word used in messages and tables: `user`, `resources`, `external` or `internal`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Resources => "resources",
            Self::External => "external",
            Self::Internal => "internal",
        }
    }
}

macro_rules! error_codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $kind:ident, $retryable:literal, $status:ident;)*) => {
        /// What went wrong, by a name that is stable across versions.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $($(#[$doc])* $variant,)*
        }

        impl ErrorCode {
            /// Every code, in the order of declaration.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$variant,)*];

            /// The stable name, e.g. `TABLE_NOT_FOUND`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Whose fault it is.
            pub fn kind(self) -> ErrorKind {
                match self { $(Self::$variant => ErrorKind::$kind,)* }
            }

            /// Whether the same statement may succeed when it is tried again.
            pub fn is_retryable(self) -> bool {
                match self { $(Self::$variant => $retryable,)* }
            }

            /// The gRPC status that a client sees.
            pub fn grpc_code(self) -> Code {
                match self { $(Self::$variant => Code::$status,)* }
            }
        }
    };
}

error_codes! {
    /// The text is not SQL.
    Syntax = "SYNTAX_ERROR", User, false, InvalidArgument;
    /// The SQL is well formed and means nothing: types, names, clauses that do not fit together.
    Semantic = "SEMANTIC_ERROR", User, false, InvalidArgument;
    /// A statement, clause or type that Skep does not support.
    Unsupported = "NOT_SUPPORTED", User, false, Unimplemented;
    /// No such database.
    DatabaseNotFound = "DATABASE_NOT_FOUND", User, false, NotFound;
    /// No such table or view.
    TableNotFound = "TABLE_NOT_FOUND", User, false, NotFound;
    /// No such partition.
    PartitionNotFound = "PARTITION_NOT_FOUND", User, false, NotFound;
    /// No such user.
    UserNotFound = "USER_NOT_FOUND", User, false, NotFound;
    /// No such column.
    ColumnNotFound = "COLUMN_NOT_FOUND", User, false, InvalidArgument;
    /// No such function.
    FunctionNotFound = "FUNCTION_NOT_FOUND", User, false, InvalidArgument;
    /// No such setting, or a value that it cannot take.
    InvalidSetting = "INVALID_SETTING", User, false, InvalidArgument;
    /// No such query.
    QueryNotFound = "QUERY_NOT_FOUND", User, false, NotFound;
    /// No such session, statement handle or ticket, or it has expired.
    HandleNotFound = "HANDLE_NOT_FOUND", User, false, NotFound;
    /// A name is taken.
    AlreadyExists = "ALREADY_EXISTS", User, false, AlreadyExists;
    /// The object's state does not allow it, e.g. dropping a database that is not empty.
    InvalidState = "INVALID_STATE", User, false, FailedPrecondition;
    /// An argument of a call or an option is wrong.
    InvalidArgument = "INVALID_ARGUMENT", User, false, InvalidArgument;
    /// Evaluation failed on the data: division by zero, overflow, an impossible cast, a scalar
    /// subquery with several rows.
    Evaluation = "EVALUATION_ERROR", User, false, InvalidArgument;
    /// A data file is corrupt, truncated, or not what the table says.
    DataCorrupt = "DATA_CORRUPT", User, false, DataLoss;
    /// A data file or folder is not there.
    FileNotFound = "FILE_NOT_FOUND", User, false, NotFound;
    /// Who is asking is not known.
    Unauthenticated = "UNAUTHENTICATED", User, false, Unauthenticated;
    /// Who is asking may not.
    PermissionDenied = "PERMISSION_DENIED", User, false, PermissionDenied;
    /// The user or a client that went away ended the query.
    Canceled = "CANCELED", User, false, Cancelled;
    /// The statement is longer, deeper or larger than the limits allow.
    StatementTooLarge = "STATEMENT_TOO_LARGE", User, false, InvalidArgument;
    /// The memory of the query or of a node ran out.
    OutOfMemory = "OUT_OF_MEMORY", Resources, false, ResourceExhausted;
    /// The disk for spilling is full.
    OutOfDisk = "OUT_OF_DISK", Resources, false, ResourceExhausted;
    /// The queue is full or the wait for a place was too long.
    QueueFull = "QUEUE_FULL", Resources, true, ResourceExhausted;
    /// The query ran longer than it may.
    DeadlineExceeded = "DEADLINE_EXCEEDED", Resources, false, DeadlineExceeded;
    /// No executor has joined within the bounded wait.
    NoExecutors = "NO_EXECUTORS", External, true, Unavailable;
    /// An executor died or fell silent while the query used it.
    ExecutorLost = "EXECUTOR_LOST", External, true, Unavailable;
    /// An executor that is about to leave takes no new tasks.
    ExecutorDraining = "EXECUTOR_DRAINING", External, true, Unavailable;
    /// The storage failed or could not be reached.
    Storage = "STORAGE_ERROR", External, true, Unavailable;
    /// The catalog's database failed or could not be reached.
    CatalogStore = "CATALOG_STORE_ERROR", External, true, Unavailable;
    /// Somebody else changed a table while a statement wrote into it.
    WriteConflict = "WRITE_CONFLICT", External, true, Aborted;
    /// A node of another version.
    VersionMismatch = "VERSION_MISMATCH", External, false, FailedPrecondition;
    /// A connection to another node failed.
    Network = "NETWORK_ERROR", External, true, Unavailable;
    /// An operator panicked.
    Panic = "OPERATOR_PANIC", Internal, false, Internal;
    /// A distributed plan failed its check and could not be mended.
    UnsafePlan = "UNSAFE_PLAN", Internal, false, Internal;
    /// An exchange stream ended without saying that it had ended, or with other counts than it said.
    TruncatedExchange = "TRUNCATED_EXCHANGE", External, true, Unavailable;
    /// A defect.
    Internal = "INTERNAL_ERROR", Internal, false, Internal;
}

impl ErrorCode {
    /// The code of that stable name, as read from the wire.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == name)
    }
}

/// A place in the text of a statement; both are one-based and count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// The line.
    pub line: u64,
    /// The character within the line.
    pub column: u64,
}

/// A query's failure, as every door reports it and every node passes it on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryError {
    /// What went wrong.
    pub code: ErrorCode,
    /// For people: lower case, no full stop, naming the object.
    pub message: String,
    /// Whether the same statement may succeed when tried again.
    pub retryable: bool,
    /// The address of the node where it arose, where that is known.
    pub node: Option<String>,
    /// Where in the SQL, where there is such a place.
    pub position: Option<Position>,
    /// The query that failed, as users name it.
    pub query_id: Option<String>,
}

impl QueryError {
    /// An error of `code` with `message`.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            retryable: code.is_retryable(),
            node: None,
            position: None,
            query_id: None,
        }
    }

    /// A defect of the engine.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Internal, message)
    }

    /// The same error at a place in the SQL.
    pub fn at(mut self, position: Option<Position>) -> Self {
        self.position = position;
        self
    }

    /// The same error with the node where it arose, unless a node is already named.
    pub fn on_node(mut self, node: impl Into<String>) -> Self {
        self.node.get_or_insert_with(|| node.into());
        self
    }

    /// The same error with the query that failed.
    pub fn of_query(mut self, query_id: impl Into<String>) -> Self {
        self.query_id = Some(query_id.into());
        self
    }

    /// Whose fault it is.
    pub fn kind(&self) -> ErrorKind {
        self.code.kind()
    }

    /// The error as it goes over the wire.
    pub fn to_detail(&self) -> ErrorDetail {
        ErrorDetail {
            code: self.code.as_str().to_owned(),
            message: self.message.clone(),
            retryable: self.retryable,
            node: self.node.clone().unwrap_or_default(),
            line: self.position.map_or(0, |position| position.line),
            column: self.position.map_or(0, |position| position.column),
            query_id: self.query_id.clone().unwrap_or_default(),
        }
    }

    /// The error that was sent as `detail`. An unknown code, which a newer node may send, is internal.
    pub fn from_detail(detail: ErrorDetail) -> Self {
        let non_empty = |text: String| (!text.is_empty()).then_some(text);
        Self {
            code: ErrorCode::from_name(&detail.code).unwrap_or(ErrorCode::Internal),
            message: detail.message,
            retryable: detail.retryable,
            node: non_empty(detail.node),
            position: (detail.line > 0).then_some(Position {
                line: detail.line,
                column: detail.column,
            }),
            query_id: non_empty(detail.query_id),
        }
    }

    /// The error that a gRPC status carries. A status that Skep did not make keeps its message and
    /// gets the nearest code.
    pub fn from_status(status: &Status) -> Self {
        if let Some(detail) = sent_detail(status) {
            return Self::from_detail(detail);
        }
        let code = match status.code() {
            Code::Cancelled => ErrorCode::Canceled,
            Code::InvalidArgument | Code::OutOfRange => ErrorCode::InvalidArgument,
            Code::DeadlineExceeded => ErrorCode::DeadlineExceeded,
            Code::NotFound => ErrorCode::HandleNotFound,
            Code::AlreadyExists => ErrorCode::AlreadyExists,
            Code::PermissionDenied => ErrorCode::PermissionDenied,
            Code::Unauthenticated => ErrorCode::Unauthenticated,
            Code::ResourceExhausted => ErrorCode::OutOfMemory,
            Code::FailedPrecondition => ErrorCode::InvalidState,
            Code::Unimplemented => ErrorCode::Unsupported,
            Code::DataLoss => ErrorCode::DataCorrupt,
            Code::Unavailable | Code::Unknown | Code::Aborted => ErrorCode::Network,
            Code::Internal | Code::Ok => ErrorCode::Internal,
        };
        Self::new(code, status.message())
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(Position { line, column }) = self.position {
            write!(f, " (line {line}, column {column})")?;
        }
        if let Some(node) = &self.node {
            write!(f, " (on {node})")?;
        }
        Ok(())
    }
}

impl std::error::Error for QueryError {}

impl From<QueryError> for Status {
    fn from(mut error: QueryError) -> Self {
        shorten(&mut error.message);
        let (code, message) = (error.code.grpc_code(), error.to_string());
        let details = RpcStatus {
            code: code as i32,
            message: message.clone(),
            details: vec![PackedDetail {
                type_url: DETAIL_TYPE_URL.to_owned(),
                value: error.to_detail().encode_to_vec(),
            }],
        };
        Status::with_details(code, message, Bytes::from(details.encode_to_vec()))
    }
}

/// What gRPC expects in a status's details: `google.rpc.Status`, which says code and message once more.
/// Libraries that read it (Go's, and with it every ADBC driver) turn a status into INTERNAL where it is
/// anything else.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<PackedDetail>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
struct PackedDetail {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// What Skep's own detail is called among a status's details.
const DETAIL_TYPE_URL: &str = "type.googleapis.com/skep.v1.ErrorDetail";

/// The detail of a status that a Skep process made.
fn sent_detail(status: &Status) -> Option<ErrorDetail> {
    let sent = RpcStatus::decode(status.details()).ok()?;
    let own = |detail: &PackedDetail| detail.type_url == DETAIL_TYPE_URL;
    let packed = sent.details.into_iter().find(own)?;
    let detail = ErrorDetail::decode(packed.value.as_slice()).ok()?;
    (!detail.code.is_empty()).then_some(detail)
}

/// How long a message may be that travels in a status, in bytes. It travels three times, once escaped
/// to three times its length and twice in base64, in headers of which some clients take no more than
/// 8 KiB; with larger ones the whole connection breaks.
const STATUS_MESSAGE_BYTES_MAX: usize = 900;

/// Keeps the beginning of a message that is too long for a status.
fn shorten(message: &mut String) {
    if message.len() > STATUS_MESSAGE_BYTES_MAX {
        message.truncate(message.floor_char_boundary(STATUS_MESSAGE_BYTES_MAX));
        message.push('…');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_still_fits_into_headers() {
        let error = QueryError::new(ErrorCode::Internal, "ü".repeat(100_000));
        let status = Status::from(error);
        assert!(status.message().len() * 3 + status.details().len() * 4 / 3 < 6000);
        let received = QueryError::from_status(&status);
        assert!(received.message.ends_with('…'));
    }

    #[test]
    fn every_code_survives_the_wire() {
        for code in ErrorCode::ALL {
            let error = QueryError::new(*code, "table 't' not found")
                .at(Some(Position { line: 3, column: 7 }))
                .on_node("http://10.0.0.7:8091")
                .of_query("20261123_000000_00001_abcde");
            assert_eq!(QueryError::from_detail(error.to_detail()), error);
            assert_eq!(QueryError::from_status(&error.clone().into()), error);
        }
    }

    #[test]
    fn the_details_say_the_status_once_more() {
        let error = QueryError::new(ErrorCode::TableNotFound, "table 't' not found")
            .at(Some(Position { line: 3, column: 7 }));
        let status = Status::from(error);
        let details = RpcStatus::decode(status.details()).unwrap();
        assert_eq!(details.code, Code::NotFound as i32);
        assert_eq!(details.message, status.message());
        assert!(details.message.contains("line 3, column 7"));
    }

    #[test]
    fn code_names_are_unique() {
        let names: std::collections::HashSet<_> =
            ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(names.len(), ErrorCode::ALL.len());
    }

    #[test]
    fn a_foreign_status_keeps_its_message() {
        let error = QueryError::from_status(&Status::unavailable("connection refused"));
        assert_eq!(error.code, ErrorCode::Network);
        assert_eq!(error.message, "connection refused");
    }

    #[test]
    fn users_faults_are_never_internal_statuses() {
        for code in ErrorCode::ALL {
            if code.kind() == ErrorKind::User {
                assert_ne!(code.grpc_code(), Code::Internal, "{code:?}");
            }
        }
    }
}
