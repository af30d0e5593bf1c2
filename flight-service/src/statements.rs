//! Running statements: GetFlightInfo starts one, DoGet streams its rows, DoPut runs a command.

use crate::endpoints::{FlightStream, encoded, expire_in, ticket_endpoint};
use crate::engine::{
    DirectEndpoint, DirectRequest, QueryOutcome, QueryService, SubmitRequest, SubmittedQuery,
};
use crate::errors::DoorError;
use crate::handle::Handle;
use crate::options::DoorOptions;
use crate::parameters::ParameterRows;
use crate::prepared::PreparedStatement;
use crate::results::PendingResult;
use crate::sessions::Session;
use crate::wire_schema::{types_of, wire_schema};
use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;
use arrow_flight::sql::{ProstMessageExt, TicketStatementQuery};
use arrow_flight::{FlightEndpoint, FlightInfo, Ticket};
use bytes::Bytes;
use datafusion::scalar::ScalarValue;
use futures::stream;
use futures::{StreamExt, TryStreamExt};
use serde_json::json;
use skep_coordinator::wire::wire_rows;
use skep_protocol::{QueryError, QueryId};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The handle of the empty result that statements without rows have: clients that always fetch the
/// first endpoint find one.
const NO_ROWS: Bytes = Bytes::from_static(b"no rows");

/// Starts statements and hands out their rows.
pub(crate) struct Statements {
    service: Arc<dyn QueryService>,
    options: DoorOptions,
    result_places: Arc<Semaphore>,
}

impl Statements {
    pub(crate) fn new(service: Arc<dyn QueryService>, options: DoorOptions) -> Self {
        Self {
            service,
            result_places: Arc::new(Semaphore::new(options.pending_results_max)),
            options,
        }
    }

    /// Starts a statement. Commands have run when this returns, exactly once; the rows of a query
    /// wait under the ticket in the answer.
    pub(crate) async fn start(
        &self,
        session: &Session,
        sql: String,
    ) -> Result<FlightInfo, DoorError> {
        let place = self.result_place()?;
        let submitted = self
            .submit(SubmitRequest {
                direct: Some(self.direct_request()),
                ..request(session, sql, vec![])
            })
            .await?;
        self.info(session, submitted, place)
    }

    /// How a client may read rows from executors.
    fn direct_request(&self) -> DirectRequest {
        DirectRequest {
            wire_schema: |schema, flight| wire_schema(schema, types_of(flight)),
            needs_tls: self.options.needs_tls,
            wait_max: self.options.pending_result_wait_max,
        }
    }

    /// Starts a prepared statement with the parameters that are bound.
    pub(crate) async fn start_prepared(
        &self,
        session: &Session,
        statement: &PreparedStatement,
    ) -> Result<FlightInfo, DoorError> {
        use crate::engine::StatementKind::{Command, Query};
        let place = self.result_place()?;
        match statement.kind {
            Query => {
                let rows = statement.query_rows()?;
                let first = rows.first().cloned().unwrap_or_default();
                let sql = statement.sql.clone();
                // Several runs follow one another, which is for one stream.
                let direct = (rows.len() == 1).then(|| self.direct_request());
                let mut submitted = self
                    .submit(SubmitRequest {
                        prepared: Some(statement.plan.clone()),
                        direct,
                        ..request(session, sql, first)
                    })
                    .await?;
                if rows.len() > 1 {
                    self.add_runs(session, statement, rows, &mut submitted);
                }
                self.info(session, submitted, place)
            }
            Command => {
                let runs = statement.runs(None)?;
                let mut last = None;
                let mut affected = None;
                for parameters in runs.iter() {
                    let (query, rows) = self
                        .run_command(session, statement.sql.clone(), parameters.clone())
                        .await?;
                    affected = add(affected, rows);
                    last = Some(query);
                }
                done_info(last.as_ref(), affected)
            }
        }
    }

    /// Adds the rows of one run for each further row of parameters. Each run begins when the one before
    /// it has been read.
    fn add_runs(
        &self,
        session: &Session,
        statement: &PreparedStatement,
        parameters: Arc<ParameterRows>,
        submitted: &mut SubmittedQuery,
    ) {
        let QueryOutcome::Rows(first) = std::mem::replace(
            &mut submitted.outcome,
            QueryOutcome::Done {
                affected_rows: None,
            },
        ) else {
            return;
        };
        let service = self.service.clone();
        let (session, sql) = (session.id.clone(), statement.sql.clone());
        let plan = statement.plan.clone();
        let more = stream::iter(1..parameters.len()).then(move |row| {
            let request = SubmitRequest {
                session: session.clone(),
                sql: sql.clone(),
                parameters: parameters[row].clone(),
                prepared: Some(plan.clone()),
                direct: None,
            };
            let service = service.clone();
            async move {
                let rows = match service.submit(request).await?.outcome {
                    QueryOutcome::Rows(rows) => rows,
                    QueryOutcome::Done { .. } | QueryOutcome::Direct { .. } => {
                        stream::empty().boxed()
                    }
                };
                Ok::<_, QueryError>(rows)
            }
        });
        submitted.outcome = QueryOutcome::Rows(first.chain(more.try_flatten()).boxed());
    }

    /// Runs a command and says how many rows it changed. 0 where that has no meaning: JDBC takes a
    /// negative number for an error.
    pub(crate) async fn update(&self, session: &Session, sql: String) -> Result<i64, DoorError> {
        let (_, affected) = self.run_command(session, sql, vec![]).await?;
        Ok(row_count(affected))
    }

    /// Runs a prepared command once per row of parameters, or once with all of them.
    pub(crate) async fn update_prepared(
        &self,
        session: &Session,
        statement: &PreparedStatement,
        parameters: Option<ParameterRows>,
    ) -> Result<i64, DoorError> {
        let mut affected = None;
        for run in statement.runs(parameters)?.iter() {
            let (_, rows) = self
                .run_command(session, statement.sql.clone(), run.clone())
                .await?;
            affected = add(affected, rows);
        }
        Ok(row_count(affected))
    }

    /// The rows behind a handle. When the stream is dropped before its end, the query is cancelled.
    pub(crate) fn fetch(
        &self,
        session: Arc<Session>,
        handle: &[u8],
    ) -> Result<FlightStream, DoorError> {
        if handle == NO_ROWS {
            let nothing = RecordBatch::new_empty(Arc::new(Schema::empty()));
            return Ok(encoded(&nothing.schema(), stream::iter([Ok(nothing)])));
        }
        let handle = Handle::from_bytes(handle).ok_or(DoorError::UnknownHandle("result"))?;
        let PendingResult {
            query,
            wire_schema: schema,
            rows,
            permit,
        } = session.results.take(handle)?;
        // The place is for results that wait; this one no longer does.
        drop(permit);
        let reading = Reading { session, handle };
        let batches = rows
            .map_err(DoorError::Engine)
            .inspect(move |_| reading.session.touch());
        let bytes_max = self.options.sent_batch_bytes_max;
        let rows = wire_rows(batches, schema.clone(), bytes_max)
            .map_err(move |error| of_query(error, &query));
        Ok(encoded(&schema, rows))
    }

    fn result_place(&self) -> Result<OwnedSemaphorePermit, DoorError> {
        let places = self.result_places.clone();
        places.try_acquire_owned().map_err(|_| DoorError::TooMany {
            what: "results that wait to be fetched",
            limit: self.options.pending_results_max,
        })
    }

    async fn submit(&self, request: SubmitRequest) -> Result<SubmittedQuery, DoorError> {
        Ok(self.service.submit(request).await?)
    }

    async fn run_command(
        &self,
        session: &Session,
        sql: String,
        parameters: Vec<ScalarValue>,
    ) -> Result<(QueryId, Option<u64>), DoorError> {
        let submitted = self.submit(request(session, sql, parameters)).await?;
        match submitted.outcome {
            QueryOutcome::Done { affected_rows } => Ok((submitted.id, affected_rows)),
            // The stream is dropped, which cancels the query.
            QueryOutcome::Rows(_) | QueryOutcome::Direct { .. } => Err(of_query(
                DoorError::BadRequest(
                    "the statement returns rows: run it as a query, not as an update".to_owned(),
                ),
                &submitted.id,
            )),
        }
    }

    fn info(
        &self,
        session: &Session,
        submitted: SubmittedQuery,
        permit: OwnedSemaphorePermit,
    ) -> Result<FlightInfo, DoorError> {
        let rows = match submitted.outcome {
            QueryOutcome::Rows(rows) => rows,
            QueryOutcome::Direct {
                endpoints,
                readers,
                running,
            } => {
                let schema = wire_schema(&submitted.schema, types_of(&submitted.flight));
                session
                    .results
                    .keep_running(&submitted.id, readers, running);
                let wait_max = self.options.pending_result_wait_max;
                return direct_info(&schema, &submitted.id, endpoints, wait_max);
            }
            QueryOutcome::Done { affected_rows } => {
                return done_info(Some(&submitted.id), affected_rows);
            }
        };
        let wire_schema = wire_schema(&submitted.schema, types_of(&submitted.flight));
        let pending = PendingResult {
            query: submitted.id.clone(),
            wire_schema: wire_schema.clone(),
            rows: rows.peekable(),
            permit,
        };
        let deadline = Instant::now() + self.options.pending_result_wait_max;
        let handle = session.results.hold(pending, deadline);
        flight_info(&wire_schema, handle.to_bytes(), Some(&submitted.id), None)
    }
}

fn request(session: &Session, sql: String, parameters: Vec<ScalarValue>) -> SubmitRequest {
    SubmitRequest {
        session: session.id.clone(),
        sql,
        parameters,
        prepared: None,
        direct: None,
    }
}

/// What is told of a result that waits.
pub(crate) fn pending_info(
    result: &PendingResult,
    handle: Handle,
) -> Result<FlightInfo, DoorError> {
    let PendingResult {
        query, wire_schema, ..
    } = result;
    flight_info(wire_schema, handle.to_bytes(), Some(query), None)
}

/// Says that somebody reads a result, until dropped. Keeps the session from expiring meanwhile.
struct Reading {
    session: Arc<Session>,
    handle: Handle,
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.session.touch();
        self.session.results.end(self.handle);
    }
}

/// Where a client reads its rows from executors.
fn direct_info(
    schema: &Schema,
    query: &QueryId,
    endpoints: Vec<DirectEndpoint>,
    wait_max: Duration,
) -> Result<FlightInfo, DoorError> {
    let mut info = flight_info(schema, NO_ROWS, Some(query), None)?;
    info.endpoint = endpoints
        .into_iter()
        .map(|endpoint| {
            let DirectEndpoint { address, ticket } = endpoint;
            let scheme = if address.uses_tls {
                "grpc+tls"
            } else {
                "grpc+tcp"
            };
            let location = format!("{scheme}://{}", address.authority);
            let mut shown = FlightEndpoint::new()
                .with_ticket(Ticket::new(ticket))
                .with_location(location);
            expire_in(&mut shown, wait_max);
            shown
        })
        .collect();
    Ok(info)
}

fn done_info(query: Option<&QueryId>, affected: Option<u64>) -> Result<FlightInfo, DoorError> {
    flight_info(&Schema::empty(), NO_ROWS, query, Some(affected))
}

/// `affected` is there for commands, with the number of rows where that has a meaning.
fn flight_info(
    schema: &Schema,
    handle: Bytes,
    query: Option<&QueryId>,
    affected: Option<Option<u64>>,
) -> Result<FlightInfo, DoorError> {
    let ticket = TicketStatementQuery {
        statement_handle: handle,
    };
    let metadata = json!({
        "query_id": query.map(QueryId::as_str),
        "affected_rows": affected.flatten(),
        "returns_rows": affected.is_none(),
    });
    let records = if affected.is_some() { 0 } else { -1 };
    Ok(FlightInfo::new()
        .try_with_schema(schema)
        .map_err(DoorError::Encode)?
        .with_endpoint(ticket_endpoint(&ticket.as_any()))
        .with_total_records(records)
        .with_total_bytes(-1)
        .with_app_metadata(metadata.to_string()))
}

fn of_query(error: DoorError, query: &QueryId) -> DoorError {
    let error = QueryError::from(error);
    DoorError::Engine(match error.query_id {
        Some(_) => error,
        None => error.of_query(query.as_str()),
    })
}

fn add(sum: Option<u64>, rows: Option<u64>) -> Option<u64> {
    match (sum, rows) {
        (Some(sum), Some(rows)) => Some(sum.saturating_add(rows)),
        (sum, rows) => sum.or(rows),
    }
}

fn row_count(affected: Option<u64>) -> i64 {
    affected.map_or(0, |rows| i64::try_from(rows).unwrap_or(i64::MAX))
}
