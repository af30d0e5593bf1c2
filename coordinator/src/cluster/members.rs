//! The list of executors. Changes are plain functions of (list, event, now); planning reads immutable
//! snapshots.

use parking_lot::Mutex;
use skep_exchange::direct::ClientAddress;
use skep_planner::{ActiveExecutor, ActiveExecutors};
use skep_protocol::proto::{Heartbeat, Register};
use skep_protocol::{ErrorCode, QueryError};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use url::Url;

/// How many executors that have gone are still shown.
const GONE_SHOWN_MAX: usize = 32;

/// Whether an executor takes tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExecutorState {
    /// It does.
    Active,
    /// It finishes what it has.
    Draining,
    /// It fell silent or its connection broke.
    Lost,
    /// It drained and left.
    Left,
}

impl ExecutorState {
    /// The state's name in tables, e.g. `ACTIVE`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Draining => "DRAINING",
            Self::Lost => "LOST",
            Self::Left => "LEFT",
        }
    }

    fn is_member(self) -> bool {
        matches!(self, Self::Active | Self::Draining)
    }
}

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
}

/// The executors at one moment.
#[derive(Clone, Debug, Default)]
pub struct ClusterSnapshot {
    /// All that are shown, those that have gone included, in the order in which they first joined.
    pub executors: Vec<ExecutorInfo>,
}

impl ClusterSnapshot {
    /// Those that take tasks.
    pub fn active(&self) -> impl Iterator<Item = &ExecutorInfo> {
        self.executors
            .iter()
            .filter(|executor| executor.state == ExecutorState::Active)
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
}

/// The list of executors of one coordinator.
#[derive(Debug)]
pub struct Members {
    list: Mutex<MemberList>,
    snapshot: watch::Sender<Arc<ClusterSnapshot>>,
}

#[derive(Debug, Default)]
struct MemberList {
    next: u64,
    by_order: BTreeMap<u64, ExecutorInfo>,
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

    /// An executor has joined.
    ///
    /// # Errors
    /// `InvalidArgument` where its address is none.
    pub fn join(&self, register: &Register, now: Instant) -> Result<(), QueryError> {
        let address = Url::parse(&register.address).map_err(|error| {
            let text = format!("invalid executor address '{}': {error}", register.address);
            QueryError::new(ErrorCode::InvalidArgument, text)
        })?;
        let version = register.version.clone().unwrap_or_default().skep;
        self.change(|list| list.join(register, address, version, now));
        Ok(())
    }

    /// An executor has reported.
    pub fn heartbeat(&self, id: &str, load: Heartbeat, now: Instant) {
        self.change(|list| list.heartbeat(id, load, now));
    }

    /// An executor's connection has ended, or it fell silent.
    pub fn leave(&self, id: &str) {
        self.change(|list| list.leave(id));
    }

    fn change(&self, change: impl FnOnce(&mut MemberList)) {
        let mut list = self.list.lock();
        change(&mut list);
        let executors = list.by_order.values().cloned().collect();
        self.snapshot
            .send_replace(Arc::new(ClusterSnapshot { executors }));
    }
}

impl Default for Members {
    fn default() -> Self {
        Self::new()
    }
}

impl MemberList {
    fn join(&mut self, register: &Register, address: Url, version: String, now: Instant) {
        // A restarted executor has the address of the one that it replaces.
        self.by_order
            .retain(|_, known| known.address != address && known.id != register.executor_id);
        self.by_order.insert(
            self.next,
            ExecutorInfo {
                id: register.executor_id.clone(),
                address,
                client_address: ClientAddress {
                    authority: register.client_address.clone(),
                    uses_tls: register.client_tls,
                },
                state: ExecutorState::Active,
                cores: (register.cores as usize).max(1),
                memory_limit_bytes: register.memory_limit_bytes,
                version,
                load: Heartbeat::default(),
                last_heartbeat: now,
            },
        );
        self.next += 1;
    }

    fn heartbeat(&mut self, id: &str, load: Heartbeat, now: Instant) {
        if let Some(executor) = self.find(id).filter(|executor| executor.state.is_member()) {
            executor.state = match load.draining {
                true => ExecutorState::Draining,
                false => ExecutorState::Active,
            };
            executor.load = load;
            executor.last_heartbeat = now;
        }
    }

    fn leave(&mut self, id: &str) {
        if let Some(executor) = self.find(id).filter(|executor| executor.state.is_member()) {
            executor.state = match executor.state {
                ExecutorState::Draining => ExecutorState::Left,
                _ => ExecutorState::Lost,
            };
        }
        let gone: Vec<u64> = self
            .by_order
            .iter()
            .filter(|(_, executor)| !executor.state.is_member())
            .map(|(order, _)| *order)
            .collect();
        for order in gone.iter().take(gone.len().saturating_sub(GONE_SHOWN_MAX)) {
            self.by_order.remove(order);
        }
    }

    fn find(&mut self, id: &str) -> Option<&mut ExecutorInfo> {
        self.by_order
            .values_mut()
            .find(|executor| executor.id == id)
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
        members
            .join(&register("a", "http://h:1"), Instant::now())
            .unwrap();
        assert_eq!(members.snapshot().for_planning().cores_max(), 4);
        members.leave("a");
        assert_eq!(states(&members), vec![("a".into(), ExecutorState::Lost)]);
        // A late heartbeat does not bring it back.
        members.heartbeat("a", Heartbeat::default(), Instant::now());
        assert_eq!(states(&members), vec![("a".into(), ExecutorState::Lost)]);
        assert_eq!(members.snapshot().for_planning().addresses(), vec![]);
    }

    #[test]
    fn a_restarted_executor_replaces_itself() {
        let members = Members::new();
        members
            .join(&register("a", "http://h:1"), Instant::now())
            .unwrap();
        members
            .join(&register("b", "http://h:2"), Instant::now())
            .unwrap();
        members.leave("a");
        members
            .join(&register("c", "http://h:1"), Instant::now())
            .unwrap();
        let expected = vec![
            ("b".into(), ExecutorState::Active),
            ("c".into(), ExecutorState::Active),
        ];
        assert_eq!(states(&members), expected);
    }

    #[test]
    fn a_draining_executor_takes_no_tasks_and_leaves() {
        let members = Members::new();
        members
            .join(&register("a", "http://h:1"), Instant::now())
            .unwrap();
        let draining = Heartbeat {
            draining: true,
            ..Default::default()
        };
        members.heartbeat("a", draining, Instant::now());
        assert_eq!(members.snapshot().active().count(), 0);
        members.leave("a");
        assert_eq!(states(&members), vec![("a".into(), ExecutorState::Left)]);
    }

    #[test]
    fn those_that_have_gone_are_forgotten_in_the_end() {
        let members = Members::new();
        for number in 0..GONE_SHOWN_MAX + 10 {
            let id = format!("e{number}");
            let address = format!("http://h:{}", number + 1);
            members
                .join(&register(&id, &address), Instant::now())
                .unwrap();
            members.leave(&id);
        }
        assert_eq!(members.snapshot().executors.len(), GONE_SHOWN_MAX);
    }

    #[tokio::test]
    async fn waiting_for_an_executor_is_bounded() {
        let members = Arc::new(Members::new());
        let error = members
            .wait_for_active(Duration::from_millis(5))
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::NoExecutors);
        members
            .join(&register("a", "http://h:1"), Instant::now())
            .unwrap();
        let found = members.wait_for_active(Duration::from_millis(5)).await;
        assert_eq!(found.unwrap().active().count(), 1);
    }
}
