//! A client of Skep over Arrow Flight SQL, for the shell, the benchmark and the tests.
//!
//! It speaks the public protocol and nothing else, which proves that protocol sufficient: it links no
//! planner and knows no engine types. It adds two conveniences of Skep's own server: the query's id
//! with every result, and errors as [`skep_protocol::QueryError`] with their place in the SQL.
//!
//! It reads one endpoint of a result, over its one connection. It does not retry: the engine does,
//! and only the engine knows what is safe to run twice.

mod address;
mod client;
mod error;
mod ingest;
mod metadata;
mod prepared;
mod progress;
mod result;
#[cfg(test)]
mod tests;

pub use address::DEFAULT_PORT;
pub use client::{Client, ClientOptions};
pub use error::ClientError;
pub use ingest::IngestMode;
pub use metadata::{Column, Table};
pub use progress::QueryProgress;
pub use result::StatementResult;
