//! The attempts of one query: each is planned afresh and has a number of its own, and what is heard of an
//! earlier one has no effect. Another attempt may start where the last one failed for a reason that is not the
//! query's own, nothing of its result has left, the deadline is not reached, and the query has not lost two
//! executors: it may be what ends them.

use crate::failure::Reason;
use skep_protocol::{ErrorCode, QueryError};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// So many executors that a query has lost end it.
pub const LOST_EXECUTORS_MAX: usize = 2;

/// The bounds of the attempts of one query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptLimits {
    /// How many attempts there may be; 1 for no second one.
    pub attempts_max: u32,
    /// The pause before the second attempt; before each further one it is four times as long.
    pub pause_min: Duration,
    /// The longest pause.
    pub pause_max: Duration,
}

impl Default for AttemptLimits {
    fn default() -> Self {
        Self {
            attempts_max: 4,
            pause_min: Duration::from_millis(100),
            pause_max: Duration::from_secs(5),
        }
    }
}

/// What happens to a query that runs.
pub enum Event<'a> {
    /// An attempt failed, on an executor where that is known.
    Failed {
        /// The attempt's number.
        attempt: u32,
        /// With what.
        error: QueryError,
        /// The id of the executor.
        executor: Option<String>,
    },
    /// The pause before the next attempt is over. `is_gone` says of an executor's id whether it is no member
    /// any more, or a member in another generation than in the attempt that it failed.
    PauseOver {
        /// Asked for every executor that failed an attempt.
        is_gone: &'a dyn Fn(&str) -> bool,
    },
    /// Something of an attempt's result is about to leave, so that it cannot be taken back.
    Released {
        /// The attempt's number.
        attempt: u32,
    },
    /// An attempt has run to its end.
    Succeeded {
        /// The attempt's number.
        attempt: u32,
    },
    /// The query is not to go on: it was cancelled, or its deadline is over.
    Stopped(QueryError),
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing: the event comes from an attempt that is over.
    Ignore,
    /// The attempt may go on; what it has may leave, or may be committed.
    Go,
    /// Wait until then, and apply [`Event::PauseOver`].
    Pause {
        /// Until when.
        until: Instant,
    },
    /// Plan the query again on the executors that there are, and start it.
    Start {
        /// The attempt's number.
        attempt: u32,
        /// The ids of executors that are left out where there are others.
        avoid: BTreeSet<String>,
    },
    /// The query has failed.
    Fail(QueryError),
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its result is the query's.
    Succeeded,
    /// It failed.
    Failed(QueryError),
    /// It failed with its executor, which is no member any more.
    LostExecutor(QueryError),
}

/// An attempt, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptRecord {
    /// Counted from 1.
    pub number: u32,
    /// When it was started.
    pub started_at: Instant,
    /// When it ended.
    pub ended_at: Option<Instant>,
    /// How it ended.
    pub outcome: Option<Outcome>,
}

impl AttemptRecord {
    /// Why the attempt after this one was started, in a sentence for people.
    pub fn remark(&self) -> Option<String> {
        let (error, is_lost) = match self.outcome.as_ref()? {
            Outcome::Succeeded => return None,
            Outcome::Failed(error) => (error, false),
            Outcome::LostExecutor(error) => (error, true),
        };
        let node = error.node.as_deref().unwrap_or("of the cluster");
        let what = match Reason::of(error)? {
            Reason::Connection if is_lost => format!("executor {node} was lost"),
            Reason::Connection => format!("the connection to executor {node} broke"),
            Reason::Draining => format!("executor {node} is leaving"),
            Reason::SpillDisk => format!("executor {node} has no disk space to spill to"),
            Reason::Storage => "the storage failed".to_owned(),
        };
        Some(format!("{what}, the query was started again"))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    Pausing,
    Ended,
}

/// The attempts of one query.
#[derive(Clone, Debug)]
pub struct Attempts {
    limits: AttemptLimits,
    deadline: Option<Instant>,
    state: State,
    is_released: bool,
    records: Vec<AttemptRecord>,
    /// The executors on which attempts failed, with the last error of each.
    suspects: BTreeMap<String, (usize, QueryError)>,
    lost: BTreeSet<String>,
    ends: Vec<Reason>,
}

impl Attempts {
    /// The first attempt starts at `now`. None starts after `deadline`.
    pub fn start(limits: AttemptLimits, deadline: Option<Instant>, now: Instant) -> Self {
        let mut attempts = Self {
            limits,
            deadline,
            state: State::Running,
            is_released: false,
            records: Vec::new(),
            suspects: BTreeMap::new(),
            lost: BTreeSet::new(),
            ends: Vec::new(),
        };
        attempts.begin(now);
        attempts
    }

    /// The number of the last attempt that was started.
    pub fn current(&self) -> u32 {
        self.records.len() as u32
    }

    /// Every attempt so far, oldest first.
    pub fn records(&self) -> &[AttemptRecord] {
        &self.records
    }

    /// Whether the query is over.
    pub fn is_ended(&self) -> bool {
        self.state == State::Ended
    }

    /// Takes note of an event at `now`.
    pub fn apply(&mut self, event: Event<'_>, now: Instant) -> Action {
        match (self.state, event) {
            (State::Ended, _) => Action::Ignore,
            (_, Event::Stopped(error)) => {
                self.end(Outcome::Failed(error.clone()), now);
                self.fail(error)
            }
            (State::Pausing, Event::PauseOver { is_gone }) => self.pause_over(is_gone, now),
            (State::Running, Event::Released { attempt }) if attempt == self.current() => {
                self.is_released = true;
                Action::Go
            }
            (State::Running, Event::Succeeded { attempt }) if attempt == self.current() => {
                self.end(Outcome::Succeeded, now);
                self.state = State::Ended;
                Action::Go
            }
            (
                State::Running,
                Event::Failed {
                    attempt,
                    error,
                    executor,
                },
            ) if attempt == self.current() => self.failed(error, executor, now),
            _ => Action::Ignore,
        }
    }

    fn begin(&mut self, now: Instant) {
        self.state = State::Running;
        self.records.push(AttemptRecord {
            number: self.current() + 1,
            started_at: now,
            ended_at: None,
            outcome: None,
        });
    }

    fn end(&mut self, outcome: Outcome, now: Instant) {
        if let Some(record) = self.records.last_mut()
            && record.outcome.is_none()
        {
            record.ended_at = Some(now);
            record.outcome = Some(outcome);
        }
    }

    fn fail(&mut self, error: QueryError) -> Action {
        self.state = State::Ended;
        Action::Fail(error)
    }

    fn failed(&mut self, error: QueryError, executor: Option<String>, now: Instant) -> Action {
        self.end(Outcome::Failed(error.clone()), now);
        let Some(reason) = Reason::of(&error) else {
            return self.fail(error);
        };
        self.ends.push(reason);
        let same = self.ends.iter().filter(|end| **end == reason).count() as u32;
        let number = self.current();
        if self.limits.attempts_max <= 1 {
            return self.fail(error);
        }
        if self.is_released {
            let text = "part of the result had left already (skep.result_holdback)";
            return self.fail(explained(error, text));
        }
        if number >= self.limits.attempts_max || same >= reason.ends_max() {
            let text = format!("attempt {number}, and there is no other one");
            return self.fail(explained(error, &text));
        }
        if let Some(executor) = executor {
            let attempt = self.records.len() - 1;
            self.suspects.insert(executor, (attempt, error.clone()));
        }
        let until = now + self.pause(number);
        if self.deadline.is_some_and(|deadline| until >= deadline) {
            let text = "there is no time left for another attempt";
            return self.fail(explained(error, text));
        }
        self.state = State::Pausing;
        Action::Pause { until }
    }

    fn pause(&self, attempt: u32) -> Duration {
        let factor = 4_u32.saturating_pow(attempt.saturating_sub(1));
        let pause = self.limits.pause_min.saturating_mul(factor);
        pause.min(self.limits.pause_max)
    }

    fn pause_over(&mut self, is_gone: &dyn Fn(&str) -> bool, now: Instant) -> Action {
        let mut last_lost = None;
        for (executor, (attempt, error)) in &self.suspects {
            let is_connection = Reason::of(error) == Some(Reason::Connection);
            if is_connection && !self.lost.contains(executor) && is_gone(executor) {
                self.lost.insert(executor.clone());
                self.records[*attempt].outcome = Some(Outcome::LostExecutor(error.clone()));
                last_lost = Some(error.clone());
            }
        }
        if self.lost.len() >= LOST_EXECUTORS_MAX
            && let Some(error) = last_lost
        {
            let nodes = self.lost.iter().filter_map(|id| self.suspects.get(id));
            let nodes = nodes.filter_map(|(_, error)| error.node.clone());
            let text = format!(
                "the query has lost {} executors ({}) and is not started again, since it may be what ends \
                 them: {}",
                self.lost.len(),
                nodes.collect::<Vec<_>>().join(", "),
                error.message
            );
            return self.fail(QueryError {
                retryable: false,
                ..QueryError {
                    message: text,
                    code: ErrorCode::ExecutorLost,
                    ..error
                }
            });
        }
        let avoid = self.suspects.keys().cloned().collect();
        self.begin(now);
        Action::Start {
            attempt: self.current(),
            avoid,
        }
    }
}

/// The error with why it was not tried again.
fn explained(mut error: QueryError, why: &str) -> QueryError {
    error.message = format!("{}; {why}", error.message);
    error
}

/// The executors of an attempt: those that may be used, without those that the query avoids and those whose
/// breaker is open, as long as any are left.
pub fn choose<T>(
    candidates: impl IntoIterator<Item = T>,
    is_avoided: impl Fn(&T) -> bool,
    is_suspended: impl Fn(&T) -> bool,
) -> Vec<T> {
    let mut ranked: [Vec<T>; 3] = Default::default();
    for candidate in candidates {
        let rank = match (is_suspended(&candidate), is_avoided(&candidate)) {
            (false, false) => 0,
            (true, false) => 1,
            (_, true) => 2,
        };
        ranked[rank].push(candidate);
    }
    ranked
        .into_iter()
        .find(|found| !found.is_empty())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
