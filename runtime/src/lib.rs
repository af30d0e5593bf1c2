//! What every node needs to run a plan: the function set, memory pools, the settings of a task's session,
//! operators and codecs that both ends of an exchange know, type names, the panic guard, and the conversion of
//! errors. It knows neither the catalog nor the network.

pub mod bulk_scan;
pub mod compact;
pub mod constants;
pub mod error;
mod error_text;
pub mod functions;
pub mod memory;
pub mod panic_guard;
pub mod session;
pub mod sql_type;
