//! The functions that a query may call.

use super::{is_like, text};
use crate::engine::Coordinator;
use crate::session::Session;
use arrow::array::ArrayRef;
use datafusion::execution::SessionState;
use skep_protocol::{ErrorCode, QueryError, QueryId};
use std::collections::BTreeMap;

/// What a function is, and what it says of itself.
type Description = (&'static str, Option<String>);

fn all(state: &SessionState) -> BTreeMap<String, Description> {
    let mut functions = BTreeMap::new();
    for (name, function) in state.scalar_functions() {
        let text = function
            .documentation()
            .map(|text| text.description.clone());
        functions.insert(name.clone(), ("scalar", text));
    }
    for (name, function) in state.aggregate_functions() {
        let text = function
            .documentation()
            .map(|text| text.description.clone());
        functions.insert(name.clone(), ("aggregate", text));
    }
    for (name, function) in state.window_functions() {
        let text = function
            .documentation()
            .map(|text| text.description.clone());
        functions.insert(name.clone(), ("window", text));
    }
    for name in state.table_functions().keys() {
        functions.insert(name.clone(), ("table", None));
    }
    // Those that only plans use.
    functions.retain(|name, _| !name.starts_with("skep_") && !name.starts_with("hive_"));
    functions
}

pub(super) fn names(
    engine: &Coordinator,
    session: &Session,
    query: &QueryId,
    like: Option<&str>,
) -> Result<Vec<ArrayRef>, QueryError> {
    let state = engine.planning_context(session, query).session_state()?;
    let names = all(&state).into_keys();
    Ok(vec![text(
        names.filter(|name| is_like(name, like)).map(Some),
    )])
}

pub(super) fn one(
    engine: &Coordinator,
    session: &Session,
    query: &QueryId,
    name: &str,
) -> Result<Vec<ArrayRef>, QueryError> {
    let state = engine.planning_context(session, query).session_state()?;
    let found = all(&state).remove(&name.to_lowercase());
    let (kind, description) = found.ok_or_else(|| {
        let text = format!("there is no function '{name}'; see SHOW FUNCTIONS");
        QueryError::new(ErrorCode::FunctionNotFound, text)
    })?;
    Ok(vec![
        text([Some(name.to_lowercase())].into_iter()),
        text([Some(kind.to_owned())].into_iter()),
        text([description].into_iter()),
    ])
}
