//! Who is calling: from a token, or from a connection, to a session of the engine.
//!
//! A session belongs to its token. A caller without a token gets one session per TCP connection and
//! user name, so that tools that never log in have settings of their own, too.

use crate::engine::{Caller, IssuedToken, QueryService, SessionId};
use crate::errors::DoorError;
use crate::options::DoorOptions;
use crate::prepared::PreparedStatements;
use crate::results::Results;
use parking_lot::Mutex;
use skep_listener::Credentials;
use skep_protocol::ticket::unix_time_ms;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many sessions that have ended are remembered until their tokens expire, so that a token does not
/// bring one back.
const ENDED_MAX: usize = 100_000;

/// One session, with everything that the door keeps for it; it all goes when the session does.
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) prepared: PreparedStatements,
    pub(crate) results: Results,
    caller: Caller,
    key: Key,
    expires_at_ms: u64,
    last_used: Mutex<Instant>,
}

impl Session {
    /// Whose it is.
    pub(crate) fn user(&self) -> &str {
        &self.caller.user
    }

    /// Notes that the session is in use.
    pub(crate) fn touch(&self) {
        *self.last_used.lock() = Instant::now();
    }

    fn is_idle(&self, now: Instant, idle_max: Duration) -> bool {
        self.results.is_empty() && now.saturating_duration_since(*self.last_used.lock()) > idle_max
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Key {
    /// The session's part of a token.
    Token(Vec<u8>),
    Connection {
        address: SocketAddr,
        user: String,
    },
}

/// All open sessions of the door.
pub(crate) struct Sessions {
    service: Arc<dyn QueryService>,
    sessions_max: usize,
    idle_max: Duration,
    by_key: Mutex<HashMap<Key, Arc<Session>>>,
    /// The sessions' parts of tokens that are good for nothing more, and when the tokens expire.
    ended: Mutex<HashMap<Vec<u8>, u64>>,
}

impl Sessions {
    pub(crate) fn new(service: Arc<dyn QueryService>, options: &DoorOptions) -> Self {
        Self {
            service,
            sessions_max: options.sessions_max,
            idle_max: options.session_idle_max,
            by_key: Mutex::default(),
            ended: Mutex::default(),
        }
    }

    /// Opens a session, or finds the one whose token was sent, and says its token.
    pub(crate) async fn log_in(
        &self,
        credentials: Credentials,
        address: Option<SocketAddr>,
    ) -> Result<String, DoorError> {
        let (user, password) = match credentials {
            Credentials::Token(token) => return self.by_token(&token).map(|_| token),
            // Tools that can send no token send it as the password.
            Credentials::Password { password, .. } if self.by_token(&password).is_ok() => {
                return Ok(password);
            }
            Credentials::Password { user, password } => (user, password),
            Credentials::None => Default::default(),
        };
        let source = address.map(|address| address.ip());
        let caller = self.service.log_in(&user, &password, source).await?;
        let token = self.service.issue_token(&caller);
        self.open(Key::Token(token.session), token.caller, token.expires_at_ms)?;
        Ok(token.text)
    }

    /// The session on whose behalf a call is made.
    pub(crate) async fn resolve(
        &self,
        credentials: Credentials,
        address: Option<SocketAddr>,
    ) -> Result<Arc<Session>, DoorError> {
        let (user, password) = match credentials {
            Credentials::Token(token) => return self.by_token(&token),
            Credentials::Password { user, password } => {
                if let Ok(session) = self.by_token(&password) {
                    return Ok(session);
                }
                (user, password)
            }
            Credentials::None => Default::default(),
        };
        let source = address.map(|address| address.ip());
        let caller = self.service.log_in(&user, &password, source).await?;
        let address = address.ok_or(DoorError::LoginNeeded)?;
        let key = Key::Connection {
            address,
            user: caller.user.clone(),
        };
        match self.find(&key) {
            Some(session) => Ok(session),
            None => self.open(key, caller, u64::MAX),
        }
    }

    /// Ends a session: its results are dropped, which cancels their queries.
    pub(crate) fn close(&self, session: &Session) {
        let removed = self.by_key.lock().remove(&session.key);
        self.service.close_session(&session.id);
        session.results.clear();
        self.remember_ended(session);
        drop(removed);
    }

    /// Closes the sessions that have been idle for too long or whose time is over, and ends the results
    /// that nobody fetched in time.
    pub(crate) fn sweep(&self, now: Instant) {
        let now_ms = unix_time_ms();
        let sessions: Vec<_> = self.by_key.lock().values().cloned().collect();
        for session in sessions {
            for expired in session.results.expire(now) {
                self.service
                    .cancel(&expired.query, "its result was not fetched in time");
            }
            session.results.forget_ended(|query| {
                let status = self.service.status(query);
                status.is_none_or(|status| status.state.is_final())
            });
            // One reference is the table's, one is ours; any other is a call or a stream.
            let is_idle = Arc::strong_count(&session) <= 2 && session.is_idle(now, self.idle_max);
            let may_not_go_on = session.expires_at_ms < now_ms
                || self.service.check_caller(&session.caller).is_err();
            if is_idle || may_not_go_on {
                self.close(&session);
            }
        }
        self.ended
            .lock()
            .retain(|_, expires_at_ms| *expires_at_ms >= now_ms);
    }

    /// A token of this node, or one of another node or of before a restart, whose session begins here.
    fn by_token(&self, text: &str) -> Result<Arc<Session>, DoorError> {
        let IssuedToken {
            caller,
            session,
            expires_at_ms,
            ..
        } = self.service.read_token(text)?;
        let key = Key::Token(session);
        match self.find(&key) {
            Some(session) => Ok(session),
            None if self.is_ended(&key) => Err(DoorError::UnknownSession),
            None => self.open(key, caller, expires_at_ms),
        }
    }

    fn find(&self, key: &Key) -> Option<Arc<Session>> {
        let session = self.by_key.lock().get(key).cloned()?;
        if self.service.has_session(&session.id) {
            session.touch();
            return Some(session);
        }
        self.by_key.lock().remove(key);
        session.results.clear();
        self.remember_ended(&session);
        None
    }

    fn is_ended(&self, key: &Key) -> bool {
        match key {
            Key::Token(session) => self.ended.lock().contains_key(session),
            Key::Connection { .. } => false,
        }
    }

    fn remember_ended(&self, session: &Session) {
        let Key::Token(token) = &session.key else {
            return;
        };
        let mut ended = self.ended.lock();
        if ended.len() < ENDED_MAX {
            ended.insert(token.clone(), session.expires_at_ms);
        }
    }

    /// Two first calls on one connection may race to here; they get the same session.
    fn open(
        &self,
        key: Key,
        caller: Caller,
        expires_at_ms: u64,
    ) -> Result<Arc<Session>, DoorError> {
        let mut by_key = self.by_key.lock();
        if let Some(session) = by_key.get(&key) {
            return Ok(session.clone());
        }
        if by_key.len() >= self.sessions_max {
            return Err(DoorError::TooMany {
                what: "sessions",
                limit: self.sessions_max,
            });
        }
        let session = Arc::new(Session {
            id: self.service.open_session(&caller.user)?,
            prepared: PreparedStatements::default(),
            results: Results::default(),
            caller,
            key: key.clone(),
            expires_at_ms,
            last_used: Mutex::new(Instant::now()),
        });
        by_key.insert(key, session.clone());
        Ok(session)
    }
}
