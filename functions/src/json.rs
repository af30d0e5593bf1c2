//! Functions of JSON texts.

mod convert;
mod csv;
mod functions;
mod made;
mod path;
mod schema;
mod standard;
mod value;

use crate::registry::Functions;

/// Adds them.
pub(crate) fn add(functions: &mut Functions) {
    functions::add(functions);
    standard::add(functions);
    made::add(functions);
    convert::add(functions);
    csv::add(functions);
}
