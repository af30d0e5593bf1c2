//! Signed, expiring tickets: who may read which partition of which task.
//!
//! Every node of a cluster has the same [`ClusterKey`], so that every node can make a ticket and the
//! node that serves the partition can verify it.

use crate::error::{ErrorCode, QueryError};
use crate::ids::QueryId;
use crate::keys::{ClusterKey, Purpose};
use crate::proto::{DirectTicket, ExchangeTicket, RowsTicket, SignedTicket};
use bytes::Bytes;
use prost::Message;
use std::time::{SystemTime, UNIX_EPOCH};

impl ClusterKey {
    /// Signs `ticket`; the result is the opaque content of a Flight ticket.
    pub fn sign_ticket(&self, ticket: &ExchangeTicket) -> Bytes {
        let payload = Bytes::from(ticket.encode_to_vec());
        let signature = Bytes::from(self.sign(Purpose::Partition, &[&payload]));
        SignedTicket { payload, signature }.encode_to_vec().into()
    }

    /// Verifies a Flight ticket at the time `now_ms` (Unix milliseconds).
    ///
    /// # Errors
    /// `PermissionDenied` where it was not signed with this key, `HandleNotFound` where it expired.
    pub fn verify_ticket(&self, bytes: &[u8], now_ms: u64) -> Result<ExchangeTicket, QueryError> {
        let forged = || QueryError::new(ErrorCode::PermissionDenied, "invalid exchange ticket");
        let signed = SignedTicket::decode(bytes).map_err(|_| forged())?;
        if !self.is_signed(Purpose::Partition, &[&signed.payload], &signed.signature) {
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

    /// Signs a ticket with which a client reads from an executor.
    pub fn sign_direct(&self, ticket: &DirectTicket) -> Bytes {
        let payload = Bytes::from(ticket.encode_to_vec());
        let signature = Bytes::from(self.sign(Purpose::DirectResult, &[&payload]));
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
        let signed = SignedTicket::decode(bytes).ok().filter(|signed| {
            self.is_signed(Purpose::DirectResult, &[&signed.payload], &signed.signature)
        });
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
        let parts: [&[u8]; 2] = [query_id.as_bytes(), &attempt.to_be_bytes()];
        let signature = self.sign(Purpose::ClientRows, &parts).into();
        RowsTicket {
            query_id,
            signature,
            attempt,
        }
    }

    /// The query, and its attempt, whose rows may be read with `ticket` for as long as it runs.
    ///
    /// # Errors
    /// `PermissionDenied` where it was not signed with this key.
    pub fn verify_rows_ticket(&self, ticket: &RowsTicket) -> Result<(QueryId, u32), QueryError> {
        let forged = || QueryError::new(ErrorCode::PermissionDenied, "invalid ticket for rows");
        let parts: [&[u8]; 2] = [ticket.query_id.as_bytes(), &ticket.attempt.to_be_bytes()];
        if !self.is_signed(Purpose::ClientRows, &parts, &ticket.signature) {
            return Err(forged());
        }
        let query = ticket.query_id.parse().map_err(|_| forged())?;
        Ok((query, ticket.attempt))
    }
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
}
