//! A resolved statement that is planned again for another attempt: names, types and values are what they
//! were, in the same snapshot of the catalog; executors are those that there are then.

use crate::resolution::function_errors::FunctionPlaces;
use crate::resolution::shown_names::ShownNames;
use crate::{PlanningContext, ResolvedQuery};
use datafusion::logical_expr::LogicalPlan;
use skep_protocol::QueryError;

/// What is kept of a resolved statement.
#[derive(Clone)]
pub struct KeptQuery {
    logical: LogicalPlan,
    names: ShownNames,
    places: FunctionPlaces,
}

impl ResolvedQuery {
    /// What it takes to plan the query again.
    pub fn kept(&self) -> KeptQuery {
        KeptQuery {
            logical: self.logical.clone(),
            names: self.names.clone(),
            places: self.places.clone(),
        }
    }
}

impl KeptQuery {
    /// The query, to be planned in `context`.
    ///
    /// # Errors
    /// Those of the session's settings.
    pub fn resolved_in(&self, context: &PlanningContext) -> Result<ResolvedQuery, QueryError> {
        let state = context.session_state()?;
        let resolved = context.resolved(state, self.logical.clone(), self.names.clone())?;
        Ok(ResolvedQuery {
            places: self.places.clone(),
            ..resolved
        })
    }
}
