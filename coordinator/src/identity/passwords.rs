//! Passwords: how they are kept, compared, and remembered for a while.

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use parking_lot::Mutex;
use skep_protocol::ticket::ClusterKey;
use skep_protocol::{ErrorCode, QueryError};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Argon2id with 19 MiB, two passes and one lane: the first of the settings that OWASP's "Password
/// Storage Cheat Sheet" recommends.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// The longest password that is hashed, in bytes.
const PASSWORD_BYTES_MAX: usize = 1024;

/// How long a password that was right need not be hashed again.
const REMEMBERED: Duration = Duration::from_secs(10 * 60);

/// How many right passwords are remembered.
const REMEMBERED_MAX: usize = 10_000;

fn argon2() -> Result<Argon2<'static>, QueryError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None)
        .map_err(|error| QueryError::internal(format!("cannot hash passwords: {error}")))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// A hash of `password` with a salt of its own, as text that also says how it was made.
///
/// # Errors
/// `InvalidArgument` where the password is empty or too long.
pub async fn hash_password(password: String) -> Result<String, QueryError> {
    if password.is_empty() || password.len() > PASSWORD_BYTES_MAX {
        let text = format!("a password has 1 to {PASSWORD_BYTES_MAX} bytes");
        return Err(QueryError::new(ErrorCode::InvalidArgument, text));
    }
    on_thread(move || hash(&password)).await
}

fn hash(password: &str) -> Result<String, QueryError> {
    let internal = |error| QueryError::internal(format!("cannot hash a password: {error}"));
    let random: [u8; 16] = rand::random();
    let salt = SaltString::encode_b64(&random).map_err(internal)?;
    let hash = argon2()?.hash_password(password.as_bytes(), &salt);
    Ok(hash.map_err(internal)?.to_string())
}

/// Whether `password` is the one of `hash`. Where there is no hash, it takes as long to say no.
pub(super) async fn verify(password: String, hash: Option<String>) -> Result<bool, QueryError> {
    if password.len() > PASSWORD_BYTES_MAX {
        return Ok(false);
    }
    on_thread(move || match hash {
        None => self::hash(&password).map(|_| false),
        Some(hash) => {
            let parsed = PasswordHash::new(&hash).map_err(|error| {
                QueryError::internal(format!("a user's password hash is damaged: {error}"))
            })?;
            let verified = argon2()?.verify_password(password.as_bytes(), &parsed);
            Ok(verified.is_ok())
        }
    })
    .await
}

async fn on_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, QueryError> + Send + 'static,
) -> Result<T, QueryError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(QueryError::internal(format!(
            "hashing a password failed: {error}"
        ))),
    }
}

/// The passwords that were right a short while ago, as digests that are of no use elsewhere.
pub(super) struct Verified {
    key: ClusterKey,
    until: Mutex<HashMap<Vec<u8>, Instant>>,
}

impl Default for Verified {
    fn default() -> Self {
        Self {
            key: ClusterKey::random(),
            until: Mutex::default(),
        }
    }
}

impl Verified {
    /// Whether this password was right for this hash of this user.
    pub(super) fn contains(&self, user: &str, password: &str, hash: &str, now: Instant) -> bool {
        let digest = self.digest(user, password, hash);
        self.until
            .lock()
            .get(&digest)
            .is_some_and(|until| *until > now)
    }

    /// Remembers one.
    pub(super) fn add(&self, user: &str, password: &str, hash: &str, now: Instant) {
        let digest = self.digest(user, password, hash);
        let mut until = self.until.lock();
        if until.len() >= REMEMBERED_MAX {
            until.retain(|_, until| *until > now);
        }
        if until.len() < REMEMBERED_MAX {
            until.insert(digest, now + REMEMBERED);
        }
    }

    fn digest(&self, user: &str, password: &str, hash: &str) -> Vec<u8> {
        let purpose = format!("{}:{user}{hash}", user.len());
        self.key.sign(purpose.as_bytes(), password.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hash_knows_its_password_and_no_other() {
        let hash = hash_password("geheim".into()).await.unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        assert!(verify("geheim".into(), Some(hash.clone())).await.unwrap());
        assert!(!verify("Geheim".into(), Some(hash.clone())).await.unwrap());
        assert!(!verify("geheim".into(), None).await.unwrap());
        assert_ne!(hash, hash_password("geheim".into()).await.unwrap());
        let long = "x".repeat(PASSWORD_BYTES_MAX + 1);
        assert!(!verify(long.clone(), Some(hash)).await.unwrap());
        for refused in [String::new(), long] {
            let error = hash_password(refused).await.unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidArgument);
        }
    }

    #[test]
    fn what_was_right_is_remembered_for_a_while_and_for_one_hash() {
        let verified = Verified::default();
        let now = Instant::now();
        verified.add("ada", "geheim", "h1", now);
        assert!(verified.contains("ada", "geheim", "h1", now));
        assert!(!verified.contains("ada", "geheim", "h2", now));
        assert!(!verified.contains("ada", "other", "h1", now));
        assert!(!verified.contains("bob", "geheim", "h1", now));
        assert!(!verified.contains("ada", "geheim", "h1", now + REMEMBERED));
    }
}
