//! Names of queries, attempts and tasks.

use crate::proto;
use chrono::{DateTime, NaiveDateTime, Utc};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering};
use uuid::Uuid;

/// A query as users name it: `20261123_230512_00017_k3f9q`, that is when it came in (UTC), the how
/// manyeth it was on its coordinator, and the coordinator's own suffix. Sorts by time.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct QueryId(String);

impl QueryId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// When the query came in, to the second; `None` where the id says no time that there is.
    pub fn came_in_at(&self) -> Option<DateTime<Utc>> {
        let time = self.0.get(..ID_TIME_LENGTH)?;
        let time = NaiveDateTime::parse_from_str(time, ID_TIME_FORMAT).ok()?;
        Some(time.and_utc())
    }
}

impl fmt::Display for QueryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is not a query id.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("'{0}' is not a query id")]
pub struct InvalidQueryId(String);

impl FromStr for QueryId {
    type Err = InvalidQueryId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<&str> = text.split('_').collect();
        let digits = |part: &str, length: usize| {
            part.len() >= length && part.bytes().all(|byte| byte.is_ascii_digit())
        };
        match parts.as_slice() {
            [date, time, sequence, suffix]
                if digits(date, 8)
                    && digits(time, 6)
                    && digits(sequence, 5)
                    && !suffix.is_empty()
                    && suffix.bytes().all(|byte| byte.is_ascii_alphanumeric()) =>
            {
                Ok(Self(text.to_owned()))
            }
            _ => Err(InvalidQueryId(text.chars().take(64).collect())),
        }
    }
}

/// How ids say when their queries came in, and how many bytes that takes.
const ID_TIME_FORMAT: &str = "%Y%m%d_%H%M%S";
const ID_TIME_LENGTH: usize = "20240131_101112".len();

/// Gives out the ids of one coordinator's queries.
#[derive(Debug)]
pub struct QueryIdGenerator {
    suffix: String,
    next: AtomicU32,
}

/// Letters and digits that are not mistaken for each other.
const SUFFIX_ALPHABET: &[u8] = b"23456789abcdefghijkmnpqrstuvwxyz";
const SUFFIX_LENGTH: usize = 5;

impl QueryIdGenerator {
    /// A generator with a random suffix, which keeps two coordinators' ids apart.
    pub fn new() -> Self {
        let suffix = Uuid::new_v4()
            .as_bytes()
            .iter()
            .take(SUFFIX_LENGTH)
            .map(|byte| char::from(SUFFIX_ALPHABET[usize::from(*byte) % SUFFIX_ALPHABET.len()]))
            .collect();
        Self {
            suffix,
            next: AtomicU32::new(1),
        }
    }

    /// The id of a query that came in at `now`.
    pub fn next(&self, now: DateTime<Utc>) -> QueryId {
        let sequence = self.next.fetch_add(1, Ordering::Relaxed);
        QueryId(format!(
            "{}_{sequence:05}_{}",
            now.format(ID_TIME_FORMAT),
            self.suffix
        ))
    }
}

impl Default for QueryIdGenerator {
    fn default() -> Self {
        Self::new()
    }
}

/// One try at running a query. Every try is planned afresh and has an id of its own, so that late
/// messages of an earlier one are recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AttemptId(pub Uuid);

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One task of one stage of one attempt. Stages count from 1, tasks from 0.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskKey {
    /// The query.
    pub query: QueryId,
    /// The try.
    pub attempt: AttemptId,
    /// The stage's number within the plan.
    pub stage: u32,
    /// The task's number within the stage.
    pub task: u32,
}

impl fmt::Display for TaskKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.query, self.stage, self.task)
    }
}

/// A task id came over the wire that is not one.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidTaskId {
    /// Its query id is malformed.
    #[error(transparent)]
    Query(#[from] InvalidQueryId),
    /// Its attempt id has not 16 bytes.
    #[error("an attempt id has 16 bytes, not {0}")]
    Attempt(usize),
}

impl TryFrom<proto::TaskId> for TaskKey {
    type Error = InvalidTaskId;

    fn try_from(id: proto::TaskId) -> Result<Self, Self::Error> {
        let attempt = Uuid::from_slice(&id.attempt_id)
            .map_err(|_| InvalidTaskId::Attempt(id.attempt_id.len()))?;
        Ok(Self {
            query: id.query_id.parse()?,
            attempt: AttemptId(attempt),
            stage: id.stage,
            task: id.task,
        })
    }
}

impl From<&TaskKey> for proto::TaskId {
    fn from(key: &TaskKey) -> Self {
        Self {
            query_id: key.query.to_string(),
            attempt_id: key.attempt.0.as_bytes().to_vec().into(),
            stage: key.stage,
            task: key.task,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_sortable_and_readable() {
        let generator = QueryIdGenerator::new();
        let now = DateTime::from_timestamp(1_795_000_000, 0).unwrap();
        let first = generator.next(now);
        let second = generator.next(now);
        assert!(first < second);
        assert_eq!(first.as_str().parse(), Ok(first.clone()));
        assert_eq!(&first.as_str()[..21], "20261118_110640_00001");
        assert_eq!(first.came_in_at(), Some(now));
        let never: QueryId = "20261399_996640_00001_abcde".parse().unwrap();
        assert_eq!(never.came_in_at(), None);
    }

    #[test]
    fn nonsense_is_no_query_id() {
        for text in [
            "",
            "1",
            "20261123_1_2_a",
            "a_b_c_d",
            "20261123_230512_00001_'; --",
        ] {
            assert!(text.parse::<QueryId>().is_err(), "{text}");
        }
    }

    #[test]
    fn task_keys_survive_the_wire() {
        let key = TaskKey {
            query: QueryIdGenerator::new().next(Utc::now()),
            attempt: AttemptId(Uuid::new_v4()),
            stage: 3,
            task: 1,
        };
        assert_eq!(TaskKey::try_from(proto::TaskId::from(&key)), Ok(key));
    }
}
