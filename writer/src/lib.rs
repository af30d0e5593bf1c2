//! The operator that writes a table's files, on whichever node it runs.
//!
//! A write is a query whose last operator is [`TableWriteExec`]: every task writes files of its own and
//! returns one row per file, which says what is in it. Nothing of that is visible until the coordinator
//! has committed all of them to the catalog in one transaction; what is never committed is swept later.
//! What this crate deliberately lacks: any knowledge of the catalog.

mod aborting;
mod check;
mod codec;
mod exec;
mod file;
mod report;
mod spec;
mod split;
mod stream;

pub use aborting::AbortingStore;
pub use codec::WriteCodec;

pub use exec::TableWriteExec;
pub use report::{WrittenFile, decode_reports, report_schema};
pub use spec::{CsvOptions, FileOptions, ParquetOptions, SortColumn, WriteColumn, WriteSpec};
