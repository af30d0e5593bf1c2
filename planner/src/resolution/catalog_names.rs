//! The names that every session knows.

/// The name of the one catalog.
pub const CATALOG_NAME: &str = "skep";

/// The schema that DataFusion itself provides.
pub(crate) const INFORMATION_SCHEMA: &str = "information_schema";
