//! The functions that every node of a cluster knows besides DataFusion's own: a plan names them, and an
//! executor that did not know one could not run it.

mod single_value;

pub use single_value::single_value;

use datafusion::error::Result;
use datafusion::execution::FunctionRegistry;

/// Registers them in a session.
///
/// # Errors
/// The registry's, where it takes no functions.
pub fn register(registry: &mut dyn FunctionRegistry) -> Result<()> {
    registry.register_udaf(single_value())?;
    Ok(())
}
