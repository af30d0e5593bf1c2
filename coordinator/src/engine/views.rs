//! What a view's query must be besides a query.

use super::Coordinator;
use crate::session::Session;
use crate::statement::CreateView;
use skep_planner::{PlanningContext, ResolvedQuery, repeated};
use skep_protocol::{ErrorCode, QueryError};

/// A view has no two columns of one name, as a table has not.
pub(super) fn check_column_names(
    create: &CreateView,
    resolved: &ResolvedQuery,
) -> Result<(), QueryError> {
    if !create.columns.is_empty() {
        return Ok(());
    }
    let schema = resolved.schema();
    let names = schema.fields().iter().map(|field| field.name().as_str());
    match repeated(names) {
        None => Ok(()),
        Some(name) => {
            let text = format!(
                "view '{}': its query has two columns called '{name}': give one of them another name",
                create.name.table
            );
            Err(QueryError::new(ErrorCode::Semantic, text))
        }
    }
}

impl Coordinator {
    /// A view cannot read itself.
    pub(super) async fn check_view_ends(
        &self,
        session: &Session,
        context: &PlanningContext,
        create: &CreateView,
    ) -> Result<(), QueryError> {
        let database = self.database_of(session, &create.name);
        let view = &create.name.table;
        let is_temporary =
            create.temporary || create.must_exist && context.catalog.is_temporary(&database, view);
        let query = &create.query.statement;
        if create.if_not_exists && context.catalog.relation(&database, view).is_ok() {
            return Ok(());
        }
        match context
            .reads_view(query, (&database, view), is_temporary)
            .await?
        {
            false => Ok(()),
            true => {
                let text = format!("view '{view}' would read itself");
                Err(QueryError::new(ErrorCode::Semantic, text))
            }
        }
    }
}
