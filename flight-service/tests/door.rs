//! The door over a loopback connection: the real server, the real Flight SQL client, and an engine
//! made up for the purpose.

// Helpers of tests are not in test functions, but fail like them.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "door/cancelling.rs"]
mod cancelling;
#[path = "door/engine.rs"]
mod engine;
#[path = "door/errors.rs"]
mod errors;
#[path = "door/fixture.rs"]
mod fixture;
#[path = "door/ingest.rs"]
mod ingest;
#[path = "door/listening.rs"]
mod listening;
#[path = "door/metadata.rs"]
mod metadata;
#[path = "door/prepared.rs"]
mod prepared;
#[path = "door/sessions.rs"]
mod sessions;
#[path = "door/statements.rs"]
mod statements;
