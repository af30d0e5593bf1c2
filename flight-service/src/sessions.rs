//! Who is calling: from a token, or from a connection, to a session of the engine.
//!
//! A session belongs to its token. A caller without a token gets one session per TCP connection and
//! user name, so that tools that never log in have settings of their own, too.

use crate::engine::{QueryService, SessionId};
use crate::errors::DoorError;
use crate::handle::Handle;
use crate::options::DoorOptions;
use crate::prepared::PreparedStatements;
use crate::results::Results;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The user name of callers that give none.
pub(crate) const ANONYMOUS: &str = "anonymous";

/// One session, with everything that the door keeps for it; it all goes when the session does.
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) prepared: PreparedStatements,
    pub(crate) results: Results,
    key: Key,
    last_used: Mutex<Instant>,
}

impl Session {
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
    Token(String),
    Connection { address: SocketAddr, user: String },
}

/// What a caller says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Credentials {
    /// A token from an earlier login.
    Token(String),
    /// A user's name and password.
    Password { user: String, password: String },
    /// Nothing.
    None,
}

/// All open sessions of the door.
pub(crate) struct Sessions {
    service: Arc<dyn QueryService>,
    sessions_max: usize,
    idle_max: Duration,
    by_key: Mutex<HashMap<Key, Arc<Session>>>,
}

impl Sessions {
    pub(crate) fn new(service: Arc<dyn QueryService>, options: &DoorOptions) -> Self {
        Self {
            service,
            sessions_max: options.sessions_max,
            idle_max: options.session_idle_max,
            by_key: Mutex::default(),
        }
    }

    /// Opens a session, or finds the one whose token was sent, and says its token.
    pub(crate) fn log_in(&self, credentials: Credentials) -> Result<String, DoorError> {
        let user = match credentials {
            Credentials::Token(token) => return self.by_token(&token).map(|_| token),
            // Tools that can send no token send it as the password.
            Credentials::Password { password, .. } if self.by_token(&password).is_ok() => {
                return Ok(password);
            }
            Credentials::Password { user, .. } if !user.is_empty() => user,
            Credentials::Password { .. } | Credentials::None => ANONYMOUS.to_owned(),
        };
        let token = Handle::random().to_hex();
        self.open(Key::Token(token.clone()), &user)?;
        Ok(token)
    }

    /// The session on whose behalf a call is made.
    pub(crate) fn resolve(
        &self,
        credentials: Credentials,
        address: Option<SocketAddr>,
    ) -> Result<Arc<Session>, DoorError> {
        let user = match credentials {
            Credentials::Token(token) => return self.by_token(&token),
            Credentials::Password { user, password } => {
                if let Ok(session) = self.by_token(&password) {
                    return Ok(session);
                }
                user
            }
            Credentials::None => ANONYMOUS.to_owned(),
        };
        let address = address.ok_or(DoorError::LoginNeeded)?;
        let key = Key::Connection {
            address,
            user: user.clone(),
        };
        match self.find(&key) {
            Some(session) => Ok(session),
            None => self.open(key, &user),
        }
    }

    /// Ends a session: its results are dropped, which cancels their queries.
    pub(crate) fn close(&self, session: &Session) {
        let removed = self.by_key.lock().remove(&session.key);
        self.service.close_session(&session.id);
        session.results.clear();
        drop(removed);
    }

    /// Closes the sessions that have been idle for too long, and ends the results that nobody
    /// fetched in time.
    pub(crate) fn sweep(&self, now: Instant) {
        let sessions: Vec<_> = self.by_key.lock().values().cloned().collect();
        for session in sessions {
            for expired in session.results.expire(now) {
                self.service
                    .cancel(&expired.query, "its result was not fetched in time");
            }
            // One reference is the table's, one is ours; any other is a call or a stream.
            if Arc::strong_count(&session) <= 2 && session.is_idle(now, self.idle_max) {
                self.close(&session);
            }
        }
    }

    fn by_token(&self, token: &str) -> Result<Arc<Session>, DoorError> {
        self.find(&Key::Token(token.to_owned()))
            .ok_or(DoorError::UnknownSession)
    }

    fn find(&self, key: &Key) -> Option<Arc<Session>> {
        let session = self.by_key.lock().get(key).cloned()?;
        if self.service.has_session(&session.id) {
            session.touch();
            return Some(session);
        }
        self.by_key.lock().remove(key);
        session.results.clear();
        None
    }

    /// Two first calls on one connection may race to here; they get the same session.
    fn open(&self, key: Key, user: &str) -> Result<Arc<Session>, DoorError> {
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
            id: self.service.open_session(user)?,
            prepared: PreparedStatements::default(),
            results: Results::default(),
            key: key.clone(),
            last_used: Mutex::new(Instant::now()),
        });
        by_key.insert(key, session.clone());
        Ok(session)
    }
}
