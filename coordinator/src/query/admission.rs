//! Who may run now. At most so many queries run, at most so many wait, and none waits for ever.

use crate::config::QueryLimits;
use skep_protocol::{ErrorCode, QueryError};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Gives admission permits to queries, first come first served.
#[derive(Debug)]
pub struct Admission {
    permits: Arc<Semaphore>,
    waiting: AtomicUsize,
    limits: QueryLimits,
}

/// Permission to run; dropping it gives it to the next query.
#[derive(Debug)]
pub struct AdmissionPermit {
    _permit: OwnedSemaphorePermit,
}

/// How long a query may wait for its client before its permit goes to the next.
pub const LENDING_AFTER: Duration = Duration::from_secs(10);

/// Waits for what a client does; `None` where it has done nothing for `wait_max`. A query that has waited
/// for a while has no `permit` any more: clients that stand still keep nobody else from running.
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

struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Admission {
    /// Places as `limits` say.
    pub fn new(limits: QueryLimits) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(limits.running_max)),
            waiting: AtomicUsize::new(0),
            limits,
        }
    }

    /// Waits for a permit.
    ///
    /// # Errors
    /// `QueueFull` where too many wait already, or the wait was too long.
    pub async fn admit(&self) -> Result<AdmissionPermit, QueryError> {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Ok(AdmissionPermit { _permit: permit });
        }
        let ahead = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        if ahead >= self.limits.queued_max {
            return Err(QueryError::new(
                ErrorCode::QueueFull,
                format!(
                    "{} queries run and {ahead} wait, which is the most that may: try again later",
                    self.limits.running_max
                ),
            ));
        }
        let permit = Arc::clone(&self.permits).acquire_owned();
        match tokio::time::timeout(self.limits.queue_timeout, permit).await {
            Ok(Ok(permit)) => Ok(AdmissionPermit { _permit: permit }),
            _ => Err(QueryError::new(
                ErrorCode::QueueFull,
                format!(
                    "the query waited {} s for admission: try again later",
                    self.limits.queue_timeout.as_secs()
                ),
            )),
        }
    }
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
        let permit = admission.admit().await.unwrap();
        assert_eq!(
            admission.admit().await.unwrap_err().code,
            ErrorCode::QueueFull
        );
        drop(permit);
        assert!(admission.admit().await.is_ok());
    }

    #[tokio::test]
    async fn the_queue_is_bounded() {
        let admission = admission(1, 0);
        let _permit = admission.admit().await.unwrap();
        let error = admission.admit().await.unwrap_err();
        assert!(error.message.contains("most that may"), "{}", error.message);
    }

    #[tokio::test]
    async fn a_freed_permit_goes_to_who_waits() {
        let admission = admission(1, 5);
        let permit = admission.admit().await.unwrap();
        let (second, ()) = tokio::join!(admission.admit(), async { drop(permit) });
        assert!(second.is_ok());
    }
}
