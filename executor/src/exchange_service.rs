//! The exchange's door: standard Arrow Flight, of which an executor serves `DoGet` with signed tickets, and
//! `Handshake` for clients that log in wherever they read.

use crate::readers::Readers;
use crate::worker::TaskRunner;
use arrow_flight::flight_service_server::FlightService;
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo,
    HandshakeRequest, PollInfo, PutResult, SchemaResult, Ticket,
};
use async_trait::async_trait;
use futures::stream::BoxStream;
use skep_exchange::channel::SharedKey;
use skep_exchange::limits::{ExchangeLimits, WireCompression};
use skep_exchange::serve::{ServeOptions, serve_partition};
use skep_listener::{
    Gate, HandshakeStream, address, check_node_transport, check_transport, handshake,
};
use skep_protocol::node_call::{NODE_CALL_HEADER, STRANGERS_MESSAGE_BYTES_MAX};
use skep_protocol::ticket::unix_time_ms;
use skep_protocol::{ErrorCode, QueryError};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;
use tonic::metadata::MetadataMap;
use tonic::{Extensions, Request, Response, Status, Streaming};

/// The longest ticket that another node shows, in bytes: it says how rows are dealt out, by all of their columns
/// if need be.
const NODES_MESSAGE_BYTES_MAX: usize = 64 << 20;

/// Serves the output of this executor's tasks.
pub(crate) struct ExchangeService {
    pub(crate) runner: TaskRunner,
    pub(crate) key: SharedKey,
    pub(crate) limits: ExchangeLimits,
    pub(crate) compute: Handle,
    pub(crate) node: String,
    pub(crate) bytes_sent: Arc<AtomicU64>,
    pub(crate) readers: Readers,
}

type Answer<T> = BoxStream<'static, Result<T, Status>>;

impl ExchangeService {
    /// What a ticket stands for: a partition for another node, or a result for a client.
    async fn answer(
        &self,
        headers: &MetadataMap,
        call: &Extensions,
        source: Option<SocketAddr>,
        ticket: &[u8],
    ) -> Result<Answer<FlightData>, QueryError> {
        let key = self.key.get()?;
        match key.verify_direct(ticket, unix_time_ms())? {
            Some(direct) => {
                check_transport(call)?;
                self.serve_direct(direct, headers, source).await
            }
            None => {
                check_node_transport(call)?;
                self.serve(ticket).await
            }
        }
    }

    /// Whether a call's headers show that a node of this cluster makes it.
    fn is_of_node(&self, headers: &MetadataMap) -> bool {
        let shown = headers.get_bin(NODE_CALL_HEADER);
        let shown = shown.and_then(|shown| shown.to_bytes().ok());
        shown
            .zip(self.key.get().ok())
            .is_some_and(|(shown, key)| key.is_node_credential(&shown, unix_time_ms()))
    }

    async fn serve(&self, ticket: &[u8]) -> Result<Answer<FlightData>, QueryError> {
        let ticket = self.key.get()?.verify_ticket(ticket, unix_time_ms())?;
        let compression = WireCompression::from_name(&ticket.compression)?;
        // Operators start on the compute runtime: some of them spawn when they start.
        let runner = self.runner.clone();
        let opening = self.compute.spawn(async move { runner.open(ticket).await });
        let opened = AbortOnDropHandle::new(opening).await;
        let partition = opened.map_err(|_| {
            QueryError::new(ErrorCode::Panic, "an operator panicked when it started")
        })??;
        let options = ServeOptions {
            compression,
            send_buffer_bytes: self.limits.send_buffer_bytes,
            pool: Arc::clone(partition.context.memory_pool()),
            compute: self.compute.clone(),
            node: self.node.clone(),
            bytes_sent: Arc::clone(&self.bytes_sent),
            is_counted: true,
        };
        Ok(serve_partition(partition.batches, options))
    }
}

#[async_trait]
impl Gate for ExchangeService {
    async fn message_bytes_max(
        &self,
        _method: &str,
        call: &mut Request<()>,
    ) -> Result<usize, Status> {
        Ok(match self.is_of_node(call.metadata()) {
            true => NODES_MESSAGE_BYTES_MAX,
            false => STRANGERS_MESSAGE_BYTES_MAX,
        })
    }
}

fn not_served<T>(call: &str) -> Result<Response<T>, Status> {
    Err(Status::unimplemented(format!(
        "an executor serves rows only, not {call}: connect to the coordinator"
    )))
}

#[async_trait]
impl FlightService for ExchangeService {
    type DoGetStream = Answer<FlightData>;
    type HandshakeStream = HandshakeStream;
    type ListFlightsStream = Answer<FlightInfo>;
    type DoPutStream = Answer<PutResult>;
    type DoExchangeStream = Answer<FlightData>;
    type DoActionStream = Answer<arrow_flight::Result>;
    type ListActionsStream = Answer<ActionType>;

    async fn do_get(
        &self,
        request: Request<Ticket>,
    ) -> Result<Response<Self::DoGetStream>, Status> {
        let source = address(&request);
        let (headers, call, ticket) = request.into_parts();
        let answer = self.answer(&headers, &call, source, &ticket.ticket).await;
        Ok(Response::new(
            answer.map_err(|error| error.on_node(self.node.clone()))?,
        ))
    }

    async fn handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        let source = address(&request);
        handshake(request, |credentials| self.token(credentials, source)).await
    }

    async fn list_flights(
        &self,
        _request: Request<Criteria>,
    ) -> Result<Response<Self::ListFlightsStream>, Status> {
        not_served("ListFlights")
    }

    async fn get_flight_info(
        &self,
        _request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        not_served("GetFlightInfo")
    }

    async fn poll_flight_info(
        &self,
        _request: Request<FlightDescriptor>,
    ) -> Result<Response<PollInfo>, Status> {
        not_served("PollFlightInfo")
    }

    async fn get_schema(
        &self,
        _request: Request<FlightDescriptor>,
    ) -> Result<Response<SchemaResult>, Status> {
        not_served("GetSchema")
    }

    async fn do_put(
        &self,
        _request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoPutStream>, Status> {
        not_served("DoPut")
    }

    async fn do_exchange(
        &self,
        _request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        not_served("DoExchange")
    }

    async fn do_action(
        &self,
        _request: Request<Action>,
    ) -> Result<Response<Self::DoActionStream>, Status> {
        not_served("DoAction")
    }

    async fn list_actions(
        &self,
        _request: Request<Empty>,
    ) -> Result<Response<Self::ListActionsStream>, Status> {
        not_served("ListActions")
    }
}
