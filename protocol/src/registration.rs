//! How an executor proves, when it joins, that it knows the cluster's secret: with a signature over all that it
//! says of itself.

use crate::keys::{ClusterKey, Purpose};
use crate::proto::Register;
use bytes::Bytes;
use prost::Message;

/// How far the clocks of two nodes may differ, in milliseconds.
pub const CLOCK_SKEW_MS: u64 = 5 * 60 * 1000;

/// For how long a registration may be good at all, in milliseconds, by the clock of the coordinator.
pub const REGISTRATION_SPAN_MS: u64 = 2 * CLOCK_SKEW_MS;

impl ClusterKey {
    /// The proof of `register`, whatever proof it has.
    pub fn prove_registration(&self, register: &Register) -> Bytes {
        let said = without_proof(register);
        self.sign(Purpose::Registration, &[&said]).into()
    }

    /// Whether a registration was proved with this key, not long before or after `now_ms` (Unix milliseconds).
    /// Whether it has been taken before is for the caller to tell.
    pub fn is_proved_registration(&self, register: &Register, now_ms: u64) -> bool {
        let said = without_proof(register);
        register.issued_at_ms.abs_diff(now_ms) <= CLOCK_SKEW_MS
            && self.is_signed(Purpose::Registration, &[&said], &register.proof)
    }
}

fn without_proof(register: &Register) -> Vec<u8> {
    let said = Register {
        proof: Bytes::new(),
        ..register.clone()
    };
    said.encode_to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registration_needs_the_key_and_the_time_and_covers_what_is_said() {
        let key = ClusterKey::random();
        let mut register = Register {
            executor_id: "e1".into(),
            address: "http://h:1".into(),
            issued_at_ms: 10,
            cores: 4,
            nonce: 1,
            ..Register::default()
        };
        register.proof = key.prove_registration(&register);
        assert!(key.is_proved_registration(&register, 20));
        let changes: [fn(&mut Register); 6] = [
            |register| register.executor_id = "e2".into(),
            |register| register.address.push('0'),
            |register| register.client_address = "h:2".into(),
            |register| register.cores = 8,
            |register| register.nonce = 2,
            |register| register.proof = Bytes::new(),
        ];
        for change in changes {
            let mut other = register.clone();
            change(&mut other);
            assert!(!key.is_proved_registration(&other, 20), "{other:?}");
        }
        assert!(!key.is_proved_registration(&register, 10 + CLOCK_SKEW_MS + 1));
        assert!(!ClusterKey::random().is_proved_registration(&register, 20));
    }
}
