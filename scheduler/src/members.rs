//! The executors of a coordinator. Each time that an executor joins, it gets a new generation, and whatever
//! is heard over the stream by which it joined speaks for that generation only: the end of an old stream,
//! which may be noticed after the executor has joined again, says nothing of the new membership.

use crate::breaker::Breaker;
use std::collections::BTreeMap;
use std::time::Instant;

/// How many executors that have gone are remembered.
pub const GONE_REMEMBERED_MAX: usize = 32;

/// One time that an executor joined; later ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u64);

/// Whether an executor takes tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MemberState {
    /// It does.
    Active,
    /// It finishes what it has and takes no new tasks.
    Draining,
    /// It fell silent or its connection broke.
    Lost,
    /// It drained and left.
    Left,
}

impl MemberState {
    /// The state's name in tables, e.g. `ACTIVE`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Draining => "DRAINING",
            Self::Lost => "LOST",
            Self::Left => "LEFT",
        }
    }

    /// Whether it belongs to the cluster.
    pub fn is_member(self) -> bool {
        matches!(self, Self::Active | Self::Draining)
    }
}

/// One executor, in one generation. `D` is what else is known of it.
#[derive(Clone, Debug)]
pub struct Member<D> {
    /// The id that its process chose.
    pub id: String,
    /// Where it is reached.
    pub address: String,
    /// Whether it takes tasks.
    pub state: MemberState,
    /// Whether somebody asked for it to drain, so that no report makes it active again.
    pub is_told_to_drain: bool,
    /// When it was heard of last.
    pub last_heard_at: Instant,
    /// How tasks fare on it.
    pub breaker: Breaker,
    /// What else is known of it.
    pub details: D,
}

/// An executor cannot join: another one that belongs to the cluster has its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressTaken {
    /// The id of the other one.
    pub by: String,
}

/// The executors of one coordinator, in the order in which they joined.
#[derive(Clone, Debug)]
pub struct MemberList<D> {
    next: u64,
    by_generation: BTreeMap<Generation, Member<D>>,
}

impl<D> Default for MemberList<D> {
    fn default() -> Self {
        Self {
            next: 0,
            by_generation: BTreeMap::new(),
        }
    }
}

impl<D> MemberList<D> {
    /// An executor joins, or joins again; returns its generation.
    ///
    /// # Errors
    /// [`AddressTaken`]. An executor that was killed and started again at its address tries until the loss of
    /// the one before is noticed.
    pub fn join(
        &mut self,
        id: &str,
        address: &str,
        details: D,
        now: Instant,
    ) -> Result<Generation, AddressTaken> {
        let is_other = |known: &&Member<D>| {
            known.address == address && known.id != id && known.state.is_member()
        };
        if let Some(other) = self.by_generation.values().find(is_other) {
            return Err(AddressTaken {
                by: other.id.clone(),
            });
        }
        let same = self.by_generation.values().find(|known| known.id == id);
        let breaker = same.map(|known| known.breaker.clone()).unwrap_or_default();
        let is_told_to_drain = same.is_some_and(|known| known.is_told_to_drain);
        // A restarted executor has the address of the one that it replaces.
        self.by_generation
            .retain(|_, known| known.address != address && known.id != id);
        let generation = Generation(self.next);
        self.next += 1;
        let member = Member {
            id: id.to_owned(),
            address: address.to_owned(),
            state: match is_told_to_drain {
                true => MemberState::Draining,
                false => MemberState::Active,
            },
            is_told_to_drain,
            last_heard_at: now,
            breaker,
            details,
        };
        self.by_generation.insert(generation, member);
        Ok(generation)
    }

    /// An executor reports; returns the member whose details may change, `None` where the generation is over.
    pub fn heard(
        &mut self,
        generation: Generation,
        is_draining: bool,
        now: Instant,
    ) -> Option<&mut Member<D>> {
        let member = self.by_generation.get_mut(&generation)?;
        if !member.state.is_member() {
            return None;
        }
        member.state = match is_draining || member.is_told_to_drain {
            true => MemberState::Draining,
            false => MemberState::Active,
        };
        member.last_heard_at = now;
        Some(member)
    }

    /// The stream of a generation has ended, or it fell silent.
    pub fn leave(&mut self, generation: Generation) {
        if let Some(member) = self.by_generation.get_mut(&generation)
            && member.state.is_member()
        {
            member.state = match member.state {
                MemberState::Draining => MemberState::Left,
                _ => MemberState::Lost,
            };
        }
        self.forget_gone();
    }

    /// The executor is to take no new tasks; false where it is no member.
    pub fn drain(&mut self, id: &str) -> bool {
        let Some(member) = self.member_mut(id) else {
            return false;
        };
        member.is_told_to_drain = true;
        member.state = MemberState::Draining;
        true
    }

    /// A task failed on an executor that lives.
    pub fn task_failed(&mut self, id: &str, now: Instant) {
        if let Some(member) = self.member_mut(id) {
            member.breaker.failed(now);
        }
    }

    /// A query that ran on an executor ended well.
    pub fn query_succeeded(&mut self, id: &str, now: Instant) {
        if let Some(member) = self.member_mut(id) {
            member.breaker.succeeded(now);
        }
    }

    /// All that are remembered, in the order in which they joined.
    pub fn iter(&self) -> impl Iterator<Item = (Generation, &Member<D>)> {
        self.by_generation
            .iter()
            .map(|(generation, member)| (*generation, member))
    }

    /// What has become of the executor with that id.
    pub fn state_of(&self, id: &str) -> Option<MemberState> {
        let mut members = self.by_generation.values();
        members
            .find(|member| member.id == id)
            .map(|member| member.state)
    }

    fn member_mut(&mut self, id: &str) -> Option<&mut Member<D>> {
        self.by_generation
            .values_mut()
            .find(|member| member.id == id && member.state.is_member())
    }

    fn forget_gone(&mut self) {
        let gone = self.by_generation.iter();
        let gone = gone.filter(|(_, member)| !member.state.is_member());
        let gone: Vec<Generation> = gone.map(|(generation, _)| *generation).collect();
        let too_many = gone.len().saturating_sub(GONE_REMEMBERED_MAX);
        for generation in gone.iter().take(too_many) {
            self.by_generation.remove(generation);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> MemberList<()> {
        MemberList::default()
    }

    fn join(list: &mut MemberList<()>, id: &str, address: &str) -> Generation {
        list.join(id, address, (), Instant::now()).unwrap()
    }

    fn states(list: &MemberList<()>) -> Vec<(&str, MemberState)> {
        let members = list.iter();
        members
            .map(|(_, member)| (member.id.as_str(), member.state))
            .collect()
    }

    #[test]
    fn the_end_of_an_old_stream_does_not_end_the_new_membership() {
        let mut list = list();
        let old = join(&mut list, "a", "h:1");
        let new = join(&mut list, "a", "h:1");
        assert!(new > old);
        list.leave(old);
        assert_eq!(states(&list), [("a", MemberState::Active)]);
        assert!(list.heard(old, false, Instant::now()).is_none());
        assert!(list.heard(new, false, Instant::now()).is_some());
        list.leave(new);
        assert_eq!(states(&list), [("a", MemberState::Lost)]);
        assert!(list.heard(new, false, Instant::now()).is_none());
    }

    #[test]
    fn an_executor_does_not_evict_another_one_that_lives() {
        let mut list = list();
        let first = join(&mut list, "a", "127.0.0.1:1");
        let refused = list.join("b", "127.0.0.1:1", (), Instant::now());
        assert_eq!(refused, Err(AddressTaken { by: "a".to_owned() }));
        assert_eq!(states(&list), [("a", MemberState::Active)]);
        list.leave(first);
        join(&mut list, "b", "127.0.0.1:1");
        assert_eq!(states(&list), [("b", MemberState::Active)]);
    }

    #[test]
    fn a_draining_executor_stays_so_and_leaves() {
        let mut list = list();
        let asked = join(&mut list, "a", "h:1");
        assert!(list.drain("a"));
        list.heard(asked, false, Instant::now());
        assert_eq!(states(&list), [("a", MemberState::Draining)]);
        let again = join(&mut list, "a", "h:1");
        assert_eq!(states(&list), [("a", MemberState::Draining)]);
        list.leave(again);
        assert_eq!(states(&list), [("a", MemberState::Left)]);
        assert!(!list.drain("a"));
    }

    #[test]
    fn the_breaker_survives_a_broken_connection_and_not_a_restart() {
        let mut list = list();
        let now = Instant::now();
        let first = join(&mut list, "a", "h:1");
        for _ in 0..crate::breaker::FAILURES_MAX {
            list.task_failed("a", now);
        }
        list.leave(first);
        let is_open =
            |list: &MemberList<()>| list.iter().any(|(_, member)| member.breaker.is_open(now));
        let second = join(&mut list, "a", "h:1");
        assert!(is_open(&list));
        list.leave(second);
        join(&mut list, "b", "h:1");
        assert!(!is_open(&list));
    }

    #[test]
    fn those_that_have_gone_are_forgotten_in_the_end() {
        let mut list = list();
        for number in 0..GONE_REMEMBERED_MAX + 10 {
            let id = format!("e{number}");
            let joined = join(&mut list, &id, &format!("h:{number}"));
            list.leave(joined);
        }
        assert_eq!(list.iter().count(), GONE_REMEMBERED_MAX);
    }
}
