//! What users may do. One question is asked for every statement and for everything else that comes in at a door,
//! before anything of it runs: [`Coordinator::authorise`].
//!
//! What a statement reads needs no question of its own. Names are looked up in a
//! [`crate::session::SessionCatalog`], which has the rights of the calling user, and finds what they may see; what
//! they may not read is refused where the planner asks for it, and files that they may not read lie outside of
//! their roots. So a subquery, a view, an EXPLAIN or a prepared statement cannot go round it. The question is
//! about what is changed, shown or ended, and about the places that a statement names.

mod commands;
mod ingest;
mod needs;
mod question;
mod show;
mod users;

pub(crate) use question::Verdict;
pub(crate) use show::{rows, schema};

use crate::engine::Coordinator;
use crate::session::Session;
use skep_catalog::{CatalogSnapshot, Rights};
use skep_protocol::{ErrorCode, QueryError};
use std::sync::Arc;

impl Coordinator {
    /// What the user of `session` may do in `snapshot`.
    pub(crate) fn rights_in(&self, snapshot: &CatalogSnapshot, session: &Session) -> Arc<Rights> {
        match self.identity.are_callers_known(snapshot) {
            false => Arc::new(Rights::unchecked(&session.user)),
            true => self
                .known_rights
                .of(snapshot, &session.user, &session.roles),
        }
    }

    /// What the user of `session` may do now.
    pub(crate) fn rights(&self, session: &Session) -> Arc<Rights> {
        self.rights_in(&self.catalog.snapshot(), session)
    }
}

/// That somebody may not do something.
pub(crate) fn denied(user: &str, what: &str) -> QueryError {
    let text = format!("user '{user}' may not {what}");
    QueryError::new(ErrorCode::PermissionDenied, text)
}
