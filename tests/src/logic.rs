//! The databases that `.slt` files are run on: Skep through its public door, and plain DataFusion in
//! this process, which says what is right for everything that is not Skep's own.

use crate::cells;
use async_trait::async_trait;
use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;
use skep_client::{Client, ClientError};
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType};
use std::time::Duration;

/// A session with Skep.
pub struct Skep(pub Client);

/// An error with its stable code in front, for files to match.
#[derive(Debug, thiserror::Error)]
pub enum SkepError {
    /// The engine's own.
    #[error("{code}: {message}")]
    Engine {
        /// Its stable code.
        code: &'static str,
        /// Its message, with its place.
        message: String,
    },
    /// Any other.
    #[error(transparent)]
    Client(ClientError),
}

impl From<ClientError> for SkepError {
    fn from(error: ClientError) -> Self {
        match error.query_error() {
            Some(engine) => Self::Engine {
                code: engine.code.as_str(),
                message: engine.to_string(),
            },
            None => Self::Client(error),
        }
    }
}

#[async_trait]
impl AsyncDB for Skep {
    type Error = SkepError;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, SkepError> {
        let result = self.0.execute(sql).await?;
        if !result.returns_rows() {
            let rows = result.affected_rows.unwrap_or(0);
            return Ok(DBOutput::StatementComplete(rows.unsigned_abs()));
        }
        let promised = std::sync::Arc::clone(&result.schema);
        let types = cells::types(&promised);
        let batches = result.collect().await?;
        // What GetFlightInfo said is what DoGet sends, to the last NULL: ADBC fails otherwise.
        for batch in &batches {
            assert_eq!(batch.schema(), promised, "{sql}");
        }
        Ok(DBOutput::Rows {
            types,
            rows: cells::rows(&batches),
        })
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &str {
        "skep"
    }

    async fn sleep(duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// Plain DataFusion.
pub struct Plain(pub SessionContext);

#[async_trait]
impl AsyncDB for Plain {
    type Error = DataFusionError;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, DataFusionError> {
        let frame = self.0.sql(sql).await?;
        let types = cells::types(frame.schema().as_arrow());
        let batches = frame.collect().await?;
        Ok(DBOutput::Rows {
            types,
            rows: cells::rows(&batches),
        })
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &str {
        "datafusion"
    }

    async fn sleep(duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
