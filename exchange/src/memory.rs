//! The memory of a node and the part of it that a query uses.
//!
//! Every query has a pool of its own on every node, below the node's. So its use and its peak are
//! known, and it can be bounded.

use datafusion::common::resources_datafusion_err;
use datafusion::error::Result;
use datafusion::execution::memory_pool::{
    GreedyMemoryPool, MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
    TrackConsumersPool,
};
use parking_lot::Mutex;
use skep_protocol::QueryId;
use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

/// How many of the largest consumers an out-of-memory message names.
const NAMED_CONSUMERS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4);

/// A node's memory, given out to queries.
#[derive(Debug)]
pub struct NodeMemory {
    pool: Arc<dyn MemoryPool>,
    limit_bytes: usize,
    queries: Mutex<HashMap<QueryId, Weak<QueryPool>>>,
}

impl NodeMemory {
    /// A node that may use `limit_bytes`.
    pub fn new(limit_bytes: usize) -> Self {
        let pool = TrackConsumersPool::new(GreedyMemoryPool::new(limit_bytes), NAMED_CONSUMERS);
        Self {
            pool: Arc::new(pool),
            limit_bytes,
            queries: Mutex::new(HashMap::new()),
        }
    }

    /// The node's own pool.
    pub fn pool(&self) -> &Arc<dyn MemoryPool> {
        &self.pool
    }

    /// How many bytes are in use.
    pub fn used_bytes(&self) -> usize {
        self.pool.reserved()
    }

    /// How many bytes may be in use.
    pub fn limit_bytes(&self) -> usize {
        self.limit_bytes
    }

    /// The pool of `query`, which lives as long as somebody holds it.
    pub fn query_pool(&self, query: &QueryId, limit_bytes: usize) -> Arc<QueryPool> {
        let mut queries = self.queries.lock();
        if let Some(pool) = queries.get(query).and_then(Weak::upgrade) {
            return pool;
        }
        queries.retain(|_, pool| pool.strong_count() > 0);
        let pool = Arc::new(QueryPool {
            query: query.clone(),
            parent: Arc::clone(&self.pool),
            limit_bytes,
            used: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
        });
        queries.insert(query.clone(), Arc::downgrade(&pool));
        pool
    }
}

/// What one query uses of a node's memory.
#[derive(Debug)]
pub struct QueryPool {
    query: QueryId,
    parent: Arc<dyn MemoryPool>,
    limit_bytes: usize,
    used: AtomicUsize,
    peak: AtomicUsize,
}

impl QueryPool {
    /// The most bytes that were in use at one time.
    pub fn peak_bytes(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }

    fn add(&self, bytes: usize) {
        let used = self.used.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.peak.fetch_max(used, Ordering::Relaxed);
    }
}

impl fmt::Display for QueryPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "query {} in {}", self.query, self.parent)
    }
}

impl MemoryPool for QueryPool {
    fn name(&self) -> &str {
        "query"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.parent.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.parent.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.parent.grow(reservation, additional);
        self.add(additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.parent.shrink(reservation, shrink);
        self.used.fetch_sub(shrink, Ordering::Relaxed);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let used = self.used.load(Ordering::Relaxed);
        if self.limit_bytes > 0 && used + additional > self.limit_bytes {
            return Err(resources_datafusion_err!(
                "query {} may use {} bytes of memory on one node, uses {used} and needs {additional} more for {}",
                self.query,
                self.limit_bytes,
                reservation.consumer().name()
            ));
        }
        self.parent.try_grow(reservation, additional)?;
        self.add(additional);
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn memory_limit(&self) -> MemoryLimit {
        match self.limit_bytes {
            0 => self.parent.memory_limit(),
            limit => MemoryLimit::Finite(limit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skep_protocol::ids::QueryIdGenerator;

    #[test]
    fn a_query_is_bounded_and_its_peak_is_known() {
        let node = NodeMemory::new(1000);
        let query = QueryIdGenerator::new().next(chrono::Utc::now());
        let pool = node.query_pool(&query, 600);
        let shared: Arc<dyn MemoryPool> = Arc::clone(&pool) as _;
        let reservation = MemoryConsumer::new("test").register(&shared);
        reservation.try_grow(500).unwrap();
        assert!(reservation.try_grow(200).is_err());
        assert_eq!(node.used_bytes(), 500);
        reservation.free();
        assert_eq!((pool.peak_bytes(), node.used_bytes()), (500, 0));
    }

    #[test]
    fn two_queries_share_the_node() {
        let node = NodeMemory::new(1000);
        let ids = QueryIdGenerator::new();
        let pools = [0, 1].map(|_| node.query_pool(&ids.next(chrono::Utc::now()), 0));
        let reservations = pools.clone().map(|pool| {
            let pool: Arc<dyn MemoryPool> = pool;
            MemoryConsumer::new("test").register(&pool)
        });
        reservations[0].try_grow(700).unwrap();
        assert!(reservations[1].try_grow(400).is_err());
        reservations[1].try_grow(300).unwrap();
    }

    #[test]
    fn the_tasks_of_a_query_share_its_pool() {
        let node = NodeMemory::new(1000);
        let query = QueryIdGenerator::new().next(chrono::Utc::now());
        let first = node.query_pool(&query, 0);
        assert!(Arc::ptr_eq(&first, &node.query_pool(&query, 0)));
    }
}
