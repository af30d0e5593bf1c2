//! Results between GetFlightInfo, which starts a query, and DoGet, which fetches its rows.
//!
//! A row stream is held under a [`Handle`] until it is taken, once. It is bounded in number over all
//! sessions by a permit that it carries, and in time; dropping it cancels its query.

use crate::engine::{ClientBatches, DirectReaders};
use crate::errors::DoorError;
use crate::handle::Handle;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use futures::stream::{BoxStream, Peekable};
use parking_lot::Mutex;
use skep_protocol::{QueryError, QueryId};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::OwnedSemaphorePermit;

/// A started query's rows.
pub(crate) struct PendingResult {
    pub(crate) query: QueryId,
    /// The schema that was promised, which the rows are brought into.
    pub(crate) wire_schema: SchemaRef,
    pub(crate) rows: Peekable<BoxStream<'static, Result<RecordBatch, QueryError>>>,
    /// The result's place among those that wait.
    pub(crate) permit: OwnedSemaphorePermit,
}

/// A result and its query.
pub(crate) struct Entry {
    pub(crate) query: QueryId,
    state: EntryState,
}

enum EntryState {
    Pending {
        result: PendingResult,
        deadline: Instant,
    },
    /// Somebody fetches it.
    Taken,
}

impl EntryState {
    fn is_expired(&self, now: Instant) -> bool {
        matches!(self, Self::Pending { deadline, .. } if *deadline <= now)
    }
}

/// A query whose rows the client reads from executors.
struct DirectResult {
    readers: Arc<DirectReaders>,
    /// The running query, which ends where this is dropped.
    _running: ClientBatches,
}

/// The results of one session.
#[derive(Default)]
pub(crate) struct Results {
    entries: Mutex<HashMap<Handle, Entry>>,
    /// The queries whose rows the client reads from executors.
    running: Mutex<HashMap<QueryId, DirectResult>>,
}

impl Results {
    /// Holds a result until `deadline`.
    pub(crate) fn hold(&self, result: PendingResult, deadline: Instant) -> Handle {
        let handle = Handle::random();
        let entry = Entry {
            query: result.query.clone(),
            state: EntryState::Pending { result, deadline },
        };
        self.entries.lock().insert(handle, entry);
        handle
    }

    /// Keeps a query that sends its rows elsewhere, until it has ended or the session does.
    pub(crate) fn keep_running(
        &self,
        query: &QueryId,
        readers: Arc<DirectReaders>,
        running: ClientBatches,
    ) {
        let result = DirectResult {
            readers,
            _running: running,
        };
        self.running.lock().insert(query.clone(), result);
    }

    /// The ticket with which the client may come later than with `ticket` to read a share of a result from
    /// an executor; `None` where that is read already, or is none of this session's.
    pub(crate) fn renew_direct(&self, ticket: &[u8]) -> Option<Bytes> {
        let running = self.running.lock();
        running
            .values()
            .find_map(|result| result.readers.renew(ticket))
    }

    /// Whether a query sends its rows elsewhere.
    pub(crate) fn is_running(&self, query: &QueryId) -> bool {
        self.running.lock().contains_key(query)
    }

    /// Forgets the queries that sent their rows elsewhere and have ended.
    pub(crate) fn forget_ended(&self, has_ended: impl Fn(&QueryId) -> bool) {
        let mut running = self.running.lock();
        let ended: Vec<_> = running.extract_if(|query, _| has_ended(query)).collect();
        drop(running);
        drop(ended);
    }

    /// Hands out a result, once. [`Self::end`] must follow when it has been read or dropped.
    pub(crate) fn take(&self, handle: Handle) -> Result<PendingResult, DoorError> {
        let mut entries = self.entries.lock();
        let entry = entries
            .get_mut(&handle)
            .ok_or(DoorError::UnknownHandle("result"))?;
        match std::mem::replace(&mut entry.state, EntryState::Taken) {
            EntryState::Pending { result, .. } => Ok(result),
            EntryState::Taken => Err(DoorError::UnknownHandle("result: it is being read")),
        }
    }

    /// Takes back a result that was handed out, where it has not been given up meanwhile.
    pub(crate) fn put_back(&self, handle: Handle, result: PendingResult, deadline: Instant) {
        let mut entries = self.entries.lock();
        let left = match entries.get_mut(&handle) {
            Some(entry) => {
                entry.state = EntryState::Pending { result, deadline };
                None
            }
            None => Some(result),
        };
        drop(entries);
        // Its query ends here, outside the lock.
        drop(left);
    }

    /// Forgets a result that was taken.
    pub(crate) fn end(&self, handle: Handle) {
        let entry = self.entries.lock().remove(&handle);
        drop(entry);
    }

    /// The query behind a handle, whether its result waits or is being read.
    pub(crate) fn query_of(&self, handle: Handle) -> Option<QueryId> {
        let entries = self.entries.lock();
        entries.get(&handle).map(|entry| entry.query.clone())
    }

    /// Gives a waiting result a later deadline; false where it does not wait.
    pub(crate) fn renew(&self, handle: Handle, deadline: Instant) -> bool {
        match self.entries.lock().get_mut(&handle) {
            Some(Entry {
                state:
                    EntryState::Pending {
                        deadline: current, ..
                    },
                ..
            }) => {
                *current = deadline;
                true
            }
            _ => false,
        }
    }

    /// Takes out the results whose deadline has passed, for the caller to cancel and to drop.
    pub(crate) fn expire(&self, now: Instant) -> Vec<Entry> {
        let mut entries = self.entries.lock();
        entries
            .extract_if(|_, entry| entry.state.is_expired(now))
            .map(|(_, entry)| entry)
            .collect()
    }

    /// Drops every result that waits.
    pub(crate) fn clear(&self) {
        let entries = std::mem::take(&mut *self.entries.lock());
        drop(entries);
        let running = std::mem::take(&mut *self.running.lock());
        drop(running);
    }

    /// Whether no result waits or is being read.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.lock().is_empty() && self.running.lock().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::Schema;
    use futures::StreamExt;
    use std::time::Duration;
    use tokio::sync::Semaphore;

    fn pending(places: &Arc<Semaphore>) -> PendingResult {
        PendingResult {
            query: "20261123_230512_00001_k3f9q".parse().unwrap(),
            wire_schema: Arc::new(Schema::empty()),
            rows: futures::stream::empty().boxed().peekable(),
            permit: places.clone().try_acquire_owned().unwrap(),
        }
    }

    #[test]
    fn a_result_is_handed_out_once() {
        let places = Arc::new(Semaphore::new(1));
        let results = Results::default();
        let handle = results.hold(pending(&places), Instant::now());
        let taken = results.take(handle).unwrap();
        assert!(results.take(handle).is_err());
        assert!(results.query_of(handle).is_some());
        assert!(!results.renew(handle, Instant::now()));
        results.put_back(handle, taken, Instant::now());
        let taken = results.take(handle).unwrap();
        results.end(handle);
        results.put_back(handle, taken, Instant::now());
        assert_eq!(places.available_permits(), 1, "it was given up");
        assert!(results.is_empty());
        assert!(results.query_of(handle).is_none());
    }

    #[test]
    fn expired_results_give_back_their_places() {
        let places = Arc::new(Semaphore::new(2));
        let results = Results::default();
        let now = Instant::now();
        let soon = results.hold(pending(&places), now);
        let late = results.hold(pending(&places), now + Duration::from_secs(9));
        assert_eq!(results.expire(now).len(), 1);
        assert!(results.query_of(soon).is_none());
        assert_eq!(places.available_permits(), 1);
        assert!(results.renew(late, now + Duration::from_secs(20)));
        assert!(results.expire(now + Duration::from_secs(10)).is_empty());
        results.clear();
        assert_eq!(places.available_permits(), 2);
    }
}
