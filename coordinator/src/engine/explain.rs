//! `EXPLAIN`: plans a query, and with ANALYZE runs it for its statistics alone.

use super::Coordinator;
use super::dispatch::Dispatched;
use crate::query::QueryHandle;
use crate::results::{self, Run};
use crate::session::Session;
use crate::statement::{Explain, explain};
use datafusion::scalar::ScalarValue;
use skep_planner::{KeptQuery, PlanningContext};
use skep_protocol::QueryError;

impl Coordinator {
    /// Shows how a query would run, or has run.
    pub(super) async fn explain(
        &self,
        session: &Session,
        handle: &QueryHandle,
        statement: &Explain,
        parameters: Vec<ScalarValue>,
    ) -> Result<Dispatched, QueryError> {
        let place = self.admission.admit().await?;
        handle.admitted();
        let (context, resolved) = self.resolve(session, handle, &statement.statement).await?;
        let resolved = resolved.bind(parameters)?;
        let logical = match statement.verbose {
            true => Some(resolved.optimised()?),
            false => None,
        };
        let kept = resolved.kept();
        let mut run = self.plan(&context, resolved, handle, place).await?;
        let rows = match statement.analyze {
            true => Some(self.drain(&context, &mut run, kept, handle).await?),
            false => None,
        };
        let shown = explain::rows(&run.planned, statement.format, logical, rows).await?;
        Ok(Dispatched::Rows(shown))
    }

    /// Runs a query for its statistics alone, in as many attempts as it takes; `run` is the last one then.
    async fn drain(
        &self,
        context: &PlanningContext,
        run: &mut Run,
        kept: KeptQuery,
        handle: &QueryHandle,
    ) -> Result<u64, QueryError> {
        let mut attempts = self.attempts(context, handle, run.deadline);
        loop {
            let error = match results::drain(run, handle, &self.threads.compute).await {
                Ok(rows) => {
                    attempts.succeeded(handle);
                    return Ok(rows);
                }
                Err(error) => results::first_cause(&run.monitor, handle, error),
            };
            let context = attempts.next(error, handle).await?;
            let again = self.plan_run(&context, kept.resolved_in(&context)?, handle);
            *run = Run {
                place: run.place.take(),
                ..again.await?
            };
        }
    }
}
