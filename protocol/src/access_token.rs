//! What a client that has logged in shows with every call. Every node of a cluster has the key that
//! signs it, so a token is good at every node, without one asking another.

use crate::error::{ErrorCode, QueryError};
use crate::keys::{ClusterKey, Purpose};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use prost::Message;

/// The longest token that is looked at, in bytes. A user's name is the only part without a fixed size.
const TOKEN_BYTES_MAX: usize = 4 * 1024;

/// What a token says.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct AccessToken {
    /// Who logged in.
    #[prost(string, tag = "1")]
    pub user: String,
    /// A mark of the password that was given. Another password gives another mark, so that a token
    /// does not outlive the password. Empty where none was asked for.
    #[prost(bytes = "vec", tag = "2")]
    pub password_fingerprint: Vec<u8>,
    /// The session that the token is for, by random bytes.
    #[prost(bytes = "vec", tag = "3")]
    pub session: Vec<u8>,
    /// Until when it holds, in Unix milliseconds.
    #[prost(uint64, tag = "4")]
    pub expires_at_ms: u64,
}

impl AccessToken {
    /// The token as text that may stand in a header.
    pub fn sign(&self, key: &ClusterKey) -> String {
        let payload = self.encode_to_vec();
        let signature = key.sign(Purpose::AccessToken, &[&payload]);
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        format!("{}.{}", encode(&payload), encode(&signature))
    }

    /// Reads the token in `text` at the time `now_ms` (Unix milliseconds).
    ///
    /// # Errors
    /// `Unauthenticated` where it was not signed with this key or has expired.
    pub fn verify(text: &str, key: &ClusterKey, now_ms: u64) -> Result<Self, QueryError> {
        let invalid = || refused("the token is not one of this cluster: log in again");
        let token = Self::signed_parts(text)
            .filter(|(payload, signature)| {
                key.is_signed(Purpose::AccessToken, &[payload], signature)
            })
            .and_then(|(payload, _)| Self::decode(payload.as_slice()).ok())
            .ok_or_else(invalid)?;
        match token.expires_at_ms < now_ms {
            true => Err(refused("the token has expired: log in again")),
            false => Ok(token),
        }
    }

    fn signed_parts(text: &str) -> Option<(Vec<u8>, Vec<u8>)> {
        if text.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let (payload, signature) = text.split_once('.')?;
        let decode = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).ok();
        Some((decode(payload)?, decode(signature)?))
    }
}

fn refused(text: &str) -> QueryError {
    QueryError::new(ErrorCode::Unauthenticated, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> AccessToken {
        AccessToken {
            user: "ada".into(),
            password_fingerprint: vec![1, 2, 3],
            session: vec![7; 16],
            expires_at_ms: 1_000,
        }
    }

    #[test]
    fn a_token_holds_at_every_node_with_the_key_until_it_expires() {
        let text = token().sign(&ClusterKey::from_secret("a"));
        let other_node = ClusterKey::from_secret("a");
        assert_eq!(AccessToken::verify(&text, &other_node, 1_000), Ok(token()));
        let late = AccessToken::verify(&text, &other_node, 1_001).unwrap_err();
        assert_eq!(late.code, ErrorCode::Unauthenticated);
        assert!(late.message.contains("expired"));
        let foreign = ClusterKey::from_secret("b");
        assert!(AccessToken::verify(&text, &foreign, 0).is_err());
    }

    #[test]
    fn a_token_altered_by_any_bit_is_refused() {
        let key = ClusterKey::random();
        let text = token().sign(&key);
        for bit in 0..text.len() * 8 {
            let mut altered = text.clone().into_bytes();
            altered[bit / 8] ^= 1 << (bit % 8);
            let Ok(altered) = String::from_utf8(altered) else {
                continue;
            };
            assert!(AccessToken::verify(&altered, &key, 0).is_err(), "bit {bit}");
        }
        for nonsense in ["", ".", "a.b", "…", &"x".repeat(TOKEN_BYTES_MAX + 1)] {
            assert!(AccessToken::verify(nonsense, &key, 0).is_err());
        }
    }

    #[test]
    fn a_ticket_is_no_token() {
        let key = ClusterKey::random();
        let payload = token().encode_to_vec();
        let signature = key.sign(Purpose::DirectResult, &[&payload]);
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let text = format!("{}.{}", encode(&payload), encode(&signature));
        assert!(AccessToken::verify(&text, &key, 0).is_err());
    }
}
