//! Clauses of calls that mean something for aggregates and window functions alone. The planner drops them without a
//! word where a function is neither: `abs(DISTINCT x)`, `upper(x) FILTER (WHERE false)`, `abs(x) OVER ()`.

use datafusion::execution::SessionState;
use datafusion::logical_expr::registry::FunctionRegistry;
use datafusion::sql::parser::Statement as DataFusionStatement;
use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArgumentClause, FunctionArguments, visit_expressions,
};
use skep_protocol::{ErrorCode, QueryError};
use skep_sql::statement::position;
use std::ops::ControlFlow;

/// Refuses such a clause.
///
/// # Errors
/// `Semantic` with its place.
pub(crate) fn check(
    state: &SessionState,
    statement: &DataFusionStatement,
) -> Result<(), QueryError> {
    let DataFusionStatement::Statement(statement) = statement else {
        return Ok(());
    };
    let found = visit_expressions(statement.as_ref(), |expression| {
        if let Expr::Function(function) = expression
            && let Some(clause) = clause_of(function)
            && let Some(error) = refusal(state, function, clause)
        {
            return ControlFlow::Break(error);
        }
        ControlFlow::Continue(())
    });
    match found {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

/// What a call has that only aggregates and window functions have.
fn clause_of(function: &Function) -> Option<&'static str> {
    let list = match &function.args {
        FunctionArguments::List(list) => Some(list),
        FunctionArguments::None | FunctionArguments::Subquery(_) => None,
    };
    let is_distinct = list.is_some_and(|list| list.duplicate_treatment.is_some());
    let mut clauses = list.into_iter().flat_map(|list| &list.clauses);
    let of_list = clauses.find_map(|clause| match clause {
        FunctionArgumentClause::OrderBy(_) => Some("ORDER BY"),
        FunctionArgumentClause::IgnoreOrRespectNulls(_) => Some("IGNORE NULLS"),
        // The planner refuses the others.
        _ => None,
    });
    let clauses = [
        (function.over.is_some(), "OVER"),
        (function.filter.is_some(), "FILTER"),
        (is_distinct, "DISTINCT"),
        (function.null_treatment.is_some(), "IGNORE NULLS"),
        (!function.within_group.is_empty(), "WITHIN GROUP"),
    ];
    let found = clauses.iter().find(|(is_there, _)| *is_there);
    found.map(|(_, name)| *name).or(of_list)
}

/// The error, where the planner takes the function for one that computes a row's value from that row.
fn refusal(state: &SessionState, function: &Function, clause: &str) -> Option<QueryError> {
    let [part] = function.name.0.as_slice() else {
        return None;
    };
    let ident = part.as_ident()?;
    let name = match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    };
    let is_of_row = state.scalar_functions().contains_key(&name)
        || state.higher_order_function(&name).is_ok()
        || ["unnest", "make_map", "map"].contains(&name.as_str());
    is_of_row.then(|| {
        let text = format!("{clause} does not go with '{name}', which is no aggregate");
        QueryError::new(ErrorCode::Semantic, text).at(position(ident.span.start))
    })
}
