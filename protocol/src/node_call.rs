//! How a node shows another that it is one of the cluster, before it says anything: in a header of its call,
//! so that the other need not read a stranger's message to find out.

use crate::keys::{ClusterKey, Purpose};
use crate::registration::CLOCK_SKEW_MS;

/// The header.
pub const NODE_CALL_HEADER: &str = "skep-node-bin";

/// The longest message, in bytes, that is read of a caller who has not shown yet who it is.
pub const STRANGERS_MESSAGE_BYTES_MAX: usize = 16 * 1024;

const TIME_BYTES: usize = 8;

impl ClusterKey {
    /// What a node shows at `now_ms` (Unix milliseconds).
    pub fn node_credential(&self, now_ms: u64) -> Vec<u8> {
        let time = now_ms.to_be_bytes();
        let mut credential = time.to_vec();
        credential.extend(self.sign(Purpose::Node, &[&time]));
        credential
    }

    /// Whether a node of this cluster has shown this, not long before or after `now_ms`.
    pub fn is_node_credential(&self, credential: &[u8], now_ms: u64) -> bool {
        let Some((time, signature)) = credential.split_first_chunk::<TIME_BYTES>() else {
            return false;
        };
        self.is_signed(Purpose::Node, &[time], signature)
            && u64::from_be_bytes(*time).abs_diff(now_ms) <= CLOCK_SKEW_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_known_by_its_key_for_a_while() {
        let key = ClusterKey::random();
        let now = 10_000_000;
        let credential = key.node_credential(now);
        for near in [now, now + CLOCK_SKEW_MS, now - CLOCK_SKEW_MS] {
            assert!(key.is_node_credential(&credential, near));
        }
        assert!(!key.is_node_credential(&credential, now + CLOCK_SKEW_MS + 1));
        assert!(!ClusterKey::random().is_node_credential(&credential, now));
        for bit in 0..credential.len() * 8 {
            let mut altered = credential.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert!(!key.is_node_credential(&altered, now), "bit {bit}");
        }
        for length in 0..credential.len() {
            assert!(!key.is_node_credential(&credential[..length], now));
        }
    }
}
