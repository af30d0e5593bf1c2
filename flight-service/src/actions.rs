//! DoAction: everything in Flight SQL that is neither a result nor rows being sent.
//!
//! Flight SQL's own actions are packed in an `Any`; Flight's (cancelling, renewing, sessions) are bare.

use crate::commands::unpack;
use crate::door::Door;
use crate::endpoints::expire_in;
use crate::errors::{DoorError, bad_message};
use crate::handle::Handle;
use crate::progress;
use crate::session_messages::{CloseSessionResult, CloseSessionStatus, SetSessionOptionsRequest};
use crate::session_options::{get_options, set_options};
use crate::sessions::Session;
use arrow_flight::sql::{
    ActionCancelQueryResult, ActionClosePreparedStatementRequest, Any, Command, ProstMessageExt,
};
use arrow_flight::{
    Action, ActionType, CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus,
    FlightEndpoint, FlightInfo, RenewFlightEndpointRequest,
};
use bytes::Bytes;
use prost::Message;
use skep_protocol::QueryId;
use std::sync::Arc;
use std::time::Instant;

const CREATE_PREPARED_STATEMENT: &str = "CreatePreparedStatement";
const CLOSE_PREPARED_STATEMENT: &str = "ClosePreparedStatement";
const CANCEL_QUERY: &str = "CancelQuery";
const CANCEL_FLIGHT_INFO: &str = "CancelFlightInfo";
const RENEW_FLIGHT_ENDPOINT: &str = "RenewFlightEndpoint";
const SET_SESSION_OPTIONS: &str = "SetSessionOptions";
const GET_SESSION_OPTIONS: &str = "GetSessionOptions";
const GET_QUERY_PROGRESS: &str = "GetQueryProgress";
const CLOSE_SESSION: &str = "CloseSession";

/// Every action that is answered, for ListActions.
pub(crate) fn action_types() -> Vec<ActionType> {
    [
        (CREATE_PREPARED_STATEMENT, "prepares a statement"),
        (CLOSE_PREPARED_STATEMENT, "forgets a prepared statement"),
        (CANCEL_QUERY, "cancels a query"),
        (CANCEL_FLIGHT_INFO, "cancels a query"),
        (
            RENEW_FLIGHT_ENDPOINT,
            "keeps a result that waits to be fetched for longer",
        ),
        (SET_SESSION_OPTIONS, "changes the session's options"),
        (GET_SESSION_OPTIONS, "tells the session's options"),
        (
            GET_QUERY_PROGRESS,
            "tells how far the session's queries are",
        ),
        (CLOSE_SESSION, "closes the session and cancels its queries"),
    ]
    .map(|(name, description)| ActionType {
        r#type: name.to_owned(),
        description: description.to_owned(),
    })
    .into()
}

impl Door {
    /// Carries out an action and says its answer, where it has one.
    pub(crate) async fn act(
        &self,
        session: Arc<Session>,
        action: Action,
    ) -> Result<Option<Bytes>, DoorError> {
        let answer = match action.r#type.as_str() {
            CREATE_PREPARED_STATEMENT => {
                let Command::ActionCreatePreparedStatementRequest(request) =
                    unpack(&action.body, "action")?
                else {
                    return Err(wrong_body(CREATE_PREPARED_STATEMENT));
                };
                packed(&self.prepare(&session, request).await?)
            }
            CLOSE_PREPARED_STATEMENT => {
                let Command::ActionClosePreparedStatementRequest(
                    ActionClosePreparedStatementRequest {
                        prepared_statement_handle,
                    },
                ) = unpack(&action.body, "action")?
                else {
                    return Err(wrong_body(CLOSE_PREPARED_STATEMENT));
                };
                session.prepared.remove(&prepared_statement_handle);
                return Ok(None);
            }
            CANCEL_QUERY => {
                let Command::ActionCancelQueryRequest(request) = unpack(&action.body, "action")?
                else {
                    return Err(wrong_body(CANCEL_QUERY));
                };
                let info: FlightInfo = decode(&request.info, "flight info")?;
                packed(&ActionCancelQueryResult {
                    // The protocol has the same numbers for both results.
                    result: self.cancel(&session, &info) as i32,
                })
            }
            CANCEL_FLIGHT_INFO => {
                let request: CancelFlightInfoRequest = decode(&action.body, "cancel request")?;
                let info = request.info.unwrap_or_default();
                CancelFlightInfoResult::new(self.cancel(&session, &info)).encode_to_vec()
            }
            RENEW_FLIGHT_ENDPOINT => {
                let request: RenewFlightEndpointRequest = decode(&action.body, "renew request")?;
                self.renew(&session, request)?.encode_to_vec()
            }
            SET_SESSION_OPTIONS => {
                let request: SetSessionOptionsRequest = decode(&action.body, "session options")?;
                set_options(self.service.as_ref(), &session, request)
                    .await?
                    .encode_to_vec()
            }
            GET_SESSION_OPTIONS => get_options(self.service.as_ref(), &session)
                .await?
                .encode_to_vec(),
            GET_QUERY_PROGRESS => self.query_progress(&session, &action.body),
            CLOSE_SESSION => {
                self.sessions.close(&session);
                let status = CloseSessionStatus::Closed as i32;
                CloseSessionResult { status }.encode_to_vec()
            }
            other => return Err(DoorError::Unsupported(format!("the action '{other}'"))),
        };
        Ok(Some(answer.into()))
    }

    /// How far the session's queries are, or one of its user's that is still remembered, by its id.
    fn query_progress(&self, session: &Session, id: &[u8]) -> Vec<u8> {
        if id.is_empty() {
            return progress::encode(&self.service.live_queries(&session.id));
        }
        let id = std::str::from_utf8(id).ok();
        let id = id.and_then(|id| id.parse::<QueryId>().ok());
        let status = id.and_then(|id| self.service.status(&id));
        let own = status.filter(|status| status.user == session.user());
        progress::encode(&Vec::from_iter(own))
    }

    /// Cancels the queries of a result. One that is unknown, has ended or belongs to another session
    /// cannot be cancelled, which is no error.
    fn cancel(&self, session: &Session, info: &FlightInfo) -> CancelStatus {
        let mut status = CancelStatus::NotCancellable;
        // The tickets of executors say nothing here, so it is the answer itself that names the query.
        let named = running_query(session, info);
        if named.is_some_and(|query| self.service.cancel(&query, "cancelled by the client")) {
            status = CancelStatus::Cancelled;
        }
        for endpoint in &info.endpoint {
            let Some(handle) = endpoint_handle(endpoint) else {
                continue;
            };
            let Some(query) = session.results.query_of(handle) else {
                continue;
            };
            if self.service.cancel(&query, "cancelled by the client") {
                status = CancelStatus::Cancelled;
            }
        }
        status
    }

    fn renew(
        &self,
        session: &Session,
        request: RenewFlightEndpointRequest,
    ) -> Result<FlightEndpoint, DoorError> {
        let mut endpoint = request.endpoint.unwrap_or_default();
        let wait = self.options.pending_result_wait_max;
        let unknown = || DoorError::UnknownHandle("result");
        match endpoint_handle(&endpoint) {
            Some(handle) if session.results.renew(handle, Instant::now() + wait) => {}
            Some(_) => return Err(unknown()),
            None => {
                let ticket = endpoint.ticket.as_mut().ok_or_else(unknown)?;
                let renewed = session.results.renew_direct(&ticket.ticket);
                ticket.ticket = renewed.ok_or_else(unknown)?;
            }
        }
        expire_in(&mut endpoint, wait);
        Ok(endpoint)
    }
}

/// The query whose rows the session's client reads from executors, where `info` is the answer to it.
fn running_query(session: &Session, info: &FlightInfo) -> Option<QueryId> {
    let metadata: serde_json::Value = serde_json::from_slice(&info.app_metadata).ok()?;
    let query = metadata.get("query_id")?.as_str()?.parse().ok()?;
    session.results.is_running(&query).then_some(query)
}

fn endpoint_handle(endpoint: &FlightEndpoint) -> Option<Handle> {
    let ticket = endpoint.ticket.as_ref()?;
    match unpack(&ticket.ticket, "ticket") {
        Ok(Command::TicketStatementQuery(ticket)) => Handle::from_bytes(&ticket.statement_handle),
        _ => None,
    }
}

fn packed(message: &impl ProstMessageExt) -> Vec<u8> {
    let any: Any = message.as_any();
    any.encode_to_vec()
}

fn decode<M: Message + Default>(bytes: &Bytes, what: &str) -> Result<M, DoorError> {
    M::decode(bytes.clone()).map_err(|error| bad_message(what, &error))
}

fn wrong_body(action: &str) -> DoorError {
    DoorError::BadRequest(format!("the action '{action}' holds another action's body"))
}
