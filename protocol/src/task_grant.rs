//! What a coordinator shows to start a task: a grant that names the executor and holds a digest of everything
//! that the task is, its plan and its settings included.
//!
//! It travels before the task, in a header, so that an executor reads nothing of a caller who has none, and
//! never more than was granted.

use crate::error::{ErrorCode, QueryError};
use crate::keys::{ClusterKey, Purpose};
use crate::proto::{SignedTicket, StartTask, TaskCommand, TaskGrant, task_command};
use crate::registration::CLOCK_SKEW_MS;
use bytes::Bytes;
use prost::Message;
use ring::digest;

/// The header that a grant travels in.
pub const TASK_GRANT_HEADER: &str = "skep-task-grant-bin";

/// How long a coordinator lets an executor take to start a task, in milliseconds. Clocks that differ are
/// allowed for besides.
const LIFETIME_MS: u64 = 60_000;

/// For how long a grant may be good at all, in milliseconds, by the clock of the executor.
pub const GRANT_SPAN_MS: u64 = LIFETIME_MS + 2 * CLOCK_SKEW_MS;

impl ClusterKey {
    /// A grant for `executor_id` to start this task, once, and soon after `now_ms` (Unix milliseconds).
    pub fn grant_task(&self, start: &StartTask, executor_id: &str, now_ms: u64) -> Bytes {
        let grant = TaskGrant {
            executor_id: executor_id.to_owned(),
            start_digest: digest_of(start),
            start_bytes: command_bytes(start),
            expires_at_ms: now_ms.saturating_add(LIFETIME_MS),
            nonce: rand::random(),
        };
        let payload = Bytes::from(grant.encode_to_vec());
        let signature = self.sign(Purpose::Task, &[&payload]).into();
        SignedTicket { payload, signature }.encode_to_vec().into()
    }

    /// The grant in `bytes`, where it is for `executor_id` at `now_ms`. Whether it has been taken before is
    /// for the caller to tell, and whether the task is the one that it covers.
    ///
    /// # Errors
    /// `PermissionDenied` where it was not signed with this key, is for another executor, or has expired.
    pub fn verify_grant(
        &self,
        bytes: &[u8],
        executor_id: &str,
        now_ms: u64,
    ) -> Result<TaskGrant, QueryError> {
        let signed = SignedTicket::decode(bytes)
            .ok()
            .filter(|signed| self.is_signed(Purpose::Task, &[&signed.payload], &signed.signature));
        let grant = signed.and_then(|signed| TaskGrant::decode(signed.payload).ok());
        let grant = grant.ok_or_else(refused)?;
        if grant.executor_id != executor_id {
            return Err(denied("the task is for another executor"));
        }
        let is_late = grant.expires_at_ms.saturating_add(CLOCK_SKEW_MS) < now_ms;
        let is_early = grant.expires_at_ms > now_ms.saturating_add(LIFETIME_MS + CLOCK_SKEW_MS);
        match is_late || is_early {
            true => Err(denied(
                "the grant of the task has expired, or the clocks of two nodes are more than five minutes apart",
            )),
            false => Ok(grant),
        }
    }
}

impl TaskGrant {
    /// Whether this is the task that was granted.
    pub fn covers(&self, start: &StartTask) -> bool {
        digest_of(start) == self.start_digest
    }
}

/// The error of a caller without a grant that this cluster's coordinator signed.
pub fn refused() -> QueryError {
    denied("a task was not signed by this cluster's coordinator")
}

fn denied(text: &str) -> QueryError {
    QueryError::new(ErrorCode::PermissionDenied, text)
}

/// How long the command is that starts the task.
fn command_bytes(start: &StartTask) -> u64 {
    let command = TaskCommand {
        message: Some(task_command::Message::Start(start.clone())),
    };
    command.encoded_len() as u64
}

/// Over everything that the message has, whatever fields are added to it. The plan, which may be long, is not
/// copied for it.
fn digest_of(start: &StartTask) -> Bytes {
    let rest = StartTask {
        plan: Bytes::new(),
        ..start.clone()
    };
    let rest = rest.encode_to_vec();
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(&(rest.len() as u64).to_be_bytes());
    context.update(&rest);
    context.update(&start.plan);
    Bytes::copy_from_slice(context.finish().as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{Setting, TaskId};

    fn start() -> StartTask {
        StartTask {
            task: Some(TaskId {
                query_id: "20261123_230512_00001_k3f9q".into(),
                attempt_id: vec![7; 16].into(),
                stage: 2,
                task: 1,
            }),
            task_count: 3,
            plan: Bytes::from_static(b"plan"),
            target_address: "http://h:1".into(),
            query_started_at_ns: 5,
            settings: vec![Setting {
                key: "user".into(),
                value: "ada".into(),
            }],
            direct_schema: Bytes::from_static(b"schema"),
        }
    }

    #[test]
    fn a_grant_covers_all_of_a_task_and_no_other() {
        let key = ClusterKey::random();
        let grant = key.grant_task(&start(), "e1", 1_000);
        let grant = key.verify_grant(&grant, "e1", 1_000).unwrap();
        assert!(grant.covers(&start()));
        assert!(grant.start_bytes > start().encoded_len() as u64);
        let mut others = Vec::new();
        let mut other = |change: fn(&mut StartTask)| {
            let mut changed = start();
            change(&mut changed);
            others.push(changed);
        };
        other(|start| start.task.as_mut().unwrap().task = 2);
        other(|start| start.task = None);
        other(|start| start.task_count = 4);
        other(|start| start.plan = Bytes::from_static(b"plam"));
        other(|start| start.target_address.push('2'));
        other(|start| start.query_started_at_ns = 6);
        other(|start| start.settings[0].value = "bob".into());
        other(|start| start.settings.clear());
        other(|start| start.direct_schema = Bytes::new());
        for other in others {
            assert!(!grant.covers(&other), "{other:?}");
        }
    }

    #[test]
    fn a_grant_is_for_one_executor_one_cluster_and_a_short_time() {
        let key = ClusterKey::random();
        let now = 10_000_000;
        let grant = key.grant_task(&start(), "e1", now);
        let denied = |key: &ClusterKey, id: &str, now| {
            key.verify_grant(&grant, id, now).unwrap_err().code == ErrorCode::PermissionDenied
        };
        assert!(denied(&key, "e2", now));
        assert!(denied(&ClusterKey::random(), "e1", now));
        assert!(denied(&key, "e1", now + LIFETIME_MS + CLOCK_SKEW_MS + 1));
        assert!(denied(&key, "e1", now - CLOCK_SKEW_MS - 1));
        for fine in [now + LIFETIME_MS + CLOCK_SKEW_MS, now - CLOCK_SKEW_MS] {
            assert!(key.verify_grant(&grant, "e1", fine).is_ok());
        }
        for bit in 0..grant.len() * 8 {
            let mut altered = grant.to_vec();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert!(key.verify_grant(&altered, "e1", now).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn no_two_grants_have_one_number() {
        let key = ClusterKey::random();
        let nonce = || {
            let grant = key.grant_task(&start(), "e1", 1);
            key.verify_grant(&grant, "e1", 1).unwrap().nonce
        };
        assert_ne!(nonce(), nonce());
    }
}
