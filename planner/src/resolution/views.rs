//! Views: before a statement is planned, the queries of the views that it names are, and those of the
//! views that these name.

use crate::PlanningContext;
use crate::resolution::catalog_names::CATALOG_NAME;
use crate::resolution::catalog_names::INFORMATION_SCHEMA;
use crate::resolution::function_errors::{self, FunctionPlaces};
use crate::resolution::loose_files::{LOOSE_DATABASE, plan_loose_files};
use crate::resolution::names::{Purpose, resolve_names};
use crate::resolution::resolve;
use crate::resolution::snapshot_catalog::{PlannedViews, ViewKey};
use datafusion::common::TableReference;
use datafusion::datasource::ViewTable;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::parser::Statement as DataFusionStatement;
use futures::FutureExt;
use futures::future::BoxFuture;
use skep_catalog::Relation;
use skep_catalog::model::{Privilege, View};
use skep_protocol::{ErrorCode, QueryError};
use skep_runtime::error::from_datafusion;
use skep_sql::statement::{Dialect, ParseOptions, Statement, parse};
use std::sync::Arc;

/// How deep views may use views.
const DEPTH_MAX: usize = 16;

/// How long a view's query may be, in bytes.
const QUERY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The property of a view that says how its query is to be read.
pub const DIALECT_PROPERTY: &str = "skep.sql.dialect";

/// Plans all views that `statement` uses, where names without a database are in `database`.
///
/// # Errors
/// Those of a view's query, naming the view.
pub(crate) fn plan_views<'a>(
    context: &'a PlanningContext,
    state: &'a SessionState,
    statement: &'a DataFusionStatement,
    database: &'a str,
    planned: &'a PlannedViews,
    depth: usize,
) -> BoxFuture<'a, Result<(), QueryError>> {
    async move {
        let references = state
            .resolve_table_references(statement)
            .map_err(|error| from_datafusion(&error))?;
        for reference in &references {
            let database = reference.schema().unwrap_or(database);
            let Some(view) = find(context, reference, database) else {
                continue;
            };
            let name = (&view.definition.database, &view.definition.name);
            let key = ViewKey::new(&context.catalog, name.0, name.1);
            if planned.has(&key) {
                continue;
            }
            let of_view = |error: QueryError| {
                if !is_told(context, &view, &error) {
                    return broken(&view);
                }
                let message = format!("in view '{}.{}': {}", name.0, name.1, error.message);
                // A place in the view's text is none in the statement's.
                QueryError {
                    message,
                    position: None,
                    ..error
                }
            };
            if depth == 0 {
                let text = format!("views use views more than {DEPTH_MAX} deep, or in a circle");
                return Err(of_view(QueryError::new(ErrorCode::Semantic, text)));
            }
            let plan = plan_view(context, state, (&view, key.is_temporary), planned, depth)
                .await
                .map_err(of_view)?;
            let table = ViewTable::new(plan, Some(view.definition.sql.clone()));
            planned.add(key, Arc::new(table));
        }
        Ok(())
    }
    .boxed()
}

/// Whether what is wrong with a view's query may be told: it names what its owner knows of.
fn is_told(context: &PlanningContext, view: &Arc<View>, error: &QueryError) -> bool {
    let names_something = matches!(
        error.code,
        ErrorCode::PermissionDenied
            | ErrorCode::DatabaseNotFound
            | ErrorCode::TableNotFound
            | ErrorCode::ColumnNotFound
    );
    let relation = Relation::View(Arc::clone(view));
    !names_something || context.catalog.may(&relation, &[Privilege::Alter])
}

fn broken(view: &View) -> QueryError {
    let (database, name) = (&view.definition.database, &view.definition.name);
    let text = format!(
        "view '{database}.{name}' cannot be read: something that it reads is not there for the user whose rights it has"
    );
    QueryError::new(ErrorCode::Semantic, text)
}

/// Plans the views of a statement.
///
/// # Errors
/// As [`plan_views`].
pub(crate) async fn plan_views_of(
    context: &PlanningContext,
    state: &SessionState,
    statement: &DataFusionStatement,
    planned: &PlannedViews,
) -> Result<(), QueryError> {
    let database = &context.session.database;
    plan_views(context, state, statement, database, planned, DEPTH_MAX).await?;
    let references = state
        .resolve_table_references(statement)
        .map_err(|error| from_datafusion(&error))?;
    let lists_columns = |reference: &TableReference| {
        reference.schema() == Some(INFORMATION_SCHEMA) && reference.table() == "columns"
    };
    if references.iter().any(lists_columns) {
        plan_all(context, state, planned).await;
    }
    Ok(())
}

impl PlanningContext {
    /// Whether a query reads the view of this name, by itself or through other views.
    ///
    /// # Errors
    /// Those of a view's query, naming the view.
    pub async fn reads_view(
        &self,
        statement: &DataFusionStatement,
        (database, name): (&str, &str),
        is_temporary: bool,
    ) -> Result<bool, QueryError> {
        let planned = PlannedViews::default();
        let state = self.session_state_with(&planned)?;
        let references = state
            .resolve_table_references(statement)
            .map_err(|error| from_datafusion(&error))?;
        let is_meant = |reference: &TableReference| {
            let of = reference.schema().unwrap_or(&self.session.database);
            of.eq_ignore_ascii_case(database) && reference.table().eq_ignore_ascii_case(name)
        };
        if references.iter().any(is_meant) {
            return Ok(true);
        }
        plan_views_of(self, &state, statement, &planned).await?;
        let (database, name) = (database.to_lowercase(), name.to_lowercase());
        Ok(planned.has_named(&database, &name, is_temporary))
    }
}

/// Plans all views of the catalog. Those whose queries make no sense any more are left out.
async fn plan_all(context: &PlanningContext, state: &SessionState, planned: &PlannedViews) {
    for database in context.catalog.databases() {
        let relations = context.catalog.relations(&database.name);
        for (relation, is_temporary) in relations.into_iter().flatten() {
            let Relation::View(view) = relation else {
                continue;
            };
            let name = &view.definition.name;
            let key = ViewKey::new(&context.catalog, &database.name, name);
            if planned.has(&key) {
                continue;
            }
            match plan_view(context, state, (view, is_temporary), planned, DEPTH_MAX).await {
                Ok(plan) => planned.add(key, Arc::new(ViewTable::new(plan, None))),
                Err(error) => tracing::debug!(%error, %name, "left a broken view out"),
            }
        }
    }
}

fn find(
    context: &PlanningContext,
    reference: &TableReference,
    database: &str,
) -> Option<Arc<View>> {
    let catalog = reference.catalog().unwrap_or(CATALOG_NAME);
    if catalog != CATALOG_NAME || database == INFORMATION_SCHEMA || database == LOOSE_DATABASE {
        return None;
    }
    match context.catalog.relation(database, reference.table()) {
        Ok(Relation::View(view)) => Some(Arc::clone(view)),
        Ok(Relation::Table(_)) | Err(_) => None,
    }
}

/// Plans a view, with whether it is temporary. Others see nothing that is temporary.
async fn plan_view(
    context: &PlanningContext,
    state: &SessionState,
    (view, is_temporary): (&View, bool),
    planned: &PlannedViews,
    depth: usize,
) -> Result<LogicalPlan, QueryError> {
    let permanent;
    let context = match is_temporary {
        true => context,
        false => {
            permanent = PlanningContext {
                catalog: context.catalog.of_view(view),
                ..context.clone()
            };
            &permanent
        }
    };
    let definition = &view.definition;
    let dialect = definition.properties.get(DIALECT_PROPERTY);
    let options = ParseOptions {
        bytes_max: QUERY_BYTES_MAX,
        dialect: dialect.map_or(Dialect::Standard, |name| name.parse().unwrap_or_default()),
    };
    let Statement::Query(query) = parse(&definition.sql, options)? else {
        return Err(QueryError::internal(
            "a view has something else than a query",
        ));
    };
    let resolve_in = &definition.resolve_in;
    let mut state = match options.dialect == context.session.settings.dialect() {
        true => state.clone(),
        false => {
            let spoken =
                crate::template::speak(state.clone(), options.dialect, &context.planner.functions);
            spoken.map_err(|error| from_datafusion(&error))?
        }
    };
    let config = state.config().clone();
    *state.config_mut() = config.with_default_catalog_and_schema(CATALOG_NAME, resolve_in);
    state.register_catalog_list(context.catalogs(state.config_options(), planned));
    let query = plan_loose_files(context, &state, &query, planned).await?;
    let mut query = query.into_owned();
    plan_views(context, &state, &query, resolve_in, planned, depth - 1).await?;
    resolve::check_tables(&state, &query, context, resolve_in)?;
    resolve_names(&state, &mut query, Purpose::View).await?;
    let plan = state.statement_to_plan(query.clone()).await;
    let plan = plan.map_err(|error| {
        let places = FunctionPlaces::of(&query);
        function_errors::explain(&state, &places, resolve::semantic_error(&error))
    })?;
    renamed(plan, view)
}

/// The plan with the names that the view gives to its columns.
fn renamed(plan: LogicalPlan, view: &View) -> Result<LogicalPlan, QueryError> {
    let names = &view.definition.columns;
    if names.is_empty() {
        return Ok(plan);
    }
    let columns = plan.schema().columns();
    if columns.len() != names.len() {
        let text = format!(
            "it lists {} columns and its query has {} now",
            names.len(),
            columns.len()
        );
        return Err(QueryError::new(ErrorCode::Semantic, text));
    }
    let named = columns.into_iter().zip(names);
    let expressions: Vec<Expr> = named
        .map(|(column, name)| Expr::Column(column).alias(&name.name))
        .collect();
    LogicalPlanBuilder::from(plan)
        .project(expressions)
        .and_then(LogicalPlanBuilder::build)
        .map_err(|error| from_datafusion(&error))
}
