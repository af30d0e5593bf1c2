//! One session with one server, over one HTTP/2 connection.

use crate::address::{self, Address};
use crate::error::ClientError;
use crate::result::StatementResult;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::{
    CommandStatementQuery, CommandStatementUpdate, DoPutUpdateResult, ProstMessageExt,
};
use arrow_flight::{Action, FlightData, FlightDescriptor, FlightInfo, HandshakeRequest};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use prost::Message;
use serde::Deserialize;
use skep_protocol::ErrorCode;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{IntoRequest, Request, Status};

/// How often an unanswered connection is probed, and how long an answer may take: a silent server is
/// noticed within their sum.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// HTTP/2's default window of 64 KiB caps a stream far below what a network can carry.
const STREAM_WINDOW_BYTES: u32 = 4 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 8 << 20;

/// Whom to connect as, and the limits of the connection.
#[derive(Clone)]
pub struct ClientOptions {
    /// The user's name.
    pub user: String,
    /// The user's password, where the server asks for one.
    pub password: Option<String>,
    /// How long connecting and logging in may take together.
    pub connect_timeout: Duration,
    /// The largest message that is accepted from the server.
    pub max_message_bytes: usize,
    /// For `flights://`: the certificates, in PEM, of the authorities to trust.
    pub ca_certificate_pem: Option<Vec<u8>>,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            user: "anonymous".to_owned(),
            password: None,
            connect_timeout: Duration::from_secs(10),
            max_message_bytes: 256 << 20,
            ca_certificate_pem: None,
        }
    }
}

impl fmt::Debug for ClientOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientOptions")
            .field("user", &self.user)
            .field("password", &self.password.as_ref().map(|_| "…"))
            .field("connect_timeout", &self.connect_timeout)
            .field("max_message_bytes", &self.max_message_bytes)
            .finish_non_exhaustive()
    }
}

/// A session with a server. Clones share the session and its connection.
#[derive(Clone, Debug)]
pub struct Client {
    flight: FlightServiceClient<Channel>,
    url: String,
    /// Names the session in every call. Marked as sensitive, so that it is not printed.
    authorization: Option<AsciiMetadataValue>,
}

impl Client {
    /// Connects to `flight://host:port` or `flights://host:port` (TLS) and opens a session. The port
    /// is 8090 where none is given.
    ///
    /// # Errors
    /// [`ClientError::Address`], [`ClientError::Connect`] or [`ClientError::Login`].
    pub async fn connect(url: &str, options: ClientOptions) -> Result<Self, ClientError> {
        let address = address::parse(url)?;
        let limit = options.connect_timeout;
        match tokio::time::timeout(limit, Self::open(&address, &options)).await {
            Ok(client) => client,
            Err(_) => Err(ClientError::Connect {
                url: address.display,
                source: format!("no answer within {} ms", limit.as_millis()).into(),
            }),
        }
    }

    async fn open(address: &Address, options: &ClientOptions) -> Result<Self, ClientError> {
        let failed = |error: tonic::transport::Error| ClientError::Connect {
            url: address.display.clone(),
            source: Box::new(error),
        };
        let channel = endpoint(address, options)
            .map_err(failed)?
            .connect()
            .await
            .map_err(failed)?;
        let flight =
            FlightServiceClient::new(channel).max_decoding_message_size(options.max_message_bytes);
        let mut client = Self {
            flight,
            url: address.display.clone(),
            authorization: None,
        };
        client.log_in(options).await?;
        Ok(client)
    }

    /// The server's address, as `flight://host:port`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Runs a statement. One that returns no rows has run to its end when this returns. Dropping the
    /// future, or the result before its last batch, cancels the query on the server.
    ///
    /// # Errors
    /// [`ClientError::Query`] where the statement fails, [`ClientError::Lost`] where the connection
    /// does.
    pub async fn execute(&mut self, sql: &str) -> Result<StatementResult, ClientError> {
        let command = CommandStatementQuery {
            query: sql.to_owned(),
            transaction_id: None,
        };
        let info = self.flight_info(&command).await?;
        let metadata = ResultMetadata::of(&info)?;
        let schema = schema_of(&info)?;
        let rows = if metadata.returns_rows {
            Some(self.rows(info).await?)
        } else {
            None
        };
        Ok(StatementResult::new(
            metadata.query_id,
            metadata.affected_rows,
            schema,
            rows,
        ))
    }

    /// Runs a statement that changes data and says how many rows it changed.
    ///
    /// # Errors
    /// As for [`Client::execute`].
    pub async fn execute_update(&mut self, sql: &str) -> Result<i64, ClientError> {
        let command = CommandStatementUpdate {
            query: sql.to_owned(),
            transaction_id: None,
        };
        let message = FlightData {
            flight_descriptor: Some(FlightDescriptor::new_cmd(command.as_any().encode_to_vec())),
            ..Default::default()
        };
        let answer = self.put(stream::iter([message])).await?;
        let result = DoPutUpdateResult::decode(answer)
            .map_err(|error| ClientError::Protocol(error.to_string()))?;
        Ok(result.record_count)
    }

    /// Ends the query of that id; false where it is unknown or has ended already.
    ///
    /// # Errors
    /// As for [`Client::execute`].
    pub async fn cancel(&mut self, query_id: &str) -> Result<bool, ClientError> {
        let sql = format!("KILL QUERY '{}'", query_id.replace('\'', "''"));
        let killed = match self.execute(&sql).await {
            Ok(result) => result.collect().await.map(|_| true),
            Err(error) => Err(error),
        };
        match killed {
            Err(ClientError::Query(error))
                if matches!(
                    error.code,
                    ErrorCode::QueryNotFound | ErrorCode::InvalidState
                ) =>
            {
                Ok(false)
            }
            other => other,
        }
    }

    /// Ends the session, and with it whatever still runs in it.
    ///
    /// # Errors
    /// [`ClientError::Lost`] where the server could not be told.
    pub async fn close(mut self) -> Result<(), ClientError> {
        // The request of Flight's `CloseSession` has no fields, so its encoding is empty.
        self.action(Action::new("CloseSession", "")).await?;
        Ok(())
    }

    /// Carries out an action and returns the first message of its answer.
    pub(crate) async fn action(&mut self, action: Action) -> Result<Option<Bytes>, ClientError> {
        let request = self.request(action);
        let answer = self.flight.do_action(request).await;
        let mut answers = self.answered(answer)?;
        let mut first = None;
        loop {
            let message = answers.message().await;
            match self.lost(message)? {
                Some(message) => first = first.or(Some(message.body)),
                None => return Ok(first),
            }
        }
    }

    /// Sends messages and returns what the first answer says.
    pub(crate) async fn put(
        &mut self,
        messages: impl Stream<Item = FlightData> + Send + 'static,
    ) -> Result<Bytes, ClientError> {
        let request = self.request(messages);
        let answer = self.flight.do_put(request).await;
        let mut answers = self.answered(answer)?;
        let message = answers.message().await;
        let result = self.lost(message)?.ok_or_else(|| {
            ClientError::Protocol("it answered an update with nothing".to_owned())
        })?;
        Ok(result.app_metadata)
    }

    /// All batches of a metadata call.
    pub(crate) async fn metadata(
        &mut self,
        command: &impl ProstMessageExt,
    ) -> Result<Vec<RecordBatch>, ClientError> {
        let info = self.flight_info(command).await?;
        self.rows(info).await?.try_collect().await
    }

    pub(crate) async fn flight_info(
        &mut self,
        command: &impl ProstMessageExt,
    ) -> Result<FlightInfo, ClientError> {
        let request = self.request(FlightDescriptor::new_cmd(command.as_any().encode_to_vec()));
        let answer = self.flight.get_flight_info(request).await;
        self.answered(answer)
    }

    /// The rows behind a result's one endpoint.
    pub(crate) async fn rows(
        &mut self,
        mut info: FlightInfo,
    ) -> Result<BoxStream<'static, Result<RecordBatch, ClientError>>, ClientError> {
        let count = info.endpoint.len();
        if count > 1 {
            return Err(ClientError::Protocol(format!(
                "it split the result over {count} endpoints, of which this client reads only one"
            )));
        }
        let ticket = info
            .endpoint
            .pop()
            .and_then(|endpoint| endpoint.ticket)
            .ok_or_else(|| {
                ClientError::Protocol("it returned no ticket for the result's rows".to_owned())
            })?;
        let request = self.request(ticket);
        let answer = self.flight.do_get(request).await;
        let messages = self.answered(answer)?.map_err(Into::into);
        let url = self.url.clone();
        let batches = FlightRecordBatchStream::new_from_flight_data(messages);
        Ok(batches
            .map_err(move |error| ClientError::of_stream(&url, error))
            .boxed())
    }

    async fn log_in(&mut self, options: &ClientOptions) -> Result<(), ClientError> {
        let password = options.password.as_deref().unwrap_or_default();
        let credentials = BASE64_STANDARD.encode(format!("{}:{password}", options.user));
        let header = header(&format!("Basic {credentials}"))?;
        let mut request = Request::new(stream::iter([HandshakeRequest::default()]));
        request.metadata_mut().insert("authorization", header);
        let failed = |status| ClientError::of_handshake(&self.url, status);
        let response = self.flight.handshake(request).await.map_err(failed)?;
        let token = response.metadata().get("authorization").cloned();
        let answers = response.into_inner();
        answers.try_collect::<Vec<_>>().await.map_err(failed)?;
        self.authorization = token.map(|mut token| {
            token.set_sensitive(true);
            token
        });
        Ok(())
    }

    /// A call's request, in the name of this session.
    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = message.into_request();
        if let Some(authorization) = &self.authorization {
            request
                .metadata_mut()
                .insert("authorization", authorization.clone());
        }
        request
    }

    fn answered<T>(&self, answer: Result<tonic::Response<T>, Status>) -> Result<T, ClientError> {
        self.lost(answer.map(tonic::Response::into_inner))
    }

    fn lost<T>(&self, answer: Result<T, Status>) -> Result<T, ClientError> {
        answer.map_err(|status| ClientError::of_call(&self.url, status))
    }
}

fn endpoint(
    address: &Address,
    options: &ClientOptions,
) -> Result<Endpoint, tonic::transport::Error> {
    let endpoint = Endpoint::from_shared(address.endpoint.clone())?
        .user_agent(concat!("skep-client/", env!("CARGO_PKG_VERSION")))?
        .connect_timeout(options.connect_timeout)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES);
    if !address.tls {
        return Ok(endpoint);
    }
    let mut tls = ClientTlsConfig::new()
        .with_enabled_roots()
        .domain_name(&address.host);
    if let Some(pem) = &options.ca_certificate_pem {
        tls = tls.ca_certificate(Certificate::from_pem(pem));
    }
    endpoint.tls_config(tls)
}

fn header(text: &str) -> Result<AsciiMetadataValue, ClientError> {
    let mut value: AsciiMetadataValue = text
        .parse()
        .map_err(|_| ClientError::Protocol("the credentials fit into no header".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// What Skep's server says of a statement beside its schema. Other servers say nothing.
#[derive(Debug, Deserialize)]
pub(crate) struct ResultMetadata {
    pub query_id: Option<String>,
    pub affected_rows: Option<i64>,
    pub returns_rows: bool,
}

impl ResultMetadata {
    pub(crate) fn of(info: &FlightInfo) -> Result<Self, ClientError> {
        if info.app_metadata.is_empty() {
            let returns_rows = !info.endpoint.is_empty();
            return Ok(Self {
                query_id: None,
                affected_rows: None,
                returns_rows,
            });
        }
        serde_json::from_slice(&info.app_metadata)
            .map_err(|error| ClientError::Protocol(format!("bad result metadata: {error}")))
    }
}

pub(crate) fn schema_of(info: &FlightInfo) -> Result<SchemaRef, ClientError> {
    if info.schema.is_empty() {
        return Ok(Arc::new(Schema::empty()));
    }
    let schema = info.clone().try_decode_schema();
    schema
        .map(Arc::new)
        .map_err(|error| ClientError::Protocol(error.to_string()))
}
