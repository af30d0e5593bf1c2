//! The queries of WITH RECURSIVE: of one that is a union, the planner takes both sides and drops the WITH, ORDER BY
//! and LIMIT of the whole.

use super::blank::query_of;
use super::unsupported;
use crate::statement::cursor::position;
use datafusion::sql::sqlparser::ast::{
    Ident, Query, SetExpr, SetOperator, Values, With, visit_relations,
};
use skep_protocol::QueryError;
use std::ops::ControlFlow;

/// Puts a union that does not read itself into parentheses, so that the planner takes the whole of it.
///
/// # Errors
/// `Unsupported` for such a clause of one that reads itself, where it would apply to each step of the recursion.
pub(super) fn rewrite(with: &mut With) -> Result<(), QueryError> {
    if !with.recursive {
        return Ok(());
    }
    for cte in &mut with.cte_tables {
        let query = cte.query.as_mut();
        let Some(clause) = dropped(query) else {
            continue;
        };
        if reads(query, &cte.alias.name) {
            let text = format!(
                "{clause} of a query that reads itself (write it where '{}' is read)",
                cte.alias.name.value
            );
            return Err(unsupported(&text).at(position(cte.alias.name.span.start)));
        }
        let whole = std::mem::replace(query, query_of(nothing()));
        *query = query_of(SetExpr::Query(Box::new(whole)));
    }
    Ok(())
}

/// What the planner drops of a query, where it drops anything.
fn dropped(query: &Query) -> Option<&'static str> {
    let is_union = matches!(
        query.body.as_ref(),
        SetExpr::SetOperation {
            op: SetOperator::Union,
            ..
        }
    );
    let clauses = [
        (query.with.is_some(), "WITH"),
        (query.order_by.is_some(), "ORDER BY"),
        (query.limit_clause.is_some(), "LIMIT"),
        (query.fetch.is_some(), "FETCH"),
        (!query.pipe_operators.is_empty(), "|>"),
    ];
    let found = clauses.iter().find(|(is_there, _)| *is_there);
    found.filter(|_| is_union).map(|(_, name)| *name)
}

fn nothing() -> SetExpr {
    SetExpr::Values(Values {
        explicit_row: false,
        value_keyword: false,
        rows: Vec::new(),
    })
}

/// Whether a query reads a relation of that name alone.
fn reads(query: &Query, name: &Ident) -> bool {
    let normalised = |ident: &Ident| match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    };
    let found = visit_relations(query, |relation| match relation.0.as_slice() {
        [part] if part.as_ident().map(normalised) == Some(normalised(name)) => {
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    });
    found.is_break()
}
