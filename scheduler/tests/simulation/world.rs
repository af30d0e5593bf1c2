//! The simulated cluster: its clock, its network, and the queue of what happens next.

use crate::coordinator::Coordinator;
use crate::executor::Executor;
use crate::faults;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::{Duration, Instant};

/// Until when faults happen, in milliseconds.
pub const FAULTS_UNTIL: u64 = 30_000;

/// When everything has to be over.
pub const END: u64 = 120_000;

/// How long a query may take.
pub const QUERY_TIME_MAX: u64 = 40_000;

/// Which rules hold; switching one off has to be noticed.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    pub fences_attempts: bool,
    pub has_generations: bool,
    pub holds_back: bool,
    pub tries_again: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            fences_attempts: true,
            has_generations: true,
            holds_back: true,
            tries_again: true,
        }
    }
}

/// What happened in a run, or in many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub queries: u64,
    pub succeeded: u64,
    pub succeeded_later: u64,
    pub failed: u64,
    pub lost_two: u64,
    pub suspended: u64,
    pub stale_ends: u64,
    pub late_messages: u64,
    pub refused_joins: u64,
    pub drained: u64,
    pub events: u64,
}

impl Totals {
    pub fn add(&mut self, other: &Self) {
        self.queries += other.queries;
        self.succeeded += other.succeeded;
        self.succeeded_later += other.succeeded_later;
        self.failed += other.failed;
        self.lost_two += other.lost_two;
        self.suspended += other.suspended;
        self.stale_ends += other.stale_ends;
        self.late_messages += other.late_messages;
        self.refused_joins += other.refused_joins;
        self.drained += other.drained;
        self.events += other.events;
    }
}

/// A task of an attempt of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Task {
    pub query: u32,
    pub attempt: u32,
    pub number: u32,
    pub of: u32,
}

/// What nodes say to each other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Message {
    // From an executor, on the stream by which it joined.
    Join {
        slot: usize,
        id: String,
    },
    Heartbeat {
        is_draining: bool,
    },
    StreamEnded,
    // From an executor, of a task.
    Chunk {
        task: Task,
        sequence: u32,
        rows: Vec<u32>,
        file: Option<String>,
        is_last: bool,
    },
    TaskAlive {
        task: Task,
        sent: u32,
    },
    TaskFailed {
        task: Task,
        is_draining: bool,
    },
    // From the coordinator, on a stream.
    Registered,
    Refused,
    HeartbeatReply,
    // From the coordinator, of a task.
    StartTask {
        task: Task,
        rows: u32,
        writes: bool,
    },
    EndTask {
        query: u32,
        attempt: u32,
    },
    TaskKnown {
        task: Task,
        is_wanted: bool,
    },
}

/// What happens at some time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    ToCoordinator {
        slot: usize,
        id: String,
        stream: u64,
        message: Message,
    },
    ToExecutor {
        slot: usize,
        id: String,
        stream: u64,
        message: Message,
    },
    ExecutorTick {
        slot: usize,
        id: String,
    },
    TaskStep {
        slot: usize,
        id: String,
        task: Task,
    },
    CoordinatorTick {
        incarnation: u32,
    },
    Submit {
        query: u32,
    },
    Kill {
        query: u32,
    },
    PauseOver {
        incarnation: u32,
        query: u32,
    },
    Committed {
        incarnation: u32,
        query: u32,
        attempt: u32,
    },
    Fault,
}

/// What a client was told.
#[derive(Clone, Debug, Default)]
pub struct ClientView {
    pub rows: Vec<u32>,
    pub submitted_at: u64,
    pub ended_at: Option<u64>,
    /// `Ok` or the error's text.
    pub outcome: Option<Result<(), String>>,
}

/// A committed write.
#[derive(Clone, Debug)]
pub struct Commit {
    pub query: u32,
    pub files: Vec<String>,
}

/// What a query is, which never changes.
#[derive(Clone, Copy, Debug)]
pub struct Statement {
    pub rows: u32,
    pub writes: bool,
}

pub struct World {
    pub rng: StdRng,
    pub rules: Rules,
    pub now: u64,
    base: Instant,
    queue: BinaryHeap<Reverse<(u64, u64, Item)>>,
    sequence: u64,
    pub next_stream: u64,
    pub statements: Vec<Statement>,
    pub clients: Vec<ClientView>,
    pub coordinator: Coordinator,
    pub executors: Vec<Executor>,
    /// Links between the coordinator and executors that are cut, and until when.
    pub cut: BTreeMap<usize, u64>,
    /// Every file in the storage, with its rows.
    pub storage: BTreeMap<String, Vec<u32>>,
    pub commits: Vec<Commit>,
    /// Queries of a coordinator that was killed while it committed: nobody knows what became of them.
    pub unknown: BTreeSet<u32>,
    pub totals: Totals,
}

impl World {
    pub fn new(seed: u64, rules: Rules) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let slots = rng.random_range(2..=5);
        let queries = rng.random_range(3..=12);
        let statements = (0..queries).map(|_| Statement {
            rows: rng.random_range(1..=60),
            writes: rng.random_bool(0.4),
        });
        let statements: Vec<_> = statements.collect();
        let base = Instant::now();
        let mut world = Self {
            rules,
            now: 0,
            base,
            queue: BinaryHeap::new(),
            sequence: 0,
            next_stream: 1,
            clients: vec![ClientView::default(); statements.len()],
            statements,
            coordinator: Coordinator::new(1),
            executors: (0..slots).map(|_| Executor::down()).collect(),
            cut: BTreeMap::new(),
            storage: BTreeMap::new(),
            commits: Vec::new(),
            unknown: BTreeSet::new(),
            totals: Totals::default(),
            rng,
        };
        world.totals.queries = u64::from(queries);
        for slot in 0..slots {
            world.start_executor(slot);
        }
        world.after(0, Item::CoordinatorTick { incarnation: 1 });
        for query in 0..queries {
            let at = world.rng.random_range(500..FAULTS_UNTIL - 5000);
            world.after(at, Item::Submit { query });
            if world.rng.random_bool(0.08) {
                let later = world.rng.random_range(1..3000);
                world.after(at + later, Item::Kill { query });
            }
        }
        let first = world.rng.random_range(500..4000);
        world.after(first, Item::Fault);
        world
    }

    /// The virtual time as the state machines take it.
    pub fn instant(&self) -> Instant {
        self.base + Duration::from_millis(self.now)
    }

    /// The virtual time of an instant.
    pub fn time_of(&self, instant: Instant) -> u64 {
        instant.saturating_duration_since(self.base).as_millis() as u64
    }

    /// Whether faults are still to come.
    pub fn is_faulty(&self) -> bool {
        self.now < FAULTS_UNTIL
    }

    pub fn after(&mut self, delay: u64, item: Item) {
        self.sequence += 1;
        let entry = (self.now + delay, self.sequence, item);
        self.queue.push(Reverse(entry));
    }

    /// Sends over the link of executor `slot`: late, twice, out of order, or never.
    pub fn send(&mut self, slot: usize, item: Item) {
        if self.cut.get(&slot).is_some_and(|until| self.now < *until) {
            return;
        }
        let faulty = self.is_faulty();
        if faulty && self.rng.random_bool(0.005) {
            return;
        }
        let mut delay = self.rng.random_range(1..10);
        if faulty && self.rng.random_bool(0.05) {
            delay += self.rng.random_range(10..600);
        }
        if faulty && self.rng.random_bool(0.01) {
            delay += self.rng.random_range(1000..8000);
        }
        if faulty && self.rng.random_bool(0.02) {
            let again = delay + self.rng.random_range(1..2000);
            self.after(again, item.clone());
        }
        self.after(delay, item);
    }

    pub fn run(&mut self) {
        while let Some(Reverse((at, _, item))) = self.queue.pop() {
            if at > END {
                break;
            }
            self.now = at;
            self.totals.events += 1;
            self.handle(item);
        }
        self.now = END;
        self.vacuum();
    }

    fn handle(&mut self, item: Item) {
        match item {
            Item::ToCoordinator {
                slot,
                id,
                stream,
                message,
            } => {
                self.coordinator_hears(slot, id, stream, message);
            }
            Item::ToExecutor {
                slot,
                id,
                stream,
                message,
            } => {
                self.executor_hears(slot, &id, stream, message);
            }
            Item::ExecutorTick { slot, id } => self.executor_tick(slot, &id),
            Item::TaskStep { slot, id, task } => self.task_step(slot, &id, task),
            Item::CoordinatorTick { incarnation } => self.coordinator_tick(incarnation),
            Item::Submit { query } => self.submit(query),
            Item::Kill { query } => self.kill(query),
            Item::PauseOver { incarnation, query } => self.pause_over(incarnation, query),
            Item::Committed {
                incarnation,
                query,
                attempt,
            } => {
                self.committed(incarnation, query, attempt);
            }
            Item::Fault => {
                faults::one(self);
                if self.is_faulty() {
                    let pause = self.rng.random_range(200..4000);
                    self.after(pause, Item::Fault);
                }
            }
        }
    }

    /// Tells a client how its query ended.
    pub fn tell(&mut self, query: u32, outcome: Result<(), String>) {
        let now = self.now;
        let client = &mut self.clients[query as usize];
        assert!(client.outcome.is_none(), "query {query} ended twice");
        client.ended_at = Some(now);
        match &outcome {
            Ok(()) => self.totals.succeeded += 1,
            Err(_) => self.totals.failed += 1,
        }
        client.outcome = Some(outcome);
    }

    /// Removes the files that no commit knows, as the background job does in the end.
    fn vacuum(&mut self) {
        let known: BTreeSet<&String> = self
            .commits
            .iter()
            .flat_map(|commit| &commit.files)
            .collect();
        self.storage.retain(|file, _| known.contains(file));
    }
}
