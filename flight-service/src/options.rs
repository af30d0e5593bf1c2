//! The door's bounds. The binary fills them in from its configuration.

use std::time::Duration;

/// How much the door keeps, for how long, and how large its messages are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoorOptions {
    /// The most sessions that are open at one time. The next login is refused.
    pub sessions_max: usize,
    /// A session that nobody used for so long is closed. Fetching a result counts as use.
    pub session_idle_max: Duration,
    /// The most results that wait to be fetched at one time, over all sessions. The next query is
    /// refused.
    pub pending_results_max: usize,
    /// A query whose result nobody fetched for so long is cancelled.
    pub pending_result_wait_max: Duration,
    /// The most prepared statements that one session holds.
    pub prepared_statements_max: usize,
    /// The most rows of parameters that one call binds.
    pub parameter_rows_max: usize,
    /// Whether clients come over TLS alone, so that their rows may travel in no other way either where
    /// they read them from executors.
    pub needs_tls: bool,
    /// How often expired sessions and results are looked for.
    pub sweep_interval: Duration,
    /// The largest message that is accepted, in bytes.
    pub received_message_bytes_max: usize,
    /// Batches of rows are split until they are no larger than this, in bytes. A single row is never
    /// split. Stays well below the 4 MiB that many clients accept by default.
    pub sent_batch_bytes_max: usize,
}

impl Default for DoorOptions {
    fn default() -> Self {
        Self {
            sessions_max: 10_000,
            session_idle_max: Duration::from_secs(60 * 60),
            pending_results_max: 1_000,
            pending_result_wait_max: Duration::from_secs(5 * 60),
            prepared_statements_max: 1_000,
            parameter_rows_max: 10_000,
            needs_tls: false,
            sweep_interval: Duration::from_secs(5),
            received_message_bytes_max: 64 << 20,
            sent_batch_bytes_max: 2 << 20,
        }
    }
}
