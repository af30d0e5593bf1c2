//! The executors that belong to this coordinator: who they are, how they are, and what planning sees
//! of them.

mod members;
mod same_user;
mod service;

pub use members::{ClusterSnapshot, ExecutorInfo, ExecutorState, Members};
pub use service::ClusterService;
pub(crate) use service::{OwnNode, RowsDoor};
