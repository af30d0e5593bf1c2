//! The decisions of the coordinator about running queries, as plain state machines: (state, event, now) to
//! actions. Nothing here waits, locks, sends or knows a clock; the coordinator carries the actions out.
//!
//! - [`attempts`]: whether a query that failed is started again, when, and without which executors;
//! - [`failure`]: which failures are not the query's own fault;
//! - [`members`]: which executors belong to the cluster, with a generation for each time that one joins;
//! - [`breaker`]: which executors get no tasks for a while, since tasks fail on them;
//! - [`admission`]: which queries run now and which wait.
//!
//! `tests/simulation.rs` runs all of them together in a simulated cluster with seeded faults.

pub mod admission;
pub mod attempts;
pub mod breaker;
pub mod failure;
pub mod members;
