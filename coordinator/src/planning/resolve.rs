//! Errors about names that a person can act on: what is missing, where it stands, and what is nearest.

use super::context::{CATALOG_NAME, PlanningContext};
use datafusion::common::TableReference;
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::sql::parser::Statement as DataFusionStatement;
use skep_exchange::error::from_datafusion;
use skep_protocol::{ErrorCode, QueryError};

/// The schema that DataFusion itself provides.
pub(super) const INFORMATION_SCHEMA: &str = "information_schema";

/// Looks up every table of `statement` in the snapshot.
///
/// # Errors
/// `TableNotFound` or `DatabaseNotFound`, with the nearest name.
pub(super) fn check_tables(
    state: &SessionState,
    statement: &DataFusionStatement,
    context: &PlanningContext,
) -> Result<(), QueryError> {
    let references = state
        .resolve_table_references(statement)
        .map_err(|error| from_datafusion(&error))?;
    for reference in &references {
        let catalog = reference.catalog().unwrap_or(CATALOG_NAME);
        if !catalog.eq_ignore_ascii_case(CATALOG_NAME) {
            let text =
                format!("there is no catalog '{catalog}'; the one catalog is '{CATALOG_NAME}'");
            return Err(QueryError::new(ErrorCode::DatabaseNotFound, text));
        }
        let database = reference.schema().unwrap_or(&context.session.database);
        if database.eq_ignore_ascii_case(INFORMATION_SCHEMA) || is_table_function(state, reference)
        {
            continue;
        }
        context
            .catalog
            .table(database, reference.table())
            .map_err(QueryError::from)?;
    }
    Ok(())
}

fn is_table_function(state: &SessionState, reference: &TableReference) -> bool {
    reference.schema().is_none() && state.table_functions().contains_key(reference.table())
}

/// What the planner says, as an error with its place.
pub(super) fn semantic_error(error: &DataFusionError) -> QueryError {
    from_datafusion(error)
}
