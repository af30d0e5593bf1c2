//! The bounds of the exchange, each with its unit and its default.

use skep_protocol::{ErrorCode, QueryError};
use std::time::Duration;

/// How batches are compressed between nodes that are not on the same host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireCompression {
    /// As they are.
    None,
    /// LZ4 frames.
    Lz4,
}

impl WireCompression {
    /// As requests name it.
    ///
    /// # Errors
    /// `InvalidArgument` where that is no compression's name.
    pub fn from_name(name: &str) -> Result<Self, QueryError> {
        match name {
            "lz4" => Ok(Self::Lz4),
            "none" => Ok(Self::None),
            other => {
                let text = format!("unknown compression '{other}'");
                Err(QueryError::new(ErrorCode::InvalidArgument, text))
            }
        }
    }
}

/// The bounds of the exchange on one node.
#[derive(Clone, Debug)]
pub struct ExchangeLimits {
    /// How many bytes of one partition may be under way between two nodes before the producer has to
    /// wait, where the consumer has memory in plenty. Charged in full to the consuming query's memory
    /// while the stream is open.
    pub stream_window_bytes: u32,
    /// How many bytes of encoded batches a producer holds ready per partition.
    pub send_buffer_bytes: u32,
    /// How long a ticket is valid, from the moment it was made.
    pub ticket_lifetime: Duration,
    /// How long connecting to a node may take.
    pub connect_timeout: Duration,
    /// After how much silence a node is asked whether it is still there.
    pub keep_alive_interval: Duration,
    /// How long it may take to answer.
    pub keep_alive_timeout: Duration,
    /// How batches are compressed towards other hosts; towards this host they never are.
    pub compression: WireCompression,
}

/// How many streams' windows a query's memory should have room for, whatever its plan.
const WINDOWS_PER_QUERY: usize = 256;

/// The windows of all streams of a plan take one of so many parts of the memory.
const WINDOWS_SHARE: usize = 4;

/// The smallest window, in bytes: below it, a stream would wait for the network all the time.
const WINDOW_BYTES_MIN: u32 = 8 * 1024;

impl ExchangeLimits {
    /// How many bytes of one partition may be under way to a consumer that may use `memory_bytes` for a plan
    /// with so many streams on its node; 0 where that is not known. A power of two, so that few different
    /// windows are in use, since each is a connection of its own.
    pub fn window_bytes(&self, memory_bytes: usize, streams: u32) -> u32 {
        let windows = (streams as usize).saturating_mul(WINDOWS_SHARE);
        let windows = windows.max(WINDOWS_PER_QUERY);
        let share = u32::try_from(memory_bytes / windows).unwrap_or(u32::MAX);
        if share >= self.stream_window_bytes {
            return self.stream_window_bytes;
        }
        let power = share.checked_ilog2().map_or(0, |log| 1 << log);
        power.max(WINDOW_BYTES_MIN).min(self.stream_window_bytes)
    }
}

impl Default for ExchangeLimits {
    fn default() -> Self {
        Self {
            stream_window_bytes: 2 * 1024 * 1024,
            send_buffer_bytes: 2 * 1024 * 1024,
            ticket_lifetime: Duration::from_secs(600),
            connect_timeout: Duration::from_secs(3),
            keep_alive_interval: Duration::from_secs(2),
            keep_alive_timeout: Duration::from_secs(3),
            compression: WireCompression::Lz4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_consumer_with_little_memory_has_small_windows() {
        let limits = ExchangeLimits::default();
        for (memory_mib, window_kib) in [
            (0, 8),
            (16, 64),
            (32, 128),
            (96, 256),
            (511, 1024),
            (512, 2048),
            (4096, 2048),
        ] {
            let window = limits.window_bytes(memory_mib << 20, 0);
            assert_eq!(window, window_kib << 10, "{memory_mib} MiB");
        }
        assert_eq!(
            limits.window_bytes(usize::MAX, 0),
            limits.stream_window_bytes
        );
    }

    #[test]
    fn the_windows_of_many_streams_fit_into_little_memory() {
        let limits = ExchangeLimits::default();
        let memory = 64 << 20;
        for streams in [1_u32, 64, 65, 500, 2000] {
            let all = limits.window_bytes(memory, streams) as usize * streams as usize;
            assert!(all <= memory / 4, "{streams} streams take {all} bytes");
        }
    }
}
