//! The queries of this coordinator: their states, the places that they wait for, and what is
//! remembered of them.

pub mod admission;
mod life;
mod registry;

pub use life::{Event, QueryLife};
pub use registry::{Committing, Profile, QueryHandle, QueryRegistry};
