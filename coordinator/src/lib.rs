//! The coordinator: accepts statements, plans them over the catalog and the cluster, runs them on
//! executors and streams their results. See ARCHITECTURE.md for the life of a query.
//!
//! It opens no ports: the binary serves its [`cluster::ClusterService`] and a door that calls its
//! [`service::QueryService`].

mod access;
mod attempts;
mod client_rows;
pub mod cluster;
pub mod config;
mod engine;
mod identity;

pub mod query;
mod results;
pub mod service;
pub mod session;
pub mod statement;

pub use config::{Authentication, CoordinatorConfig};
pub use engine::{Engine, EngineError, Threads};
pub use identity::{ANONYMOUS, FIRST_ADMIN};
pub use skep_exchange::wire;
