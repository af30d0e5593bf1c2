//! Each signed message is good once: what has been taken is remembered until it has expired anyway.
//!
//! Only what was signed is remembered, so that a stranger fills no memory.

use std::collections::HashSet;
use std::time::{Duration, Instant};

/// How many messages are remembered of one span of time; two spans are kept. Eight bytes each.
const REMEMBERED_MAX: usize = 1 << 22;

/// What has become of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replay {
    /// It is new.
    New,
    /// It has been taken before.
    Again,
    /// Too many have been taken of late to tell.
    TooMany,
}

/// The messages that have been taken.
#[derive(Debug)]
pub struct ReplayGuard {
    span: Duration,
    remembered_max: usize,
    since: Instant,
    current: HashSet<u64>,
    previous: HashSet<u64>,
}

impl ReplayGuard {
    /// Remembers messages for `span` at least, after which none of them may be good any more.
    pub fn new(span: Duration, now: Instant) -> Self {
        Self {
            span,
            remembered_max: REMEMBERED_MAX,
            since: now,
            current: HashSet::new(),
            previous: HashSet::new(),
        }
    }

    /// Takes the message that has this random number.
    pub fn take(&mut self, nonce: u64, now: Instant) -> Replay {
        let age = now.saturating_duration_since(self.since);
        if age >= self.span {
            self.previous = std::mem::take(&mut self.current);
            if age >= self.span * 2 {
                self.previous.clear();
            }
            self.since = now;
        }
        if self.previous.contains(&nonce) || self.current.contains(&nonce) {
            return Replay::Again;
        }
        if self.current.len() >= self.remembered_max {
            return Replay::TooMany;
        }
        self.current.insert(nonce);
        Replay::New
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Duration = Duration::from_secs(10);

    #[test]
    fn a_message_is_taken_once_within_its_time() {
        let start = Instant::now();
        for seed in 0..200_u64 {
            let mut guard = ReplayGuard::new(SPAN, start);
            let taken_at = start + Duration::from_millis(seed * 137 % 30_000);
            assert_eq!(guard.take(7, taken_at), Replay::New);
            for later in 0..10 {
                let now = taken_at + Duration::from_secs(later);
                assert_eq!(guard.take(100 + later, now), Replay::New);
                assert_eq!(guard.take(7, now), Replay::Again, "after {later} s");
            }
        }
    }

    #[test]
    fn what_has_expired_is_forgotten_and_the_rest_is_bounded() {
        let start = Instant::now();
        let mut guard = ReplayGuard::new(SPAN, start);
        guard.remembered_max = 100;
        for nonce in 0..100 {
            assert_eq!(guard.take(nonce, start), Replay::New);
        }
        assert_eq!(guard.take(100, start), Replay::TooMany);
        assert_eq!(guard.take(100, start + SPAN), Replay::New);
        assert_eq!(guard.take(99, start + SPAN), Replay::Again);
        assert_eq!(guard.take(99, start + SPAN * 3), Replay::New);
        assert!(guard.previous.len() + guard.current.len() <= 2 * guard.remembered_max);
    }
}
