//! Names of results and prepared statements that nobody can guess.

use bytes::Bytes;

/// 128 random bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Handle([u8; 16]);

impl Handle {
    /// A new one.
    pub(crate) fn random() -> Self {
        Self(rand::random())
    }

    /// The one that a client sent, where it has the right length.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// As it goes over the wire.
    pub(crate) fn to_bytes(self) -> Bytes {
        Bytes::copy_from_slice(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_survive_the_wire_and_differ() {
        let handle = Handle::random();
        assert!(Handle::from_bytes(&handle.to_bytes()) == Some(handle));
        assert!(Handle::random() != handle);
        assert!(Handle::from_bytes(b"short").is_none());
    }
}
