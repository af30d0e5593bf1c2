//! An executor: runs the tasks of stages and serves their output to other nodes.
//!
//! It reads no catalog and plans nothing: a task carries everything that it needs. It knows the
//! coordinator only as the address where it joins.

mod column_names;
pub mod config;
mod direct;
mod exchange_service;
mod file_errors;
mod float_pruning;
mod granted;
mod membership;
mod parquet_statistics;
mod progress;
mod readers;
mod required_fields;
mod server;
mod task_service;
mod worker;

pub use config::ExecutorConfig;
pub use server::{Executor, ExecutorError};
