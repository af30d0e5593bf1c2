//! Errors about names that a person can act on: what is missing, where it stands, and what is nearest.

use crate::PlanningContext;
use crate::resolution::catalog_names::{CATALOG_NAME, INFORMATION_SCHEMA};
use crate::resolution::loose_files::LOOSE_DATABASE;
use crate::resolution::readable::check_readable;
use datafusion::common::{Column, SchemaError, TableReference};
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::sql::parser::Statement as DataFusionStatement;
use datafusion::sql::sqlparser::ast::visit_relations;
use skep_protocol::{ErrorCode, Position, QueryError};
use skep_runtime::error::from_datafusion;
use skep_sql::statement::position;
use std::ops::ControlFlow;

/// Looks up every table of `statement` in the snapshot; names without a database are in `database`.
///
/// # Errors
/// `TableNotFound` or `DatabaseNotFound`, with the nearest name.
pub(crate) fn check_tables(
    state: &SessionState,
    statement: &DataFusionStatement,
    context: &PlanningContext,
    database: &str,
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
        let database = reference.schema().unwrap_or(database);
        if database.eq_ignore_ascii_case(INFORMATION_SCHEMA)
            || database == LOOSE_DATABASE
            || is_table_function(state, reference)
        {
            continue;
        }
        let found = context.catalog.relation(database, reference.table());
        found
            .map_err(QueryError::from)
            .and_then(|relation| check_readable(&context.catalog, relation))
            .map_err(|error| error.at(place_of(statement, reference)))?;
    }
    Ok(())
}

/// The first name in `statement` that stands for something temporary.
///
/// # Errors
/// Those of the base library.
pub(crate) fn temporary_name(
    state: &SessionState,
    statement: &DataFusionStatement,
    context: &PlanningContext,
) -> Result<Option<String>, QueryError> {
    let references = state
        .resolve_table_references(statement)
        .map_err(|error| from_datafusion(&error))?;
    let is_temporary = |reference: &&TableReference| {
        let database = reference.schema().unwrap_or(&context.session.database);
        context.catalog.is_temporary(database, reference.table())
    };
    let found = references.iter().find(is_temporary);
    Ok(found.map(|reference| reference.table().to_owned()))
}

/// Where a table is named for the first time.
fn place_of(statement: &DataFusionStatement, reference: &TableReference) -> Option<Position> {
    let DataFusionStatement::Statement(statement) = statement else {
        return None;
    };
    let mut place = None;
    let _ = visit_relations(statement.as_ref(), |name| {
        let parts: Vec<_> = name.0.iter().filter_map(|part| part.as_ident()).collect();
        let is_meant = parts
            .last()
            .is_some_and(|part| part.value.eq_ignore_ascii_case(reference.table()));
        match parts.first().filter(|_| is_meant) {
            Some(first) => {
                place = position(first.span.start);
                ControlFlow::Break(())
            }
            None => ControlFlow::Continue(()),
        }
    });
    place
}

fn is_table_function(state: &SessionState, reference: &TableReference) -> bool {
    reference.schema().is_none() && state.table_functions().contains_key(reference.table())
}

/// How like a name must be to be suggested (Jaro-Winkler similarity, 0 to 1).
const SUGGESTION_SIMILARITY_MIN: f64 = 0.8;

/// How many columns a message lists where none is like the missing one.
const LISTED_COLUMNS_MAX: usize = 10;

/// What the planner says, as an error with its place.
pub(crate) fn semantic_error(error: &DataFusionError) -> QueryError {
    let classified = from_datafusion(error);
    match find_schema_error(error) {
        Some(SchemaError::FieldNotFound {
            field,
            valid_fields,
        }) => QueryError {
            code: ErrorCode::ColumnNotFound,
            message: column_not_found(field, valid_fields),
            ..classified
        },
        Some(SchemaError::AmbiguousReference { field }) => QueryError {
            message: format!(
                "column '{}' is in more than one table: write the table before it",
                field.flat_name()
            ),
            ..classified
        },
        _ => classified,
    }
}

fn find_schema_error(error: &DataFusionError) -> Option<&SchemaError> {
    match error {
        DataFusionError::SchemaError(inner, _) => Some(inner),
        DataFusionError::Diagnostic(_, inner) | DataFusionError::Context(_, inner) => {
            find_schema_error(inner)
        }
        DataFusionError::Shared(inner) => find_schema_error(inner),
        DataFusionError::Collection(errors) => errors.iter().find_map(find_schema_error),
        _ => None,
    }
}

/// The missing column with the nearest one; where none is near, with those that there are.
fn column_not_found(missing: &Column, valid: &[Column]) -> String {
    let name = missing.flat_name();
    let likeness = |column: &Column| {
        strsim::jaro_winkler(&column.name.to_lowercase(), &missing.name.to_lowercase())
    };
    let nearest = valid
        .iter()
        .map(|column| (likeness(column), column))
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .filter(|(likeness, _)| *likeness >= SUGGESTION_SIMILARITY_MIN);
    let hint = match nearest {
        // A name that differs in its letters' case alone has to be quoted.
        Some((_, column)) if column.name != column.name.to_lowercase() => {
            format!("; did you mean \"{}\", in double quotes?", column.name)
        }
        Some((_, column)) => format!("; did you mean '{}'?", column.flat_name()),
        None if valid.is_empty() => String::new(),
        None => {
            let mut names: Vec<&str> = Vec::new();
            for column in valid {
                if !names.contains(&column.name.as_str()) {
                    names.push(&column.name);
                }
            }
            let more = match names.len() > LISTED_COLUMNS_MAX {
                true => ", …",
                false => "",
            };
            names.truncate(LISTED_COLUMNS_MAX);
            format!("; there are: {}{more}", names.join(", "))
        }
    };
    format!("column '{name}' not found{hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(names: &[&str]) -> Vec<Column> {
        let column = |name: &&str| Column::new(Some("t"), *name);
        names.iter().map(column).collect()
    }

    #[test]
    fn the_nearest_column_is_named() {
        let valid = columns(&["o_orderkey", "o_custkey", "Region"]);
        let message = |name: &str| column_not_found(&Column::new_unqualified(name), &valid);
        assert_eq!(
            message("o_orderkye"),
            "column 'o_orderkye' not found; did you mean 't.o_orderkey'?"
        );
        assert_eq!(
            message("region"),
            "column 'region' not found; did you mean \"Region\", in double quotes?"
        );
        assert_eq!(
            message("x"),
            "column 'x' not found; there are: o_orderkey, o_custkey, Region"
        );
    }

    #[test]
    fn a_long_list_is_cut() {
        let names: Vec<String> = (0..30).map(|number| format!("zzz{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let message = column_not_found(&Column::new_unqualified("a"), &columns(&names));
        assert!(message.ends_with("zzz9, …"), "{message}");
    }
}
