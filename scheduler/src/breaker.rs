//! A circuit breaker for one executor: where tasks fail again and again although the executor lives, it
//! gets no new ones for a while. Never for ever: its disk may have been cleaned, its network mended.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// So many failures within [`FAILURES_WITHIN`] open the breaker.
pub const FAILURES_MAX: usize = 3;

/// Failures that are older do not count.
pub const FAILURES_WITHIN: Duration = Duration::from_secs(600);

/// How long the breaker stays open the first time; each further time twice as long as before.
pub const OPEN_MIN: Duration = Duration::from_secs(60);

/// How long it stays open at most.
pub const OPEN_MAX: Duration = Duration::from_secs(600);

/// The failures of tasks on one executor.
#[derive(Clone, Debug, Default)]
pub struct Breaker {
    failures: VecDeque<Instant>,
    open_until: Option<Instant>,
    /// How often it has opened without a success in between.
    times_opened: u32,
}

impl Breaker {
    /// A task failed on the executor at `now`.
    pub fn failed(&mut self, now: Instant) {
        if self.is_open(now) {
            return;
        }
        self.forget_old(now);
        self.failures.push_back(now);
        // After it was open, the first failure shows that nothing has changed.
        let is_proved = self.times_opened > 0 && self.open_until.is_some();
        if self.failures.len() >= FAILURES_MAX || is_proved {
            let doubled = OPEN_MIN.saturating_mul(1 << self.times_opened.min(16));
            self.open_until = Some(now + doubled.min(OPEN_MAX));
            self.times_opened += 1;
            self.failures.clear();
        }
    }

    /// A query that ran on the executor ended well. Counts once the breaker was open: in other queries, and
    /// in other tasks, an executor with a broken disk succeeds as well.
    pub fn succeeded(&mut self, now: Instant) {
        if self.open_until.is_some() && !self.is_open(now) {
            *self = Self::default();
        }
    }

    /// Whether the executor is to get no tasks at `now`.
    pub fn is_open(&self, now: Instant) -> bool {
        self.open_until.is_some_and(|until| now < until)
    }

    /// Until when the executor gets no tasks, where that is so at `now`.
    pub fn open_until(&self, now: Instant) -> Option<Instant> {
        self.open_until.filter(|until| now < *until)
    }

    /// Whether it was open, is not at `now`, and nothing has succeeded since.
    pub fn is_on_probation(&self, now: Instant) -> bool {
        self.open_until.is_some_and(|until| until <= now)
    }

    /// How many failures count at `now`.
    pub fn failures(&self, now: Instant) -> usize {
        let is_recent = |at: &&Instant| now.saturating_duration_since(**at) < FAILURES_WITHIN;
        self.failures.iter().filter(is_recent).count()
    }

    fn forget_old(&mut self, now: Instant) {
        self.failures
            .retain(|at| now.saturating_duration_since(*at) < FAILURES_WITHIN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn three_failures_in_ten_minutes_open_it_for_a_while() {
        let start = Instant::now();
        let mut breaker = Breaker::default();
        breaker.failed(start);
        breaker.failed(start + seconds(1));
        assert!(!breaker.is_open(start + seconds(1)));
        assert_eq!(breaker.failures(start + seconds(1)), 2);
        breaker.failed(start + seconds(599));
        assert!(breaker.is_open(start + seconds(600)));
        assert!(!breaker.is_open(start + seconds(599) + OPEN_MIN));
    }

    #[test]
    fn old_failures_do_not_count() {
        let start = Instant::now();
        let mut breaker = Breaker::default();
        for minute in 0..20 {
            breaker.failed(start + seconds(minute * 301));
            assert!(!breaker.is_open(start + seconds(minute * 301)), "{minute}");
        }
    }

    #[test]
    fn it_opens_again_at_once_where_nothing_has_changed_and_never_for_ever() {
        let start = Instant::now();
        let mut breaker = Breaker::default();
        let mut now = start;
        for _ in 0..FAILURES_MAX {
            breaker.failed(now);
        }
        let mut opened = Vec::new();
        for _ in 0..6 {
            let until = breaker.open_until(now).unwrap();
            opened.push((until - now).as_secs());
            now = until;
            assert!(!breaker.is_open(now));
            breaker.failed(now);
        }
        assert_eq!(opened, [60, 120, 240, 480, 600, 600]);
    }

    #[test]
    fn a_success_after_it_was_open_closes_it() {
        let start = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 0..FAILURES_MAX {
            breaker.failed(start);
        }
        // Of queries that began before.
        breaker.succeeded(start + seconds(1));
        assert!(breaker.is_open(start + seconds(1)));
        let later = start + OPEN_MIN;
        breaker.succeeded(later);
        breaker.failed(later);
        assert!(!breaker.is_open(later));
    }
}
