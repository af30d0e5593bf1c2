//! Functions of JSON texts.

mod convert;
mod csv;
mod functions;
mod path;
mod schema;
mod standard;
mod value;

use crate::registry::Functions;

/// Adds them.
pub(crate) fn add(functions: &mut Functions) {
    functions::add(functions);
    standard::add(functions);
    convert::add(functions);
    csv::add(functions);
}
