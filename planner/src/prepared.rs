//! The plan of a prepared statement, kept from one run to the next.
//!
//! What is kept is the statement with all names resolved. It holds for the catalog, the database, the
//! settings and the user with their roles that it was made with, and is made again where one of them is another. What depends on the moment, such as `now()` and which executors there are,
//! is decided anew in every run.
//!
//! Decision: What is kept of a prepared statement is its resolved plan, for one snapshot of the catalog. Nothing
//! later is kept: physical plans have state, and `now()` is folded in.

use crate::resolution::shown_names::ShownNames;
use crate::session::{SessionCatalogVersion, Settings};
use crate::{PlanningContext, ResolvedQuery};
use datafusion::logical_expr::LogicalPlan;
use parking_lot::Mutex;
use skep_catalog::Rights;
use skep_protocol::QueryError;
use std::fmt;
use std::sync::Arc;

/// Where the plan of a statement is kept, for as long as the statement is prepared.
#[derive(Default)]
pub struct PreparedPlan(Mutex<Option<Arc<Kept>>>);

impl fmt::Debug for PreparedPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_kept = self.0.lock().is_some();
        f.debug_struct("PreparedPlan")
            .field("is_kept", &is_kept)
            .finish()
    }
}

struct Kept {
    catalog: SessionCatalogVersion,
    database: String,
    settings: Settings,
    rights: Arc<Rights>,
    logical: LogicalPlan,
    names: ShownNames,
}

impl Kept {
    fn holds_for(&self, context: &PlanningContext) -> bool {
        self.catalog == context.catalog.version()
            && self.database == context.session.database
            && self.settings == context.session.settings
            && self.rights.are_of_same(context.catalog.rights())
    }
}

impl PreparedPlan {
    /// Whether there is a plan, whatever it is worth.
    pub fn is_kept(&self) -> bool {
        self.0.lock().is_some()
    }

    /// Keeps what a statement was resolved to in `context`.
    pub fn keep(&self, context: &PlanningContext, resolved: &ResolvedQuery) {
        // Files may come and go without a new version of the catalog.
        if resolved.reads_loose_files() {
            return;
        }
        *self.0.lock() = Some(Arc::new(Kept {
            catalog: context.catalog.version(),
            database: context.session.database.clone(),
            settings: context.session.settings.clone(),
            rights: Arc::clone(context.catalog.rights()),
            logical: resolved.logical.clone(),
            names: resolved.names.clone(),
        }));
    }

    /// What the statement is resolved to in `context`, where that is known.
    ///
    /// # Errors
    /// Those of the session's settings.
    pub fn resolved_in(
        &self,
        context: &PlanningContext,
    ) -> Result<Option<ResolvedQuery>, QueryError> {
        let kept = self.0.lock().clone();
        let Some(kept) = kept.filter(|kept| kept.holds_for(context)) else {
            return Ok(None);
        };
        let state = context.session_state()?;
        context
            .resolved(state, kept.logical.clone(), kept.names.clone())
            .map(Some)
    }
}
