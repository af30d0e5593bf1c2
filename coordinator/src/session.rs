//! Sessions: on whose behalf statements run, in which database and with which settings.

mod temporary;

pub use skep_planner::session::{
    FlightOptions, PlanningSession, SessionCatalog, SessionCatalogVersion, SettingEntry, Settings,
    SkepOptions, name_of,
};
pub use temporary::Temporary;

use crate::config::QueryLimits;
use parking_lot::Mutex;
use skep_catalog::EnabledRoles;
use skep_protocol::{ErrorCode, QueryError};
use std::collections::HashMap;
use std::fmt;
use std::time::Instant;
use uuid::Uuid;

/// The database of a session that has not chosen another.
pub const DEFAULT_DATABASE: &str = "default";

/// A session's secret name: it is the session's credential.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SessionId(pub String);

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(…)")
    }
}

/// A session as a statement sees it.
#[derive(Clone, Debug)]
pub struct Session {
    /// Its secret name.
    pub id: SessionId,
    /// Whose it is.
    pub user: String,
    /// Where names without a database are looked up.
    pub database: String,
    /// What its user has set.
    pub settings: Settings,
    /// Its temporary tables and views.
    pub temporary: Temporary,
    /// Which of its user's roles count.
    pub roles: EnabledRoles,
}

impl Session {
    /// What planning knows of it.
    pub fn for_planning(&self) -> PlanningSession {
        PlanningSession {
            user: self.user.clone(),
            database: self.database.clone(),
            settings: self.settings.clone(),
        }
    }
}

#[derive(Debug)]
struct OpenSession {
    session: Session,
    used_at: Instant,
}

/// The open sessions of one coordinator.
#[derive(Debug)]
pub struct Sessions {
    limits: QueryLimits,
    open: Mutex<HashMap<SessionId, OpenSession>>,
}

impl Sessions {
    /// None yet.
    pub fn new(limits: QueryLimits) -> Self {
        Self {
            limits,
            open: Mutex::new(HashMap::new()),
        }
    }

    /// Opens a session for `user`.
    ///
    /// # Errors
    /// `QueueFull` where too many are open and none has been idle for long enough to be closed.
    pub fn open(&self, user: &str, now: Instant) -> Result<SessionId, QueryError> {
        let mut open = self.open.lock();
        if open.len() >= self.limits.sessions_max {
            let timeout = self.limits.session_idle_timeout;
            open.retain(|_, known| now.saturating_duration_since(known.used_at) < timeout);
        }
        if open.len() >= self.limits.sessions_max {
            let text = format!(
                "{} sessions are open, which is the most that may be",
                open.len()
            );
            return Err(QueryError::new(ErrorCode::QueueFull, text));
        }
        let id = SessionId(Uuid::new_v4().simple().to_string());
        let session = Session {
            id: id.clone(),
            user: user.to_owned(),
            database: DEFAULT_DATABASE.to_owned(),
            settings: Settings::default(),
            temporary: Temporary::default(),
            roles: EnabledRoles::default(),
        };
        open.insert(
            id.clone(),
            OpenSession {
                session,
                used_at: now,
            },
        );
        Ok(id)
    }

    /// The session as it is now. Asking counts as a use.
    ///
    /// # Errors
    /// `Unauthenticated` where it was closed, has expired, or never was.
    pub fn get(&self, id: &SessionId, now: Instant) -> Result<Session, QueryError> {
        let mut open = self.open.lock();
        let timeout = self.limits.session_idle_timeout;
        match open.get_mut(id) {
            Some(known) if now.saturating_duration_since(known.used_at) < timeout => {
                known.used_at = now;
                Ok(known.session.clone())
            }
            Some(_) => {
                open.remove(id);
                Err(expired())
            }
            None => Err(expired()),
        }
    }

    /// Changes a session; later statements see it.
    ///
    /// # Errors
    /// `Unauthenticated` where it is not open, or those of `change`.
    pub fn update<T>(
        &self,
        id: &SessionId,
        change: impl FnOnce(&mut Session) -> Result<T, QueryError>,
    ) -> Result<T, QueryError> {
        let mut open = self.open.lock();
        let known = open.get_mut(id).ok_or_else(expired)?;
        change(&mut known.session)
    }

    /// Closes the sessions that nobody has used for too long. One that `is_busy` is in use.
    pub fn close_idle(&self, now: Instant, is_busy: impl Fn(&SessionId) -> bool) {
        let timeout = self.limits.session_idle_timeout;
        self.open.lock().retain(|id, known| {
            if is_busy(id) {
                known.used_at = now;
            }
            now.saturating_duration_since(known.used_at) < timeout
        });
    }

    /// Closes every session of a user; says which there were.
    pub fn close_all_of(&self, user: &str) -> Vec<SessionId> {
        let mut open = self.open.lock();
        let closed = open.extract_if(|_, known| known.session.user == user);
        closed.map(|(id, _)| id).collect()
    }

    /// Closes a session; false where it was not open.
    pub fn close(&self, id: &SessionId) -> bool {
        self.open.lock().remove(id).is_some()
    }
}

fn expired() -> QueryError {
    QueryError::new(
        ErrorCode::Unauthenticated,
        "the session was closed or has expired: connect again",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn sessions() -> Sessions {
        Sessions::new(QueryLimits {
            sessions_max: 2,
            session_idle_timeout: Duration::from_secs(60),
            ..QueryLimits::default()
        })
    }

    #[test]
    fn sessions_are_apart() {
        let sessions = sessions();
        let now = Instant::now();
        let first = sessions.open("a", now).unwrap();
        let second = sessions.open("b", now).unwrap();
        sessions
            .update(&first, |session| {
                session.database = "sales".into();
                Ok(())
            })
            .unwrap();
        assert_eq!(sessions.get(&first, now).unwrap().database, "sales");
        assert_eq!(
            sessions.get(&second, now).unwrap().database,
            DEFAULT_DATABASE
        );
    }

    #[test]
    fn an_idle_session_expires() {
        let sessions = sessions();
        let now = Instant::now();
        let id = sessions.open("a", now).unwrap();
        let later = now + Duration::from_secs(61);
        assert_eq!(
            sessions.get(&id, later).unwrap_err().code,
            ErrorCode::Unauthenticated
        );
        assert!(!sessions.close(&id));
    }

    #[test]
    fn a_session_whose_query_runs_is_not_idle() {
        let sessions = sessions();
        let now = Instant::now();
        let busy = sessions.open("a", now).unwrap();
        let idle = sessions.open("b", now).unwrap();
        let later = now + Duration::from_secs(61);
        sessions.close_idle(later, |id| *id == busy);
        assert!(!sessions.close(&idle));
        assert!(sessions.get(&busy, later + Duration::from_secs(59)).is_ok());
    }

    #[test]
    fn the_number_is_bounded_but_idle_ones_give_way() {
        let sessions = sessions();
        let now = Instant::now();
        sessions.open("a", now).unwrap();
        sessions.open("b", now).unwrap();
        assert_eq!(
            sessions.open("c", now).unwrap_err().code,
            ErrorCode::QueueFull
        );
        assert!(sessions.open("c", now + Duration::from_secs(61)).is_ok());
    }
}
