//! What a statement may read of the tables and views that it names.
//!
//! A column that its user may not read is not there for it, whatever it says: what the planner is given has no such
//! column.

use crate::resolution::catalog_names::CATALOG_NAME;
use crate::session::SessionCatalog;
use datafusion::catalog::TableProvider;
use datafusion::catalog::view::ViewTable;
use datafusion::common::{Column, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder};
use skep_catalog::Relation;
use skep_catalog::rights::Readable;
use skep_protocol::{ErrorCode, QueryError};
use std::sync::Arc;

/// Refuses what the user may see and may not read.
///
/// # Errors
/// `PermissionDenied`.
pub(crate) fn check_readable(
    catalog: &SessionCatalog,
    relation: &Relation,
) -> Result<(), QueryError> {
    if !catalog.readable(relation).is_nothing() {
        return Ok(());
    }
    let (database, name) = relation.names();
    let user = catalog.rights().user();
    let text = format!("user '{user}' may not SELECT from '{database}.{name}'");
    Err(QueryError::new(ErrorCode::PermissionDenied, text))
}

/// The table or view with the columns that may be read.
///
/// # Errors
/// Those of the base library.
pub(crate) fn with_readable_columns(
    provider: Arc<dyn TableProvider>,
    relation: &Relation,
    readable: Readable<'_>,
) -> Result<Arc<dyn TableProvider>> {
    if readable == Readable::All {
        return Ok(provider);
    }
    let (database, name) = relation.names();
    let reference = TableReference::full(CATALOG_NAME, database, name);
    let schema = provider.schema();
    let names = schema.fields().iter().map(|field| field.name().clone());
    let columns: Vec<Expr> = names
        .filter(|column| readable.has(&column.to_lowercase()))
        .map(|column| Expr::Column(Column::new(Some(reference.clone()), column)))
        .collect();
    let plan = LogicalPlanBuilder::scan(reference, provider_as_source(provider), None)?;
    Ok(Arc::new(ViewTable::new(
        plan.project(columns)?.build()?,
        None,
    )))
}
