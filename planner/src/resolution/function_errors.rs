//! Errors about functions with their places: those that there are not, with the nearest name, if one is near,
//! and those that do not take what they are called with.

use datafusion::execution::SessionState;
use datafusion::logical_expr::registry::FunctionRegistry;
use datafusion::sql::parser::Statement as DataFusionStatement;
use datafusion::sql::sqlparser::ast::{Expr, visit_expressions};
use skep_protocol::{ErrorCode, Position, QueryError};
use skep_sql::statement::position;
use std::collections::HashMap;
use std::ops::ControlFlow;

/// What the planner's message about a function begins with that there is not.
const MISSING: &str = "invalid function '";

/// What a message about a call begins with.
const CALL: &str = "function '";

/// Which part of a name's letters may be wrong in one that is suggested.
const WRONG_SHARE: usize = 3;

/// How alike names are that differ in a word, of those with the same beginning (Jaro-Winkler, 0 to 1).
const SIMILARITY_MIN: f64 = 0.93;

/// Where a statement calls functions for the first time, by their names in lower case.
#[derive(Clone, Debug, Default)]
pub(crate) struct FunctionPlaces(HashMap<String, Position>);

impl FunctionPlaces {
    pub(crate) fn of(statement: &DataFusionStatement) -> Self {
        let mut places = HashMap::new();
        let DataFusionStatement::Statement(statement) = statement else {
            return Self(places);
        };
        let _ = visit_expressions(statement.as_ref(), |expression| {
            if let Expr::Function(function) = expression
                && let Some(part) = function.name.0.last().and_then(|part| part.as_ident())
                && let Some(place) = position(part.span.start)
            {
                places.entry(part.value.to_lowercase()).or_insert(place);
            }
            ControlFlow::<()>::Continue(())
        });
        Self(places)
    }

    fn get(&self, name: &str) -> Option<Position> {
        self.0.get(&name.to_lowercase()).copied()
    }

    /// The error with the place of the function that it is about.
    pub(crate) fn place(&self, error: QueryError) -> QueryError {
        let name = error.message.strip_prefix(CALL);
        let name = name.and_then(|rest| rest.split_once('\''));
        let place = name.and_then(|(name, _)| self.get(name));
        match error.position {
            Some(_) => error,
            None => error.at(place),
        }
    }
}

/// The error, in other words if it is about a function that there is not.
pub(crate) fn explain(
    state: &SessionState,
    places: &FunctionPlaces,
    error: QueryError,
) -> QueryError {
    let name = error.message.strip_prefix(MISSING);
    let Some((name, _)) = name.and_then(|rest| rest.split_once('\'')) else {
        return places.place(error);
    };
    let place = error.position.or_else(|| places.get(name));
    if state.window_functions().contains_key(name) {
        let text = format!("function '{name}' is computed over windows: write OVER behind it");
        return QueryError::new(ErrorCode::Semantic, text).at(place);
    }
    let known = state.udfs().into_iter().chain(state.udafs());
    let known = known
        .chain(state.udwfs())
        .chain(state.higher_order_function_names());
    let hint = match nearest(name, known.filter(|known| !known.starts_with("skep_"))) {
        Some(known) => format!("; did you mean '{known}'?"),
        None => String::new(),
    };
    let text = format!("function '{name}' not found{hint}");
    QueryError::new(ErrorCode::FunctionNotFound, text).at(place)
}

/// The name that was probably meant.
fn nearest(name: &str, known: impl Iterator<Item = String>) -> Option<String> {
    let distance_max = (name.chars().count() / WRONG_SHARE).max(1);
    let near = known.filter_map(|candidate| {
        let distance = strsim::damerau_levenshtein(name, &candidate);
        let similarity = strsim::jaro_winkler(name, &candidate);
        let is_near = distance <= distance_max && distance * 2 < candidate.chars().count();
        (is_near || similarity >= SIMILARITY_MIN).then_some((distance, similarity, candidate))
    });
    let best = near.min_by(|one, other| {
        let by_similarity = || other.1.total_cmp(&one.1);
        let by_distance = one.0.cmp(&other.0);
        by_distance
            .then_with(by_similarity)
            .then_with(|| one.2.cmp(&other.2))
    });
    best.map(|(_, _, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_near_name_is_suggested() {
        let known = [
            "sum",
            "count",
            "year",
            "dot_product",
            "list_pop_back",
            "date_trunc",
            "lag",
        ];
        let near = |name| nearest(name, known.iter().map(|known| (*known).to_owned()));
        assert_eq!(near("cout"), Some("count".to_owned()));
        assert_eq!(near("yaer"), Some("year".to_owned()));
        assert_eq!(near("date_truncate"), Some("date_trunc".to_owned()));
        assert_eq!(near("get_json_object"), None);
        assert_eq!(near("pig"), None);
    }
}
