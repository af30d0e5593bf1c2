//! Calls of any gRPC method with any bytes, as a stranger makes them who has none of our code.

use bytes::{Buf, BufMut, Bytes};
use futures::stream;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

/// Every method of a coordinator's port.
pub const COORDINATOR_METHODS: [&str; 14] = [
    "/arrow.flight.protocol.FlightService/Handshake",
    "/arrow.flight.protocol.FlightService/ListFlights",
    "/arrow.flight.protocol.FlightService/GetFlightInfo",
    "/arrow.flight.protocol.FlightService/PollFlightInfo",
    "/arrow.flight.protocol.FlightService/GetSchema",
    "/arrow.flight.protocol.FlightService/DoGet",
    "/arrow.flight.protocol.FlightService/DoPut",
    "/arrow.flight.protocol.FlightService/DoExchange",
    "/arrow.flight.protocol.FlightService/DoAction",
    "/arrow.flight.protocol.FlightService/ListActions",
    "/skep.v1.Cluster/Join",
    "/skep.v1.Cluster/ReadRows",
    "/skep.v1.Cluster/LogIn",
    "/skep.v1.Cluster/CheckReader",
];

/// Every method of an executor's port.
pub const EXECUTOR_METHODS: [&str; 11] = [
    "/arrow.flight.protocol.FlightService/Handshake",
    "/arrow.flight.protocol.FlightService/ListFlights",
    "/arrow.flight.protocol.FlightService/GetFlightInfo",
    "/arrow.flight.protocol.FlightService/PollFlightInfo",
    "/arrow.flight.protocol.FlightService/GetSchema",
    "/arrow.flight.protocol.FlightService/DoGet",
    "/arrow.flight.protocol.FlightService/DoPut",
    "/arrow.flight.protocol.FlightService/DoExchange",
    "/arrow.flight.protocol.FlightService/DoAction",
    "/arrow.flight.protocol.FlightService/ListActions",
    "/skep.v1.Tasks/Run",
];

/// A connection without TLS to the process at `authority`, `HOST:PORT`.
pub async fn connect(authority: &str) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{authority}")).expect("an address");
    endpoint.connect().await.expect("a connection")
}

/// What a method answers with to `messages`, up to its end.
pub async fn call(
    channel: &Channel,
    method: &str,
    headers: &[(&'static str, Bytes)],
    messages: Vec<Bytes>,
) -> Result<Vec<Bytes>, Status> {
    let mut grpc = Grpc::new(channel.clone());
    grpc.ready()
        .await
        .map_err(|error| Status::unavailable(error.to_string()))?;
    let mut request = Request::new(stream::iter(messages));
    for (name, value) in headers {
        let value = tonic::metadata::MetadataValue::from_bytes(value);
        request.metadata_mut().insert_bin(*name, value);
    }
    let path = method.parse().expect("a path");
    let mut answers = grpc
        .streaming(request, path, BytesCodec)
        .await?
        .into_inner();
    let mut all = Vec::new();
    while let Some(answer) = answers.message().await? {
        all.push(answer);
    }
    Ok(all)
}

/// Messages as they are.
#[derive(Clone, Copy, Debug, Default)]
struct BytesCodec;

impl Codec for BytesCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for BytesCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for BytesCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        let length = buffer.remaining();
        Ok(Some(buffer.copy_to_bytes(length)))
    }
}
