//! The transport of batches between tasks over Arrow Flight: connections, frames, serving, rows of clients, direct
//! results, limits, and how plans and statistics cross the wire.
//!
//! Besides the planner and `executor::worker` this is the only place that names types of `datafusion-distributed`:
//! it implements that library's transport port.

pub mod channel;
pub mod direct;
pub mod folded;
pub mod frame;
pub mod limits;
pub mod metrics;
pub mod monitor;
mod node_name;
pub mod round_trip;
pub mod rows;
pub mod serve;
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
