//! Secrets that two nodes send each other: sealed with the cluster's key, so that nobody reads or alters
//! them on the way.
//!
//! ChaCha20-Poly1305 (RFC 8439) with a random nonce in front. What a message is for is authenticated with
//! it, so that one kind is never taken for another.

use crate::error::QueryError;
use crate::keys::ClusterKey;
use bytes::Bytes;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

/// What a `Login` is sealed for that an executor passes on.
pub const LOGIN: &[u8] = b"login";

/// What the token is sealed for that a login gives.
pub const TOKEN: &[u8] = b"token of a login";

/// What a `Reader` is sealed for about whom an executor asks.
pub const READER: &[u8] = b"reader of a result";

/// What the answer to that is sealed for.
pub const READER_MAY: &[u8] = b"reader of a result may read";

impl ClusterKey {
    /// Seals `plain` for `purpose`.
    ///
    /// # Errors
    /// `Internal`; messages that are short enough to send never fail.
    pub fn seal(&self, purpose: &[u8], plain: &[u8]) -> Result<Bytes, QueryError> {
        let failed = || QueryError::internal("a message could not be sealed");
        let nonce: [u8; NONCE_LEN] = rand::random();
        let mut sealed = plain.to_vec();
        self.sealing_key()
            .ok_or_else(failed)?
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(purpose),
                &mut sealed,
            )
            .map_err(|_| failed())?;
        sealed.splice(..0, nonce);
        Ok(sealed.into())
    }

    /// What was sealed for `purpose`; `None` where it was not, not with this key, or was altered.
    pub fn unseal(&self, purpose: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let mut plain = sealed.to_vec();
        let key = self.sealing_key()?;
        let opened = key.open_in_place(nonce, Aad::from(purpose), &mut plain);
        let length = opened.ok()?.len();
        plain.truncate(length);
        Some(plain)
    }

    fn sealing_key(&self) -> Option<LessSafeKey> {
        let key = UnboundKey::new(&CHACHA20_POLY1305, self.sealing_bytes()).ok()?;
        Some(LessSafeKey::new(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_is_read_by_the_cluster_alone_and_altered_by_no_bit() {
        let key = ClusterKey::random();
        let sealed = key.seal(b"a", b"correct horse").unwrap();
        assert_eq!(key.unseal(b"a", &sealed).unwrap(), b"correct horse");
        assert!(key.unseal(b"b", &sealed).is_none());
        assert!(ClusterKey::random().unseal(b"a", &sealed).is_none());
        assert!(!sealed.windows(5).any(|part| part == b"horse"));
        assert_ne!(sealed, key.seal(b"a", b"correct horse").unwrap());
        for bit in 0..sealed.len() * 8 {
            let mut altered = sealed.to_vec();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert!(key.unseal(b"a", &altered).is_none(), "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert!(key.unseal(b"a", &sealed[..length]).is_none());
        }
    }
}
