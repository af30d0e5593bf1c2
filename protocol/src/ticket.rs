//! Signed, expiring tickets: who may read which partition of which task.
//!
//! Every node of a cluster has the same [`ClusterKey`], so that every node can make a ticket and the
//! node that serves the partition can verify it. The signature is HMAC-SHA256 (RFC 2104, FIPS 198-1).

use crate::error::{ErrorCode, QueryError};
use crate::ids::QueryId;
use crate::proto::{DirectTicket, ExchangeTicket, RowsTicket, SignedTicket, StartTask};
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use prost::Message;
use sha2::Sha256;
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

const KEY_BYTES: usize = 32;

/// What tells the signature of a [`RowsTicket`] from others.
const ROWS_PURPOSE: &[u8] = b"rows of a query";

/// What tells the signature of a [`DirectTicket`] from others.
const DIRECT_PURPOSE: &[u8] = b"direct result";

/// How far the clocks of two nodes may differ when an executor registers, in milliseconds.
pub const REGISTRATION_SKEW_MS: u64 = 5 * 60 * 1000;

/// The key with which the nodes of one cluster sign what they send each other.
#[derive(Clone, PartialEq, Eq)]
pub struct ClusterKey([u8; KEY_BYTES]);

impl fmt::Debug for ClusterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterKey(…)")
    }
}

impl ClusterKey {
    /// A fresh random key, for a cluster without a configured secret.
    pub fn random() -> Self {
        let mut key = [0; KEY_BYTES];
        rand::RngCore::fill_bytes(&mut rand::rng(), &mut key);
        Self(key)
    }

    /// The key that follows from a configured secret; no node has to send it to another.
    pub fn from_secret(secret: &str) -> Self {
        let mut key = [0; KEY_BYTES];
        key.copy_from_slice(&authenticate(secret.as_bytes(), &[b"skep cluster key v1"]));
        Self(key)
    }

    /// The key as it is sent to an executor that registers where no secret is configured.
    pub fn to_bytes(&self) -> Bytes {
        Bytes::copy_from_slice(&self.0)
    }

    /// The key that was sent as `bytes`; `None` where they are not a key.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Signs `ticket`; the result is the opaque content of a Flight ticket.
    pub fn sign_ticket(&self, ticket: &ExchangeTicket) -> Bytes {
        let payload = Bytes::from(ticket.encode_to_vec());
        let signature = Bytes::from(authenticate(&self.0, &[b"ticket", &payload]));
        SignedTicket { payload, signature }.encode_to_vec().into()
    }

    /// Verifies a Flight ticket at the time `now_ms` (Unix milliseconds).
    ///
    /// # Errors
    /// `PermissionDenied` where it was not signed with this key, `HandleNotFound` where it expired.
    pub fn verify_ticket(&self, bytes: &[u8], now_ms: u64) -> Result<ExchangeTicket, QueryError> {
        let forged = || QueryError::new(ErrorCode::PermissionDenied, "invalid exchange ticket");
        let signed = SignedTicket::decode(bytes).map_err(|_| forged())?;
        if !self.verify(&[b"ticket", &signed.payload], &signed.signature) {
            return Err(forged());
        }
        let ticket = ExchangeTicket::decode(signed.payload).map_err(|_| forged())?;
        if ticket.expires_at_ms < now_ms {
            return Err(QueryError::new(
                ErrorCode::HandleNotFound,
                "the exchange ticket has expired",
            ));
        }
        Ok(ticket)
    }

    /// The authorization of a task to start.
    pub fn authorize_task(&self, start: &StartTask) -> Bytes {
        let id = start.task.clone().unwrap_or_default().encode_to_vec();
        authenticate(&self.0, &[b"task", &id, &start.plan]).into()
    }

    /// Whether `start` comes from a node that has this key.
    pub fn is_authorized_task(&self, start: &StartTask) -> bool {
        let id = start.task.clone().unwrap_or_default().encode_to_vec();
        self.verify(&[b"task", &id, &start.plan], &start.authorization)
    }

    /// The proof with which an executor registers.
    pub fn prove_registration(&self, executor_id: &str, address: &str, issued_at_ms: u64) -> Bytes {
        authenticate(
            &self.0,
            &[
                b"register",
                executor_id.as_bytes(),
                address.as_bytes(),
                &issued_at_ms.to_be_bytes(),
            ],
        )
        .into()
    }

    /// Whether a registration was proved with this key, not long before or after `now_ms`.
    pub fn is_proved_registration(
        &self,
        executor_id: &str,
        address: &str,
        issued_at_ms: u64,
        proof: &[u8],
        now_ms: u64,
    ) -> bool {
        issued_at_ms.abs_diff(now_ms) <= REGISTRATION_SKEW_MS
            && self.verify(
                &[
                    b"register",
                    executor_id.as_bytes(),
                    address.as_bytes(),
                    &issued_at_ms.to_be_bytes(),
                ],
                proof,
            )
    }

    /// Signs a ticket with which a client reads from an executor.
    pub fn sign_direct(&self, ticket: &DirectTicket) -> Bytes {
        let payload = Bytes::from(ticket.encode_to_vec());
        let signature = Bytes::from(self.sign(DIRECT_PURPOSE, &payload));
        SignedTicket { payload, signature }.encode_to_vec().into()
    }

    /// The ticket in `bytes`, which has not expired at `now_ms` (Unix milliseconds); `None` where it is not
    /// one that a client reads with.
    ///
    /// # Errors
    /// `HandleNotFound` where it has expired.
    pub fn verify_direct(
        &self,
        bytes: &[u8],
        now_ms: u64,
    ) -> Result<Option<DirectTicket>, QueryError> {
        let signed = SignedTicket::decode(bytes)
            .ok()
            .filter(|signed| self.is_signed(DIRECT_PURPOSE, &signed.payload, &signed.signature));
        let ticket = signed.and_then(|signed| DirectTicket::decode(signed.payload).ok());
        match ticket {
            Some(ticket) if ticket.expires_at_ms < now_ms => Err(QueryError::new(
                ErrorCode::HandleNotFound,
                "the ticket has expired: nobody read the result in time",
            )),
            ticket => Ok(ticket),
        }
    }

    /// What the tasks of an attempt of a query show to read rows that only the coordinator has.
    pub fn rows_ticket(&self, query: &QueryId, attempt: u32) -> RowsTicket {
        let query_id = query.to_string();
        let signature = self.sign(ROWS_PURPOSE, &rows_payload(&query_id, attempt));
        RowsTicket {
            query_id,
            signature: signature.into(),
            attempt,
        }
    }

    /// The query, and its attempt, whose rows may be read with `ticket` for as long as it runs.
    ///
    /// # Errors
    /// `PermissionDenied` where it was not signed with this key.
    pub fn verify_rows_ticket(&self, ticket: &RowsTicket) -> Result<(QueryId, u32), QueryError> {
        let forged = || QueryError::new(ErrorCode::PermissionDenied, "invalid ticket for rows");
        let payload = rows_payload(&ticket.query_id, ticket.attempt);
        if !self.is_signed(ROWS_PURPOSE, &payload, &ticket.signature) {
            return Err(forged());
        }
        let query = ticket.query_id.parse().map_err(|_| forged())?;
        Ok((query, ticket.attempt))
    }

    /// The signature of `payload` for `purpose`, which tells it from every other message that is signed
    /// with this key.
    pub fn sign(&self, purpose: &[u8], payload: &[u8]) -> Vec<u8> {
        authenticate(&self.0, &[b"purpose", purpose, payload])
    }

    /// Whether `signature` is that of `payload` for `purpose`.
    pub fn is_signed(&self, purpose: &[u8], payload: &[u8], signature: &[u8]) -> bool {
        self.verify(&[b"purpose", purpose, payload], signature)
    }

    fn verify(&self, parts: &[&[u8]], signature: &[u8]) -> bool {
        mac(&self.0, parts).verify_slice(signature).is_ok()
    }
}

/// What the signature of a ticket for rows covers.
fn rows_payload(query_id: &str, attempt: u32) -> Vec<u8> {
    [attempt.to_be_bytes().as_slice(), query_id.as_bytes()].concat()
}

/// Each part goes in behind its length, so that no two lists of parts give the same input.
fn mac(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    // HMAC takes a key of any length; a fixed block avoids the fallible constructor's error path.
    let mut block = [0_u8; 64];
    if key.len() <= block.len() {
        block[..key.len()].copy_from_slice(key);
    } else {
        let digest = <Sha256 as sha2::Digest>::digest(key);
        block[..digest.len()].copy_from_slice(&digest);
    }
    let mut mac = Hmac::<Sha256>::new(&block.into());
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac
}

fn authenticate(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    mac(key, parts).finalize().into_bytes().to_vec()
}

/// Now, in Unix milliseconds.
pub fn unix_time_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::TaskId;

    fn ticket() -> ExchangeTicket {
        ExchangeTicket {
            task: Some(TaskId {
                query_id: "20261123_230512_00001_k3f9q".into(),
                attempt_id: vec![7; 16].into(),
                stage: 2,
                task: 1,
            }),
            partition: 5,
            head: None,
            expires_at_ms: 1_000,
            compression: "lz4".into(),
        }
    }

    #[test]
    fn a_signed_ticket_verifies_until_it_expires() {
        let key = ClusterKey::random();
        let signed = key.sign_ticket(&ticket());
        assert_eq!(key.verify_ticket(&signed, 1_000), Ok(ticket()));
        assert_eq!(
            key.verify_ticket(&signed, 1_001).unwrap_err().code,
            ErrorCode::HandleNotFound
        );
    }

    #[test]
    fn a_ticket_altered_by_any_bit_is_refused() {
        let key = ClusterKey::random();
        let signed = key.sign_ticket(&ticket());
        for bit in 0..signed.len() * 8 {
            let mut altered = signed.to_vec();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert!(key.verify_ticket(&altered, 0).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn rows_are_for_the_tasks_of_their_query() {
        let key = ClusterKey::random();
        let query: QueryId = "20261123_230512_00001_k3f9q".parse().unwrap();
        let ticket = key.rows_ticket(&query, 2);
        assert_eq!(key.verify_rows_ticket(&ticket), Ok((query, 2)));
        let another = RowsTicket {
            attempt: 1,
            ..ticket.clone()
        };
        assert!(key.verify_rows_ticket(&another).is_err());
        let other = RowsTicket {
            query_id: "20261123_230512_00002_k3f9q".into(),
            ..ticket.clone()
        };
        assert!(key.verify_rows_ticket(&other).is_err());
        assert!(ClusterKey::random().verify_rows_ticket(&ticket).is_err());
    }

    #[test]
    fn a_clients_ticket_is_altered_by_no_bit_and_is_no_executors() {
        let key = ClusterKey::random();
        let ticket = DirectTicket {
            user: "ada".into(),
            expires_at_ms: 1_000,
            ..DirectTicket::default()
        };
        let signed = key.sign_direct(&ticket);
        assert_eq!(key.verify_direct(&signed, 1_000), Ok(Some(ticket)));
        let late = key.verify_direct(&signed, 1_001).unwrap_err();
        assert_eq!(late.code, ErrorCode::HandleNotFound);
        for bit in 0..signed.len() * 8 {
            let mut altered = signed.to_vec();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(key.verify_direct(&altered, 0), Ok(None), "bit {bit}");
        }
        assert!(key.verify_ticket(&signed, 0).is_err());
        let exchange = key.sign_ticket(&self::ticket());
        assert_eq!(key.verify_direct(&exchange, 0), Ok(None));
    }

    #[test]
    fn another_clusters_ticket_is_refused() {
        let signed = ClusterKey::random().sign_ticket(&ticket());
        assert!(ClusterKey::random().verify_ticket(&signed, 0).is_err());
    }

    #[test]
    fn a_secret_always_gives_the_same_key() {
        assert_eq!(ClusterKey::from_secret("a"), ClusterKey::from_secret("a"));
        assert_ne!(ClusterKey::from_secret("a"), ClusterKey::from_secret("b"));
        let long = "x".repeat(100);
        assert_eq!(
            ClusterKey::from_secret(&long),
            ClusterKey::from_secret(&long)
        );
    }

    #[test]
    fn registration_needs_the_key_and_the_time() {
        let key = ClusterKey::random();
        let proof = key.prove_registration("e1", "http://h:1", 10);
        assert!(key.is_proved_registration("e1", "http://h:1", 10, &proof, 20));
        assert!(!key.is_proved_registration("e2", "http://h:1", 10, &proof, 20));
        let late = 10 + REGISTRATION_SKEW_MS + 1;
        assert!(!key.is_proved_registration("e1", "http://h:1", 10, &proof, late));
        assert!(!ClusterKey::random().is_proved_registration("e1", "http://h:1", 10, &proof, 20));
    }
}
