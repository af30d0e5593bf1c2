//! Calls of every function that there is, with any number of arguments of any type: whatever they do, nothing panics,
//! and nothing fails as an error of the engine's own. Those that only plans use are left out.

use crate::resolution::function_clauses;
use crate::resolution::resolve::semantic_error;
use crate::template::{speak, with_rules};
use datafusion::execution::SessionState;
use datafusion::logical_expr::registry::FunctionRegistry;
use datafusion::prelude::SessionContext;
use futures::FutureExt;
use skep_protocol::{ErrorCode, QueryError};
use skep_runtime::functions::FunctionSet;
use skep_sql::Dialect;
use skep_sql::statement::{ParseOptions, Statement, parse};
use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

/// Columns of common types, with values that are not NULL.
const COLUMNS: &[(&str, &str)] = &[
    ("i", "CAST(2 AS INT)"),
    ("l", "CAST(3 AS BIGINT)"),
    ("f", "CAST(1.5 AS DOUBLE)"),
    ("n", "CAST(2.50 AS DECIMAL(10, 2))"),
    ("s", "'abc'"),
    ("b", "true"),
    ("d", "DATE '2024-02-29'"),
    ("t", "TIMESTAMP '2024-02-29 12:30:00'"),
    ("v", "INTERVAL '1' DAY"),
    ("y", "X'6162'"),
    ("a", "[1, 2, 3]"),
    ("m", "MAP(['k'], [1])"),
    ("r", "named_struct('x', 1, 'y', 'z')"),
    ("u", "NULL"),
];

/// How many arguments are tried at most.
const ARGUMENTS_MAX: usize = 4;

/// Functions of another library that panic over a column without a type, as `SELECT NULL AS u` has; the guard of
/// operators makes an error of it.
const LEFT_OUT: &[&str] = &["format_string", "printf"];

fn state(dialect: Dialect) -> SessionState {
    let zone: Arc<str> = Arc::from("UTC");
    let config = datafusion::prelude::SessionConfig::new().with_target_partitions(1);
    let state = with_rules(&zone).with_config(config).build();
    speak(state, dialect, &FunctionSet::default()).unwrap()
}

/// A table of one row.
fn table() -> String {
    let columns: Vec<String> = COLUMNS
        .iter()
        .map(|(name, value)| format!("{value} AS {name}"))
        .collect();
    format!("(SELECT {}) AS t", columns.join(", "))
}

/// Lists of arguments: of one type each, and of one type with a second behind.
fn arguments() -> Vec<String> {
    let mut lists = BTreeSet::from([String::new()]);
    let names: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
    for count in 1..=ARGUMENTS_MAX {
        for (index, name) in names.iter().enumerate() {
            lists.insert(vec![*name; count].join(", "));
            let mixed = (0..count).map(|place| names[(index + place * 3) % names.len()]);
            lists.insert(mixed.collect::<Vec<_>>().join(", "));
            let mixed = (0..count).map(|place| names[(index * (place + 1)) % names.len()]);
            lists.insert(mixed.collect::<Vec<_>>().join(", "));
        }
    }
    lists.into_iter().collect()
}

async fn run(context: &SessionContext, sql: &str, dialect: Dialect) -> Result<(), QueryError> {
    let options = ParseOptions {
        bytes_max: 100_000,
        dialect,
    };
    let Statement::Query(statement) = parse(sql, options)? else {
        panic!("no query: {sql}");
    };
    let semantic = |error: &_| semantic_error(error);
    let state = context.state();
    function_clauses::check(&state, &statement)?;
    let plan = state.statement_to_plan(*statement).await;
    let plan = plan.map_err(|error| semantic(&error))?;
    let frame = context.execute_logical_plan(plan).await;
    let frame = frame.map_err(|error| semantic(&error))?;
    let rows = frame.collect().await;
    rows.map(|_| ()).map_err(|error| semantic(&error))
}

/// What is wrong with a call that fails.
fn fault(outcome: Result<Result<(), QueryError>, Box<dyn std::any::Any + Send>>) -> Option<String> {
    match outcome {
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|it| (*it).to_owned()));
            Some(format!("panics: {}", text.unwrap_or_default()))
        }
        Ok(Err(error)) => {
            let is_own = matches!(error.code, ErrorCode::Internal | ErrorCode::Panic);
            let is_unreadable = ["{ ", "Some(", "Field ", "DataType::", "bug in"]
                .iter()
                .any(|part| error.message.contains(part))
                || error.message.lines().count() > 1;
            (is_own || is_unreadable).then(|| format!("{:?}: {}", error.code, error.message))
        }
        Ok(Ok(())) => None,
    }
}

async fn check(dialect: Dialect, calls: impl Fn(&SessionState) -> Vec<(String, &'static str)>) {
    let state = state(dialect);
    let context = SessionContext::new_with_state(state.clone());
    let (table, arguments) = (table(), arguments());
    let mut faults = Vec::new();
    for (name, over) in calls(&state) {
        if name.starts_with("skep_") || LEFT_OUT.contains(&name.as_str()) {
            continue;
        }
        for list in &arguments {
            let sql = format!("SELECT \"{name}\"({list}){over} FROM {table}");
            let outcome = AssertUnwindSafe(run(&context, &sql, dialect)).catch_unwind();
            if let Some(fault) = fault(outcome.await) {
                faults.push(format!("{name}({list}){over} {fault}"));
            }
        }
    }
    let shown = faults
        .iter()
        .take(400)
        .cloned()
        .collect::<Vec<_>>()
        .join("\n");
    assert!(faults.is_empty(), "{} calls:\n{shown}", faults.len());
}

fn with(
    names: impl IntoIterator<Item = String>,
    over: &'static str,
) -> Vec<(String, &'static str)> {
    let names: BTreeSet<String> = names.into_iter().collect();
    names.into_iter().map(|name| (name, over)).collect()
}

#[tokio::test]
async fn no_window_function_panics() {
    let calls = |state: &SessionState| with(state.udwfs(), " OVER (ORDER BY i)");
    check(Dialect::Standard, calls).await;
}

#[tokio::test]
async fn no_aggregate_panics() {
    let calls = |state: &SessionState| with(state.udafs(), "");
    check(Dialect::Standard, calls).await;
    let calls = |state: &SessionState| with(state.udafs(), " OVER ()");
    check(Dialect::Standard, calls).await;
}

#[tokio::test]
async fn no_scalar_function_panics() {
    let calls = |state: &SessionState| with(state.udfs(), "");
    check(Dialect::Standard, calls).await;
}

#[tokio::test]
async fn none_of_hives_functions_panics() {
    let hive = |state: &SessionState| {
        let own = skep_functions::entries().iter();
        let own: BTreeSet<&str> = own.map(|entry| entry.name).collect();
        let names = state.udfs().into_iter().chain(state.udafs());
        with(names.filter(|name| own.contains(name.as_str())), "")
    };
    check(Dialect::Hive, hive).await;
}
