//! The executors of this coordinator, and the immutable snapshots of them that planning reads. What each
//! event does to the list is decided in [`skep_scheduler::members`].

use parking_lot::Mutex;
use skep_exchange::direct::ClientAddress;
use skep_planner::{ActiveExecutor, ActiveExecutors};
use skep_protocol::proto::{Heartbeat, Register};
use skep_protocol::{ErrorCode, QueryError};
use skep_scheduler::attempts::choose;
use skep_scheduler::members::{Generation, Member, MemberList};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use url::Url;

pub use skep_scheduler::members::MemberState as ExecutorState;

/// What is known of one executor.
#[derive(Clone, Debug)]
pub struct ExecutorInfo {
    /// The id that its process chose.
    pub id: String,
    /// Where it is reached.
    pub address: Url,
    /// Where clients reach it.
    pub client_address: ClientAddress,
    /// Whether it takes tasks.
    pub state: ExecutorState,
    /// How many cores its tasks may use.
    pub cores: usize,
    /// How many bytes of memory its tasks may use.
    pub memory_limit_bytes: u64,
    /// Its version of Skep.
    pub version: String,
    /// What it reported last.
    pub load: Heartbeat,
    /// When it reported last.
    pub last_heartbeat: Instant,
    /// Until when it gets no tasks, since tasks failed on it.
    pub suspended_until: Option<Instant>,
    /// How many tasks have failed on it lately.
    pub task_failures: usize,
    /// Whether it was suspended and has not proved itself since.
    is_on_probation: bool,
}

impl ExecutorInfo {
    /// The executor's address as errors name it.
    pub fn node(&self) -> String {
        match (
            self.address.host_str(),
            self.address.port_or_known_default(),
        ) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            _ => self.address.to_string(),
        }
    }
}

/// The executors at one moment.
#[derive(Clone, Debug, Default)]
pub struct ClusterSnapshot {
    /// All that are shown, those that have gone included, in the order in which they first joined.
    pub executors: Vec<ExecutorInfo>,
    /// The ids of those that the query of this snapshot does without, where there are others.
    avoided: BTreeSet<String>,
}

impl ClusterSnapshot {
    /// Those that take tasks: without those that are suspended or avoided, as long as others are left.
    pub fn active(&self) -> impl Iterator<Item = &ExecutorInfo> {
        let executors = self.executors.iter();
        let active = executors.filter(|executor| executor.state == ExecutorState::Active);
        let is_avoided = |executor: &&ExecutorInfo| self.avoided.contains(&executor.id);
        let is_suspended = |executor: &&ExecutorInfo| executor.suspended_until.is_some();
        choose(active, is_avoided, is_suspended).into_iter()
    }

    /// The same executors for a query that does without some of them.
    pub fn avoiding(&self, avoided: BTreeSet<String>) -> Self {
        Self {
            executors: self.executors.clone(),
            avoided,
        }
    }

    /// Those that take tasks, as planning knows them.
    pub fn for_planning(&self) -> ActiveExecutors {
        let executors = self.active().map(|executor| ActiveExecutor {
            address: executor.address.clone(),
            client_address: executor.client_address.clone(),
            cores: executor.cores,
        });
        ActiveExecutors(executors.collect())
    }

    /// The id of the executor that errors name like this.
    pub fn id_of(&self, node: &str) -> Option<&str> {
        let mut newest_first = self.executors.iter().rev();
        let found = newest_first.find(|executor| executor.node() == node);
        found.map(|executor| executor.id.as_str())
    }
}

/// What the list has of an executor besides what decides about it.
#[derive(Clone, Debug)]
struct Details {
    address: Url,
    client_address: ClientAddress,
    cores: usize,
    memory_limit_bytes: u64,
    version: String,
    load: Heartbeat,
}

/// The list of executors of one coordinator.
#[derive(Debug)]
pub struct Members {
    list: Mutex<MemberList<Details>>,
    snapshot: watch::Sender<Arc<ClusterSnapshot>>,
}

impl Members {
    /// Nobody yet.
    pub fn new() -> Self {
        Self {
            list: Mutex::new(MemberList::default()),
            snapshot: watch::Sender::new(Arc::default()),
        }
    }

    /// The executors now.
    pub fn snapshot(&self) -> Arc<ClusterSnapshot> {
        Arc::clone(&self.snapshot.borrow())
    }

    /// Waits until at least one executor takes tasks.
    ///
    /// # Errors
    /// `NoExecutors` after `patience`.
    pub async fn wait_for_active(
        &self,
        patience: Duration,
    ) -> Result<Arc<ClusterSnapshot>, QueryError> {
        let mut snapshots = self.snapshot.subscribe();
        let found = snapshots.wait_for(|snapshot| snapshot.active().next().is_some());
        match tokio::time::timeout(patience, found).await {
            Ok(Ok(snapshot)) => Ok(Arc::clone(&snapshot)),
            _ => Err(QueryError::new(
                ErrorCode::NoExecutors,
                format!(
                    "no executor has joined this cluster within {} s: start one with \
                     'skep executor --coordinator URL'",
                    patience.as_secs_f32()
                ),
            )),
        }
    }

    /// An executor has joined; returns the generation that its stream speaks for, and where it is reached.
    ///
    /// # Errors
    /// `InvalidArgument` where its address is invalid; `AlreadyExists` where another executor that belongs to
    /// the cluster has the same address.
    pub fn join(&self, register: &Register, now: Instant) -> Result<(Generation, Url), QueryError> {
        let address = Url::parse(&register.address).map_err(|error| {
            let text = format!("invalid executor address '{}': {error}", register.address);
            QueryError::new(ErrorCode::InvalidArgument, text)
        })?;
        let details = Details {
            address: address.clone(),
            client_address: ClientAddress {
                authority: register.client_address.clone(),
                uses_tls: register.client_tls,
            },
            cores: (register.cores as usize).max(1),
            memory_limit_bytes: register.memory_limit_bytes,
            version: register.version.clone().unwrap_or_default().skep,
            load: Heartbeat::default(),
        };
        let key = details.address.to_string();
        let joined = self.change(|list| list.join(&register.executor_id, &key, details, now));
        let joined = joined.map_err(|taken| {
            let text = format!(
                "executor {} announces the address {}, which is that of executor {}: set \
                 executor.advertise to an address that is its own",
                register.executor_id, register.address, taken.by
            );
            QueryError::new(ErrorCode::AlreadyExists, text)
        });
        Ok((joined?, address))
    }

    /// An executor has reported; says whether it is to drain, `None` where that generation has ended.
    pub fn heartbeat(&self, generation: Generation, load: Heartbeat, now: Instant) -> Option<bool> {
        self.change(|list| {
            let member = list.heard(generation, load.draining, now)?;
            member.details.load = load;
            Some(member.is_told_to_drain)
        })
    }

    /// An executor's connection has ended, or it fell silent.
    pub fn leave(&self, generation: Generation) {
        self.change(|list| list.leave(generation));
    }

    /// The executor gets no more tasks and is asked to leave; false where there is none with that id.
    pub fn drain(&self, id: &str) -> bool {
        self.change(|list| list.drain(id))
    }

    /// Whether the executor with that id belongs to the cluster no more.
    pub fn is_gone(&self, id: &str) -> bool {
        let state = self.list.lock().state_of(id);
        !state.is_some_and(ExecutorState::is_member)
    }

    /// A task failed on an executor that lives.
    pub fn task_failed(&self, id: &str, now: Instant) {
        self.change(|list| list.task_failed(id, now));
    }

    /// A query ended well that ran on the executors of `snapshot`.
    pub fn query_succeeded(&self, snapshot: &ClusterSnapshot, now: Instant) {
        for executor in snapshot.active().filter(|known| known.is_on_probation) {
            self.change(|list| list.query_succeeded(&executor.id, now));
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut MemberList<Details>) -> T) -> T {
        let mut list = self.list.lock();
        let changed = change(&mut list);
        let now = Instant::now();
        let executors = list.iter().map(|(_, member)| info(member, now)).collect();
        let avoided = BTreeSet::new();
        self.snapshot
            .send_replace(Arc::new(ClusterSnapshot { executors, avoided }));
        changed
    }
}

impl Default for Members {
    fn default() -> Self {
        Self::new()
    }
}

fn info(member: &Member<Details>, now: Instant) -> ExecutorInfo {
    let details = &member.details;
    ExecutorInfo {
        id: member.id.clone(),
        address: details.address.clone(),
        client_address: details.client_address.clone(),
        state: member.state,
        cores: details.cores,
        memory_limit_bytes: details.memory_limit_bytes,
        version: details.version.clone(),
        load: details.load,
        last_heartbeat: member.last_heard_at,
        suspended_until: member.breaker.open_until(now),
        task_failures: member.breaker.failures(now),
        is_on_probation: member.breaker.is_on_probation(now),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn register(id: &str, address: &str) -> Register {
        Register {
            executor_id: id.into(),
            address: address.into(),
            cores: 4,
            ..Default::default()
        }
    }

    fn join(members: &Members, id: &str, address: &str) -> Generation {
        let joined = members.join(&register(id, address), Instant::now());
        joined.unwrap().0
    }

    fn states(members: &Members) -> Vec<(String, ExecutorState)> {
        let snapshot = members.snapshot();
        let executors = snapshot.executors.iter();
        executors
            .map(|executor| (executor.id.clone(), executor.state))
            .collect()
    }

    #[test]
    fn an_executor_joins_reports_and_is_lost() {
        let members = Members::new();
        let joined = join(&members, "a", "http://h:1");
        assert_eq!(members.snapshot().for_planning().0[0].cores, 4);
        let reported = members.heartbeat(joined, Heartbeat::default(), Instant::now());
        assert_eq!(reported, Some(false));
        members.leave(joined);
        assert_eq!(states(&members), vec![("a".into(), ExecutorState::Lost)]);
        assert!(members.is_gone("a"));
        // A late heartbeat does not bring it back.
        let reported = members.heartbeat(joined, Heartbeat::default(), Instant::now());
        assert_eq!(reported, None);
        assert_eq!(states(&members), vec![("a".into(), ExecutorState::Lost)]);
        assert_eq!(members.snapshot().active().count(), 0);
    }

    #[test]
    fn the_end_of_an_old_stream_does_not_end_the_new_membership() {
        let members = Members::new();
        let old = join(&members, "a", "http://h:1");
        join(&members, "a", "http://h:1");
        members.leave(old);
        assert_eq!(states(&members), vec![("a".into(), ExecutorState::Active)]);
    }

    #[test]
    fn a_restarted_executor_replaces_itself() {
        let members = Members::new();
        let a = join(&members, "a", "http://h:1");
        join(&members, "b", "http://h:2");
        let refused = members.join(&register("c", "http://h:1"), Instant::now());
        assert_eq!(refused.unwrap_err().code, ErrorCode::AlreadyExists);
        members.leave(a);
        join(&members, "c", "http://h:1");
        let expected = vec![
            ("b".into(), ExecutorState::Active),
            ("c".into(), ExecutorState::Active),
        ];
        assert_eq!(states(&members), expected);
        assert_eq!(members.snapshot().id_of("h:1"), Some("c"));
    }

    #[test]
    fn a_draining_executor_takes_no_tasks_and_leaves() {
        let members = Members::new();
        let joined = join(&members, "a", "http://h:1");
        assert!(members.drain("a"));
        assert_eq!(members.snapshot().active().count(), 0);
        let reported = members.heartbeat(joined, Heartbeat::default(), Instant::now());
        assert_eq!(reported, Some(true));
        members.leave(joined);
        assert_eq!(states(&members), vec![("a".into(), ExecutorState::Left)]);
        assert!(!members.drain("a"));
    }

    #[test]
    fn suspended_and_avoided_executors_are_left_out_as_long_as_there_are_others() {
        let members = Members::new();
        for (id, address) in [
            ("a", "http://h:1"),
            ("b", "http://h:2"),
            ("c", "http://h:3"),
        ] {
            join(&members, id, address);
        }
        for _ in 0..3 {
            members.task_failed("b", Instant::now());
        }
        let snapshot = members.snapshot();
        let active = |snapshot: &ClusterSnapshot| -> Vec<String> {
            snapshot.active().map(|found| found.id.clone()).collect()
        };
        assert_eq!(active(&snapshot), ["a", "c"]);
        let avoiding = snapshot.avoiding(["a".to_owned()].into());
        assert_eq!(active(&avoiding), ["c"]);
        let avoiding = snapshot.avoiding(["a".to_owned(), "c".to_owned()].into());
        assert_eq!(active(&avoiding), ["b"]);
    }

    #[tokio::test]
    async fn waiting_for_an_executor_is_bounded() {
        let members = Arc::new(Members::new());
        let error = members
            .wait_for_active(Duration::from_millis(5))
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::NoExecutors);
        join(&members, "a", "http://h:1");
        let found = members.wait_for_active(Duration::from_millis(5)).await;
        assert_eq!(found.unwrap().active().count(), 1);
    }
}
