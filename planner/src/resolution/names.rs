//! Names in a query, before it is planned: where the base library would take a name for something else than
//! the standard does, or for nothing, the query is written so that it cannot.
//!
//! - Columns of USING and NATURAL joins are the value of the side that has a row (`names/from.rs`).
//! - Two columns of a result may have one name (`names/select.rs`); it is ambiguous only where it is used.
//! - A name is that of a column in other letters' case where there is none in its own (`names/scope.rs`).
//! - Grouping sets may name a column more than once (`names/grouping.rs`).
//! - A table may be called as a column of a subquery is (`names/hidden.rs`).
//! - PIVOT, UNPIVOT and ASOF JOIN, which need to know columns, are put into other words (`names/pivot.rs`,
//!   `names/asof.rs`).
//!
//! Everything else stays as it is, and so do names that stand for nothing: the planner says so. Types are not
//! known here.

mod asof;
mod expressions;
mod from;
mod grouping;
mod hidden;
mod pivot;
mod scope;
mod select;
mod wildcard;

use crate::resolution::catalog_names::CATALOG_NAME;
use crate::resolution::function_clauses;
use datafusion::common::TableReference;
use datafusion::execution::SessionState;
use datafusion::sql::parser::Statement as DataFusionStatement;
use datafusion::sql::sqlparser::ast::{
    Cte, Ident, OrderBy, Query, SetExpr, SetQuantifier, Statement, Values, With,
};
use scope::{Chain, Column, Scope, normalised};
use select::Output;
use skep_protocol::{ErrorCode, QueryError};
use skep_runtime::error::from_datafusion;
use skep_sql::statement::position;
use std::collections::{HashMap, HashSet};

/// What a query is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The result of a statement.
    Result,
    /// A view: a relation whose columns keep the planner's names.
    View,
    /// A relation of another query, or a part of a set operation.
    Relation,
    /// A value or a condition.
    Value,
}

/// Rewrites the names of a statement; returns what its result's columns are called, as far as that is known.
///
/// # Errors
/// `Semantic` where a name is ambiguous, `ColumnNotFound` where a clause names a column that there is not.
pub(crate) async fn resolve_names(
    state: &SessionState,
    statement: &mut DataFusionStatement,
    purpose: Purpose,
) -> Result<Option<Vec<String>>, QueryError> {
    function_clauses::check(state, statement)?;
    let tables = tables_of(state, statement).await?;
    let DataFusionStatement::Statement(statement) = statement else {
        return Ok(None);
    };
    let hidden = hidden::column_names(statement, &tables);
    let Statement::Query(query) = statement.as_mut() else {
        return Ok(None);
    };
    let database = &state.config_options().catalog.default_schema;
    let mut names = Names::new(&tables, database);
    names.hidden = hidden;
    names.is_hive = speaks_hive(state);
    let columns = names.query(query, None, purpose)?;
    let shown = |columns: Vec<Column>| columns.into_iter().map(|column| column.name).collect();
    Ok(columns.map(shown))
}

/// Whether the session's functions are Hive's.
fn speaks_hive(state: &SessionState) -> bool {
    let planners = state.expr_planners().iter();
    let mut names = planners.map(|planner| format!("{planner:?}"));
    names.any(|name| name == "DialectPlanner(Hive)")
}

/// The columns of all tables and views, by database and name.
type Tables = HashMap<(String, String), Vec<Column>>;

async fn tables_of(
    state: &SessionState,
    statement: &DataFusionStatement,
) -> Result<Tables, QueryError> {
    let references = state
        .resolve_table_references(statement)
        .map_err(|error| from_datafusion(&error))?;
    let defaults = &state.config_options().catalog;
    let mut tables = Tables::new();
    for reference in references {
        let found: TableReference = reference.clone();
        let found = found.resolve(&defaults.default_catalog, &defaults.default_schema);
        let key = (found.schema.to_string(), found.table.to_string());
        let Ok(schema) = state.schema_for_ref(reference) else {
            continue;
        };
        if let Ok(Some(table)) = schema.table(&found.table).await {
            let schema = table.schema();
            let columns = schema.fields().iter();
            let columns = columns.map(|field| Column {
                has_fields: field.data_type().is_nested(),
                ..Column::named(field.name())
            });
            let columns = columns.collect();
            tables.insert(key, columns);
        }
    }
    Ok(tables)
}

/// The queries that WITH names, by their names. Some columns are not known before planning.
type Ctes = HashMap<String, Option<Vec<Column>>>;

/// Rewrites the names of one statement.
struct Names<'a> {
    tables: &'a Tables,
    database: &'a str,
    /// Those of the queries that the current one is in, the innermost last.
    ctes: Vec<Ctes>,
    /// How many aliases have been made up.
    aliases: usize,
    /// The names that tables cannot have for the planner (`names/hidden.rs`).
    hidden: HashSet<String>,
    /// Whether the statement is one of Hive's dialect.
    is_hive: bool,
}

impl<'a> Names<'a> {
    fn new(tables: &'a Tables, database: &'a str) -> Self {
        Self {
            tables,
            database,
            ctes: Vec::new(),
            aliases: 0,
            hidden: HashSet::new(),
            is_hive: false,
        }
    }

    /// A query in the scopes of `outer`; returns the columns of its result, as far as they are known.
    fn query(
        &mut self,
        query: &mut Query,
        outer: Option<&Chain>,
        purpose: Purpose,
    ) -> Result<Option<Vec<Column>>, QueryError> {
        let has_with = query.with.is_some();
        if let Some(with) = &mut query.with {
            self.ctes.push(Ctes::new());
            self.with(with, outer)?;
        }
        let order = query.order_by.as_mut();
        let outputs = self.body(&mut query.body, order, outer, purpose)?;
        if has_with {
            self.ctes.pop();
        }
        if !query.pipe_operators.is_empty() {
            // They are applied to the result, which has other columns then.
            return Ok(None);
        }
        let columns = |outputs: Vec<Output>| outputs.into_iter().map(|it| it.column).collect();
        Ok(outputs.map(columns))
    }

    fn with(&mut self, with: &mut With, outer: Option<&Chain>) -> Result<(), QueryError> {
        for cte in &mut with.cte_tables {
            let name = normalised(&cte.alias.name);
            if with.recursive {
                let columns = self.recursive_columns(cte, outer)?;
                self.add_cte(name.clone(), columns);
            }
            let columns = self.query(&mut cte.query, outer, Purpose::Relation)?;
            let columns = renamed(cte).or(columns);
            self.add_cte(name, columns);
        }
        Ok(())
    }

    fn add_cte(&mut self, name: String, columns: Option<Vec<Column>>) {
        if let Some(ctes) = self.ctes.last_mut() {
            ctes.insert(name, columns);
        }
    }

    /// The columns of a recursive query within itself: those of its first part.
    fn recursive_columns(
        &mut self,
        cte: &Cte,
        outer: Option<&Chain>,
    ) -> Result<Option<Vec<Column>>, QueryError> {
        if let Some(columns) = renamed(cte) {
            return Ok(Some(columns));
        }
        let SetExpr::SetOperation { left, .. } = cte.query.body.as_ref() else {
            return Ok(None);
        };
        let mut first = left.clone();
        let outputs = self.body(&mut first, None, outer, Purpose::Relation)?;
        let columns = |outputs: Vec<Output>| outputs.into_iter().map(|it| it.column).collect();
        Ok(outputs.map(columns))
    }

    fn body(
        &mut self,
        body: &mut SetExpr,
        order: Option<&mut OrderBy>,
        outer: Option<&Chain>,
        purpose: Purpose,
    ) -> Result<Option<Vec<Output>>, QueryError> {
        let outputs = match body {
            SetExpr::Select(select) => return self.select(select, order, outer, purpose),
            SetExpr::Query(query) => {
                let columns = self.query(query, outer, purpose)?;
                columns.map(|columns| columns.into_iter().map(Output::of).collect())
            }
            SetExpr::SetOperation {
                left,
                right,
                set_quantifier,
                ..
            } => {
                let outputs = self.body(left, None, outer, Purpose::Relation)?;
                self.body(right, None, outer, Purpose::Relation)?;
                let is_by_name = matches!(
                    set_quantifier,
                    SetQuantifier::ByName
                        | SetQuantifier::AllByName
                        | SetQuantifier::DistinctByName
                );
                outputs.filter(|_| !is_by_name)
            }
            SetExpr::Values(values) => self.values(values, outer)?,
            _ => None,
        };
        if let Some(order) = order {
            let nothing = Scope::default();
            let chain = Chain {
                scope: &nothing,
                outer,
            };
            let known = outputs.as_deref().unwrap_or_default();
            self.order_by(order, Some(&chain), known)?;
        }
        Ok(outputs)
    }

    fn values(
        &mut self,
        values: &mut Values,
        outer: Option<&Chain>,
    ) -> Result<Option<Vec<Output>>, QueryError> {
        self.expressions(&mut values.rows, outer, &[], false)?;
        let count = values.rows.first().map_or(0, |row| row.content.len());
        let columns = (1..=count).map(|number| Column::named(&format!("column{number}")));
        Ok(Some(columns.map(Output::of).collect()))
    }

    /// The columns of a query that WITH names; `None` where there is no such query.
    fn cte(&self, name: &str) -> Option<&Option<Vec<Column>>> {
        self.ctes.iter().rev().find_map(|ctes| ctes.get(name))
    }

    fn full_name(&self, parts: &[String]) -> Vec<String> {
        let defaults = [CATALOG_NAME, self.database];
        let missing = 3_usize.saturating_sub(parts.len());
        let defaults = defaults.into_iter().take(missing).map(str::to_owned);
        defaults.chain(parts.iter().cloned()).collect()
    }

    fn table_columns(&self, parts: &[String]) -> Option<Vec<Column>> {
        let full_name = self.full_name(parts);
        let [_, database, table] = full_name.as_slice() else {
            return None;
        };
        let key = (database.clone(), table.clone());
        self.tables.get(&key).cloned()
    }
}

/// The columns of a query of WITH that lists them.
fn renamed(cte: &Cte) -> Option<Vec<Column>> {
    let columns = &cte.alias.columns;
    let named = |name: &Ident| Column::named(&normalised(name));
    (!columns.is_empty()).then(|| columns.iter().map(|column| named(&column.name)).collect())
}

/// An error about a name, with its place.
fn error_at(code: ErrorCode, text: String, ident: &Ident) -> QueryError {
    QueryError::new(code, text).at(position(ident.span.start))
}

/// The first of several columns that is called as one before it, letters' case aside.
pub fn repeated<'a>(mut names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut met = HashSet::new();
    names.find(|name| !met.insert(name.to_lowercase()))
}

#[cfg(test)]
mod tests;
