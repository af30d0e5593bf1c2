//! The simulated executors: they join, report, run tasks, and may be killed, paused or cut off.

use crate::world::{Item, Message, Task, World};
use rand::Rng;
use std::collections::{BTreeMap, BTreeSet};

const TICK: u64 = 500;

/// After so much silence of the coordinator an executor joins anew.
const SILENCE_MAX: u64 = 5000;

/// A slot for executors: one address, and one process after the other.
pub struct Executor {
    pub process: u32,
    pub is_up: bool,
    /// Until when the process stands still; what reaches it waits.
    pub paused_until: u64,
    pub bad_disk_until: u64,
    pub is_draining: bool,
    pub is_joined: bool,
    pub stream: u64,
    pub heard_at: u64,
    pub tasks: BTreeMap<Task, RunningTask>,
    /// Every task that was ever started: none runs twice.
    seen: BTreeSet<Task>,
}

/// A task that runs, or waits to be ended.
pub struct RunningTask {
    rows: Vec<u32>,
    writes: bool,
    sent: u32,
    is_done: bool,
    known_at: u64,
}

impl Executor {
    pub fn down() -> Self {
        Self {
            process: 0,
            is_up: false,
            paused_until: 0,
            bad_disk_until: 0,
            is_draining: false,
            is_joined: false,
            stream: 0,
            heard_at: 0,
            tasks: BTreeMap::new(),
            seen: BTreeSet::new(),
        }
    }

    pub fn id(&self, slot: usize) -> String {
        format!("e{slot}-{}", self.process)
    }
}

impl World {
    pub fn start_executor(&mut self, slot: usize) {
        let now = self.now;
        let executor = &mut self.executors[slot];
        *executor = Executor {
            process: executor.process + 1,
            is_up: true,
            bad_disk_until: executor.bad_disk_until,
            heard_at: now,
            ..Executor::down()
        };
        let id = executor.id(slot);
        self.join(slot);
        self.after(TICK, Item::ExecutorTick { slot, id });
    }

    pub fn stop_executor(&mut self, slot: usize) {
        self.executors[slot].is_up = false;
        self.executors[slot].tasks.clear();
        self.end_stream(slot);
    }

    /// The stream ends: the other side notices, sooner or later.
    fn end_stream(&mut self, slot: usize) {
        let stream = self.executors[slot].stream;
        self.say(slot, stream, Message::StreamEnded);
    }

    fn join(&mut self, slot: usize) {
        self.executors[slot].stream = self.next_stream;
        self.executors[slot].is_joined = false;
        self.next_stream += 1;
        let (id, stream) = (self.executors[slot].id(slot), self.executors[slot].stream);
        self.executors[slot].heard_at = self.now;
        self.say(slot, stream, Message::Join { slot, id });
    }

    fn say(&mut self, slot: usize, stream: u64, message: Message) {
        let id = self.executors[slot].id(slot);
        self.send(
            slot,
            Item::ToCoordinator {
                slot,
                id,
                stream,
                message,
            },
        );
    }

    /// Whether the process of that id acts now; `item` waits where it stands still.
    fn acts(&mut self, slot: usize, id: &str, item: Item) -> bool {
        let executor = &self.executors[slot];
        if !executor.is_up || executor.id(slot) != id {
            return false;
        }
        let paused_until = executor.paused_until;
        if self.now < paused_until {
            self.after(paused_until - self.now, item);
            return false;
        }
        true
    }

    pub fn executor_tick(&mut self, slot: usize, id: &str) {
        let again = Item::ExecutorTick {
            slot,
            id: id.to_owned(),
        };
        if !self.acts(slot, id, again.clone()) {
            return;
        }
        let now = self.now;
        let executor = &mut self.executors[slot];
        executor
            .tasks
            .retain(|_, task| now < task.known_at + SILENCE_MAX);
        let is_silent = now > executor.heard_at + SILENCE_MAX;
        let (is_draining, is_joined) = (executor.is_draining, executor.is_joined);
        if is_draining && executor.tasks.is_empty() {
            self.totals.drained += 1;
            self.stop_executor(slot);
            return;
        }
        let alive: Vec<_> = executor
            .tasks
            .iter()
            .map(|(task, run)| (*task, run.sent))
            .collect();
        let stream = executor.stream;
        if is_silent {
            self.end_stream(slot);
            self.join(slot);
        } else if is_joined {
            self.say(slot, stream, Message::Heartbeat { is_draining });
        }
        for (task, sent) in alive {
            self.say(slot, 0, Message::TaskAlive { task, sent });
        }
        self.after(TICK, again);
    }

    pub fn executor_hears(&mut self, slot: usize, id: &str, stream: u64, message: Message) {
        let item = Item::ToExecutor {
            slot,
            id: id.to_owned(),
            stream,
            message: message.clone(),
        };
        if !self.acts(slot, id, item) {
            return;
        }
        let now = self.now;
        let executor = &mut self.executors[slot];
        if stream != 0 && stream != executor.stream {
            return;
        }
        match message {
            Message::Registered => {
                executor.heard_at = now;
                executor.is_joined = true;
            }
            Message::HeartbeatReply => executor.heard_at = now,
            Message::Refused | Message::StreamEnded => {
                // It tries again when it notices the silence, a little later.
                executor.heard_at = now.saturating_sub(SILENCE_MAX - TICK);
                executor.is_joined = false;
            }
            Message::StartTask { task, rows, writes } => self.start_task(slot, task, rows, writes),
            Message::EndTask { query, attempt } => {
                let is_of = |task: &Task| task.query == query && task.attempt == attempt;
                executor.tasks.retain(|task, _| !is_of(task));
            }
            Message::TaskKnown { task, is_wanted } => match is_wanted {
                true => {
                    if let Some(task) = executor.tasks.get_mut(&task) {
                        task.known_at = now;
                    }
                }
                false => {
                    executor.tasks.remove(&task);
                }
            },
            _ => unreachable!("said by executors"),
        }
    }

    fn start_task(&mut self, slot: usize, task: Task, rows: u32, writes: bool) {
        let now = self.now;
        let executor = &mut self.executors[slot];
        if executor.is_draining {
            self.say(
                slot,
                0,
                Message::TaskFailed {
                    task,
                    is_draining: true,
                },
            );
            return;
        }
        if !executor.seen.insert(task) {
            return;
        }
        let running = RunningTask {
            rows: (0..rows)
                .filter(|row| row % task.of == task.number)
                .collect(),
            writes,
            sent: 0,
            is_done: false,
            known_at: now,
        };
        executor.tasks.insert(task, running);
        let id = executor.id(slot);
        let delay = self.rng.random_range(5..300);
        self.after(delay, Item::TaskStep { slot, id, task });
    }

    /// A task does a little more.
    pub fn task_step(&mut self, slot: usize, id: &str, task: Task) {
        let again = Item::TaskStep {
            slot,
            id: id.to_owned(),
            task,
        };
        if !self.acts(slot, id, again.clone()) {
            return;
        }
        let has_bad_disk = self.now < self.executors[slot].bad_disk_until;
        if has_bad_disk && self.rng.random_bool(0.5) {
            self.executors[slot].tasks.remove(&task);
            self.say(
                slot,
                0,
                Message::TaskFailed {
                    task,
                    is_draining: false,
                },
            );
            return;
        }
        let at_once = self.rng.random_range(1..12);
        let Some(running) = self.executors[slot].tasks.get_mut(&task) else {
            return;
        };
        if running.is_done {
            return;
        }
        let sequence = running.sent;
        running.sent += 1;
        let (rows, file) = match running.writes {
            // A write reports its one file when it is complete.
            true => {
                running.is_done = true;
                let file = format!("part-{}-{}-{}", task.query, task.attempt, task.number);
                (std::mem::take(&mut running.rows), Some(file))
            }
            false => {
                let rest = running.rows.split_off(running.rows.len().min(at_once));
                let rows = std::mem::replace(&mut running.rows, rest);
                running.is_done = running.rows.is_empty();
                (rows, None)
            }
        };
        let is_last = running.is_done;
        if let Some(file) = &file {
            self.storage.insert(file.clone(), rows.clone());
        }
        self.say(
            slot,
            0,
            Message::Chunk {
                task,
                sequence,
                rows,
                file,
                is_last,
            },
        );
        if !is_last {
            let delay = self.rng.random_range(5..400);
            self.after(delay, again);
        }
    }
}
