//! How far queries are, as JSON, for clients that show it: an action of Skep's own, which asks about
//! the caller's session alone and puts no statement into the list of queries.

use crate::engine::QueryStatus;
use serde_json::json;
use std::time::Duration;

/// An array of objects, the oldest query first.
pub(crate) fn encode(queries: &[QueryStatus]) -> Vec<u8> {
    let queries = queries.iter().map(|query| {
        let elapsed: Duration = query.time_in_state.iter().map(|(_, time)| *time).sum();
        json!({
            "query_id": query.id.as_str(),
            "state": query.state.as_str(),
            "elapsed_ms": u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            "stages": query.stages.0,
            "stages_done": query.stages.1,
            "tasks": query.tasks.0,
            "tasks_done": query.tasks.1,
            "input_rows": query.input_rows,
            "read_rows": query.read_rows,
            "read_bytes": query.read_bytes,
            "rows": query.rows,
            "remarks": query.attempts.iter().filter_map(|attempt| attempt.remark.as_deref()).collect::<Vec<_>>(),
        })
    });
    serde_json::Value::Array(queries.collect())
        .to_string()
        .into_bytes()
}
