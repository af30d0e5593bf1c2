//! The home of tests that look at more than one crate; they are in `tests/`.
