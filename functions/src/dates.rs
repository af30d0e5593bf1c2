//! Dates and timestamps. Timestamps have microseconds and no zone; those with a zone are taken as what the
//! clocks there show.

mod arithmetic;
mod conversion;
mod fields;
pub mod pattern;
pub mod read;
mod units;
mod windows;
pub mod zones;

use crate::registry::Functions;

/// Adds them.
pub(crate) fn add(functions: &mut Functions) {
    fields::add(functions);
    arithmetic::add(functions);
    conversion::add(functions);
    windows::add(functions);
}
