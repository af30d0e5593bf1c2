//! Who may do what: every kind of statement against every way of having a privilege and every way into the server,
//! with what must happen. The cases are generated; what must happen follows from a table of needs that is written
//! here once more, apart from the engine's own.

mod actions;
mod matrix;
mod roles;
mod standings;
mod views;
mod world;
