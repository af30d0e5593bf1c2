//! Functions of text.

mod bytes;
mod format;
mod joined;
mod numbers;
mod parts;
mod regexps;
mod similarity;

use crate::registry::Functions;

/// Adds them.
pub(crate) fn add(functions: &mut Functions) {
    parts::add(functions);
    joined::add(functions);
    bytes::add(functions);
    regexps::add(functions);
    similarity::add(functions);
    format::add(functions);
    numbers::add(functions);
}
