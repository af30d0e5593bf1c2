//! The memory of a node and the part of it that a query uses.
//!
//! Every query has a pool of its own on every node, below the node's. So its use and its peak are
//! known, and it can be bounded.

mod account;

use account::{Account, Request};
use datafusion::common::resources_datafusion_err;
use datafusion::error::Result;
use datafusion::execution::memory_pool::{
    MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation, TrackConsumersPool,
};
use parking_lot::Mutex;
use skep_protocol::QueryId;
use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroUsize;
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
        let node = NodePool(Account::new(limit_bytes));
        Self {
            pool: Arc::new(TrackConsumersPool::new(node, NAMED_CONSUMERS)),
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
            account: Account::new(limit_bytes),
        });
        queries.insert(query.clone(), Arc::downgrade(&pool));
        pool
    }
}

/// What `reservation` asks for when it wants `additional` bytes more.
fn request(reservation: &MemoryReservation, additional: usize) -> Request {
    Request {
        held_bytes: reservation.size(),
        additional_bytes: additional,
        can_spill: reservation.consumer().can_spill(),
    }
}

/// The memory of a whole node.
#[derive(Debug)]
struct NodePool(Account);

impl fmt::Display for NodePool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "node ({} of {} bytes in use)",
            self.0.used_bytes(),
            self.0.limit_bytes()
        )
    }
}

impl MemoryPool for NodePool {
    fn name(&self) -> &str {
        "node"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        if consumer.can_spill() {
            self.0.add_spillable();
        }
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        if consumer.can_spill() {
            self.0.remove_spillable();
        }
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.0.take(request(reservation, additional));
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.0.give_back(shrink, reservation.consumer().can_spill());
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        self.0
            .try_take(request(reservation, additional))
            .map_err(|used| {
                resources_datafusion_err!(
                    "the node may use {} bytes of memory, uses {used} and needs {additional} more for {}",
                    self.0.limit_bytes(),
                    reservation.consumer().name()
                )
            })
    }

    fn reserved(&self) -> usize {
        self.0.used_bytes()
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.0.limit_bytes())
    }
}

/// What one query uses of a node's memory.
#[derive(Debug)]
pub struct QueryPool {
    query: QueryId,
    parent: Arc<dyn MemoryPool>,
    account: Account,
}

impl QueryPool {
    /// The most bytes that were in use at one time.
    pub fn peak_bytes(&self) -> usize {
        self.account.peak_bytes()
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
        if consumer.can_spill() {
            self.account.add_spillable();
        }
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.parent.unregister(consumer);
        if consumer.can_spill() {
            self.account.remove_spillable();
        }
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.parent.grow(reservation, additional);
        self.account.take(request(reservation, additional));
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.parent.shrink(reservation, shrink);
        self.account
            .give_back(shrink, reservation.consumer().can_spill());
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let request = request(reservation, additional);
        self.account.try_take(request).map_err(|used| {
            resources_datafusion_err!(
                "query {} may use {} bytes of memory on one node, uses {used} and needs {additional} more for {}",
                self.query,
                self.account.limit_bytes(),
                reservation.consumer().name()
            )
        })?;
        self.parent
            .try_grow(reservation, additional)
            .inspect_err(|_| self.account.give_back(additional, request.can_spill))
    }

    fn reserved(&self) -> usize {
        self.account.used_bytes()
    }

    fn memory_limit(&self) -> MemoryLimit {
        match self.account.limit_bytes() {
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
