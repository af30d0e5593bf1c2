//! Functions of arrays.

mod changes;
mod items;
mod sequences;

pub(crate) use items::{comparator, map_types, positions};

use crate::registry::Functions;

/// Adds them.
pub(crate) fn add(functions: &mut Functions) {
    items::add(functions);
    changes::add(functions);
    sequences::add(functions);
}
