//! Object stores by URL, and everything that depends on which store it is: which store a URL belongs to, what
//! has to be synced before a commit, and the removal of temporary directories.

mod durability;
mod registry;
mod temporary;

pub use durability::Durability;
pub use registry::Storage;
pub use temporary::TemporaryDirectory;
