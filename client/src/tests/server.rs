//! A small Flight server on loopback that answers as Skep's does, and notes what it is asked.

use arrow::array::{Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::ipc::CompressionType;
use arrow::ipc::writer::IpcWriteOptions;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_server::{FlightService, FlightServiceServer};
use arrow_flight::sql::{
    ActionCreatePreparedStatementResult, Any, Command, CommandGetDbSchemas, CommandGetTables,
    DoPutUpdateResult, ProstMessageExt,
};
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightEndpoint, FlightInfo,
    HandshakeRequest, HandshakeResponse, IpcMessage, PollInfo, PutResult, SchemaAsIpc,
    SchemaResult, Ticket,
};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use prost::Message;
use skep_protocol::{ErrorCode, Position, QueryError};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use tokio::runtime::{Builder, Runtime};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Server, ServerTlsConfig};
use tonic::{Request, Response, Status, Streaming};

const TOKEN: &str = "Bearer token-of-the-session";

/// What the server saw.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) statements: Mutex<Vec<String>>,
    pub(super) handshakes: AtomicU32,
    pub(super) closed: AtomicBool,
    pub(super) stream_dropped: AtomicBool,
}

#[derive(Clone, Default)]
struct FakeServer {
    seen: Arc<Seen>,
}

type Answer<T> = Result<Response<T>, Status>;
type Messages<T> = BoxStream<'static, Result<T, Status>>;

fn authorize<T>(request: &Request<T>) -> Result<(), Status> {
    match request.metadata().get("authorization") {
        Some(token) if token == TOKEN => Ok(()),
        _ => Err(QueryError::new(ErrorCode::Unauthenticated, "unknown token").into()),
    }
}

pub(super) fn numbers() -> RecordBatch {
    let schema = Schema::new(vec![Field::new("n", DataType::Int64, false)]);
    let column = Arc::new(Int64Array::from_iter_values(0..1000));
    RecordBatch::try_new(Arc::new(schema), vec![column]).unwrap()
}

fn text_batch(columns: &[(&str, &[&str])]) -> RecordBatch {
    let fields: Vec<_> = columns
        .iter()
        .map(|(name, _)| Field::new(*name, DataType::Utf8, false))
        .collect();
    let arrays = columns
        .iter()
        .map(|(_, values)| Arc::new(StringArray::from(values.to_vec())) as _)
        .collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

fn info(schema: &SchemaRef, ticket: Option<&str>, metadata: &str) -> FlightInfo {
    let mut info = FlightInfo::new().try_with_schema(schema).unwrap();
    info.app_metadata = metadata.to_owned().into();
    if let Some(ticket) = ticket {
        let ticket = Ticket::new(ticket.to_owned());
        info = info.with_endpoint(FlightEndpoint::new().with_ticket(ticket));
    }
    info
}

impl FakeServer {
    fn statement(&self, sql: String) -> Result<FlightInfo, Status> {
        let metadata = r#"{"query_id":"q1","affected_rows":null,"returns_rows":true}"#;
        self.seen.statements.lock().unwrap().push(sql.clone());
        match sql.as_str() {
            "select" => Ok(info(&numbers().schema(), Some("numbers"), metadata)),
            "forever" => Ok(info(&numbers().schema(), Some("forever"), metadata)),
            "breaks" => Ok(info(&numbers().schema(), Some("breaks"), metadata)),
            "two endpoints" => {
                let info = info(&numbers().schema(), Some("numbers"), metadata);
                let second = info.endpoint.clone();
                Ok(FlightInfo {
                    endpoint: [info.endpoint.clone(), second].concat(),
                    ..info
                })
            }
            "insert" => Ok(info(
                &Arc::new(Schema::empty()),
                None,
                r#"{"query_id":"q2","affected_rows":7,"returns_rows":false}"#,
            )),
            "KILL QUERY 'gone'" => {
                Err(QueryError::new(ErrorCode::QueryNotFound, "query 'gone' not found").into())
            }
            "KILL QUERY 'it''s'" => Ok(info(
                &Arc::new(Schema::empty()),
                None,
                r#"{"query_id":"q3","affected_rows":null,"returns_rows":false}"#,
            )),
            _ => Err(
                QueryError::new(ErrorCode::TableNotFound, "table 'x' not found")
                    .at(Some(Position {
                        line: 1,
                        column: 15,
                    }))
                    .into(),
            ),
        }
    }
}

/// A prepared statement with one parameter, which is a number.
fn prepared() -> bytes::Bytes {
    let options = IpcWriteOptions::default();
    let message = |schema: &Schema| -> bytes::Bytes {
        let IpcMessage(bytes) = SchemaAsIpc::new(schema, &options).try_into().unwrap();
        bytes
    };
    let parameter = Schema::new(vec![Field::new("$1", DataType::Int64, true)]);
    let result = ActionCreatePreparedStatementResult {
        prepared_statement_handle: "handle".into(),
        dataset_schema: message(&numbers().schema()),
        parameter_schema: message(&parameter),
    };
    result.as_any().encode_to_vec().into()
}

/// Tells when the server noticed that nobody reads any more.
struct DropFlag(Arc<Seen>);

impl Drop for DropFlag {
    fn drop(&mut self) {
        self.0.stream_dropped.store(true, Ordering::SeqCst);
    }
}

fn encode(batches: BoxStream<'static, Result<RecordBatch, FlightError>>) -> Messages<FlightData> {
    let options = IpcWriteOptions::default()
        .try_with_compression(Some(CompressionType::LZ4_FRAME))
        .unwrap();
    let encoder = FlightDataEncoderBuilder::new()
        .with_options(options)
        .build(batches);
    encoder.map_err(Status::from).boxed()
}

#[tonic::async_trait]
impl FlightService for FakeServer {
    type HandshakeStream = Messages<HandshakeResponse>;
    type ListFlightsStream = Messages<FlightInfo>;
    type DoGetStream = Messages<FlightData>;
    type DoPutStream = Messages<PutResult>;
    type DoExchangeStream = Messages<FlightData>;
    type DoActionStream = Messages<arrow_flight::Result>;
    type ListActionsStream = Messages<ActionType>;

    async fn handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Answer<Self::HandshakeStream> {
        // "ann:secret"
        if request
            .metadata()
            .get("authorization")
            .is_none_or(|it| it != "Basic YW5uOnNlY3JldA==")
        {
            return Err(QueryError::new(ErrorCode::Unauthenticated, "wrong password").into());
        }
        self.seen.handshakes.fetch_add(1, Ordering::SeqCst);
        let mut response = Response::new(stream::empty().boxed());
        response
            .metadata_mut()
            .insert("authorization", TOKEN.parse().unwrap());
        Ok(response)
    }

    async fn get_flight_info(&self, request: Request<FlightDescriptor>) -> Answer<FlightInfo> {
        authorize(&request)?;
        let message = Any::decode(request.into_inner().cmd).unwrap();
        let info = match Command::try_from(message).unwrap() {
            Command::CommandStatementQuery(query) => self.statement(query.query)?,
            Command::CommandPreparedStatementQuery(_) => self.statement("select".to_owned())?,
            Command::CommandGetDbSchemas(CommandGetDbSchemas { .. }) => {
                info(&numbers().schema(), Some("schemas"), "")
            }
            Command::CommandGetTables(CommandGetTables {
                db_schema_filter_pattern,
                ..
            }) => {
                assert_eq!(db_schema_filter_pattern.as_deref(), Some("my\\_db"));
                info(&numbers().schema(), Some("tables"), "")
            }
            other => return Err(Status::unimplemented(format!("{other:?}"))),
        };
        Ok(Response::new(info))
    }

    async fn do_get(&self, request: Request<Ticket>) -> Answer<Self::DoGetStream> {
        authorize(&request)?;
        let batches = match request.into_inner().ticket.as_ref() {
            b"numbers" => stream::iter([Ok(numbers()), Ok(numbers())]).boxed(),
            b"breaks" => {
                let error = QueryError::new(ErrorCode::ExecutorLost, "executor 'e1' was lost");
                let status = Box::new(Status::from(error));
                stream::iter([Ok(numbers()), Err(FlightError::Tonic(status))]).boxed()
            }
            b"forever" => {
                let flag = DropFlag(Arc::clone(&self.seen));
                stream::unfold(flag, |flag| async { Some((Ok(numbers()), flag)) }).boxed()
            }
            b"schemas" => {
                let batch = text_batch(&[("db_schema_name", &["a", "b"])]);
                stream::iter([Ok(batch)]).boxed()
            }
            _ => {
                let batch = text_batch(&[
                    ("db_schema_name", &["my_db"]),
                    ("table_name", &["t"]),
                    ("table_type", &["VIEW"]),
                ]);
                stream::iter([Ok(batch)]).boxed()
            }
        };
        Ok(Response::new(encode(batches)))
    }

    async fn do_put(&self, request: Request<Streaming<FlightData>>) -> Answer<Self::DoPutStream> {
        authorize(&request)?;
        let app_metadata = DoPutUpdateResult { record_count: 42 }
            .encode_to_vec()
            .into();
        Ok(Response::new(
            stream::iter([Ok(PutResult { app_metadata })]).boxed(),
        ))
    }

    async fn do_action(&self, request: Request<Action>) -> Answer<Self::DoActionStream> {
        authorize(&request)?;
        let action = request.into_inner();
        let body = match action.r#type.as_str() {
            "CloseSession" => {
                self.seen.closed.store(true, Ordering::SeqCst);
                return Ok(Response::new(stream::empty().boxed()));
            }
            "ClosePreparedStatement" => return Ok(Response::new(stream::empty().boxed())),
            "CreatePreparedStatement" => prepared(),
            "GetQueryProgress" => {
                r#"[{"query_id":"q1","state":"RUNNING","tasks":4,"news":1}]"#.into()
            }
            other => return Err(Status::unimplemented(other.to_owned())),
        };
        let answer = arrow_flight::Result { body };
        Ok(Response::new(stream::iter([Ok(answer)]).boxed()))
    }

    async fn list_flights(&self, _: Request<Criteria>) -> Answer<Self::ListFlightsStream> {
        Err(Status::unimplemented("list_flights"))
    }
    async fn poll_flight_info(&self, _: Request<FlightDescriptor>) -> Answer<PollInfo> {
        Err(Status::unimplemented("poll_flight_info"))
    }
    async fn get_schema(&self, _: Request<FlightDescriptor>) -> Answer<SchemaResult> {
        Err(Status::unimplemented("get_schema"))
    }
    async fn do_exchange(
        &self,
        _: Request<Streaming<FlightData>>,
    ) -> Answer<Self::DoExchangeStream> {
        Err(Status::unimplemented("do_exchange"))
    }
    async fn list_actions(&self, _: Request<Empty>) -> Answer<Self::ListActionsStream> {
        Err(Status::unimplemented("list_actions"))
    }
}

/// A running server in a runtime of its own, so that stopping it breaks its connections as the death
/// of a process does.
pub(super) struct Running {
    pub(super) url: String,
    pub(super) seen: Arc<Seen>,
    pub(super) runtime: Option<Runtime>,
}

impl Running {
    /// Stops it and waits until nothing listens any more.
    pub(super) async fn stop(&mut self) {
        let runtime = self.runtime.take();
        tokio::task::spawn_blocking(move || drop(runtime))
            .await
            .unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

pub(super) async fn serve() -> Running {
    serve_with(None).await
}

pub(super) async fn serve_with(tls: Option<ServerTlsConfig>) -> Running {
    let server = FakeServer::default();
    let seen = Arc::clone(&server.seen);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let scheme = if tls.is_some() { "flights" } else { "flight" };
    let url = format!("{scheme}://{}", listener.local_addr().unwrap());
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.spawn(async move {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let service = FlightServiceServer::new(server);
        let incoming = TcpIncoming::from(listener);
        let mut builder = Server::builder();
        if let Some(tls) = tls {
            builder = builder.tls_config(tls).unwrap();
        }
        builder
            .add_service(service)
            .serve_with_incoming(incoming)
            .await
            .unwrap();
    });
    Running {
        url,
        seen,
        runtime: Some(runtime),
    }
}
