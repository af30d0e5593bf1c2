//! Rows that a client sends, as a table that a statement reads once.
//!
//! Their number is not known, so every executor gets a task: who has nothing to do costs little.

use crate::resolution::resolve;
use crate::resolution::shown_names::ShownNames;
use crate::{PlanningContext, ResolvedQuery};
use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::provider_as_source;
use datafusion::error::Result;
use datafusion::execution::config::SessionConfig;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion_distributed::{
    DesiredTaskCountEvent, DesiredTaskCountEventResponse, DistributedExt, DistributedLeafExec,
    ScaleUpLeafNodeEvent, ScaleUpLeafNodeEventResponse,
};
use skep_exchange::rows::CoordinatorRowsExec;
use skep_protocol::QueryError;
use skep_protocol::proto::RowsTicket;
use std::sync::Arc;

/// The name of the table in plans.
const NAME: &str = "client";

impl PlanningContext {
    /// A query that returns the rows of a client.
    ///
    /// # Errors
    /// `Semantic` where two columns have one name.
    pub fn client_rows(
        &self,
        schema: SchemaRef,
        ticket: RowsTicket,
    ) -> Result<ResolvedQuery, QueryError> {
        let state = self.session_state()?;
        let rows = provider_as_source(Arc::new(ClientTable { schema, ticket }));
        let logical = LogicalPlanBuilder::scan(NAME, rows, None)
            .and_then(LogicalPlanBuilder::build)
            .map_err(|error| resolve::semantic_error(&error))?;
        self.resolved(state, logical, ShownNames::default())
    }
}

#[derive(Debug)]
struct ClientTable {
    schema: SchemaRef,
    ticket: RowsTicket,
}

#[async_trait]
impl TableProvider for ClientTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let all = || (0..self.schema.fields().len()).collect();
        let leaf = CoordinatorRowsExec::new(
            Arc::clone(&self.schema),
            projection.cloned().unwrap_or_else(all),
            state.config().target_partitions(),
            self.ticket.clone(),
        )?;
        Ok(Arc::new(leaf))
    }
}

/// Has the distributed planner give each of `executors` executors a task that reads.
pub(crate) fn spread_over(config: SessionConfig, executors: usize) -> SessionConfig {
    config
        .with_distributed_desired_task_count_handler(move |event: DesiredTaskCountEvent<'_>| {
            let is_rows = event.plan.is::<CoordinatorRowsExec>();
            is_rows.then(|| Ok(DesiredTaskCountEventResponse::desired(executors)))
        })
        .with_distributed_scale_up_leaf_node_handler(|event: ScaleUpLeafNodeEvent<'_>| {
            if !event.plan.is::<CoordinatorRowsExec>() {
                return None;
            }
            // The shares are alike: who gets which rows is decided when they are there.
            let shares = vec![Arc::clone(event.plan); event.task_count];
            let leaf = DistributedLeafExec::try_new(Arc::clone(event.plan), shares);
            Some(leaf.map(|leaf| ScaleUpLeafNodeEventResponse::new(Arc::new(leaf))))
        })
}
