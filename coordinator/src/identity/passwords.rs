//! Passwords: how they are kept, compared, and remembered for a while.

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use parking_lot::Mutex;
use skep_protocol::ClusterKey;
use skep_protocol::{ErrorCode, Purpose, QueryError};
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

/// How many passwords are remembered.
const REMEMBERED_MAX: usize = 10_000;

/// How many bytes of a digest tell a wrong password from the right one.
const TAG_BYTES: usize = 2;

/// Of how many hashes that is remembered.
const TAGS_MAX: usize = 10_000;

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

/// Whether `password` is the one of `hash`.
pub(super) async fn verify(password: String, hash: String) -> Result<bool, QueryError> {
    if password.len() > PASSWORD_BYTES_MAX {
        return Ok(false);
    }
    on_thread(move || {
        let parsed = PasswordHash::new(&hash).map_err(|error| {
            QueryError::internal(format!("a user's password hash is damaged: {error}"))
        })?;
        let verified = argon2()?.verify_password(password.as_bytes(), &parsed);
        Ok(verified.is_ok())
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

/// What is known of a password without hashing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guess {
    /// It was right a short while ago.
    Right,
    /// It is not the right one.
    Wrong,
    /// It is the right one, or one of few others.
    Likely,
    /// Nothing.
    Unknown,
}

/// What logins have shown of passwords, as digests that are of no use elsewhere.
pub(super) struct Verified {
    key: ClusterKey,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// Passwords that were right or wrong a short while ago.
    until: HashMap<Vec<u8>, (bool, Instant)>,
    /// By hash, sixteen bits of its password's digest: enough to tell nearly all others from it, and too little
    /// to guess it by.
    tags: HashMap<String, [u8; TAG_BYTES]>,
}

impl Default for Verified {
    fn default() -> Self {
        Self {
            key: ClusterKey::random(),
            known: Mutex::default(),
        }
    }
}

impl Verified {
    /// What is known of this password for this hash.
    pub(super) fn guess(&self, password: &str, hash: &str, now: Instant) -> Guess {
        let digest = self.digest(password, hash);
        let known = self.known.lock();
        match known.until.get(&digest) {
            Some((true, until)) if now < *until => return Guess::Right,
            Some((false, until)) if now < *until => return Guess::Wrong,
            _ => {}
        }
        match known.tags.get(hash) {
            None => Guess::Unknown,
            Some(tag) if digest.starts_with(tag) => Guess::Likely,
            Some(_) => Guess::Wrong,
        }
    }

    /// Remembers whether a password was right.
    pub(super) fn add(&self, password: &str, hash: &str, is_right: bool, now: Instant) {
        if is_right {
            self.expect(password, hash);
        }
        let digest = self.digest(password, hash);
        let until = &mut self.known.lock().until;
        if until.len() >= REMEMBERED_MAX {
            // What is wrong can be made up without end, and must not take the place of what is right.
            until.retain(|_, (was_right, until)| *was_right && now < *until);
        }
        if until.len() < REMEMBERED_MAX {
            until.insert(digest, (is_right, now + REMEMBERED));
        }
    }

    /// Remembers what tells a hash's password from others, for as long as this process runs.
    pub(super) fn expect(&self, password: &str, hash: &str) {
        let digest = self.digest(password, hash);
        let tags = &mut self.known.lock().tags;
        if tags.len() >= TAGS_MAX {
            tags.clear();
        }
        if let Some(tag) = digest.first_chunk() {
            tags.insert(hash.to_owned(), *tag);
        }
    }

    fn digest(&self, password: &str, hash: &str) -> Vec<u8> {
        let parts = [hash.as_bytes(), password.as_bytes()];
        self.key.sign(Purpose::Comparison, &parts)
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
        assert!(verify("geheim".into(), hash.clone()).await.unwrap());
        assert!(!verify("Geheim".into(), hash.clone()).await.unwrap());
        assert_ne!(hash, hash_password("geheim".into()).await.unwrap());
        let long = "x".repeat(PASSWORD_BYTES_MAX + 1);
        assert!(!verify(long.clone(), hash).await.unwrap());
        for refused in [String::new(), long] {
            let error = hash_password(refused).await.unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidArgument);
        }
    }

    #[test]
    fn what_was_right_is_remembered_for_a_while_and_for_one_hash() {
        let verified = Verified::default();
        let now = Instant::now();
        assert_eq!(verified.guess("geheim", "h1", now), Guess::Unknown);
        verified.add("geheim", "h1", true, now);
        assert_eq!(verified.guess("geheim", "h1", now), Guess::Right);
        assert_eq!(verified.guess("geheim", "h2", now), Guess::Unknown);
        let later = now + REMEMBERED;
        assert_eq!(verified.guess("geheim", "h1", later), Guess::Likely);
    }

    #[test]
    fn what_is_wrong_is_known_once_the_right_one_is() {
        let verified = Verified::default();
        let now = Instant::now();
        verified.add("nichts", "h1", false, now);
        assert_eq!(verified.guess("nichts", "h1", now), Guess::Wrong);
        assert_eq!(
            verified.guess("nichts", "h1", now + REMEMBERED),
            Guess::Unknown
        );
        verified.expect("geheim", "h1");
        assert_eq!(verified.guess("geheim", "h1", now), Guess::Likely);
        let wrong = (0..1_000)
            .filter(|number| verified.guess(&number.to_string(), "h1", now) == Guess::Wrong);
        assert!(wrong.count() >= 995);
    }

    #[test]
    fn guesses_without_end_take_no_more_memory_and_no_place_of_what_is_right() {
        let verified = Verified::default();
        let now = Instant::now();
        verified.add("geheim", "h1", true, now);
        for number in 0..REMEMBERED_MAX + 100 {
            verified.add(&number.to_string(), "h1", false, now);
        }
        assert!(verified.known.lock().until.len() <= REMEMBERED_MAX);
        assert_eq!(verified.guess("geheim", "h1", now), Guess::Right);
        for number in 0..TAGS_MAX + 100 {
            verified.expect("geheim", &number.to_string());
        }
        assert!(verified.known.lock().tags.len() <= TAGS_MAX);
    }
}
