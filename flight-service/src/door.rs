//! What the calls of the Flight SQL service share.

use crate::engine::QueryService;
use crate::options::DoorOptions;
use crate::sessions::Sessions;
use crate::statements::Statements;
use std::sync::Arc;

/// What the calls share.
pub(crate) struct Door {
    pub(crate) service: Arc<dyn QueryService>,
    pub(crate) options: DoorOptions,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) statements: Statements,
}
