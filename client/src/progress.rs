//! How far the statements of a session are, for those who wait for them.

use crate::client::Client;
use crate::error::ClientError;
use arrow_flight::Action;
use serde::Deserialize;

/// How far a statement is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct QueryProgress {
    /// The query's id.
    pub query_id: String,
    /// `QUEUED`, `PLANNING`, `RUNNING` or `FINISHING`.
    pub state: String,
    /// Since it came in.
    pub elapsed_ms: u64,
    /// How many stages it has, and how many have ended.
    pub stages: u32,
    /// See [`QueryProgress::stages`].
    pub stages_done: u32,
    /// How many tasks it has, and how many have ended.
    pub tasks: u32,
    /// See [`QueryProgress::tasks`].
    pub tasks_done: u32,
    /// How many rows its tables have as far as it reads them; 0 where that is not known.
    pub input_rows: u64,
    /// How many of them it has read.
    pub read_rows: u64,
    /// How many bytes they have in memory.
    pub read_bytes: u64,
    /// How many rows of its result were sent.
    pub rows: u64,
}

impl Client {
    /// How far the statements of this session are that have not ended.
    ///
    /// # Errors
    /// As for [`Client::execute`]; servers other than Skep do not know the call.
    pub async fn progress(&mut self) -> Result<Vec<QueryProgress>, ClientError> {
        let answer = self.action(Action::new("GetQueryProgress", "")).await?;
        serde_json::from_slice(&answer.unwrap_or_default())
            .map_err(|error| ClientError::Protocol(format!("bad progress: {error}")))
    }
}
