//! The Flight SQL door: what BI tools, drivers, the shell and the benchmark connect to.
//!
//! It turns calls of the Flight SQL protocol into calls of one
//! [`QueryService`](skep_coordinator::service::QueryService) and streams the rows back. It knows
//! nothing of planning, executors or storage, and keeps no state but sessions, prepared statements
//! and results that wait to be fetched, all of them bounded by [`DoorOptions`].
//!
//! Who may log in is the engine's affair; the door only finds out who says so. The connections come from
//! `skep-listener`.
//!
//! Deliberately absent: Substrait and transactions. Calls for these answer `UNIMPLEMENTED`.

mod actions;
mod commands;
mod door;
mod endpoints;
mod errors;
mod flight_sql;
mod handle;
mod ingest;
mod keys;
mod metadata;
mod options;
mod parameters;
mod polling;
mod prepared;
mod progress;
mod results;
mod session_messages;
mod session_options;
mod sessions;
mod sql_info;
mod sql_types;
mod statements;
mod wire_schema;

pub use errors::DoorError;
pub use flight_sql::FlightSqlDoor;
pub use options::DoorOptions;

/// The protocol's types of the engine, under one name.
pub(crate) use skep_coordinator::service as engine;
