//! Rows that are held back until they can no longer be taken back, and what they are charged.

use arrow::record_batch::RecordBatch;
use datafusion::common::utils::memory::RecordBatchMemoryCounter;
use datafusion::execution::memory_pool::{
    MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};
use std::sync::Arc;

/// Rows take no more than one of so many parts of a query's memory on the coordinator: the operators need the
/// rest.
const MEMORY_PARTS: usize = 2;

/// What a batch takes at least besides its values, in bytes.
const BATCH_OVERHEAD_BYTES: usize = 1024;

/// What a row takes at least in the eyes of who waits for it, in bytes: batches that share all of their buffers, as
/// those of a cross join do, would else be held without an end.
const ROW_BYTES_MIN: usize = 8;

/// Rows, with the memory that they are charged to their query.
pub(super) struct Charged {
    batch: RecordBatch,
    bytes: usize,
    charge: Option<MemoryReservation>,
}

impl Charged {
    fn new(batch: RecordBatch, size: usize, pool: &Arc<dyn MemoryPool>) -> Self {
        let has_room = match pool.memory_limit() {
            MemoryLimit::Finite(limit) => {
                pool.reserved().saturating_add(size) <= limit / MEMORY_PARTS
            }
            MemoryLimit::Infinite | MemoryLimit::Unknown => true,
        };
        let charge = has_room.then(|| MemoryConsumer::new("result rows").register(pool));
        let charge = charge.filter(|charge| charge.try_grow(size).is_ok());
        Self {
            batch,
            bytes: size,
            charge,
        }
    }

    /// How many bytes the rows have.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether there was memory for them.
    pub(super) fn is_charged(&self) -> bool {
        self.charge.is_some()
    }

    /// How many rows there are.
    pub(super) fn row_count(&self) -> usize {
        self.batch.num_rows()
    }

    /// The rows, which are their reader's affair from now on.
    pub(super) fn into_batch(self) -> RecordBatch {
        self.batch
    }
}

/// The rows of one attempt that have not left yet.
pub(super) struct Held {
    rows: Vec<Charged>,
    /// The columns of a batch that came from another node share one buffer, and an operator may give slices of
    /// one large batch: every buffer counts once.
    counter: RecordBatchMemoryCounter,
    /// What the batches take at least, whatever they share.
    bytes_min: usize,
    bytes_max: usize,
    pool: Arc<dyn MemoryPool>,
}

impl Held {
    /// Holds up to `bytes_max`, charged to `pool`.
    pub(super) fn new(bytes_max: usize, pool: &Arc<dyn MemoryPool>) -> Self {
        Self {
            rows: Vec::new(),
            counter: RecordBatchMemoryCounter::new(),
            bytes_min: 0,
            bytes_max,
            pool: Arc::clone(pool),
        }
    }

    /// More rows. Returns those that are to leave now: all, once there are enough, or no memory for more.
    pub(super) fn add(&mut self, batch: RecordBatch) -> Option<Vec<Charged>> {
        let size = self.counter.count_batch(&batch);
        let rows = Charged::new(batch, size, &self.pool);
        self.bytes_min += BATCH_OVERHEAD_BYTES + rows.row_count() * ROW_BYTES_MIN;
        let held = self.counter.memory_usage().max(self.bytes_min);
        let is_enough = held >= self.bytes_max || !rows.is_charged();
        self.rows.push(rows);
        if is_enough {
            // What comes later leaves at once.
            self.bytes_max = 0;
            self.counter = RecordBatchMemoryCounter::new();
        }
        is_enough.then(|| std::mem::take(&mut self.rows))
    }

    /// What is still held when all rows are there.
    pub(super) fn rest(&mut self) -> Vec<Charged> {
        std::mem::take(&mut self.rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Int64Array};
    use datafusion::execution::memory_pool::{GreedyMemoryPool, UnboundedMemoryPool};

    fn batch() -> RecordBatch {
        let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..1000));
        RecordBatch::try_from_iter([("n", column)]).unwrap()
    }

    #[test]
    fn rows_leave_once_there_are_enough_and_then_at_once() {
        let pool: Arc<dyn MemoryPool> = Arc::new(UnboundedMemoryPool::default());
        let mut held = Held::new(20_000, &pool);
        assert!(held.add(batch()).is_none());
        assert!(held.add(batch()).is_none());
        assert!(pool.reserved() >= 16_000);
        let released = held.add(batch()).unwrap();
        assert_eq!(released.len(), 3);
        assert_eq!(held.add(batch()).unwrap().len(), 1);
        assert!(held.rest().is_empty());
        drop(released);
        assert_eq!(pool.reserved(), 0);
    }

    #[test]
    fn what_the_columns_of_a_batch_share_counts_once() {
        let pool: Arc<dyn MemoryPool> = Arc::new(UnboundedMemoryPool::default());
        let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..1000));
        let columns = ["a", "b", "c", "d"].map(|name| (name, Arc::clone(&column)));
        let mut held = Held::new(10_000, &pool);
        assert!(
            held.add(RecordBatch::try_from_iter(columns).unwrap())
                .is_none()
        );
    }

    #[test]
    fn batches_that_share_everything_are_not_held_without_an_end() {
        let pool: Arc<dyn MemoryPool> = Arc::new(UnboundedMemoryPool::default());
        let mut held = Held::new(100_000, &pool);
        let batch = batch();
        let kept = (0..100).take_while(|_| held.add(batch.clone()).is_none());
        assert_eq!(kept.count(), 11);
    }

    #[test]
    fn with_nothing_to_hold_back_every_row_leaves_at_once() {
        let pool: Arc<dyn MemoryPool> = Arc::new(UnboundedMemoryPool::default());
        let mut held = Held::new(0, &pool);
        assert_eq!(held.add(batch()).unwrap().len(), 1);
    }

    #[test]
    fn rows_leave_where_memory_is_short_and_operators_keep_their_part() {
        let size = RecordBatchMemoryCounter::new().count_batch(&batch());
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(size * 3));
        let mut held = Held::new(usize::MAX, &pool);
        assert!(held.add(batch()).is_none());
        let released = held.add(batch()).unwrap();
        assert_eq!(released.len(), 2);
        assert!(released[0].is_charged() && !released[1].is_charged());
        assert_eq!(pool.reserved(), size);
    }
}
