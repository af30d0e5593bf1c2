//! A door on a free port of the loopback, and clients of it.

use crate::engine::FakeEngine;
use arrow::record_batch::RecordBatch;
use arrow_flight::error::FlightError;
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::{FlightInfo, Ticket};
use futures::TryStreamExt;
use skep_flight_service::{DoorOptions, FlightSqlDoor};
use skep_listener::{Incoming, ListenerOptions};
use skep_protocol::QueryError;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tonic::Status;
use tonic::transport::{Channel, Endpoint, Server};

/// The longest that a test waits for something to happen.
const PATIENCE: Duration = Duration::from_secs(20);

pub type Client = FlightSqlServiceClient<Channel>;

pub struct Fixture {
    pub engine: Arc<FakeEngine>,
    pub address: String,
    _server: JoinSet<()>,
}

impl Fixture {
    pub async fn new() -> Self {
        Self::with(DoorOptions::default()).await
    }

    pub async fn with(options: DoorOptions) -> Self {
        let listening = ListenerOptions {
            connections_max: 1000,
            tls: None,
        };
        Self::listening(options, listening).await
    }

    pub async fn listening(options: DoorOptions, listening: ListenerOptions) -> Self {
        let engine = Arc::new(FakeEngine::default());
        let door = FlightSqlDoor::new(engine.clone(), options);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let incoming = Incoming::new(listener, listening);
        let mut server = JoinSet::new();
        server.spawn(async move {
            Server::builder()
                .add_service(door.into_server())
                .serve_with_incoming(incoming)
                .await
                .unwrap();
        });
        Self {
            engine,
            address,
            _server: server,
        }
    }

    /// A new connection.
    pub async fn channel(&self) -> Channel {
        Endpoint::from_shared(self.address.clone())
            .unwrap()
            .connect()
            .await
            .unwrap()
    }

    /// A client on a connection of its own that has not logged in.
    pub async fn stranger(&self) -> Client {
        FlightSqlServiceClient::new(self.channel().await)
    }

    /// A client that has logged in.
    pub async fn client(&self) -> Client {
        let mut client = self.stranger().await;
        client.handshake("ada", "secret").await.unwrap();
        client
    }

    /// How often a statement was run.
    pub fn runs(&self, sql: &str) -> usize {
        let submitted = self.engine.submitted.lock();
        submitted.iter().filter(|(text, _)| text == sql).count()
    }
}

/// Waits until something has become true.
pub async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub fn ticket(info: &FlightInfo) -> Ticket {
    info.endpoint[0].ticket.clone().unwrap()
}

pub async fn fetch(
    client: &mut Client,
    info: &FlightInfo,
) -> Result<Vec<RecordBatch>, FlightError> {
    client.do_get(ticket(info)).await?.try_collect().await
}

/// Runs a query and fetches all of it.
pub async fn query(client: &mut Client, sql: &str) -> Result<Vec<RecordBatch>, FlightError> {
    let info = client.execute(sql.into(), None).await?;
    fetch(client, &info).await
}

/// The status that a client got.
pub fn status(error: FlightError) -> Status {
    match error {
        FlightError::Tonic(status) => *status,
        other => panic!("{other:?}"),
    }
}

/// The engine's error that a client got.
pub fn query_error(error: FlightError) -> QueryError {
    QueryError::from_status(&status(error))
}
