//! Who is asking: passwords, tokens, and whether anybody is asked at all.
//!
//! The doors find out who calls by these; what a user may do is decided where it is done. A password is
//! hashed with Argon2 once per login and remembered for some minutes as a keyed digest, because some
//! clients send it with every call.

mod known_rights;
mod passwords;
mod throttle;

pub(crate) use known_rights::KnownRights;
pub use passwords::hash_password;

use crate::config::Authentication;
use crate::service::{Caller, IssuedToken};
use passwords::Verified;
use skep_catalog::CatalogSnapshot;
use skep_protocol::access_token::AccessToken;
use skep_protocol::ticket::{ClusterKey, unix_time_ms};
use skep_protocol::{ErrorCode, QueryError};
use std::time::{Duration, Instant};
use throttle::Throttle;
use tokio::sync::Semaphore;

/// The name of callers that give none, where nobody has to.
pub const ANONYMOUS: &str = "anonymous";

/// The user that is made when a server that asks for logins starts for the first time.
pub const FIRST_ADMIN: &str = "admin";

/// How many passwords are hashed at a time: each takes a core and 19 MiB.
const HASHED_AT_A_TIME_MAX: usize = 2;

/// How often a login that is slowed down looks whether the same password was right meanwhile.
const DELAY_STEP: Duration = Duration::from_millis(50);

/// How many bytes of a password's mark go into a token.
const MARK_BYTES: usize = 16;

/// Finds out who is asking.
pub(crate) struct Identity {
    authentication: Authentication,
    token_lifetime: Duration,
    key: ClusterKey,
    throttle: Throttle,
    verified: Verified,
    hashing: Semaphore,
}

impl Identity {
    pub(crate) fn new(
        authentication: Authentication,
        token_lifetime: Duration,
        key: ClusterKey,
    ) -> Self {
        Self {
            authentication,
            token_lifetime,
            key,
            throttle: Throttle::default(),
            verified: Verified::default(),
            hashing: Semaphore::new(HASHED_AT_A_TIME_MAX),
        }
    }

    /// Whether a caller has to log in.
    pub(crate) fn is_login_required(&self, users: &CatalogSnapshot) -> bool {
        match self.authentication {
            Authentication::Never => false,
            Authentication::Required | Authentication::Secret(_) => true,
            Authentication::OnceThereAreUsers => users.users().next().is_some(),
        }
    }

    /// Who somebody is that gives a name and a password, or neither.
    ///
    /// # Errors
    /// `Unauthenticated`: the same, and after the same time, whether the name or the password is wrong.
    pub(crate) async fn log_in(
        &self,
        users: &CatalogSnapshot,
        user: &str,
        password: &str,
    ) -> Result<Caller, QueryError> {
        let name = if user.is_empty() { ANONYMOUS } else { user };
        if !self.is_login_required(users) {
            return Ok(Caller {
                user: name.to_owned(),
                password_fingerprint: vec![],
            });
        }
        if user.is_empty() && password.is_empty() {
            return Err(refused("log in with a user's name and password"));
        }
        if let Authentication::Secret(secret) = &self.authentication {
            return match self.is_same(secret, password) {
                true => Ok(self.holder_of_secret(name)),
                false => Err(refused("this engine is for the program that started it")),
            };
        }
        let known = users.user(user).ok().cloned();
        let hash = known.as_deref().map(|known| known.password_hash.as_str());
        self.check_password(user, password, hash).await?;
        Ok(Caller {
            user: known
                .as_deref()
                .map_or(user, |known| &known.name)
                .to_owned(),
            password_fingerprint: self.mark(hash.unwrap_or_default()),
        })
    }

    async fn check_password(
        &self,
        user: &str,
        password: &str,
        hash: Option<&str>,
    ) -> Result<(), QueryError> {
        let is_known = || {
            hash.is_some_and(|hash| self.verified.contains(user, password, hash, Instant::now()))
        };
        if is_known() {
            return Ok(());
        }
        let start = Instant::now();
        let delay = self.throttle.attempt(user, start);
        // A tool that opens many connections at a time is only right once, and does not wait then.
        while start.elapsed() < delay && !is_known() {
            tokio::time::sleep(delay.min(DELAY_STEP)).await;
        }
        let _place = self.hashing.acquire().await;
        if is_known() {
            return Ok(());
        }
        let is_right = passwords::verify(password.to_owned(), hash.map(str::to_owned)).await?;
        match (is_right, hash) {
            (true, Some(hash)) => {
                self.throttle.succeeded(user);
                self.verified.add(user, password, hash, Instant::now());
                Ok(())
            }
            _ => Err(refused("wrong user name or password")),
        }
    }

    /// A hash to keep of a new password.
    ///
    /// # Errors
    /// `InvalidArgument` where the password is none.
    pub(crate) async fn hash(&self, password: String) -> Result<String, QueryError> {
        let _place = self.hashing.acquire().await;
        hash_password(password).await
    }

    /// Whether somebody who logged in earlier may go on.
    ///
    /// # Errors
    /// `Unauthenticated` where the user is gone, has another password, or has to log in by now.
    pub(crate) fn check(&self, users: &CatalogSnapshot, caller: &Caller) -> Result<(), QueryError> {
        if !self.is_login_required(users) {
            return Ok(());
        }
        let expected = match &self.authentication {
            Authentication::Secret(_) => self.holder_of_secret(&caller.user).password_fingerprint,
            _ => match users.user(&caller.user) {
                Ok(user) => self.mark(&user.password_hash),
                Err(_) => return Err(changed()),
            },
        };
        match expected == caller.password_fingerprint {
            true => Ok(()),
            false => Err(changed()),
        }
    }

    /// Whether callers are users of the catalog. Where nobody has to log in, and where the program around the engine
    /// is its only caller, they are whoever they say, and there is nothing to check.
    pub(crate) fn are_callers_known(&self, users: &CatalogSnapshot) -> bool {
        match self.authentication {
            Authentication::Secret(_) => false,
            _ => self.is_login_required(users),
        }
    }

    /// A token for a new session of `caller`.
    pub(crate) fn issue_token(&self, caller: &Caller) -> IssuedToken {
        let session: [u8; 16] = rand::random();
        let lifetime_ms = u64::try_from(self.token_lifetime.as_millis()).unwrap_or(u64::MAX);
        let token = AccessToken {
            user: caller.user.clone(),
            password_fingerprint: caller.password_fingerprint.clone(),
            session: session.to_vec(),
            expires_at_ms: unix_time_ms().saturating_add(lifetime_ms),
        };
        IssuedToken {
            text: token.sign(&self.key),
            caller: caller.clone(),
            session: token.session,
            expires_at_ms: token.expires_at_ms,
        }
    }

    /// What a token says that a caller shows.
    ///
    /// # Errors
    /// `Unauthenticated` where it is not of this cluster, has expired, or its user may not go on.
    pub(crate) fn read_token(
        &self,
        users: &CatalogSnapshot,
        text: &str,
    ) -> Result<IssuedToken, QueryError> {
        let token = AccessToken::verify(text, &self.key, unix_time_ms())?;
        let caller = Caller {
            user: token.user,
            password_fingerprint: token.password_fingerprint,
        };
        self.check(users, &caller)?;
        Ok(IssuedToken {
            text: text.to_owned(),
            caller,
            session: token.session,
            expires_at_ms: token.expires_at_ms,
        })
    }

    fn holder_of_secret(&self, name: &str) -> Caller {
        Caller {
            user: name.to_owned(),
            password_fingerprint: self.mark("secret"),
        }
    }

    /// Says nothing of the hash to whoever has not got the cluster's key.
    fn mark(&self, hash: &str) -> Vec<u8> {
        let mut mark = self.key.sign(b"password mark v1", hash.as_bytes());
        mark.truncate(MARK_BYTES);
        mark
    }

    /// Whether two texts are the same, in a time that does not tell how much of them is.
    fn is_same(&self, expected: &str, given: &str) -> bool {
        let signature = self.key.sign(b"comparison", expected.as_bytes());
        self.key
            .is_signed(b"comparison", given.as_bytes(), &signature)
    }
}

fn refused(text: &str) -> QueryError {
    QueryError::new(ErrorCode::Unauthenticated, text)
}

fn changed() -> QueryError {
    refused("log in again: the user or the password has changed")
}
