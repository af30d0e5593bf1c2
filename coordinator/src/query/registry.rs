//! Every query that came in, whatever became of it: a statement that is not even SQL is in the list
//! like any other.
//!
//! Decision: The profile of a query that has ended well is rendered beside it, with a bound on how many are kept: a
//! plan that were kept instead would hold its operators' memory.

use super::life::{Event, QueryLife};
use crate::service::{AttemptStatus, QueryState, QueryStatus};
use chrono::Utc;
use futures::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use skep_exchange::monitor::AttemptMonitor;
use skep_planner::PlanShape;
use skep_protocol::ids::QueryIdGenerator;
use skep_protocol::{ErrorCode, QueryError, QueryId};
use skep_scheduler::attempts::{AttemptRecord, Outcome};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime};
use tokio_util::sync::CancellationToken;

/// Of how many queries the profile is kept.
const PROFILES_MAX: usize = 32;

/// What a query's steps did, as text, once that is known.
pub type Profile = Shared<BoxFuture<'static, Result<String, QueryError>>>;

/// How much of a statement's text is remembered, in characters.
const SQL_REMEMBERED_MAX: usize = 16 * 1024;

/// The queries of one coordinator.
#[derive(Debug)]
pub struct QueryRegistry {
    ids: QueryIdGenerator,
    history_max: usize,
    queries: Mutex<Queries>,
    profiles: Mutex<VecDeque<(QueryId, Profile)>>,
}

#[derive(Debug, Default)]
struct Queries {
    by_id: BTreeMap<QueryId, Arc<QueryEntry>>,
    ended: VecDeque<QueryId>,
}

#[derive(Debug)]
struct QueryEntry {
    id: QueryId,
    user: String,
    session: String,
    sql: String,
    submitted_at: SystemTime,
    rows: AtomicU64,
    cancel: CancellationToken,
    progress: Mutex<Progress>,
}

#[derive(Debug)]
struct Progress {
    life: QueryLife,
    error: Option<QueryError>,
    monitor: Option<Arc<AttemptMonitor>>,
    shape: PlanShape,
    /// Why it is not to go on, where somebody has ended it or its time is over.
    stopped: Option<QueryError>,
    commit: Commit,
    attempts: Vec<AttemptRecord>,
}

/// How far the commit of what a query writes is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Commit {
    /// It has not begun.
    None,
    /// It has, and runs to its end, whether or not the caller goes away.
    Running,
    /// The caller went away, so that nobody else says how the query ended.
    Abandoned,
    /// It has ended.
    Ended(Result<(), QueryError>),
}

/// A running query's own access to what is remembered of it. When it is dropped before the query
/// ended, the query counts as cancelled: whoever ran it went away.
#[derive(Debug)]
pub struct QueryHandle {
    registry: Arc<QueryRegistry>,
    entry: Arc<QueryEntry>,
}

impl QueryRegistry {
    /// No queries yet; `history_max` ended ones are remembered.
    pub fn new(history_max: usize) -> Self {
        Self {
            ids: QueryIdGenerator::new(),
            history_max,
            queries: Mutex::new(Queries::default()),
            profiles: Mutex::new(VecDeque::new()),
        }
    }

    /// A statement came in.
    pub fn register(self: &Arc<Self>, user: &str, session: &str, sql: &str) -> QueryHandle {
        let entry = Arc::new(QueryEntry {
            id: self.ids.next(Utc::now()),
            user: user.to_owned(),
            session: session.to_owned(),
            sql: sql.chars().take(SQL_REMEMBERED_MAX).collect(),
            submitted_at: SystemTime::now(),
            rows: AtomicU64::new(0),
            cancel: CancellationToken::new(),
            progress: Mutex::new(Progress {
                life: QueryLife::new(Instant::now()),
                error: None,
                monitor: None,
                shape: PlanShape::default(),
                stopped: None,
                commit: Commit::None,
                attempts: Vec::new(),
            }),
        });
        let mut queries = self.queries.lock();
        queries.by_id.insert(entry.id.clone(), Arc::clone(&entry));
        QueryHandle {
            registry: Arc::clone(self),
            entry,
        }
    }

    /// What is known of a query.
    pub fn status(&self, id: &QueryId) -> Option<QueryStatus> {
        let entry = self.queries.lock().by_id.get(id).cloned();
        entry.map(|entry| entry.status())
    }

    /// Every query that is known, newest first.
    pub fn all(&self) -> Vec<QueryStatus> {
        let entries: Vec<_> = self.queries.lock().by_id.values().rev().cloned().collect();
        entries.iter().map(|entry| entry.status()).collect()
    }

    /// The queries of a session that have not ended, oldest first.
    pub fn live_of_session(&self, session: &str) -> Vec<QueryStatus> {
        let entries: Vec<_> = self.queries.lock().by_id.values().cloned().collect();
        let own = entries.iter().filter(|entry| entry.session == session);
        let statuses = own.map(|entry| entry.status());
        statuses.filter(|status| !status.state.is_final()).collect()
    }

    /// The sessions whose queries have not ended.
    pub fn live_sessions(&self) -> HashSet<String> {
        let entries: Vec<_> = self.queries.lock().by_id.values().cloned().collect();
        let live = entries
            .iter()
            .filter(|entry| !entry.status().state.is_final());
        live.map(|entry| entry.session.clone()).collect()
    }

    /// What became known of a query's steps when it had ended: for the last few queries.
    pub fn profile(&self, id: &QueryId) -> Option<Profile> {
        let profiles = self.profiles.lock();
        let found = profiles.iter().find(|(known, _)| known == id);
        found.map(|(_, profile)| profile.clone())
    }

    /// Ends a query; false where it is unknown or has ended.
    pub fn cancel(&self, id: &QueryId, reason: &str) -> bool {
        let entry = self.queries.lock().by_id.get(id).cloned();
        entry.is_some_and(|entry| entry.cancel(reason))
    }

    /// Ends the queries of a session.
    pub fn cancel_session(&self, session: &str, reason: &str) {
        let entries: Vec<_> = self.queries.lock().by_id.values().cloned().collect();
        for entry in entries.iter().filter(|entry| entry.session == session) {
            entry.cancel(reason);
        }
    }

    /// How many queries are in each state that has not ended.
    pub fn live_counts(&self) -> HashMap<QueryState, usize> {
        let mut counts = HashMap::new();
        for entry in self.queries.lock().by_id.values() {
            let state = entry.progress.lock().life.state();
            if !state.is_final() {
                *counts.entry(state).or_default() += 1;
            }
        }
        counts
    }

    fn ended(&self, id: &QueryId) {
        let mut queries = self.queries.lock();
        queries.ended.push_back(id.clone());
        while queries.ended.len() > self.history_max {
            if let Some(oldest) = queries.ended.pop_front() {
                queries.by_id.remove(&oldest);
            }
        }
    }
}

impl QueryEntry {
    fn cancel(&self, reason: &str) -> bool {
        let text = format!("query canceled: {reason}");
        self.stop(QueryError::new(ErrorCode::Canceled, text))
    }

    /// Ends the query with `error`; false where it has ended, or where what it writes is being committed.
    fn stop(&self, error: QueryError) -> bool {
        let mut progress = self.progress.lock();
        if progress.life.state().is_final() || progress.commit != Commit::None {
            return false;
        }
        progress.stopped.get_or_insert(error);
        self.cancel.cancel();
        true
    }

    fn status(&self) -> QueryStatus {
        let progress = self.progress.lock();
        let statistics = progress
            .monitor
            .as_ref()
            .map(|monitor| monitor.statistics());
        let statistics = statistics.unwrap_or_default();
        let tasks = progress.shape.stages.values().sum();
        let ended = match progress.life.state() {
            QueryState::Finished => (progress.shape.stages.len() as u32, 0),
            _ => progress.shape.ended(&statistics),
        };
        QueryStatus {
            id: self.id.clone(),
            user: self.user.clone(),
            sql: self.sql.clone(),
            state: progress.life.state(),
            submitted_at: self.submitted_at,
            time_in_state: progress.life.time_in_state(Instant::now()),
            rows: self.rows.load(Ordering::Relaxed),
            exchange_bytes: statistics.exchange_bytes,
            spilled_bytes: statistics.spilled_bytes,
            peak_memory_bytes: statistics.peak_memory_bytes(),
            read_rows: statistics.read().0,
            read_bytes: statistics.read().1,
            input_rows: progress.shape.input_rows,
            stages: (progress.shape.stages.len() as u32, ended.0),
            tasks: (tasks, statistics.tasks_finished.max(ended.1)),
            attempts: progress.attempts.iter().map(attempt_status).collect(),
            error: progress.error.clone(),
        }
    }
}

fn attempt_status(record: &AttemptRecord) -> AttemptStatus {
    let until = record.ended_at.unwrap_or_else(Instant::now);
    AttemptStatus {
        number: record.number,
        elapsed: until.saturating_duration_since(record.started_at),
        ended: record.outcome.as_ref().map(|outcome| match outcome {
            Outcome::Succeeded => "succeeded".to_owned(),
            Outcome::Failed(error) | Outcome::LostExecutor(error) => error.to_string(),
        }),
        remark: record.remark(),
    }
}

impl QueryHandle {
    /// The query's name.
    pub fn id(&self) -> &QueryId {
        &self.entry.id
    }

    /// Resolves when somebody ends the query.
    pub fn cancellation(&self) -> &CancellationToken {
        &self.entry.cancel
    }

    /// When the query came in.
    pub fn submitted_at(&self) -> Instant {
        let submitted_at = self.entry.progress.lock().life.submitted_at();
        submitted_at.unwrap_or_else(Instant::now)
    }

    /// The error of a query that somebody ended, or whose time is over.
    pub fn canceled_error(&self) -> QueryError {
        let stopped = self.entry.progress.lock().stopped.clone();
        let gone = || {
            let text = "query canceled: its client went away";
            QueryError::new(ErrorCode::Canceled, text)
        };
        stopped.unwrap_or_else(gone).of_query(self.id().as_str())
    }

    /// Ends the query with `error`; false where that is too late.
    pub fn stop(&self, error: QueryError) -> bool {
        self.entry.stop(error)
    }

    /// What the query writes is about to be committed: from now on nothing ends it.
    ///
    /// # Errors
    /// Where it has been ended before.
    pub fn begin_commit(&self) -> Result<Committing, QueryError> {
        let mut progress = self.entry.progress.lock();
        if progress.stopped.is_some() {
            drop(progress);
            return Err(self.canceled_error());
        }
        progress.commit = Commit::Running;
        drop(progress);
        self.apply(Event::RowsSent);
        Ok(Committing {
            registry: Arc::clone(&self.registry),
            entry: Arc::clone(&self.entry),
        })
    }

    /// The query's attempts, which are shown with it.
    pub fn show_attempts(&self, attempts: &[AttemptRecord]) {
        self.entry.progress.lock().attempts = attempts.to_vec();
    }

    /// The query got its place.
    pub fn admitted(&self) {
        self.apply(Event::Admitted);
    }

    /// The query's plan is ready; an attempt begins, watched by `monitor`.
    pub fn planned(&self, monitor: Arc<AttemptMonitor>, shape: PlanShape) {
        let mut progress = self.entry.progress.lock();
        progress.monitor = Some(monitor);
        progress.shape = shape;
        drop(progress);
        self.apply(Event::Planned);
    }

    /// The query has run to its end, and this is what its steps did.
    pub fn keep_profile(&self, profile: Profile) {
        let mut profiles = self.registry.profiles.lock();
        profiles.push_back((self.entry.id.clone(), profile));
        while profiles.len() > PROFILES_MAX {
            profiles.pop_front();
        }
    }

    /// So many more rows went to the client.
    pub fn add_rows(&self, rows: usize) {
        self.entry.rows.fetch_add(rows as u64, Ordering::Relaxed);
    }

    /// The query has ended well.
    pub fn finished(&self) {
        self.apply(Event::RowsSent);
        self.apply(Event::CleanedUp);
    }

    /// The query has ended with `error`; returns the error with the query's name in it.
    pub fn failed(&self, error: QueryError) -> QueryError {
        let error = error.of_query(self.id().as_str());
        self.registry.failed(&self.entry, error.clone());
        error
    }

    fn apply(&self, event: Event) {
        self.registry.apply(&self.entry, event);
    }
}

impl Drop for QueryHandle {
    fn drop(&mut self) {
        let mut progress = self.entry.progress.lock();
        if progress.life.state().is_final() {
            return;
        }
        let commit = progress.commit.clone();
        if commit == Commit::Running {
            // The commit tells how the query ended.
            progress.commit = Commit::Abandoned;
            return;
        }
        drop(progress);
        match commit {
            Commit::Ended(Ok(())) => self.finished(),
            Commit::Ended(Err(error)) => drop(self.failed(error)),
            _ => drop(self.failed(self.canceled_error())),
        }
    }
}

impl QueryRegistry {
    fn failed(&self, entry: &QueryEntry, error: QueryError) {
        let event = match error.code {
            ErrorCode::Canceled => Event::Canceled,
            _ => Event::Failed,
        };
        let mut progress = entry.progress.lock();
        if !progress.life.state().is_final() {
            progress.error = Some(error);
        }
        drop(progress);
        self.apply(entry, event);
    }

    fn apply(&self, entry: &QueryEntry, event: Event) {
        let mut progress = entry.progress.lock();
        let changed = progress.life.apply(event, Instant::now());
        let is_final = progress.life.state().is_final();
        drop(progress);
        if changed && is_final {
            self.ended(&entry.id);
        }
    }
}

/// A commit that runs to its end, even if the caller goes away; then it says itself how the
/// query has ended.
#[derive(Debug)]
pub struct Committing {
    registry: Arc<QueryRegistry>,
    entry: Arc<QueryEntry>,
}

impl Committing {
    /// The commit has ended.
    pub fn ended(self, result: &Result<(), QueryError>) {
        let result = result.clone();
        let result = result.map_err(|error| error.of_query(self.entry.id.as_str()));
        let mut progress = self.entry.progress.lock();
        let before = std::mem::replace(&mut progress.commit, Commit::Ended(result.clone()));
        drop(progress);
        if before == Commit::Abandoned {
            match result {
                Ok(()) => {
                    self.registry.apply(&self.entry, Event::RowsSent);
                    self.registry.apply(&self.entry, Event::CleanedUp);
                }
                Err(error) => self.registry.failed(&self.entry, error),
            }
        }
    }
}

impl Drop for Committing {
    fn drop(&mut self) {
        // Not told how it ended: it panicked, or the process is about to end.
        let is_open = matches!(
            self.entry.progress.lock().commit,
            Commit::Running | Commit::Abandoned
        );
        if is_open {
            let committing = Self {
                registry: Arc::clone(&self.registry),
                entry: Arc::clone(&self.entry),
            };
            committing.ended(&Err(QueryError::internal("the commit was interrupted")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_remembered_until_enough_others_have_ended() {
        let registry = Arc::new(QueryRegistry::new(2));
        let first = registry.register("u", "s", "SELECT 1");
        let id = first.id().clone();
        first.admitted();
        first.finished();
        drop(first);
        // Finished needs planning first; the drop without an end counts as cancelled.
        let state = registry.status(&id).unwrap().state;
        assert_eq!(state, QueryState::Finished);
        for _ in 0..2 {
            registry.register("u", "s", "SELECT 2");
        }
        assert!(registry.status(&id).is_none());
        assert_eq!(registry.all().len(), 2);
    }

    #[test]
    fn a_dropped_query_is_cancelled() {
        let registry = Arc::new(QueryRegistry::new(10));
        let query = registry.register("u", "s", "SELECT 1");
        let id = query.id().clone();
        drop(query);
        let status = registry.status(&id).unwrap();
        assert_eq!(status.state, QueryState::Canceled);
        assert_eq!(status.error.unwrap().code, ErrorCode::Canceled);
    }

    #[test]
    fn cancelling_reaches_the_query_once() {
        let registry = Arc::new(QueryRegistry::new(10));
        let query = registry.register("u", "s", "SELECT 1");
        assert!(registry.cancel(query.id(), "killed by admin"));
        assert!(query.cancellation().is_cancelled());
        let error = query.failed(query.canceled_error());
        assert!(error.message.contains("killed by admin"));
        assert!(!registry.cancel(query.id(), "again"));
    }

    #[test]
    fn a_session_takes_its_queries_with_it() {
        let registry = Arc::new(QueryRegistry::new(10));
        let mine = registry.register("u", "s1", "SELECT 1");
        let other = registry.register("u", "s2", "SELECT 1");
        registry.cancel_session("s1", "session closed");
        assert!(mine.cancellation().is_cancelled());
        assert!(!other.cancellation().is_cancelled());
    }

    #[test]
    fn what_is_being_committed_cannot_be_cancelled() {
        let registry = Arc::new(QueryRegistry::new(10));
        let query = registry.register("u", "s", "INSERT");
        query.admitted();
        let committing = query.begin_commit().unwrap();
        let state = || registry.status(query.id()).unwrap().state;
        assert_eq!(state(), QueryState::Finishing);
        assert!(!registry.cancel(query.id(), "killed by admin"));
        assert!(!query.cancellation().is_cancelled());
        committing.ended(&Ok(()));
        assert!(!registry.cancel(query.id(), "killed by admin"));
        query.finished();
        assert_eq!(state(), QueryState::Finished);
    }

    #[test]
    fn who_was_cancelled_before_does_not_commit() {
        let registry = Arc::new(QueryRegistry::new(10));
        let query = registry.register("u", "s", "INSERT");
        query.admitted();
        assert!(registry.cancel(query.id(), "killed by admin"));
        let error = query.begin_commit().unwrap_err();
        assert!(error.message.contains("killed by admin"), "{error}");
    }

    #[test]
    fn a_commit_says_how_a_query_ended_that_nobody_waits_for() {
        let registry = Arc::new(QueryRegistry::new(10));
        let failure = QueryError::new(ErrorCode::WriteConflict, "changed");
        for (result, expected) in [
            (Ok(()), QueryState::Finished),
            (Err(failure), QueryState::Failed),
        ] {
            for waits in [true, false] {
                let query = registry.register("u", "s", "INSERT");
                let id = query.id().clone();
                query.admitted();
                let committing = query.begin_commit().unwrap();
                if waits {
                    committing.ended(&result);
                    drop(query);
                } else {
                    drop(query);
                    let state = registry.status(&id).unwrap().state;
                    assert_eq!(state, QueryState::Finishing);
                    committing.ended(&result);
                }
                assert_eq!(registry.status(&id).unwrap().state, expected);
            }
        }
    }

    #[test]
    fn a_commit_that_panics_is_a_failure() {
        let registry = Arc::new(QueryRegistry::new(10));
        let query = registry.register("u", "s", "INSERT");
        let id = query.id().clone();
        query.admitted();
        let committing = query.begin_commit().unwrap();
        drop(query);
        drop(committing);
        assert_eq!(registry.status(&id).unwrap().state, QueryState::Failed);
    }
}
