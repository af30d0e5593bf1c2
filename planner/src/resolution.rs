//! From the names of a statement to relations of one snapshot: tables, views, files that a statement names
//! itself, and names that the base library's planner cannot mistake.

pub(crate) mod catalog_names;
pub(crate) mod field_names;
pub(crate) mod filter_batch;
pub(crate) mod function_clauses;
pub(crate) mod function_errors;
pub(crate) mod information_schema;
pub(crate) mod loose_files;
pub(crate) mod names;
pub(crate) mod parameters;
pub(crate) mod readable;
pub(crate) mod relations;
pub(crate) mod resolve;
pub(crate) mod series;
pub(crate) mod session_functions;
pub(crate) mod shown_names;
pub(crate) mod snapshot_catalog;
pub(crate) mod views;
