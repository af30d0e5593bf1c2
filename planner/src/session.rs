//! What planning knows of a session: whose it is, its database, its settings, and the catalog as it sees it.

mod catalog;
mod options;
mod settings;

pub use catalog::{SessionCatalog, SessionCatalogVersion, name_of};
pub use options::{FlightOptions, JoinOrder, SkepOptions};
pub use settings::{SettingEntry, Settings};

/// The session of a statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanningSession {
    /// Whose it is.
    pub user: String,
    /// Where names without a database are looked up.
    pub database: String,
    /// What its user has set.
    pub settings: Settings,
}
