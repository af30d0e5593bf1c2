//! What came of a statement: who it is in the server's list of queries, how many rows it changed,
//! and its rows as they arrive.

use crate::error::ClientError;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use futures::StreamExt;
use futures::stream::BoxStream;
use std::fmt;

/// The result of a statement. Dropping it before its last batch cancels the query on the server.
pub struct StatementResult {
    /// The query's id, where the server tells it.
    pub query_id: Option<String>,
    /// How many rows the statement changed, where that has a meaning.
    pub affected_rows: Option<i64>,
    /// The schema of every batch; without fields where the statement returns no rows.
    pub schema: SchemaRef,
    rows: Option<BoxStream<'static, Result<RecordBatch, ClientError>>>,
}

impl StatementResult {
    /// A result from its parts; `rows` is `None` for a statement that returns no rows.
    pub fn new(
        query_id: Option<String>,
        affected_rows: Option<i64>,
        schema: SchemaRef,
        rows: Option<BoxStream<'static, Result<RecordBatch, ClientError>>>,
    ) -> Self {
        Self {
            query_id,
            affected_rows,
            schema,
            rows,
        }
    }

    /// Whether the statement is one that returns rows, even if there are none.
    pub fn returns_rows(&self) -> bool {
        self.rows.is_some()
    }

    /// The next batch, or `None` after the last one.
    ///
    /// # Errors
    /// The query's failure, after which there are no more batches.
    pub async fn next_batch(&mut self) -> Result<Option<RecordBatch>, ClientError> {
        match &mut self.rows {
            Some(rows) => rows.next().await.transpose(),
            None => Ok(None),
        }
    }

    /// All batches. For results that are known to fit into memory.
    ///
    /// # Errors
    /// The query's failure.
    pub async fn collect(mut self) -> Result<Vec<RecordBatch>, ClientError> {
        let mut batches = Vec::new();
        while let Some(batch) = self.next_batch().await? {
            batches.push(batch);
        }
        Ok(batches)
    }
}

impl fmt::Debug for StatementResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatementResult")
            .field("query_id", &self.query_id)
            .field("affected_rows", &self.affected_rows)
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}
