//! What goes wrong at the door itself, and how it and the engine's errors reach clients: always as a
//! [`QueryError`] in a gRPC status, never as `INTERNAL` for something that the client can mend.

use arrow::error::ArrowError;
use arrow_flight::error::FlightError;
use skep_protocol::error::ErrorKind;
use skep_protocol::{ErrorCode, QueryError};
use tonic::Status;

/// A call that the door cannot answer.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// The engine's own error, passed on.
    #[error(transparent)]
    Engine(#[from] QueryError),
    /// A token that names no open session.
    #[error("the session has ended or never was: log in again")]
    UnknownSession,
    /// A call without a token on a connection without an address to tell it by.
    #[error("log in first: this connection has no address to keep a session by")]
    LoginNeeded,
    /// A result, prepared statement or ticket that is not there for this session.
    #[error("unknown or expired {0}")]
    UnknownHandle(&'static str),
    /// A limit of the door.
    #[error("too many {what}: the limit is {limit}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
    /// A message that breaks the protocol, or a statement used in the wrong way.
    #[error("{0}")]
    BadRequest(String),
    /// A call that Skep does not answer.
    #[error("{0} is not supported")]
    Unsupported(String),
    /// Rows that cannot be put into the form that clients read.
    #[error("cannot encode the result: {0}")]
    Encode(#[from] ArrowError),
    /// Rows of a client that cannot be put into the form that tables have.
    #[error("cannot take the rows: {0}")]
    Rows(#[source] ArrowError),
    /// Parameters or rows of a client that cannot be read.
    #[error("cannot read what was sent: {0}")]
    Decode(#[source] FlightError),
}

impl DoorError {
    /// The stable name of what went wrong.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Engine(error) => error.code,
            Self::UnknownSession | Self::LoginNeeded => ErrorCode::Unauthenticated,
            Self::UnknownHandle(_) => ErrorCode::HandleNotFound,
            Self::TooMany { .. } => ErrorCode::QueueFull,
            Self::BadRequest(_) | Self::Rows(_) | Self::Decode(_) => ErrorCode::InvalidArgument,
            Self::Unsupported(_) => ErrorCode::Unsupported,
            Self::Encode(ArrowError::CastError(_) | ArrowError::ComputeError(_)) => {
                ErrorCode::Evaluation
            }
            Self::Encode(_) => ErrorCode::Internal,
        }
    }

    /// Whose fault it is.
    pub fn kind(&self) -> ErrorKind {
        self.code().kind()
    }
}

impl From<DoorError> for QueryError {
    fn from(error: DoorError) -> Self {
        match error {
            DoorError::Engine(error) => error,
            other => Self::new(other.code(), other.to_string()),
        }
    }
}

impl From<DoorError> for Status {
    fn from(error: DoorError) -> Self {
        QueryError::from(error).into()
    }
}

/// Bytes that should have been a protocol buffer.
pub(crate) fn bad_message(what: &str, error: &prost::DecodeError) -> DoorError {
    DoorError::BadRequest(format!("malformed {what}: {error}"))
}

/// What the metadata builders fail with.
pub(crate) fn metadata_error(error: FlightError) -> DoorError {
    match error {
        FlightError::Arrow(error) => DoorError::Encode(error),
        other => DoorError::Engine(QueryError::internal(format!(
            "cannot encode metadata: {other}"
        ))),
    }
}

/// A status of the stream itself, e.g. a message over the limit, stays what it is.
pub(crate) fn decode_error(error: FlightError) -> DoorError {
    match error {
        FlightError::Tonic(status) => QueryError::from_status(&status).into(),
        other => DoorError::Decode(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::Code;

    #[test]
    fn mistakes_of_clients_are_not_internal() {
        for error in [
            DoorError::UnknownSession,
            DoorError::UnknownHandle("result"),
            DoorError::BadRequest("no command".into()),
            DoorError::Unsupported("a transaction".into()),
            DoorError::Encode(ArrowError::CastError("overflow".into())),
        ] {
            assert_eq!(error.kind(), ErrorKind::User, "{error:?}");
            assert_ne!(Status::from(error).code(), Code::Internal);
        }
    }

    #[test]
    fn an_error_of_the_engine_stays_what_it_is() {
        let error = QueryError::new(ErrorCode::ExecutorLost, "executor 'a:1' died").of_query("q");
        let status = Status::from(DoorError::Engine(error.clone()));
        assert_eq!(QueryError::from_status(&status), error);
    }
}
