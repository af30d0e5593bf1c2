//! Slows down whoever guesses passwords. Nobody is locked out: the right password is only later.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How many wrong passwords in a row are answered at once.
const FREE_ATTEMPTS: u32 = 5;

/// The first delay. Every further attempt doubles it.
const DELAY_MIN: Duration = Duration::from_millis(100);

/// The longest delay.
const DELAY_MAX: Duration = Duration::from_secs(5);

/// After how long without an attempt everything is forgiven.
const FORGIVEN_AFTER: Duration = Duration::from_secs(15 * 60);

/// How many names are told apart. All others count as one.
const NAMES_MAX: usize = 10_000;

/// The name that stands for those that there is no room for. No user is called so.
const OTHERS: &str = "";

#[derive(Clone, Copy)]
struct Failures {
    count: u32,
    last: Instant,
}

/// The wrong passwords of late, by the name that they were given with.
#[derive(Default)]
pub(super) struct Throttle {
    failures: Mutex<HashMap<String, Failures>>,
}

impl Throttle {
    /// How long an attempt has to wait. It counts as wrong until [`Self::succeeded`] says otherwise, so
    /// that many at the same time are not free.
    pub(super) fn attempt(&self, user: &str, now: Instant) -> Duration {
        let mut failures = self.failures.lock();
        let is_old =
            |failures: &Failures| now.saturating_duration_since(failures.last) >= FORGIVEN_AFTER;
        if failures.len() >= NAMES_MAX && !failures.contains_key(user) {
            failures.retain(|_, failures| !is_old(failures));
        }
        let name = match failures.len() < NAMES_MAX || failures.contains_key(user) {
            true => user,
            false => OTHERS,
        };
        let entry = failures.entry(name.to_owned()).or_insert(Failures {
            count: 0,
            last: now,
        });
        if is_old(entry) {
            entry.count = 0;
        }
        entry.count = entry.count.saturating_add(1);
        entry.last = now;
        delay(entry.count)
    }

    /// The password was right.
    pub(super) fn succeeded(&self, user: &str) {
        self.failures.lock().remove(user);
    }
}

/// How long the attempt of that number has to wait.
fn delay(attempt: u32) -> Duration {
    match attempt.checked_sub(FREE_ATTEMPTS + 1) {
        None => Duration::ZERO,
        Some(doublings) => {
            let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
            DELAY_MIN.saturating_mul(factor).min(DELAY_MAX)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_attempts_are_free_and_the_rest_take_longer_and_longer() {
        let throttle = Throttle::default();
        let now = Instant::now();
        for _ in 0..FREE_ATTEMPTS {
            assert_eq!(throttle.attempt("ada", now), Duration::ZERO);
        }
        assert_eq!(throttle.attempt("ada", now), DELAY_MIN);
        assert_eq!(throttle.attempt("ada", now), DELAY_MIN * 2);
        for _ in 0..100 {
            assert!(throttle.attempt("ada", now) <= DELAY_MAX);
        }
        assert_eq!(throttle.attempt("bob", now), Duration::ZERO);
        assert_eq!(
            throttle.attempt("ada", now + FORGIVEN_AFTER),
            Duration::ZERO
        );
    }

    #[test]
    fn the_right_password_ends_it() {
        let throttle = Throttle::default();
        let now = Instant::now();
        for _ in 0..10 {
            throttle.attempt("ada", now);
        }
        throttle.succeeded("ada");
        assert_eq!(throttle.attempt("ada", now), Duration::ZERO);
    }

    #[test]
    fn made_up_names_take_no_more_than_their_share_of_memory() {
        let throttle = Throttle::default();
        let now = Instant::now();
        for number in 0..NAMES_MAX + 100 {
            throttle.attempt(&format!("user {number}"), now);
        }
        assert!(throttle.failures.lock().len() <= NAMES_MAX + 1);
        assert!(throttle.attempt("one more", now) > Duration::ZERO);
    }
}
