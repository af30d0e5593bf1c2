//! What can go wrong for a client: it cannot reach the server, the server does not let it in, its
//! statement fails, or the two do not understand each other.

use arrow_flight::error::FlightError;
use skep_protocol::{ErrorKind, QueryError};
use std::error::Error;
use tonic::{Code, Status};

/// A client's failure.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address is not one.
    #[error("invalid server address '{address}': {reason}")]
    Address {
        /// As it was given, without a password.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody answered there, or somebody who does not speak Flight SQL.
    #[error("cannot connect to {url}: {}", root_cause(source.as_ref()))]
    Connect {
        /// Where.
        url: String,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The server does not let this user in, or the session has expired.
    #[error("login failed: {0}")]
    Login(#[source] QueryError),
    /// The connection broke while it was in use.
    #[error("the connection to {url} was lost: {}", root_cause(source.as_ref()))]
    Lost {
        /// To where.
        url: String,
        /// Why.
        source: Box<Status>,
    },
    /// The statement failed.
    #[error("{0}")]
    Query(#[source] QueryError),
    /// The rows that were to be sent do not have the schema that was announced.
    #[error("{0}")]
    Unsendable(String),
    /// The server said something that this client does not understand.
    #[error("unexpected answer of the server: {0}")]
    Protocol(String),
}

impl ClientError {
    /// What a command line program should exit with: 1 for SQL and engine errors, 2 where the
    /// connection or the login failed, 3 where the address is not one.
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::Address { .. } => 3,
            Self::Connect { .. } | Self::Login(_) | Self::Lost { .. } => 2,
            Self::Query(_) | Self::Protocol(_) | Self::Unsendable(_) => 1,
        }
    }

    /// Whose fault it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Address { .. } => ErrorKind::User,
            Self::Connect { .. } | Self::Lost { .. } => ErrorKind::External,
            Self::Login(error) | Self::Query(error) => error.kind(),
            Self::Unsendable(_) => ErrorKind::User,
            Self::Protocol(_) => ErrorKind::Internal,
        }
    }

    /// The server's own error, where it is one.
    pub fn query_error(&self) -> Option<&QueryError> {
        match self {
            Self::Login(error) | Self::Query(error) => Some(error),
            _ => None,
        }
    }

    /// Whether the session is gone with it, so that going on needs a new connection.
    pub fn ends_session(&self) -> bool {
        matches!(
            self,
            Self::Connect { .. } | Self::Login(_) | Self::Lost { .. }
        )
    }

    /// The failure of a call on an established session.
    pub(crate) fn of_call(url: &str, status: Status) -> Self {
        if is_transport_failure(&status) {
            return Self::Lost {
                url: url.to_owned(),
                source: Box::new(status),
            };
        }
        let error = QueryError::from_status(&status);
        if status.code() == Code::Unauthenticated {
            Self::Login(error)
        } else {
            Self::Query(error)
        }
    }

    /// The failure of the first call, which opens the session.
    pub(crate) fn of_handshake(url: &str, status: Status) -> Self {
        if is_transport_failure(&status) {
            return Self::Connect {
                url: url.to_owned(),
                source: Box::new(status),
            };
        }
        if status.details().is_empty() && status.code() == Code::Unimplemented {
            let reason = "the server there does not speak Flight SQL";
            return Self::Connect {
                url: url.to_owned(),
                source: reason.into(),
            };
        }
        Self::Login(QueryError::from_status(&status))
    }

    /// A failure while decoding a stream of batches.
    pub(crate) fn of_stream(url: &str, error: FlightError) -> Self {
        match error {
            FlightError::Tonic(status) => Self::of_call(url, *status),
            other => Self::Protocol(other.to_string()),
        }
    }
}

/// Whether this side made the status, for want of a connection: a server's status carries Skep's
/// details, and one that came over the wire has no source.
fn is_transport_failure(status: &Status) -> bool {
    status.details().is_empty() && status.source().is_some()
}

/// The innermost reason. The transport wraps "connection refused" in three layers that say nothing.
fn root_cause(error: &(dyn Error + 'static)) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use skep_protocol::{ErrorCode, Position};

    #[test]
    fn a_servers_error_keeps_its_code_and_position() {
        let error = QueryError::new(ErrorCode::TableNotFound, "table 'x' not found")
            .at(Some(Position { line: 2, column: 5 }));
        let client = ClientError::of_call("flight://h:1", error.clone().into());
        assert_eq!(client.query_error(), Some(&error));
        assert_eq!(client.exit_code(), 1);
        assert!(!client.ends_session());
    }

    #[test]
    fn a_broken_connection_is_not_an_engine_error() {
        let io = std::io::Error::new(std::io::ErrorKind::ConnectionReset, "connection reset");
        let client = ClientError::of_call("flight://h:1", Status::from_error(Box::new(io)));
        assert_eq!(client.exit_code(), 2);
        assert!(client.ends_session());
        assert_eq!(
            client.to_string(),
            "the connection to flight://h:1 was lost: connection reset"
        );
    }

    #[test]
    fn an_expired_session_is_a_login_failure() {
        let error = QueryError::new(ErrorCode::Unauthenticated, "unknown token");
        let client = ClientError::of_call("flight://h:1", error.into());
        assert_eq!((client.exit_code(), client.kind()), (2, ErrorKind::User));
        assert_eq!(client.to_string(), "login failed: unknown token");
    }
}
