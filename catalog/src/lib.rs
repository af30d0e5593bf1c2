//! The catalog: databases, tables, their partitions and files, and what is known of the files'
//! contents, kept in a database of its own and read as immutable snapshots.
//!
//! Only this crate writes table metadata. It knows nothing of DataFusion: whoever plans reads a
//! [`CatalogSnapshot`] and makes of it what the planner needs.

pub mod catalog;
pub mod discovery;
pub mod error;
pub mod model;
pub mod rights;
pub mod snapshot;
pub mod store;

pub use catalog::{
    Catalog, CatalogOptions, NewDatabase, NewExternalTable, NewManagedTable, NewUser,
    RefreshSummary,
};
pub use error::CatalogError;
pub use object_store::ObjectStore;
pub use rights::{EnabledRoles, Rights};
pub use snapshot::{CatalogSnapshot, Relation};
pub use store::{CatalogLocation, DatabaseUrl};

#[cfg(test)]
mod test_files;
#[cfg(test)]
mod test_postgres;
#[cfg(test)]
mod test_random;
