//! Slows down the guessing of passwords. Nobody is locked out, and the right password is never late: only refusals
//! are, by how many there were of late for the same user, and from the same source.

use super::places::Source;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// No refusal comes earlier than this, whatever work there was to it, so that its time does not tell whether the
/// user exists.
const DELAY_MIN: Duration = Duration::from_millis(500);

/// The longest delay.
const DELAY_MAX: Duration = Duration::from_secs(5);

/// How many attempts in a row are refused after the shortest delay, for a user and from a source. Every further
/// one doubles it.
const USERS_FREE_ATTEMPTS: u32 = 5;
const SOURCES_FREE_ATTEMPTS: u32 = 20;

/// After how long without an attempt everything is forgiven.
const FORGIVEN_AFTER: Duration = Duration::from_secs(15 * 60);

/// How many names, and how many sources, are told apart. All others count as one.
const TOLD_APART_MAX: usize = 10_000;

#[derive(Clone, Copy)]
struct Failures {
    count: u32,
    last: Instant,
}

/// The attempts of late.
#[derive(Default)]
pub(super) struct Throttle {
    by_user: Mutex<Counts<String>>,
    by_source: Mutex<Counts<Source>>,
}

impl Throttle {
    /// After how long this attempt is refused, where it is wrong. It counts as wrong until [`Self::succeeded`]
    /// says otherwise, so that many at the same time are not free.
    pub(super) fn attempt(&self, user: &str, source: Source, now: Instant) -> Duration {
        let of_user = self.by_user.lock().add(user.to_owned(), now);
        let of_source = self.by_source.lock().add(source, now);
        delay(of_user, USERS_FREE_ATTEMPTS).max(delay(of_source, SOURCES_FREE_ATTEMPTS))
    }

    /// The password was right, after all.
    pub(super) fn succeeded(&self, user: &str, source: Source) {
        self.by_user.lock().told_apart.remove(user);
        // Of a source the others still count: somebody with a user of their own could guess those of others.
        if let Some(failures) = self.by_source.lock().told_apart.get_mut(&source) {
            failures.count = failures.count.saturating_sub(1);
        }
    }
}

/// How many attempts there were of each.
struct Counts<K> {
    told_apart: HashMap<K, Failures>,
    others: Option<Failures>,
}

impl<K> Default for Counts<K> {
    fn default() -> Self {
        Self {
            told_apart: HashMap::new(),
            others: None,
        }
    }
}

impl<K: Eq + Hash> Counts<K> {
    /// Counts one more, and returns how many there are.
    fn add(&mut self, key: K, now: Instant) -> u32 {
        let is_old =
            |failures: &Failures| now.saturating_duration_since(failures.last) >= FORGIVEN_AFTER;
        if self.told_apart.len() >= TOLD_APART_MAX && !self.told_apart.contains_key(&key) {
            self.told_apart.retain(|_, failures| !is_old(failures));
        }
        let none = Failures {
            count: 0,
            last: now,
        };
        let has_room = self.told_apart.len() < TOLD_APART_MAX || self.told_apart.contains_key(&key);
        let entry = match has_room {
            true => self.told_apart.entry(key).or_insert(none),
            false => self.others.get_or_insert(none),
        };
        if is_old(entry) {
            entry.count = 0;
        }
        entry.count = entry.count.saturating_add(1);
        entry.last = now;
        entry.count
    }
}

/// After how long the attempt of that number is refused.
fn delay(attempt: u32, free: u32) -> Duration {
    let doublings = attempt.saturating_sub(free);
    let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
    DELAY_MIN.saturating_mul(factor).min(DELAY_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(last: u8) -> Source {
        Source::of(Some([10, 0, 0, last].into()))
    }

    #[test]
    fn a_few_refusals_are_quick_and_the_rest_take_longer_and_longer() {
        let throttle = Throttle::default();
        let now = Instant::now();
        for number in 0..USERS_FREE_ATTEMPTS {
            let source = source(number as u8);
            assert_eq!(throttle.attempt("ada", source, now), DELAY_MIN);
        }
        assert_eq!(throttle.attempt("ada", source(100), now), DELAY_MIN * 2);
        assert_eq!(throttle.attempt("ada", source(101), now), DELAY_MIN * 4);
        for _ in 0..100 {
            assert!(throttle.attempt("ada", source(102), now) <= DELAY_MAX);
        }
        assert_eq!(throttle.attempt("bob", source(0), now), DELAY_MIN);
        let later = now + FORGIVEN_AFTER;
        assert_eq!(throttle.attempt("ada", source(102), later), DELAY_MIN);
    }

    #[test]
    fn a_source_that_tries_many_names_is_slowed_down() {
        let throttle = Throttle::default();
        let now = Instant::now();
        for number in 0..SOURCES_FREE_ATTEMPTS {
            let name = format!("user {number}");
            assert_eq!(throttle.attempt(&name, source(1), now), DELAY_MIN);
        }
        assert_eq!(throttle.attempt("ada", source(1), now), DELAY_MIN * 2);
        assert_eq!(throttle.attempt("bob", source(2), now), DELAY_MIN);
    }

    #[test]
    fn the_right_password_ends_it_for_its_user() {
        let throttle = Throttle::default();
        let now = Instant::now();
        for number in 0..10 {
            throttle.attempt("ada", source(number), now);
        }
        throttle.succeeded("ada", source(0));
        assert_eq!(throttle.attempt("ada", source(0), now), DELAY_MIN);
        for _ in 0..100 {
            throttle.attempt("bob", source(20), now);
            throttle.succeeded("bob", source(20));
        }
        assert_eq!(throttle.attempt("bob", source(20), now), DELAY_MIN);
    }

    #[test]
    fn made_up_names_take_no_more_than_their_share_of_memory() {
        let throttle = Throttle::default();
        let now = Instant::now();
        for number in 0..TOLD_APART_MAX + 100 {
            throttle.attempt(&format!("user {number}"), source(1), now);
        }
        assert!(throttle.by_user.lock().told_apart.len() <= TOLD_APART_MAX);
        assert!(throttle.attempt("one more", source(2), now) > DELAY_MIN);
    }
}
