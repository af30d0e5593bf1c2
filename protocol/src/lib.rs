//! What two Skep processes must agree on: ids, errors, control messages, tickets, versions and the
//! rules for storage URLs.
//!
//! A thing belongs here only if a query would break when two processes disagreed about it. The crate
//! knows nothing of DataFusion, so that clients can depend on it.

pub mod access_token;
pub mod error;
pub mod ids;
pub mod keys;
pub mod node_call;
pub mod partition_path;
pub mod registration;
pub mod replay;
pub mod sealed;
pub mod storage_url;
pub mod task_grant;
pub mod ticket;
pub mod version;

/// Messages and services generated from `proto/skep.proto`.
#[allow(missing_docs, clippy::all)]
pub mod proto {
    tonic::include_proto!("skep.v1");
}

pub use error::{ErrorCode, ErrorKind, Position, QueryError};
pub use ids::{AttemptId, QueryId, TaskKey};
pub use keys::{ClusterKey, Purpose};
