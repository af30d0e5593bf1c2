//! Who may hash a password next: hashing takes a core and much memory, so few do it at a time, and those who wait
//! take turns, first by where they call from and then by user. So a flood from one place, or for one user, is one
//! in the queue for everybody else.

use parking_lot::Mutex;
use skep_protocol::{ErrorCode, QueryError};
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::oneshot;

/// How many logins for one user from one source wait.
const OF_USER_MAX: usize = 32;

/// How many logins from one source wait.
const OF_SOURCE_MAX: usize = 128;

/// How many logins wait at all, and how many of those that go first.
const WAITING_MAX: usize = 1024;
const FIRST_MAX: usize = 256;

/// Where a client calls from: an IPv4 address, or a network of 64 bits in IPv6, of which one host has all
/// addresses. What is not known is one source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Source(Option<IpAddr>);

impl Source {
    pub(super) fn of(address: Option<IpAddr>) -> Self {
        Self(address.map(|address| match address.to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                IpAddr::from([a, b, c, d, 0, 0, 0, 0])
            }
            address => address,
        }))
    }
}

/// When somebody's turn is.
pub(super) enum Turn {
    /// Before all others.
    First,
    /// When it is the source's turn, and there the user's.
    OfSource(Source, String),
}

/// The places of those who hash. Clones are the same places.
#[derive(Clone)]
pub(super) struct Places(Arc<Mutex<Queue<oneshot::Sender<Place>>>>);

/// Somebody's place, until it is dropped.
pub(super) struct Place(Places);

impl Places {
    pub(super) fn new(places: usize) -> Self {
        Self(Arc::new(Mutex::new(Queue {
            free: places,
            first: VecDeque::new(),
            sources: VecDeque::new(),
        })))
    }

    /// Waits for a place.
    ///
    /// # Errors
    /// `QueueFull` where too many wait already.
    pub(super) async fn take(&self, turn: Turn) -> Result<Place, QueryError> {
        let place = {
            let mut queue = self.0.lock();
            if queue.free > 0 {
                queue.free -= 1;
                return Ok(Place(self.clone()));
            }
            let (sender, place) = oneshot::channel();
            queue.push(turn, sender, oneshot::Sender::is_closed)?;
            place
        };
        place
            .await
            .map_err(|_| QueryError::internal("a login lost its place"))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        loop {
            let next = {
                let mut queue = self.0.0.lock();
                let next = queue.pop();
                if next.is_none() {
                    queue.free += 1;
                }
                next
            };
            match next {
                None => return,
                // A caller that has gone has no use for it.
                Some(sender) if sender.is_closed() => {}
                // Where it goes at just this moment, the place that comes back is passed on like this one.
                Some(sender) => return drop(sender.send(Place(self.0.clone()))),
            }
        }
    }
}

/// Those who wait.
struct Queue<T> {
    free: usize,
    first: VecDeque<T>,
    sources: VecDeque<OfSource<T>>,
}

struct OfSource<T> {
    source: Source,
    users: VecDeque<(String, VecDeque<T>)>,
}

impl<T> OfSource<T> {
    fn len(&self) -> usize {
        self.users.iter().map(|(_, waiting)| waiting.len()).sum()
    }
}

impl<T> Queue<T> {
    fn push(
        &mut self,
        turn: Turn,
        waiting: T,
        has_gone: impl Fn(&T) -> bool,
    ) -> Result<(), QueryError> {
        let is_refused = match self.lengths(&turn) {
            lengths if is_full(lengths) => {
                self.forget(has_gone);
                is_full(self.lengths(&turn))
            }
            _ => false,
        };
        if is_refused {
            let text = "too many logins at a time: try again in a moment";
            return Err(QueryError::new(ErrorCode::QueueFull, text));
        }
        let (source, user) = match turn {
            Turn::First => {
                self.first.push_back(waiting);
                return Ok(());
            }
            Turn::OfSource(source, user) => (source, user),
        };
        let at = self.sources.iter().position(|known| known.source == source);
        let at = at.unwrap_or_else(|| {
            self.sources.push_back(OfSource {
                source,
                users: VecDeque::new(),
            });
            self.sources.len() - 1
        });
        let users = &mut self.sources[at].users;
        match users.iter_mut().find(|(known, _)| *known == user) {
            Some((_, of_user)) => of_user.push_back(waiting),
            None => users.push_back((user, [waiting].into())),
        }
        Ok(())
    }

    /// Whose turn it is.
    fn pop(&mut self) -> Option<T> {
        if let Some(first) = self.first.pop_front() {
            return Some(first);
        }
        let mut of_source = self.sources.pop_front()?;
        let (user, mut of_user) = of_source.users.pop_front()?;
        let next = of_user.pop_front();
        if !of_user.is_empty() {
            of_source.users.push_back((user, of_user));
        }
        if !of_source.users.is_empty() {
            self.sources.push_back(of_source);
        }
        next
    }

    /// How many wait with whom one would wait, each with how many may.
    fn lengths(&self, turn: &Turn) -> [(usize, usize); 3] {
        let (source, user) = match turn {
            Turn::First => return [(self.first.len(), FIRST_MAX); 3],
            Turn::OfSource(source, user) => (source, user),
        };
        let all = self.sources.iter().map(OfSource::len).sum();
        let of_source = self.sources.iter().find(|known| known.source == *source);
        let of_user = of_source.and_then(|of_source| {
            let mut users = of_source.users.iter();
            users.find(|(known, _)| known == user)
        });
        [
            (all, WAITING_MAX),
            (of_source.map_or(0, OfSource::len), OF_SOURCE_MAX),
            (of_user.map_or(0, |(_, of_user)| of_user.len()), OF_USER_MAX),
        ]
    }

    fn forget(&mut self, has_gone: impl Fn(&T) -> bool) {
        self.first.retain(|waiting| !has_gone(waiting));
        for of_source in &mut self.sources {
            for (_, of_user) in &mut of_source.users {
                of_user.retain(|waiting| !has_gone(waiting));
            }
            of_source.users.retain(|(_, of_user)| !of_user.is_empty());
        }
        self.sources.retain(|of_source| !of_source.users.is_empty());
    }
}

fn is_full(lengths: [(usize, usize); 3]) -> bool {
    lengths.iter().any(|(length, max)| length >= max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::task::JoinSet;

    fn source(last: u8) -> Source {
        Source::of(Some([10, 0, 0, last].into()))
    }

    fn queue() -> Queue<&'static str> {
        Queue {
            free: 0,
            first: VecDeque::new(),
            sources: VecDeque::new(),
        }
    }

    fn push(
        queue: &mut Queue<&'static str>,
        source: Source,
        user: &str,
        name: &'static str,
    ) -> bool {
        let turn = Turn::OfSource(source, user.to_owned());
        queue.push(turn, name, |waiting| *waiting == "gone").is_ok()
    }

    #[test]
    fn sources_take_turns_and_so_do_the_users_of_each() {
        let mut queue = queue();
        for name in ["flood 1", "flood 2", "flood 3"] {
            assert!(push(&mut queue, source(1), "ada", name));
        }
        assert!(push(&mut queue, source(1), "bob", "bob"));
        assert!(push(&mut queue, source(2), "ada", "ada"));
        assert!(queue.push(Turn::First, "first", |_| false).is_ok());
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(
            order,
            ["first", "flood 1", "ada", "bob", "flood 2", "flood 3"]
        );
        assert!(queue.sources.is_empty());
    }

    #[test]
    fn a_flood_for_one_user_leaves_room_for_others_and_one_from_a_source_for_other_sources() {
        let mut queue = queue();
        let taken = (0..1_000)
            .filter(|_| push(&mut queue, source(1), "ada", "x"))
            .count();
        assert_eq!(taken, OF_USER_MAX);
        assert!(push(&mut queue, source(1), "bob", "x"));
        assert!(push(&mut queue, source(2), "ada", "x"));
        for number in 0..1_000 {
            push(&mut queue, source(1), &format!("user {number}"), "x");
        }
        let [(all, _), (of_source, _), _] = queue.lengths(&Turn::OfSource(source(1), "x".into()));
        assert_eq!((all, of_source), (OF_SOURCE_MAX + 1, OF_SOURCE_MAX));
        assert!(push(&mut queue, source(3), "ada", "x"));
        for number in 0..=255 {
            for user in 0..32 {
                push(&mut queue, source(number), &format!("user {user}"), "x");
            }
        }
        assert_eq!(
            queue.lengths(&Turn::OfSource(source(1), "x".into()))[0].0,
            WAITING_MAX
        );
    }

    #[test]
    fn a_caller_that_has_gone_keeps_nobody_out() {
        let mut queue = queue();
        for _ in 0..OF_USER_MAX {
            assert!(push(&mut queue, source(1), "ada", "gone"));
        }
        assert!(push(&mut queue, source(1), "ada", "here"));
        assert_eq!(queue.pop(), Some("here"));
        assert_eq!(queue.pop(), None);
    }

    #[tokio::test]
    async fn places_are_passed_on_and_come_back() {
        let places = Places::new(1);
        let place = places.take(Turn::First).await.ok().unwrap();
        let waiting = |last| {
            let places = places.clone();
            async move {
                places
                    .take(Turn::OfSource(source(last), "ada".into()))
                    .await
                    .is_ok()
            }
        };
        let (mut gone, mut here) = (JoinSet::new(), JoinSet::new());
        gone.spawn(waiting(1));
        here.spawn(waiting(2));
        tokio::task::yield_now().await;
        gone.abort_all();
        tokio::task::yield_now().await;
        drop(place);
        assert!(here.join_next().await.unwrap().unwrap());
        assert_eq!(places.0.lock().free, 1);
    }

    #[test]
    fn a_host_of_ipv6_is_one_source() {
        let of = |text: &str| Source::of(Some(text.parse().unwrap()));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
    }
}
