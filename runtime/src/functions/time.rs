//! Dates, times and intervals where DataFusion's own functions count in nanoseconds, which end in 2262, do not
//! know a field, or have no answer at the hours that clocks skip or repeat.
//!
//! Timestamps are microseconds throughout: years 1 to 9999 and far beyond.

mod bin;
mod interval;
mod interval_extreme;
mod interval_factor;
mod interval_text;
mod now;
mod part;
mod part_of_interval;
mod round;
mod series;
mod to_timestamp;
mod truncate;
mod unit;
mod zone;
mod zoned;

pub use interval::{Interval, interval_length, interval_of_duration};
pub use interval_extreme::{interval_max, interval_min};
pub use interval_factor::{interval_divide, interval_multiply};
pub use interval_text::interval_text;
pub use part::date_part;
pub use truncate::date_trunc;
pub use zoned::timezone;

use datafusion::config::ConfigOptions;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF};
use std::sync::Arc;

/// The zone of sessions that have not set one.
pub const DEFAULT_ZONE: &str = "UTC";

/// The zone of a session: `datafusion.execution.time_zone`, or UTC.
pub fn session_zone(options: &ConfigOptions) -> Arc<str> {
    let zone = options.execution.time_zone.as_deref();
    Arc::from(zone.unwrap_or(DEFAULT_ZONE))
}

/// Those that depend on nothing but their arguments, and the others for the default zone: an executor takes the
/// zone of a call from its result's type.
pub(super) fn all() -> impl Iterator<Item = Arc<ScalarUDF>> {
    let options = ConfigOptions::default();
    [
        bin::date_bin(),
        part::date_part(),
        round::round_timestamp(),
        truncate::date_trunc(),
        interval_length(),
        interval_of_duration(),
        interval_multiply(),
        interval_divide(),
        interval_text(),
    ]
    .into_iter()
    .chain(series::all())
    .chain(of_session(&options).into_iter().map(Arc::new))
}

/// The aggregates.
pub(super) fn aggregates() -> [Arc<AggregateUDF>; 2] {
    [interval_min(), interval_max()]
}

/// The functions whose results are in the session's zone.
pub fn of_session(options: &ConfigOptions) -> Vec<ScalarUDF> {
    let zone = session_zone(options);
    let mut functions = now::all(&zone);
    functions.push(zoned::timezone_in(&zone));
    functions.extend(to_timestamp::all(options));
    functions
}
