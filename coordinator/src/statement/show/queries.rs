//! The cluster and its queries.

use super::{count, maybe_times, text, times};
use crate::cluster::ExecutorInfo;
use crate::engine::Coordinator;
use crate::service::{QueryState, QueryStatus};
use crate::session::Session;
use arrow::array::{ArrayRef, Int64Array};
use skep_catalog::model::Privilege;
use skep_protocol::{ErrorCode, QueryError, QueryId};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

pub(super) fn executors(executors: &[ExecutorInfo]) -> Vec<ArrayRef> {
    let now = (Instant::now(), SystemTime::now());
    let at =
        |executor: &ExecutorInfo| now.1 - now.0.saturating_duration_since(executor.last_heartbeat);
    let all = || executors.iter();
    let until = |executor: &ExecutorInfo| {
        let left = executor.suspended_until?;
        Some(now.1 + left.saturating_duration_since(now.0))
    };
    vec![
        text(all().map(|executor| Some(executor.id.clone()))),
        text(
            all().map(|executor| Some(executor.address.as_str().trim_end_matches('/').to_owned())),
        ),
        text(all().map(|executor| Some(executor.state.as_str().to_owned()))),
        count(all().map(|executor| executor.cores as u64)),
        count(all().map(|executor| executor.load.memory_used_bytes)),
        count(all().map(|executor| executor.memory_limit_bytes)),
        count(all().map(|executor| executor.load.resident_bytes)),
        count(all().map(|executor| u64::from(executor.load.running_tasks))),
        text(all().map(|executor| Some(executor.version.clone()))),
        times(all().map(at)),
        count(all().map(|executor| executor.task_failures as u64)),
        maybe_times(all().map(until)),
    ]
}

fn elapsed(status: &QueryStatus) -> Duration {
    status.time_in_state.iter().map(|(_, time)| *time).sum()
}

pub(super) fn queries(queries: &[QueryStatus]) -> Vec<ArrayRef> {
    let all = || queries.iter();
    let elapsed_ms = all().map(|query| elapsed(query).as_millis() as i64);
    vec![
        text(all().map(|query| Some(query.id.to_string()))),
        text(all().map(|query| Some(query.state.as_str().to_owned()))),
        text(all().map(|query| Some(query.user.clone()))),
        times(all().map(|query| query.submitted_at)),
        Arc::new(Int64Array::from_iter_values(elapsed_ms)),
        count(all().map(|query| query.rows)),
        count(all().map(|query| u64::from(query.tasks.0))),
        count(all().map(|query| u64::from(query.tasks.1))),
        count(all().map(|query| query.exchange_bytes)),
        count(all().map(|query| query.spilled_bytes)),
        count(all().map(|query| query.peak_memory_bytes)),
        count(all().map(|query| query.attempts.len() as u64)),
        text(all().map(|query| query.error.as_ref().map(ToString::to_string))),
        text(all().map(|query| Some(query.sql.clone()))),
    ]
}

/// The queries that the user may see: their own, or everybody's.
pub(super) fn shown(engine: &Coordinator, session: &Session) -> Vec<QueryStatus> {
    let mut all = engine.queries.all();
    if !engine
        .rights(session)
        .may_with_system(Privilege::ViewQueries)
    {
        all.retain(|query| query.user == session.user);
    }
    all
}

/// What is known of a query that the user may see.
fn status(engine: &Coordinator, session: &Session, id: &QueryId) -> Option<QueryStatus> {
    let is_shown = |query: &QueryStatus| {
        query.user == session.user
            || engine
                .rights(session)
                .may_with_system(Privilege::ViewQueries)
    };
    engine.queries.status(id).filter(is_shown)
}

/// What the steps of a query did, as one text.
pub(super) async fn profile(
    engine: &Coordinator,
    session: &Session,
    id: &str,
) -> Result<Vec<ArrayRef>, QueryError> {
    let known: Option<QueryId> = id.parse().ok();
    let known = known.filter(|id| status(engine, session, id).is_some());
    let profile = known.and_then(|id| engine.queries.profile(&id));
    let profile = profile.ok_or_else(|| {
        let text = format!(
            "there is no profile of query '{id}': it has not ended well, or others have ended since"
        );
        QueryError::new(ErrorCode::QueryNotFound, text)
    })?;
    let profile = profile.await?;
    Ok(vec![text(std::iter::once(Some(profile)))])
}

pub(super) fn one_query(
    engine: &Coordinator,
    session: &Session,
    id: &str,
) -> Result<Vec<ArrayRef>, QueryError> {
    let known: Option<QueryId> = id.parse().ok();
    let status = known
        .and_then(|id| status(engine, session, &id))
        .ok_or_else(|| {
            let text = format!("there is no query '{id}'; see SHOW QUERIES");
            QueryError::new(ErrorCode::QueryNotFound, text)
        })?;
    let mut shown = vec![
        ("query_id", status.id.to_string()),
        ("state", status.state.as_str().to_owned()),
        ("user", status.user.clone()),
        ("elapsed_ms", elapsed(&status).as_millis().to_string()),
    ];
    let state_name = |state: QueryState| match state {
        QueryState::Queued => Some("queued_ms"),
        QueryState::Planning => Some("planning_ms"),
        QueryState::Running => Some("running_ms"),
        QueryState::Finishing => Some("finishing_ms"),
        QueryState::Finished | QueryState::Failed | QueryState::Canceled => None,
    };
    for (state, time) in &status.time_in_state {
        if let Some(name) = state_name(*state) {
            shown.push((name, format!("{:.3}", time.as_secs_f64() * 1000.0)));
        }
    }
    shown.extend([
        ("rows", status.rows.to_string()),
        ("read_rows", status.read_rows.to_string()),
        ("read_bytes", status.read_bytes.to_string()),
        ("stages", status.stages.0.to_string()),
        ("stages_done", status.stages.1.to_string()),
        ("tasks", status.tasks.0.to_string()),
        ("tasks_done", status.tasks.1.to_string()),
        ("exchange_bytes", status.exchange_bytes.to_string()),
        ("spilled_bytes", status.spilled_bytes.to_string()),
        ("peak_memory_bytes", status.peak_memory_bytes.to_string()),
        ("attempts", status.attempts.len().to_string()),
    ]);
    let mut shown: Vec<(String, String)> = shown
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    for attempt in &status.attempts {
        let elapsed_ms = attempt.elapsed.as_millis();
        let ended = attempt.ended.as_deref().unwrap_or("running");
        let name = format!("attempt_{}", attempt.number);
        shown.push((name, format!("{elapsed_ms} ms: {ended}")));
    }
    let mut more = |name: &str, value: String| shown.push((name.to_owned(), value));
    if let Some(error) = &status.error {
        more("error_code", error.code.as_str().to_owned());
        more("error_kind", error.kind().as_str().to_owned());
        more("error", error.to_string());
    }
    more("sql", status.sql);
    Ok(vec![
        text(shown.iter().map(|(name, _)| Some(name.clone()))),
        text(shown.iter().map(|(_, value)| Some(value.clone()))),
    ])
}
