//! Whether clients that show tickets may still read with them: the coordinator knows, and is asked again after a
//! moment, so that a user who has been dropped reads no more.

use parking_lot::Mutex;
use skep_exchange::channel::CoordinatorConnection;
use skep_protocol::QueryError;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long an answer holds: for the shares of one result, which a client fetches at a time.
const ANSWER_HOLDS: Duration = Duration::from_secs(1);

/// How many answers are kept.
const ANSWERS_MAX: usize = 10_000;

/// A client that shows a ticket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Reader {
    /// Whose result it is.
    pub(crate) user: String,
    /// What the client has shown; empty where it has shown nothing.
    pub(crate) token: String,
    /// The query that the result is of.
    pub(crate) query_id: String,
}

/// The readers who may, of late.
#[derive(Default)]
pub(crate) struct Readers {
    until: Mutex<HashMap<Reader, Instant>>,
}

impl Readers {
    /// Refuses a reader who may not read, or may not any more.
    ///
    /// # Errors
    /// Why not, as the coordinator says.
    pub(crate) async fn check(
        &self,
        coordinator: &CoordinatorConnection,
        reader: Reader,
    ) -> Result<(), QueryError> {
        if self.holds(&reader, Instant::now()) {
            return Ok(());
        }
        // Counted from the question: the answer may be as old.
        let asked = Instant::now();
        let Reader {
            user,
            token,
            query_id,
        } = reader.clone();
        coordinator.check_reader(user, token, query_id).await?;
        self.keep(reader, asked);
        Ok(())
    }

    fn holds(&self, reader: &Reader, now: Instant) -> bool {
        let until = self.until.lock();
        until.get(reader).is_some_and(|until| now < *until)
    }

    fn keep(&self, reader: Reader, asked: Instant) {
        let mut until = self.until.lock();
        if until.len() >= ANSWERS_MAX {
            until.retain(|_, until| asked < *until);
        }
        if until.len() < ANSWERS_MAX {
            until.insert(reader, asked + ANSWER_HOLDS);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(token: &str) -> Reader {
        Reader {
            user: "ada".into(),
            token: token.into(),
            query_id: "q".into(),
        }
    }

    #[test]
    fn an_answer_holds_for_a_moment_and_for_one_reader() {
        let readers = Readers::default();
        let now = Instant::now();
        readers.keep(reader("a"), now);
        assert!(readers.holds(&reader("a"), now));
        assert!(!readers.holds(&reader("b"), now));
        assert!(!readers.holds(&reader("a"), now + ANSWER_HOLDS));
        let other = Reader {
            query_id: "r".into(),
            ..reader("a")
        };
        assert!(!readers.holds(&other, now));
    }

    #[test]
    fn answers_are_bounded() {
        let readers = Readers::default();
        let now = Instant::now();
        for number in 0..ANSWERS_MAX + 10 {
            readers.keep(reader(&number.to_string()), now);
        }
        assert_eq!(readers.until.lock().len(), ANSWERS_MAX);
        readers.keep(reader("later"), now + ANSWER_HOLDS);
        assert_eq!(readers.until.lock().len(), 1);
    }
}
