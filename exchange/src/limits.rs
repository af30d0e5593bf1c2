//! The bounds of the exchange, each with its unit and its default.

use std::time::Duration;

/// How batches are compressed between nodes that are not on the same host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireCompression {
    /// As they are.
    None,
    /// LZ4 frames.
    Lz4,
}

/// The bounds of the exchange on one node.
#[derive(Clone, Debug)]
pub struct ExchangeLimits {
    /// How many bytes of one partition may be under way between two nodes before the producer has to
    /// wait. Charged in full to the consuming query's memory while the stream is open.
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
