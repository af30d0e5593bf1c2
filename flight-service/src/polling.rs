//! PollFlightInfo: a query is complete, for its client, as soon as its first rows can be fetched. The
//! rest is sent as fast as the client reads, so there is nothing more to wait for.

use crate::commands::{descriptor_command, unpack};
use crate::door::Door;
use crate::errors::DoorError;
use crate::handle::Handle;
use crate::results::{PendingResult, Results};
use crate::sessions::Session;
use crate::statements::pending_info;
use arrow_flight::sql::{Command, ProstMessageExt, TicketStatementQuery};
use arrow_flight::{FlightDescriptor, FlightInfo, PollInfo};
use prost::Message;
use skep_protocol::QueryId;
use std::pin::Pin;
use std::time::{Duration, Instant};

/// How long one call waits for the first rows: less than any client's time-out, and long enough that a
/// client which asks again at once is not a burden.
const WAIT_MAX: Duration = Duration::from_millis(500);

/// What is said of a query before it is complete, at most.
const UNFINISHED_PROGRESS_MAX: f64 = 0.99;

impl Door {
    /// Starts what `descriptor` says, or waits for what it started in an earlier call.
    pub(crate) async fn poll(
        &self,
        session: &Session,
        descriptor: FlightDescriptor,
    ) -> Result<PollInfo, DoorError> {
        let handle = match descriptor_command(&descriptor)? {
            Command::TicketStatementQuery(ticket) => Handle::from_bytes(&ticket.statement_handle)
                .ok_or(DoorError::UnknownHandle("query"))?,
            _ => {
                let info = self.flight_info(session, descriptor).await?;
                match info_handle(&info)
                    .filter(|handle| session.results.query_of(*handle).is_some())
                {
                    Some(handle) => handle,
                    // A command has run, and metadata is at hand.
                    None => return Ok(complete(info)),
                }
            }
        };
        let mut polled = Polled::take(&session.results, handle, self.deadline())?;
        let info = polled.info(handle)?;
        match polled.has_rows(WAIT_MAX).await {
            true => Ok(complete(info)),
            false => {
                let query = session.results.query_of(handle);
                Ok(self.incomplete(info, handle, query))
            }
        }
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.options.pending_result_wait_max
    }

    fn incomplete(&self, info: FlightInfo, handle: Handle, query: Option<QueryId>) -> PollInfo {
        let ticket = TicketStatementQuery {
            statement_handle: handle.to_bytes(),
        };
        let status = query.and_then(|query| self.service.status(&query));
        let (planned, ended) = status.map_or((0, 0), |status| status.tasks);
        let progress = f64::from(ended) / f64::from(planned.max(1));
        PollInfo {
            // The rows are not there yet, so no endpoint is told.
            info: Some(FlightInfo {
                endpoint: vec![],
                ..info
            }),
            flight_descriptor: Some(FlightDescriptor::new_cmd(ticket.as_any().encode_to_vec())),
            progress: Some(progress.min(UNFINISHED_PROGRESS_MAX)),
            expiration_time: None,
        }
    }
}

fn complete(info: FlightInfo) -> PollInfo {
    PollInfo {
        info: Some(info),
        progress: Some(1.0),
        ..PollInfo::default()
    }
}

fn info_handle(info: &FlightInfo) -> Option<Handle> {
    let ticket = info.endpoint.first()?.ticket.as_ref()?;
    match unpack(&ticket.ticket, "ticket") {
        Ok(Command::TicketStatementQuery(ticket)) => Handle::from_bytes(&ticket.statement_handle),
        _ => None,
    }
}

/// A result that somebody looks at. It goes back to where it waits, also when the call is given up.
struct Polled<'a> {
    results: &'a Results,
    handle: Handle,
    deadline: Instant,
    result: Option<PendingResult>,
}

impl<'a> Polled<'a> {
    fn take(results: &'a Results, handle: Handle, deadline: Instant) -> Result<Self, DoorError> {
        Ok(Self {
            results,
            handle,
            deadline,
            result: Some(results.take(handle)?),
        })
    }

    fn info(&self, handle: Handle) -> Result<FlightInfo, DoorError> {
        let result = self
            .result
            .as_ref()
            .ok_or(DoorError::UnknownHandle("query"))?;
        pending_info(result, handle)
    }

    /// Whether the first rows, the end or an error are there within `wait`.
    async fn has_rows(&mut self, wait: Duration) -> bool {
        match &mut self.result {
            Some(result) => {
                let first = Pin::new(&mut result.rows);
                tokio::time::timeout(wait, first.peek()).await.is_ok()
            }
            None => true,
        }
    }
}

impl Drop for Polled<'_> {
    fn drop(&mut self) {
        if let Some(result) = self.result.take() {
            self.results.put_back(self.handle, result, self.deadline);
        }
    }
}
