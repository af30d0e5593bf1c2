//! The states of a query as a plain function of (state, event, now).

use crate::service::QueryState;
use std::time::{Duration, Instant};

/// Something that moves a query on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It got its place.
    Admitted,
    /// Its plan is made and passed its check.
    Planned,
    /// All of its rows were sent, or are written and about to be committed.
    RowsSent,
    /// Everything is cleaned up.
    CleanedUp,
    /// It failed.
    Failed,
    /// Somebody ended it, or its client went away.
    Canceled,
}

/// Where a query stands and how long it stood elsewhere.
#[derive(Clone, Debug)]
pub struct QueryLife {
    /// The states that it entered, and when.
    entered: Vec<(QueryState, Instant)>,
}

impl QueryLife {
    /// A query that came in at `now`.
    pub fn new(now: Instant) -> Self {
        Self {
            entered: vec![(QueryState::Queued, now)],
        }
    }

    /// Where it stands.
    pub fn state(&self) -> QueryState {
        self.entered
            .last()
            .map_or(QueryState::Queued, |(state, _)| *state)
    }

    /// When it came in.
    pub fn submitted_at(&self) -> Option<Instant> {
        self.entered.first().map(|(_, at)| *at)
    }

    /// Moves on; false where the event does not apply in this state, as every event after the end.
    pub fn apply(&mut self, event: Event, now: Instant) -> bool {
        let Some(next) = next_state(self.state(), event) else {
            return false;
        };
        self.entered.push((next, now));
        true
    }

    /// How long it was in each state, in order; up to `now` in a state that it has not left.
    pub fn time_in_state(&self, now: Instant) -> Vec<(QueryState, Duration)> {
        let mut times = Vec::with_capacity(self.entered.len());
        for (index, (state, at)) in self.entered.iter().enumerate() {
            let until = match self.entered.get(index + 1) {
                Some((_, left_at)) => *left_at,
                None if state.is_final() => *at,
                None => now,
            };
            times.push((*state, until.saturating_duration_since(*at)));
        }
        times
    }
}

fn next_state(state: QueryState, event: Event) -> Option<QueryState> {
    match (state, event) {
        (state, _) if state.is_final() => None,
        (QueryState::Queued, Event::Admitted) => Some(QueryState::Planning),
        (QueryState::Planning, Event::Planned) => Some(QueryState::Running),
        // A statement without rows of its own is done when it is planned.
        (QueryState::Planning | QueryState::Running, Event::RowsSent) => {
            Some(QueryState::Finishing)
        }
        (QueryState::Finishing, Event::CleanedUp) => Some(QueryState::Finished),
        (_, Event::Failed) => Some(QueryState::Failed),
        (_, Event::Canceled) => Some(QueryState::Canceled),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Event; 6] = [
        Event::Admitted,
        Event::Planned,
        Event::RowsSent,
        Event::CleanedUp,
        Event::Failed,
        Event::Canceled,
    ];

    #[test]
    fn the_usual_life() {
        let start = Instant::now();
        let mut life = QueryLife::new(start);
        let at = |seconds| start + Duration::from_secs(seconds);
        for (index, event) in ALL[..4].iter().enumerate() {
            assert!(life.apply(*event, at(index as u64 + 1)), "{event:?}");
        }
        assert_eq!(life.state(), QueryState::Finished);
        let times = life.time_in_state(at(99));
        let seconds: Vec<_> = times.iter().map(|(_, time)| time.as_secs()).collect();
        assert_eq!(seconds, vec![1, 1, 1, 1, 0]);
    }

    #[test]
    fn nothing_follows_the_end() {
        for last in [Event::Failed, Event::Canceled] {
            let mut life = QueryLife::new(Instant::now());
            assert!(life.apply(last, Instant::now()));
            let end = life.state();
            for event in ALL {
                assert!(!life.apply(event, Instant::now()));
            }
            assert_eq!(life.state(), end);
        }
    }

    #[test]
    fn no_state_is_skipped() {
        let mut life = QueryLife::new(Instant::now());
        assert!(!life.apply(Event::Planned, Instant::now()));
        assert!(!life.apply(Event::CleanedUp, Instant::now()));
        assert_eq!(life.state(), QueryState::Queued);
    }
}
