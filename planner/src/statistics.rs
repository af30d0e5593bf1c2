//! What is known or estimated of the rows and columns of tables, and of what plans make of them.
//!
//! `files.rs` makes it of what the catalog knows of a table's files and of what ANALYZE found, `relation.rs`
//! follows it through the operators of a logical plan, `predicate.rs` says which part of rows a condition keeps.

mod distinct;
mod files;
mod predicate;
mod profile;
mod relation;
mod scans;
mod values;

pub use files::TableProfile;
pub use files::known_statistics;
pub(crate) use predicate::{EQUALITY_SELECTIVITY, backed_off, selectivity};
pub use profile::ColumnProfile;
pub(crate) use relation::{Build, Estimate, Estimated, Estimator};
pub(crate) use scans::{ScanProfiles, profile_scans};
