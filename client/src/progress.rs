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
    /// Why it was started again, in a sentence for each time.
    pub remarks: Vec<String>,
}

impl Client {
    /// How far the statements of this session are that have not ended.
    ///
    /// # Errors
    /// As for [`Client::execute`]; servers other than Skep do not know the call.
    pub async fn progress(&mut self) -> Result<Vec<QueryProgress>, ClientError> {
        self.progress_of("").await
    }

    /// Why a query of this user was started again, in a sentence for each time. Of one that the server has
    /// forgotten there is nothing.
    ///
    /// # Errors
    /// As for [`Client::progress`].
    pub async fn remarks(&mut self, query_id: &str) -> Result<Vec<String>, ClientError> {
        let found = self.progress_of(query_id).await?;
        Ok(found.into_iter().flat_map(|query| query.remarks).collect())
    }

    async fn progress_of(&mut self, query_id: &str) -> Result<Vec<QueryProgress>, ClientError> {
        let action = Action::new("GetQueryProgress", query_id.to_owned());
        let answer = self.action(action).await?;
        serde_json::from_slice(&answer.unwrap_or_default())
            .map_err(|error| ClientError::Protocol(format!("bad progress: {error}")))
    }
}
