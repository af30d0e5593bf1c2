//! What a client has sent so far, for as long as it is little enough to be kept for another attempt.

use arrow::record_batch::RecordBatch;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use skep_protocol::QueryError;
use skep_scheduler::failure::Reason;
use std::sync::Arc;

/// How many bytes of a client's rows are kept.
const KEPT_BYTES_MAX: usize = 64 << 20;

/// Why the rows are not there any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// There are too many of them.
    TooLarge,
    /// The client failed.
    Client,
}

/// The rows that a client has sent.
pub(super) struct SentRows {
    batches: Vec<RecordBatch>,
    charge: MemoryReservation,
    lost: Option<Lost>,
    /// Whether there are no further ones.
    pub(super) is_complete: bool,
}

impl SentRows {
    /// Nothing yet; what comes is charged to `pool`.
    pub(super) fn new(pool: Arc<dyn MemoryPool>) -> Self {
        Self {
            batches: Vec::new(),
            charge: MemoryConsumer::new("rows that a client sent").register(&pool),
            lost: None,
            is_complete: false,
        }
    }

    /// More rows.
    pub(super) fn keep(&mut self, batch: &RecordBatch) {
        if self.lost.is_some() {
            return;
        }
        let size = batch.get_array_memory_size();
        let is_too_large = self.charge.size().saturating_add(size) > KEPT_BYTES_MAX;
        if is_too_large || self.charge.try_grow(size).is_err() {
            self.give_up(Lost::TooLarge);
            return;
        }
        self.batches.push(batch.clone());
    }

    /// Keeps nothing any more.
    pub(super) fn give_up(&mut self, why: Lost) {
        self.lost = Some(why);
        self.batches = Vec::new();
        self.charge.free();
    }

    /// All that were sent, for another attempt.
    pub(super) fn batches(&self) -> &[RecordBatch] {
        &self.batches
    }

    /// The error of an attempt, where another one may follow.
    ///
    /// # Errors
    /// The error, where the rows are not there any more, with the reason for that where it is the only one.
    pub(super) fn check(&self, mut error: QueryError) -> Result<QueryError, QueryError> {
        match self.lost {
            None => Ok(error),
            Some(Lost::TooLarge) if Reason::of(&error).is_some() => {
                let limit = KEPT_BYTES_MAX >> 20;
                error.message = format!(
                    "{}; the rows that were sent are more than {limit} MiB, or than there is memory for, and \
                     not kept for another attempt",
                    error.message
                );
                Err(error)
            }
            Some(_) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Int64Array};
    use datafusion::execution::memory_pool::UnboundedMemoryPool;
    use skep_protocol::ErrorCode;

    fn batch() -> RecordBatch {
        let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..1 << 20));
        RecordBatch::try_from_iter([("n", column)]).unwrap()
    }

    fn lost() -> QueryError {
        QueryError::new(ErrorCode::ExecutorLost, "lost an executor")
    }

    #[test]
    fn rows_are_kept_up_to_a_bound() {
        let pool: Arc<dyn MemoryPool> = Arc::new(UnboundedMemoryPool::default());
        let mut sent = SentRows::new(Arc::clone(&pool));
        for _ in 0..7 {
            sent.keep(&batch());
        }
        assert_eq!(sent.batches().len(), 7);
        assert_eq!(sent.check(lost()), Ok(lost()));
        for _ in 0..2 {
            sent.keep(&batch());
        }
        assert!(sent.batches().is_empty());
        assert_eq!(pool.reserved(), 0);
        let error = sent.check(lost()).unwrap_err();
        assert!(error.message.contains("64 MiB"), "{error}");
    }

    #[test]
    fn a_client_that_failed_is_not_read_again() {
        let pool: Arc<dyn MemoryPool> = Arc::new(UnboundedMemoryPool::default());
        let mut sent = SentRows::new(pool);
        sent.keep(&batch());
        sent.give_up(Lost::Client);
        assert_eq!(sent.check(lost()), Err(lost()));
    }
}
