//! Who is asking: passwords, tokens, and whether anybody is asked at all.
//!
//! The doors find out who calls by these; what a user may do is decided where it is done. A password is
//! hashed with Argon2 once per login and remembered for some minutes as a keyed digest, because some
//! clients send it with every call.
//!
//! A flood of logins must not keep others out. What is known to be wrong is refused without the work of a hash;
//! for the rest sources and users take turns (`places.rs`). Only refusals are delayed (`throttle.rs`), and none
//! comes earlier than another, so that their time tells nothing.

mod known_rights;
mod passwords;
mod places;
mod throttle;

pub(crate) use known_rights::KnownRights;
pub use passwords::hash_password;

use crate::config::Authentication;
use crate::service::{Caller, IssuedToken};
use passwords::{Guess, Verified};
use places::{Places, Source, Turn};
use skep_catalog::CatalogSnapshot;
use skep_protocol::ClusterKey;
use skep_protocol::access_token::AccessToken;
use skep_protocol::ticket::unix_time_ms;
use skep_protocol::{ErrorCode, Purpose, QueryError};
use std::net::IpAddr;
use std::time::{Duration, Instant};
use throttle::Throttle;

/// The name of callers that give none, where nobody has to.
pub const ANONYMOUS: &str = "anonymous";

/// The user that is made when a server that asks for logins starts for the first time.
pub const FIRST_ADMIN: &str = "admin";

/// How many passwords are hashed at a time: each takes a core and 19 MiB.
const HASHED_AT_A_TIME_MAX: usize = 2;

/// How many bytes of a password's mark go into a token.
const MARK_BYTES: usize = 16;

/// Finds out who is asking.
pub(crate) struct Identity {
    authentication: Authentication,
    token_lifetime: Duration,
    key: ClusterKey,
    throttle: Throttle,
    verified: Verified,
    places: Places,
}

/// What somebody says who logs in.
#[derive(Clone, Copy)]
pub(crate) struct Login<'a> {
    /// The name, or nothing.
    pub(crate) user: &'a str,
    /// The password, or nothing.
    pub(crate) password: &'a str,
    /// Where the client calls from, where that is known.
    pub(crate) source: Option<IpAddr>,
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
            places: Places::new(HASHED_AT_A_TIME_MAX),
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
        login: Login<'_>,
    ) -> Result<Caller, QueryError> {
        let Login { user, password, .. } = login;
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
                true => Ok(self.holder_of_secret(name, secret)),
                false => Err(refused("this engine is for the program that started it")),
            };
        }
        let known = users.user(user).ok().cloned();
        let hash = known.as_deref().map(|known| known.password_hash.as_str());
        self.check_password(login, hash).await?;
        Ok(Caller {
            user: known
                .as_deref()
                .map_or(user, |known| &known.name)
                .to_owned(),
            password_fingerprint: self.mark(hash.unwrap_or_default()),
        })
    }

    async fn check_password(&self, login: Login<'_>, hash: Option<&str>) -> Result<(), QueryError> {
        let arrived = Instant::now();
        let source = Source::of(login.source);
        let refused_after = self.throttle.attempt(login.user, source, arrived);
        match hash {
            Some(hash) if self.is_right(login, source, hash).await? => {
                self.throttle.succeeded(login.user, source);
                Ok(())
            }
            _ => {
                let until = tokio::time::Instant::from_std(arrived + refused_after);
                tokio::time::sleep_until(until).await;
                Err(refused("wrong user name or password"))
            }
        }
    }

    /// Whether the password is the one of `hash`.
    async fn is_right(
        &self,
        login: Login<'_>,
        source: Source,
        hash: &str,
    ) -> Result<bool, QueryError> {
        let Login { user, password, .. } = login;
        let guess = || self.verified.guess(password, hash, Instant::now());
        let turn = match guess() {
            Guess::Right => return Ok(true),
            Guess::Wrong => return Ok(false),
            Guess::Likely => Turn::First,
            Guess::Unknown => Turn::OfSource(source, user.to_owned()),
        };
        let _place = self.places.take(turn).await?;
        match guess() {
            Guess::Right => return Ok(true),
            Guess::Wrong => return Ok(false),
            Guess::Likely | Guess::Unknown => {}
        }
        let is_right = passwords::verify(password.to_owned(), hash.to_owned()).await?;
        self.verified.add(password, hash, is_right, Instant::now());
        Ok(is_right)
    }

    /// A hash to keep of a new password.
    ///
    /// # Errors
    /// `InvalidArgument` where the password is none.
    pub(crate) async fn hash(&self, password: String) -> Result<String, QueryError> {
        let _place = self.places.take(Turn::First).await?;
        let hash = hash_password(password.clone()).await?;
        self.verified.expect(&password, &hash);
        Ok(hash)
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
            Authentication::Secret(secret) => {
                self.holder_of_secret(&caller.user, secret)
                    .password_fingerprint
            }
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
    /// is its only caller, callers are who they say, and there is nothing to check.
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

    fn holder_of_secret(&self, name: &str, secret: &str) -> Caller {
        Caller {
            user: name.to_owned(),
            password_fingerprint: self.mark(secret),
        }
    }

    /// Says nothing of the hash to whoever has not got the cluster's key.
    fn mark(&self, hash: &str) -> Vec<u8> {
        let mut mark = self.key.sign(Purpose::PasswordMark, &[hash.as_bytes()]);
        mark.truncate(MARK_BYTES);
        mark
    }

    /// Whether two texts are the same, in a time that does not tell how much of them is.
    fn is_same(&self, expected: &str, given: &str) -> bool {
        let signature = self.key.sign(Purpose::Comparison, &[expected.as_bytes()]);
        self.key
            .is_signed(Purpose::Comparison, &[given.as_bytes()], &signature)
    }
}

fn refused(text: &str) -> QueryError {
    QueryError::new(ErrorCode::Unauthenticated, text)
}

fn changed() -> QueryError {
    refused("log in again: the user or the password has changed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tokio::task::JoinSet;

    /// What one place floods with at a time, and how long a good login may take in it.
    const FLOODING: usize = 200;
    const PATIENCE: Duration = Duration::from_secs(2);

    fn identity() -> Identity {
        let lifetime = Duration::from_secs(3600);
        Identity::new(Authentication::Required, lifetime, ClusterKey::random())
    }

    fn login<'a>(user: &'a str, password: &'a str, last: u8) -> Login<'a> {
        Login {
            user,
            password,
            source: Some([10, 0, 0, last].into()),
        }
    }

    /// Of the passwords nothing is known but their hashes, as after a start.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_flood_from_one_address_waits_for_its_own_turns() {
        let identity = Arc::new(identity());
        let hash: Arc<str> = hash_password("geheim".into()).await.unwrap().into();
        let mut flood = JoinSet::new();
        for number in 0..FLOODING {
            let (identity, hash) = (Arc::clone(&identity), Arc::clone(&hash));
            flood.spawn(async move {
                let guess = format!("guess {number}");
                identity
                    .check_password(login("ada", &guess, 1), Some(&hash))
                    .await
            });
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        // The user whom the flood is for, from elsewhere, and another one from the same address.
        for (user, source) in [("ada", 2), ("bob", 1)] {
            let other = hash_password("geheim".into()).await.unwrap();
            let started = Instant::now();
            let good = identity.check_password(login(user, "geheim", source), Some(&other));
            assert_eq!(good.await, Ok(()));
            assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
        }
        let let_in = flood.join_all().await.into_iter().filter(Result::is_ok);
        assert_eq!(let_in.count(), 0);
    }

    #[tokio::test]
    async fn an_engines_secret_is_not_that_of_another() {
        let marks = ["a", "b"].map(|secret| {
            let identity = identity();
            (
                identity.holder_of_secret("x", secret).password_fingerprint,
                identity
                    .holder_of_secret("x", "secret")
                    .password_fingerprint,
            )
        });
        assert_ne!(marks[0].0, marks[0].1);
        assert_ne!(marks[1].0, marks[1].1);
    }
}
