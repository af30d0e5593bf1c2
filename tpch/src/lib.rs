//! The TPC-H benchmark that ships with Skep: it generates the data, runs the 22 queries through
//! the public Flight SQL door, and checks every row against answers that another engine computed.
//!
//! It is a client like any other: it never links the coordinator or the executor. DataFusion is
//! linked only as the yardstick, plain and in one process, for `verify oracle` and
//! `compare single`.

pub mod answers;
pub mod compare;
pub mod generate;
pub mod location;
pub mod queries;
pub mod run;
pub mod single;
pub mod tables;
pub mod value;

pub use generate::{GenerateError, GenerateOptions, GenerateProgress, GenerateReport, generate};
pub use location::{DataLocation, LocationError};
pub use queries::{QueryListError, parse_queries};
pub use run::{RunOptions, RunReport, Verify, print_report, run};

/// The smallest scale that the benchmark runs at: below it the specification's tables lose rows
/// that its queries look for.
pub const SCALE_MIN: f64 = 0.01;

/// The name of a scale as it appears in database and directory names: `1`, `0_01`, `10`.
pub fn scale_name(scale: f64) -> String {
    scale.to_string().replace('.', "_")
}

/// The database that holds the tables of a scale, for example `tpch_sf0_01`.
pub fn database_name(scale: f64) -> String {
    format!("tpch_sf{}", scale_name(scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_scales_have_no_dot() {
        assert_eq!(database_name(1.0), "tpch_sf1");
        assert_eq!(database_name(0.01), "tpch_sf0_01");
        assert_eq!(database_name(10.0), "tpch_sf10");
    }
}
