//! Rows that the coordinator has in its hands, chosen and put in order by a part of a statement: the
//! `WHERE`, `ORDER BY` and `LIMIT` of `SHOW PARTITIONS`.

use crate::resolution::resolve::semantic_error;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::concat_batches;
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement as DataFusionStatement;
use skep_protocol::QueryError;
use skep_runtime::error::from_datafusion;
use std::sync::Arc;

/// The result of `statement`, which reads the table `name` that has the rows of `batch` and nothing else.
///
/// # Errors
/// Those of the statement.
pub async fn filter_batch(
    name: &str,
    batch: RecordBatch,
    statement: DataFusionStatement,
) -> Result<RecordBatch, QueryError> {
    let context = SessionContext::new();
    let table = MemTable::try_new(batch.schema(), vec![vec![batch]])
        .map_err(|error| from_datafusion(&error))?;
    context
        .register_table(name, Arc::new(table))
        .map_err(|error| from_datafusion(&error))?;
    let plan = context.state().statement_to_plan(statement).await;
    let plan = plan.map_err(|error| semantic_error(&error))?;
    let rows = context.execute_logical_plan(plan).await;
    let rows = rows.map_err(|error| semantic_error(&error))?;
    let schema = Arc::clone(rows.schema().inner());
    let batches = rows.collect().await;
    let batches = batches.map_err(|error| from_datafusion(&error))?;
    concat_batches(&schema, &batches).map_err(|error| from_datafusion(&error.into()))
}
