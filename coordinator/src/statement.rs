//! What statements do that run no plan: commands, `SHOW` and `EXPLAIN`.

mod commands;
pub(crate) mod explain;
pub(crate) mod show;

pub(crate) use commands::{
    HEADER_PROPERTY, SORT_PROPERTY, complete, file_bytes_target, file_options, new_managed_table,
    parse_location, storage_of,
};
pub use skep_sql::statement::*;
