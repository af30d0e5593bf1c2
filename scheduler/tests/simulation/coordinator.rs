//! The simulated coordinator: a thin shell around the state machines, as the real one is.

use crate::world::{Commit, Item, Message, QUERY_TIME_MAX, Task, World};
use skep_protocol::{ErrorCode, QueryError};
use skep_scheduler::admission::{Admission, AdmissionLimits, Admitted, Ticket};
use skep_scheduler::attempts::{Action, AttemptLimits, Attempts, Event, choose};
use skep_scheduler::members::{Generation, MemberList, MemberState};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const TICK: u64 = 250;

/// After so much silence an executor, or a task, is taken for lost.
const SILENCE_MAX: u64 = 4000;

/// How long a message of a task may be missing while later ones are there.
const GAP_MAX: u64 = 1500;

/// So many rows that lie ready are let go.
const HOLDBACK_ROWS: usize = 30;

const RUNNING_MAX: usize = 3;
const QUEUED_MAX: usize = 6;

pub struct Coordinator {
    pub incarnation: u32,
    pub members: MemberList<usize>,
    streams: BTreeMap<u64, (Generation, String, usize)>,
    pub admission: Admission,
    pub waiting: BTreeMap<Ticket, u32>,
    pub queries: BTreeMap<u32, Query>,
}

/// A query that has not ended.
pub struct Query {
    ticket: Option<Ticket>,
    attempts: Option<Attempts>,
    avoid: BTreeSet<String>,
    /// Whether an attempt waits for executors.
    waits: bool,
    tasks: BTreeMap<u32, TaskView>,
    held: Vec<u32>,
    is_released: bool,
    pub is_committing: bool,
    pub files: Vec<String>,
    deadline: u64,
}

/// What the coordinator knows of a task.
struct TaskView {
    slot: usize,
    id: String,
    generation: Generation,
    next: u32,
    early: BTreeMap<u32, (Vec<u32>, Option<String>, bool)>,
    gap_since: Option<u64>,
    is_done: bool,
    heard_at: u64,
}

impl Coordinator {
    pub fn new(incarnation: u32) -> Self {
        Self {
            incarnation,
            members: MemberList::default(),
            streams: BTreeMap::new(),
            admission: Admission::new(AdmissionLimits {
                running_max: RUNNING_MAX,
                queued_max: QUEUED_MAX,
            }),
            waiting: BTreeMap::new(),
            queries: BTreeMap::new(),
        }
    }
}

fn connection_error(slot: usize) -> QueryError {
    QueryError::new(ErrorCode::ExecutorLost, "the connection broke").on_node(format!("h:{slot}"))
}

impl World {
    pub fn submit(&mut self, query: u32) {
        self.clients[query as usize].submitted_at = self.now;
        let ticket = match self.coordinator.admission.arrive() {
            Admitted::Refused { .. } => {
                return self.tell(query, Err("the queue is full".to_owned()));
            }
            Admitted::Now => None,
            Admitted::Queued(ticket) => {
                self.coordinator.waiting.insert(ticket, query);
                Some(ticket)
            }
        };
        let state = Query {
            ticket,
            attempts: None,
            avoid: BTreeSet::new(),
            waits: false,
            tasks: BTreeMap::new(),
            held: Vec::new(),
            is_released: false,
            is_committing: false,
            files: Vec::new(),
            deadline: self.now + QUERY_TIME_MAX,
        };
        self.coordinator.queries.insert(query, state);
        if ticket.is_none() {
            self.begin(query);
        }
    }

    /// An admitted query starts its first attempt.
    fn begin(&mut self, query: u32) {
        let now = self.instant();
        let limits = AttemptLimits {
            attempts_max: if self.rules.tries_again { 4 } else { 1 },
            ..AttemptLimits::default()
        };
        let Some(state) = self.coordinator.queries.get_mut(&query) else {
            return;
        };
        let left = state.deadline.saturating_sub(self.now);
        let deadline = now + Duration::from_millis(left);
        state.ticket = None;
        state.attempts = Some(Attempts::start(limits, Some(deadline), now));
        self.start_attempt(query);
    }

    /// Starts the tasks of the current attempt, or waits for executors.
    fn start_attempt(&mut self, query: u32) {
        let (now, statement) = (self.instant(), self.statements[query as usize]);
        let coordinator = &mut self.coordinator;
        let Some(state) = coordinator.queries.get_mut(&query) else {
            return;
        };
        let active = coordinator.members.iter();
        let active = active.filter(|(_, member)| member.state == MemberState::Active);
        let active: Vec<_> = active.collect();
        let suspended = active.iter();
        let suspended = suspended.filter(|(_, member)| member.breaker.is_open(now));
        self.totals.suspended += suspended.count() as u64;
        let chosen = choose(
            active,
            |(_, member)| state.avoid.contains(&member.id),
            |(_, member)| member.breaker.is_open(now),
        );
        state.waits = chosen.is_empty();
        state.tasks.clear();
        if self.rules.holds_back {
            state.held.clear();
        }
        state.files.clear();
        let attempt = state.attempts.as_ref().map_or(0, Attempts::current);
        let of = chosen.len() as u32;
        let mut starts = Vec::new();
        for (number, (generation, member)) in (0..).zip(chosen) {
            let view = TaskView {
                slot: member.details,
                id: member.id.clone(),
                generation,
                next: 0,
                early: BTreeMap::new(),
                gap_since: None,
                is_done: false,
                heard_at: self.now,
            };
            let task = Task {
                query,
                attempt,
                number,
                of,
            };
            let start = Message::StartTask {
                task,
                rows: statement.rows,
                writes: statement.writes,
            };
            starts.push((view.slot, view.id.clone(), start));
            state.tasks.insert(number, view);
        }
        for (slot, id, message) in starts {
            self.send(
                slot,
                Item::ToExecutor {
                    slot,
                    id,
                    stream: 0,
                    message,
                },
            );
        }
    }

    pub fn kill(&mut self, query: u32) {
        let error = QueryError::new(ErrorCode::Canceled, "killed");
        self.stop(query, error);
    }

    /// Ends a query that may still be ended.
    fn stop(&mut self, query: u32, error: QueryError) {
        let now = self.instant();
        let Some(state) = self.coordinator.queries.get_mut(&query) else {
            return;
        };
        if state.is_committing {
            return;
        }
        match &mut state.attempts {
            None => {
                if let Some(ticket) = state.ticket {
                    self.coordinator.admission.give_up(ticket);
                    self.coordinator.waiting.remove(&ticket);
                }
                self.coordinator.queries.remove(&query);
                self.tell(query, Err(error.message));
            }
            Some(attempts) => {
                let action = attempts.apply(Event::Stopped(error), now);
                self.act(query, action);
            }
        }
    }

    fn act(&mut self, query: u32, action: Action) {
        match action {
            Action::Ignore | Action::Go => {}
            Action::Pause { until } => {
                self.end_tasks(query);
                let delay = self.time_of(until).saturating_sub(self.now);
                let incarnation = self.coordinator.incarnation;
                self.after(delay, Item::PauseOver { incarnation, query });
            }
            Action::Start { avoid, .. } => {
                self.sweep(query);
                if let Some(state) = self.coordinator.queries.get_mut(&query) {
                    state.avoid = avoid;
                }
                self.start_attempt(query);
            }
            Action::Fail(error) => {
                if error.message.contains("has lost 2 executors") {
                    self.totals.lost_two += 1;
                }
                self.end_tasks(query);
                self.sweep(query);
                self.end(query, Err(error.message));
            }
        }
    }

    /// Tells the executors of the current attempt that it is over. Messages get lost: then executors ask.
    fn end_tasks(&mut self, query: u32) {
        let Some(state) = self.coordinator.queries.get_mut(&query) else {
            return;
        };
        let attempt = state.attempts.as_ref().map_or(0, Attempts::current);
        let tasks = state.tasks.values();
        let tasks: Vec<_> = tasks.map(|task| (task.slot, task.id.clone())).collect();
        for (slot, id) in tasks {
            let message = Message::EndTask { query, attempt };
            self.send(
                slot,
                Item::ToExecutor {
                    slot,
                    id,
                    stream: 0,
                    message,
                },
            );
        }
    }

    /// Removes the files of attempts that will not be committed.
    fn sweep(&mut self, query: u32) {
        let prefix = format!("part-{query}-");
        self.storage.retain(|file, _| !file.starts_with(&prefix));
    }

    fn end(&mut self, query: u32, outcome: Result<(), String>) {
        let Some(state) = self.coordinator.queries.remove(&query) else {
            return;
        };
        let attempts = state.attempts.as_ref().map_or(0, Attempts::current);
        assert!(attempts <= 4);
        if outcome.is_ok() && attempts > 1 {
            self.totals.succeeded_later += 1;
        }
        self.tell(query, outcome);
        if let Some(ticket) = self.coordinator.admission.release()
            && let Some(next) = self.coordinator.waiting.remove(&ticket)
        {
            self.begin(next);
        }
    }

    pub fn pause_over(&mut self, incarnation: u32, query: u32) {
        let now = self.instant();
        let coordinator = &mut self.coordinator;
        if incarnation != coordinator.incarnation {
            return;
        }
        let Some(state) = coordinator.queries.get_mut(&query) else {
            return;
        };
        let members = &coordinator.members;
        let is_gone = |id: &str| !members.state_of(id).is_some_and(MemberState::is_member);
        if let Some(attempts) = &mut state.attempts {
            let action = attempts.apply(Event::PauseOver { is_gone: &is_gone }, now);
            self.act(query, action);
        }
    }

    fn fail(&mut self, query: u32, attempt: u32, error: QueryError, task: u32) {
        let now = self.instant();
        let coordinator = &mut self.coordinator;
        let Some(state) = coordinator.queries.get_mut(&query) else {
            return;
        };
        let view = state.tasks.get(&task);
        let executor = view.map(|view| view.id.clone());
        let is_own = view.is_some_and(|view| {
            coordinator
                .members
                .iter()
                .any(|(generation, _)| generation == view.generation)
        });
        if error.code != ErrorCode::ExecutorDraining
            && is_own
            && let Some(id) = &executor
        {
            coordinator.members.task_failed(id, now);
        }
        if let Some(attempts) = &mut state.attempts {
            let action = attempts.apply(
                Event::Failed {
                    attempt,
                    error,
                    executor,
                },
                now,
            );
            self.act(query, action);
        }
    }

    pub fn coordinator_hears(&mut self, slot: usize, id: String, stream: u64, message: Message) {
        match message {
            Message::Join { slot, id } => self.joins(slot, id, stream),
            Message::Heartbeat { is_draining } => {
                let now = self.instant();
                let Some((generation, _, _)) = self.coordinator.streams.get(&stream) else {
                    return;
                };
                let members = &mut self.coordinator.members;
                let is_member = members.heard(*generation, is_draining, now).is_some();
                let message = match is_member || !self.rules.has_generations {
                    true => Message::HeartbeatReply,
                    false => Message::StreamEnded,
                };
                self.send(
                    slot,
                    Item::ToExecutor {
                        slot,
                        id,
                        stream,
                        message,
                    },
                );
            }
            Message::StreamEnded => self.stream_ends(stream),
            Message::TaskAlive { task, sent } => self.task_alive(slot, id, task, sent),
            Message::TaskFailed { task, is_draining } => {
                let error = match is_draining {
                    true => QueryError::new(ErrorCode::ExecutorDraining, "it leaves"),
                    false => QueryError::new(ErrorCode::OutOfDisk, "its disk is full"),
                };
                self.fail(
                    task.query,
                    task.attempt,
                    error.on_node(format!("h:{slot}")),
                    task.number,
                );
            }
            Message::Chunk {
                task,
                sequence,
                rows,
                file,
                is_last,
            } => {
                self.chunk(task, sequence, (rows, file, is_last));
            }
            _ => unreachable!("said by the coordinator"),
        }
    }

    fn joins(&mut self, slot: usize, id: String, stream: u64) {
        let now = self.instant();
        // A message that comes twice is one stream's first message all the same.
        if self.coordinator.streams.contains_key(&stream) {
            return;
        }
        let joined = self
            .coordinator
            .members
            .join(&id, &format!("h:{slot}"), slot, now);
        let message = match joined {
            Ok(generation) => {
                let entry = (generation, id.clone(), slot);
                self.coordinator.streams.insert(stream, entry);
                Message::Registered
            }
            Err(_) => {
                self.totals.refused_joins += 1;
                Message::Refused
            }
        };
        self.send(
            slot,
            Item::ToExecutor {
                slot,
                id,
                stream,
                message,
            },
        );
    }

    fn stream_ends(&mut self, stream: u64) {
        let Some((generation, id, _)) = self.coordinator.streams.remove(&stream) else {
            return;
        };
        let members = self.coordinator.members.iter();
        let current = members
            .filter(|(_, member)| member.id == id)
            .map(|(generation, _)| generation);
        let current = current.last();
        self.totals.stale_ends += u64::from(current.is_some_and(|current| current != generation));
        match (self.rules.has_generations, current) {
            (false, Some(current)) => self.coordinator.members.leave(current),
            _ => self.coordinator.members.leave(generation),
        }
    }

    fn task_alive(&mut self, slot: usize, id: String, task: Task, sent: u32) {
        let now = self.now;
        let state = self.coordinator.queries.get_mut(&task.query);
        let state = state.filter(|state| {
            let attempts = state.attempts.as_ref();
            attempts
                .is_some_and(|attempts| attempts.current() == task.attempt && !attempts.is_ended())
        });
        let view = state.and_then(|state| state.tasks.get_mut(&task.number));
        let is_wanted = view.is_some();
        let mut has_gap = false;
        if let Some(view) = view {
            view.heard_at = now;
            match sent > view.next {
                true => view.gap_since = view.gap_since.or(Some(now)),
                false => view.gap_since = None,
            }
            has_gap = view.gap_since.is_some_and(|since| now > since + GAP_MAX);
        }
        let message = Message::TaskKnown { task, is_wanted };
        self.send(
            slot,
            Item::ToExecutor {
                slot,
                id,
                stream: 0,
                message,
            },
        );
        if has_gap {
            self.fail(
                task.query,
                task.attempt,
                connection_error(slot),
                task.number,
            );
        }
    }

    fn chunk(&mut self, task: Task, sequence: u32, content: (Vec<u32>, Option<String>, bool)) {
        let now = self.now;
        let fences = self.rules.fences_attempts;
        let Some(state) = self.coordinator.queries.get_mut(&task.query) else {
            return;
        };
        let Some(attempts) = state
            .attempts
            .as_ref()
            .filter(|attempts| !attempts.is_ended())
        else {
            return;
        };
        let attempt = attempts.current();
        if attempt != task.attempt {
            self.totals.late_messages += 1;
            if fences {
                return;
            }
        }
        let Some(view) = state.tasks.get_mut(&task.number) else {
            return;
        };
        view.heard_at = now;
        if sequence >= view.next {
            view.early.insert(sequence, content);
        }
        while let Some((rows, file, is_last)) = view.early.remove(&view.next) {
            view.next += 1;
            view.is_done |= is_last;
            match file {
                Some(file) => state.files.push(file),
                None => state.held.extend(rows),
            }
        }
        self.progress(task.query, attempt);
    }

    /// Lets rows go where they may, and ends the query where it is complete.
    fn progress(&mut self, query: u32, attempt: u32) {
        let now = self.instant();
        let holdback = if self.rules.holds_back {
            HOLDBACK_ROWS
        } else {
            0
        };
        let Some(state) = self.coordinator.queries.get_mut(&query) else {
            return;
        };
        let Some(attempts) = &mut state.attempts else {
            return;
        };
        let is_done = state.tasks.values().all(|task| task.is_done) && !state.tasks.is_empty();
        if !is_done && state.held.len() >= holdback && self.rules.holds_back {
            // An attempt that has failed, and waits for the next one, lets nothing go.
            state.is_released |= attempts.apply(Event::Released { attempt }, now) == Action::Go;
        }
        let is_over = is_done && attempts.apply(Event::Succeeded { attempt }, now) == Action::Go;
        if state.is_released || is_over || !self.rules.holds_back {
            let rows = std::mem::take(&mut state.held);
            self.clients[query as usize].rows.extend(rows);
        }
        if is_over {
            self.succeeded(query, attempt);
        }
    }

    fn succeeded(&mut self, query: u32, attempt: u32) {
        let now = self.instant();
        let coordinator = &mut self.coordinator;
        let Some(state) = coordinator.queries.get_mut(&query) else {
            return;
        };
        for task in state.tasks.values() {
            coordinator.members.query_succeeded(&task.id, now);
        }
        state.is_committing = self.statements[query as usize].writes;
        let is_committing = state.is_committing;
        self.end_tasks(query);
        match is_committing {
            true => {
                let incarnation = self.coordinator.incarnation;
                self.after(
                    50,
                    Item::Committed {
                        incarnation,
                        query,
                        attempt,
                    },
                );
            }
            false => self.end(query, Ok(())),
        }
    }

    pub fn committed(&mut self, incarnation: u32, query: u32, _attempt: u32) {
        if incarnation != self.coordinator.incarnation {
            return;
        }
        let state = self.coordinator.queries.get(&query);
        let files = state.map(|state| state.files.clone()).unwrap_or_default();
        self.commit(query, files);
        self.end(query, Ok(()));
    }

    pub fn commit(&mut self, query: u32, files: Vec<String>) {
        self.commits.push(Commit { query, files });
    }

    pub fn coordinator_tick(&mut self, incarnation: u32) {
        if incarnation != self.coordinator.incarnation {
            return;
        }
        let now = self.now;
        let members = self.coordinator.members.iter();
        let silent: BTreeSet<Generation> = members
            .filter(|(_, member)| now > self.time_of(member.last_heard_at) + SILENCE_MAX)
            .map(|(generation, _)| generation)
            .collect();
        let streams = self.coordinator.streams.iter();
        let ended: Vec<_> = streams
            .filter(|(_, (generation, _, _))| silent.contains(generation))
            .map(|(stream, (_, id, slot))| (*stream, id.clone(), *slot))
            .collect();
        for (stream, id, slot) in ended {
            self.stream_ends(stream);
            let message = Message::StreamEnded;
            self.send(
                slot,
                Item::ToExecutor {
                    slot,
                    id,
                    stream,
                    message,
                },
            );
        }
        let queries: Vec<u32> = self.coordinator.queries.keys().copied().collect();
        for query in queries {
            self.watch(query);
        }
        self.after(TICK, Item::CoordinatorTick { incarnation });
    }

    /// Looks after one query: its deadline, its tasks, and executors that it waits for.
    fn watch(&mut self, query: u32) {
        let now = self.now;
        let Some(state) = self.coordinator.queries.get_mut(&query) else {
            return;
        };
        if now > state.deadline {
            let error = QueryError::new(ErrorCode::DeadlineExceeded, "it took too long");
            return self.stop(query, error);
        }
        if state.waits {
            return self.start_attempt(query);
        }
        let silent = state.tasks.iter();
        let silent = silent.filter(|(_, task)| !task.is_done && now > task.heard_at + SILENCE_MAX);
        let silent = silent.map(|(number, task)| (*number, task.slot)).next();
        let attempt = state.attempts.as_ref().map_or(0, Attempts::current);
        if let Some((task, slot)) = silent {
            self.fail(query, attempt, connection_error(slot), task);
        }
    }
}
