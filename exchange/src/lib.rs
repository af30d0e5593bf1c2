//! What the two ends of a stage boundary share: the transport of batches between tasks, the session
//! that a task runs in, and how failures and statistics cross the wire.
//!
//! This is the only crate besides `coordinator::planning` and `executor::worker` that names types of
//! `datafusion-distributed`: it implements that library's transport port over Arrow Flight.

pub mod bulk_scan;
pub mod channel;
pub mod compact;
pub mod constants;
pub mod direct;
pub mod error;
mod error_text;
pub mod folded;
pub mod frame;
pub mod functions;
pub mod limits;
pub mod memory;
pub mod metrics;
pub mod monitor;
pub mod panic_guard;
pub mod round_trip;
pub mod rows;
pub mod serve;
pub mod session;
pub mod sql_type;
pub mod storage;
pub mod wire;

/// The versions of the libraries whose plans and batches two nodes exchange.
pub fn library_versions() -> (&'static str, &'static str) {
    (datafusion::DATAFUSION_VERSION, arrow::ARROW_VERSION)
}

/// This process, as it introduces itself to another.
pub fn this_version() -> skep_protocol::proto::Version {
    let (datafusion, arrow) = library_versions();
    skep_protocol::version::this_version(datafusion, arrow)
}
