//! The Flight service itself: finds out who calls, hands the call on, and turns errors into statuses.
//!
//! It implements `FlightService` rather than `arrow-flight`'s trait for Flight SQL, which leaves no
//! way to answer GetSchema, PollFlightInfo and the session actions.

use crate::actions::action_types;
use crate::door::Door;
use crate::endpoints::{FlightStream, schema_bytes};
use crate::engine::QueryService;
use crate::errors::DoorError;
use crate::options::DoorOptions;
use crate::sessions::{Session, Sessions};
use crate::statements::Statements;
use arrow_flight::flight_service_server::FlightService;
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo,
    HandshakeRequest, PollInfo, PutResult, SchemaResult, Ticket,
};
use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use skep_listener::{
    FlightServer, Gate, HandshakeStream, address, check_transport, credentials, handshake,
};
use skep_protocol::node_call::STRANGERS_MESSAGE_BYTES_MAX;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tonic::{Request, Response, Status, Streaming};

/// The Flight SQL door of an engine.
pub struct FlightSqlDoor {
    door: Door,
    /// Expires sessions and results for as long as the door is there.
    _sweeper: JoinSet<()>,
}

impl FlightSqlDoor {
    /// A door to `service`. Must be called within a Tokio runtime, which then runs the expiry of
    /// sessions and results.
    pub fn new(service: Arc<dyn QueryService>, options: DoorOptions) -> Self {
        let sessions = Arc::new(Sessions::new(service.clone(), &options));
        let mut sweeper = JoinSet::new();
        sweeper.spawn(sweep(Arc::downgrade(&sessions), options.sweep_interval));
        let statements = Statements::new(service.clone(), options.clone());
        Self {
            door: Door {
                service,
                options,
                sessions,
                statements,
            },
            _sweeper: sweeper,
        }
    }

    /// The door as a service of a Tonic server.
    pub fn into_server(self) -> FlightServer<Self> {
        FlightServer::new(self)
    }

    /// The session on whose behalf a call is made: what was found when it came, before it was read.
    async fn session<T>(&self, request: &Request<T>) -> Result<Arc<Session>, DoorError> {
        if let Some(Admitted(session)) = request.extensions().get() {
            return Ok(Arc::clone(session));
        }
        check_transport(request.extensions())?;
        let credentials = credentials(request.metadata())?;
        let address = address(request);
        self.door.sessions.resolve(credentials, address).await
    }
}

/// The session of a call that may be read.
#[derive(Clone)]
struct Admitted(Arc<Session>);

#[async_trait]
impl Gate for FlightSqlDoor {
    async fn message_bytes_max(
        &self,
        method: &str,
        call: &mut Request<()>,
    ) -> Result<usize, Status> {
        if method == "Handshake" {
            return Ok(STRANGERS_MESSAGE_BYTES_MAX);
        }
        let session = self.session(call).await?;
        call.extensions_mut().insert(Admitted(session));
        Ok(self.door.options.received_message_bytes_max)
    }
}

async fn sweep(sessions: Weak<Sessions>, interval: Duration) {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match sessions.upgrade() {
            Some(sessions) => sessions.sweep(Instant::now()),
            None => return,
        }
    }
}

#[async_trait]
impl FlightService for FlightSqlDoor {
    type HandshakeStream = HandshakeStream;
    type ListFlightsStream = BoxStream<'static, Result<FlightInfo, Status>>;
    type DoGetStream = FlightStream;
    type DoPutStream = BoxStream<'static, Result<PutResult, Status>>;
    type DoActionStream = BoxStream<'static, Result<arrow_flight::Result, Status>>;
    type ListActionsStream = BoxStream<'static, Result<ActionType, Status>>;
    type DoExchangeStream = FlightStream;

    async fn handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        let sessions = &self.door.sessions;
        let address = address(&request);
        handshake(request, async |credentials| {
            Ok(sessions.log_in(credentials, address).await?)
        })
        .await
    }

    async fn list_flights(
        &self,
        _request: Request<Criteria>,
    ) -> Result<Response<Self::ListFlightsStream>, Status> {
        Err(DoorError::Unsupported("listing flights".to_owned()).into())
    }

    async fn get_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let session = self.session(&request).await?;
        let info = self
            .door
            .flight_info(&session, request.into_inner())
            .await?;
        Ok(Response::new(info))
    }

    async fn poll_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<PollInfo>, Status> {
        let session = self.session(&request).await?;
        let poll = self.door.poll(&session, request.into_inner()).await?;
        Ok(Response::new(poll))
    }

    async fn get_schema(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<SchemaResult>, Status> {
        let session = self.session(&request).await?;
        let schema = self.door.schema(&session, request.get_ref()).await?;
        Ok(Response::new(SchemaResult {
            schema: schema_bytes(&schema)?,
        }))
    }

    async fn do_get(
        &self,
        request: Request<Ticket>,
    ) -> Result<Response<Self::DoGetStream>, Status> {
        let session = self.session(&request).await?;
        let rows = self.door.fetch(session, request.get_ref()).await?;
        Ok(Response::new(rows))
    }

    async fn do_put(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoPutStream>, Status> {
        let session = self.session(&request).await?;
        let result = self.door.put(session, request.into_inner()).await?;
        Ok(Response::new(stream::iter([Ok(result)]).boxed()))
    }

    async fn do_action(
        &self,
        request: Request<Action>,
    ) -> Result<Response<Self::DoActionStream>, Status> {
        let session = self.session(&request).await?;
        let answer = self.door.act(session, request.into_inner()).await?;
        let answer = answer.map(|body| Ok(arrow_flight::Result::new(body)));
        Ok(Response::new(stream::iter(answer).boxed()))
    }

    async fn list_actions(
        &self,
        _request: Request<Empty>,
    ) -> Result<Response<Self::ListActionsStream>, Status> {
        let actions = action_types().into_iter().map(Ok);
        Ok(Response::new(stream::iter(actions).boxed()))
    }

    async fn do_exchange(
        &self,
        _request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        Err(DoorError::Unsupported("DoExchange at this door".to_owned()).into())
    }
}
