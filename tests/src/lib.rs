//! What the end-to-end tests share: real processes, data, sessions and the reading of results. The
//! tests themselves are in `tests/` and `slt/`.
//!
//! Everything here fails by panicking, with a message that says what was expected.

pub mod cells;
pub mod cluster;
pub mod dataset;
pub mod embedded;
pub mod logic;
pub mod postgres;
pub mod process;
pub mod raw;
pub mod session;
pub mod tls;
