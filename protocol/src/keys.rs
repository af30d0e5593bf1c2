//! The cluster's key, and the keys that follow from it: one for each purpose.
//!
//! A configured secret, or random bytes where none is configured, goes through HKDF with SHA-256 (RFC 5869):
//! what is extracted from it is the cluster's key, and each purpose expands that into a key of its own. So a
//! signature for one purpose is of no use for another, and no key tells the secret. Signatures are HMAC-SHA256
//! (RFC 2104).

use bytes::Bytes;
use ring::{hkdf, hmac};
use std::fmt;
use std::sync::Arc;

const KEY_BYTES: usize = 32;

/// Tells the keys of Skep from what anything else derives from the same secret.
const SALT: &[u8] = b"skep cluster key v2";

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Purpose {
    /// The coordinator starts a task.
    Task,
    /// A node reads a partition of a task's output.
    Partition,
    /// A client reads a task's output.
    DirectResult,
    /// A task reads the rows that a client sends to the coordinator.
    ClientRows,
    /// An executor joins.
    Registration,
    /// A call comes from a node of the cluster.
    Node,
    /// A client has logged in.
    AccessToken,
    /// What two nodes send each other is sealed.
    Sealing,
    /// Which password a login was made with.
    PasswordMark,
    /// Two secrets are compared, or one is remembered.
    Comparison,
}

impl Purpose {
    const ALL: [Self; 10] = [
        Self::Task,
        Self::Partition,
        Self::DirectResult,
        Self::ClientRows,
        Self::Registration,
        Self::Node,
        Self::AccessToken,
        Self::Sealing,
        Self::PasswordMark,
        Self::Comparison,
    ];

    /// What a key is expanded with. Never changes for a purpose, and is never used for another.
    fn label(self) -> &'static [u8] {
        match self {
            Self::Task => b"task",
            Self::Partition => b"partition of a task's output",
            Self::DirectResult => b"direct result",
            Self::ClientRows => b"rows of a client",
            Self::Registration => b"registration of an executor",
            Self::Node => b"call of a node",
            Self::AccessToken => b"access token",
            Self::Sealing => b"sealing",
            Self::PasswordMark => b"password mark",
            Self::Comparison => b"comparison",
        }
    }
}

/// The key that the nodes of one cluster have in common. Cheap to clone.
#[derive(Clone)]
pub struct ClusterKey(Arc<Keys>);

struct Keys {
    root: [u8; KEY_BYTES],
    signing: [hmac::Key; Purpose::ALL.len()],
    sealing: [u8; KEY_BYTES],
}

impl PartialEq for ClusterKey {
    fn eq(&self, other: &Self) -> bool {
        self.is_signed(
            Purpose::Comparison,
            &[],
            &other.sign(Purpose::Comparison, &[]),
        )
    }
}

impl Eq for ClusterKey {}

impl fmt::Debug for ClusterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterKey(…)")
    }
}

impl ClusterKey {
    /// A fresh random key, for a cluster without a configured secret.
    pub fn random() -> Self {
        Self::expand(rand::random())
    }

    /// The key that follows from a configured secret; no node has to send it to another.
    pub fn from_secret(secret: &str) -> Self {
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, SALT);
        Self::expand(derive(&salt.extract(secret.as_bytes()), b"cluster"))
    }

    /// The key as it is sent to an executor of the same user on the same machine, where no secret is configured.
    pub fn to_bytes(&self) -> Bytes {
        Bytes::copy_from_slice(&self.0.root)
    }

    /// The key that was sent as `bytes`; `None` where they are not a key.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::expand)
    }

    fn expand(root: [u8; KEY_BYTES]) -> Self {
        let root_key = hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, &root);
        let signing = Purpose::ALL
            .map(|purpose| hmac::Key::new(hmac::HMAC_SHA256, &derive(&root_key, purpose.label())));
        Self(Arc::new(Keys {
            root,
            signing,
            sealing: derive(&root_key, Purpose::Sealing.label()),
        }))
    }

    /// The signature of `parts` for `purpose`. Each part goes in behind its length, so that no two lists of
    /// parts give the same input.
    pub fn sign(&self, purpose: Purpose, parts: &[&[u8]]) -> Vec<u8> {
        let mut context = hmac::Context::with_key(&self.0.signing[purpose as usize]);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        context.sign().as_ref().to_vec()
    }

    /// Whether `signature` is that of `parts` for `purpose`, in a time that does not depend on how much of it
    /// is right.
    pub fn is_signed(&self, purpose: Purpose, parts: &[&[u8]], signature: &[u8]) -> bool {
        let expected = self.sign(purpose, parts);
        let mut difference = u8::from(expected.len() != signature.len());
        for (expected, given) in expected.iter().zip(signature) {
            difference |= std::hint::black_box(expected ^ given);
        }
        std::hint::black_box(difference) == 0
    }

    /// The bytes of the key that seals.
    pub(crate) fn sealing_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0.sealing
    }
}

struct Length;

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        KEY_BYTES
    }
}

fn derive(key: &hkdf::Prk, label: &[u8]) -> [u8; KEY_BYTES] {
    let mut bytes = [0; KEY_BYTES];
    let info = [label];
    let filled = key
        .expand(&info, Length)
        .and_then(|okm| okm.fill(&mut bytes));
    // HKDF with SHA-256 gives up to 8,160 bytes, and fails for no other reason.
    debug_assert!(filled.is_ok());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_secret_always_gives_the_same_key_and_another_secret_another() {
        assert_eq!(ClusterKey::from_secret("a"), ClusterKey::from_secret("a"));
        assert_ne!(ClusterKey::from_secret("a"), ClusterKey::from_secret("b"));
        assert_ne!(
            ClusterKey::from_secret(""),
            ClusterKey::from_bytes(&[0; 32]).unwrap()
        );
        let key = ClusterKey::random();
        assert_eq!(ClusterKey::from_bytes(&key.to_bytes()), Some(key));
        assert_eq!(ClusterKey::from_bytes(&[1; 31]), None);
    }

    #[test]
    fn each_purpose_has_a_key_of_its_own() {
        let key = ClusterKey::from_secret("a");
        let signatures: HashSet<_> = Purpose::ALL
            .map(|purpose| key.sign(purpose, &[b"x"]))
            .into();
        assert_eq!(signatures.len(), Purpose::ALL.len());
        for (at, purpose) in Purpose::ALL.into_iter().enumerate() {
            assert_eq!(purpose as usize, at);
            for other in Purpose::ALL {
                let signature = key.sign(other, &[b"x"]);
                assert_eq!(
                    key.is_signed(purpose, &[b"x"], &signature),
                    purpose == other
                );
            }
        }
        let derived = key.sealing_bytes();
        assert!(derived.iter().any(|byte| *byte != 0) && derived[..] != key.to_bytes()[..]);
    }

    #[test]
    fn a_signature_is_altered_by_no_bit_and_shortened_by_no_byte() {
        let key = ClusterKey::random();
        let signature = key.sign(Purpose::Task, &[b"ab", b"c"]);
        assert!(key.is_signed(Purpose::Task, &[b"ab", b"c"], &signature));
        assert!(!key.is_signed(Purpose::Task, &[b"a", b"bc"], &signature));
        for bit in 0..signature.len() * 8 {
            let mut altered = signature.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert!(!key.is_signed(Purpose::Task, &[b"ab", b"c"], &altered));
        }
        for length in 0..signature.len() {
            assert!(!key.is_signed(Purpose::Task, &[b"ab", b"c"], &signature[..length]));
        }
        let longer = [signature.as_slice(), &[0]].concat();
        assert!(!key.is_signed(Purpose::Task, &[b"ab", b"c"], &longer));
    }

    /// Test case 1 of RFC 5869, so that `derive` is HKDF and no other function.
    #[test]
    fn keys_are_derived_as_the_rfc_says() {
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, &(0..=12).collect::<Vec<u8>>());
        let info: Vec<u8> = (0xf0..=0xf9).collect();
        let derived = derive(&salt.extract(&[0x0b; 22]), &info);
        let expected = [
            0x3c, 0xb2, 0x5f, 0x25, 0xfa, 0xac, 0xd5, 0x7a, 0x90, 0x43, 0x4f, 0x64, 0xd0, 0x36,
            0x2f, 0x2a, 0x2d, 0x2d, 0x0a, 0x90, 0xcf, 0x1a, 0x5a, 0x4c, 0x5d, 0xb0, 0x2d, 0x56,
            0xec, 0xc4, 0xc5, 0xbf,
        ];
        assert_eq!(derived, expected);
    }
}
