//! Who may run now. At most so many queries run, at most so many wait, and none waits for ever. Who is next
//! is decided in [`skep_scheduler::admission`]; here queries wait.

use crate::config::QueryLimits;
use parking_lot::Mutex;
use skep_protocol::{ErrorCode, QueryError};
use skep_scheduler::admission::{self, AdmissionLimits, Admitted, Ticket};
use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// Gives out places to queries, first come first served.
#[derive(Debug)]
pub struct Admission {
    queue: Arc<Queue>,
    limits: QueryLimits,
}

#[derive(Debug)]
struct Queue {
    state: Mutex<admission::Admission>,
    waiting: Mutex<HashMap<Ticket, oneshot::Sender<AdmissionPermit>>>,
}

/// A place; dropping it gives it to the next query.
#[derive(Debug)]
pub struct AdmissionPermit {
    queue: Arc<Queue>,
}

impl Drop for AdmissionPermit {
    fn drop(&mut self) {
        let next = self.queue.state.lock().release();
        let Some(next) = next else {
            return;
        };
        let waiting = self.queue.waiting.lock().remove(&next);
        let place = AdmissionPermit {
            queue: Arc::clone(&self.queue),
        };
        // Where it does not wait any longer, the place comes back and goes to the next one.
        if let Some(waiting) = waiting {
            drop(waiting.send(place));
        }
    }
}

/// A query's turn in the queue, given up when it is dropped.
struct Turn<'a> {
    queue: &'a Queue,
    ticket: Ticket,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.queue.state.lock().give_up(self.ticket);
        let waiting = self.queue.waiting.lock().remove(&self.ticket);
        drop(waiting);
    }
}

/// How long a query may wait for its client before its place goes to the next.
pub const LENDING_AFTER: Duration = Duration::from_secs(10);

/// Waits for what a client does; `None` where it has done nothing for `wait_max`. A query that has waited
/// for a while has no `place` any more: clients that stand still keep nobody else from running.
pub async fn wait_for_client<T>(
    action: impl Future<Output = T>,
    permit: &mut Option<AdmissionPermit>,
    wait_max: Duration,
) -> Option<T> {
    let mut action = pin!(action);
    let lending_after = LENDING_AFTER.min(wait_max);
    if let Ok(done) = tokio::time::timeout(lending_after, &mut action).await {
        return Some(done);
    }
    drop(permit.take());
    let rest = wait_max - lending_after;
    tokio::time::timeout(rest, action).await.ok()
}

impl Admission {
    /// Places as `limits` say.
    pub fn new(limits: QueryLimits) -> Self {
        let state = admission::Admission::new(AdmissionLimits {
            running_max: limits.running_max,
            queued_max: limits.queued_max,
        });
        let queue = Queue {
            state: Mutex::new(state),
            waiting: Mutex::default(),
        };
        Self {
            queue: Arc::new(queue),
            limits,
        }
    }

    /// Waits for a place.
    ///
    /// # Errors
    /// `QueueFull` where too many wait already, or the wait was too long.
    pub async fn admit(&self) -> Result<AdmissionPermit, QueryError> {
        let (ticket, place) = match self.arrive()? {
            Arrival::Runs(place) => return Ok(place),
            Arrival::Waits(ticket, place) => (ticket, place),
        };
        let _turn = Turn {
            queue: &self.queue,
            ticket,
        };
        match tokio::time::timeout(self.limits.queue_timeout, place).await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(QueryError::new(
                ErrorCode::QueueFull,
                format!(
                    "the query waited {} s for a place and got none: try again later",
                    self.limits.queue_timeout.as_secs()
                ),
            )),
        }
    }

    /// How many queries run and how many wait.
    pub fn counts(&self) -> (usize, usize) {
        let state = self.queue.state.lock();
        (state.running(), state.queued())
    }

    fn arrive(&self) -> Result<Arrival, QueryError> {
        // The lock is held until the sender is there: nobody's turn comes in between.
        let mut state = self.queue.state.lock();
        match state.arrive() {
            Admitted::Now => Ok(Arrival::Runs(AdmissionPermit {
                queue: Arc::clone(&self.queue),
            })),
            Admitted::Queued(ticket) => {
                let (sender, place) = oneshot::channel();
                self.queue.waiting.lock().insert(ticket, sender);
                Ok(Arrival::Waits(ticket, place))
            }
            Admitted::Refused { queued } => Err(QueryError::new(
                ErrorCode::QueueFull,
                format!(
                    "{} queries run and {queued} wait, which is the most that may: try again later",
                    self.limits.running_max
                ),
            )),
        }
    }
}

enum Arrival {
    Runs(AdmissionPermit),
    Waits(Ticket, oneshot::Receiver<AdmissionPermit>),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(running_max: usize, queued_max: usize) -> Admission {
        Admission::new(QueryLimits {
            running_max,
            queued_max,
            queue_timeout: Duration::from_millis(20),
            ..QueryLimits::default()
        })
    }

    #[tokio::test]
    async fn the_wait_is_bounded() {
        let admission = admission(1, 1);
        let place = admission.admit().await.unwrap();
        assert_eq!(
            admission.admit().await.unwrap_err().code,
            ErrorCode::QueueFull
        );
        drop(place);
        assert!(admission.admit().await.is_ok());
        assert_eq!(admission.counts(), (0, 0));
    }

    #[tokio::test]
    async fn the_queue_is_bounded() {
        let admission = admission(1, 0);
        let _place = admission.admit().await.unwrap();
        let error = admission.admit().await.unwrap_err();
        assert!(error.message.contains("most that may"), "{}", error.message);
    }

    #[tokio::test]
    async fn a_freed_place_goes_to_who_waits() {
        let admission = admission(1, 5);
        let place = admission.admit().await.unwrap();
        let (second, ()) = tokio::join!(admission.admit(), async { drop(place) });
        assert!(second.is_ok());
    }

    #[tokio::test]
    async fn who_goes_away_while_waiting_keeps_no_place() {
        let admission = admission(1, 5);
        let place = admission.admit().await.unwrap();
        {
            let waiting = std::pin::pin!(admission.admit());
            let waited = tokio::time::timeout(Duration::from_millis(1), waiting).await;
            assert!(waited.is_err());
            assert_eq!(admission.counts(), (1, 1));
        }
        assert_eq!(admission.counts(), (1, 0));
        drop(place);
        assert_eq!(admission.counts(), (0, 0));
        assert!(admission.admit().await.is_ok());
    }

    #[tokio::test]
    async fn a_place_that_comes_too_late_goes_on_to_the_next() {
        let admission = admission(1, 5);
        let place = admission.admit().await.unwrap();
        let Ok(Arrival::Waits(_, late)) = admission.arrive() else {
            panic!("it waits");
        };
        drop(place);
        // It was given its place, and goes away before it looks.
        drop(late);
        assert_eq!(admission.counts(), (0, 0));
    }
}
