//! A Flight service whose rows are sent as they are, and which reads of its callers what they may send.
//!
//! Tonic writes each message into a buffer of its own before it is sent, rows and all. Here only what
//! comes before the rows is written: they are the last field of their message (`data_body` of `FlightData`),
//! and follow it uncopied. Every call but DoGet is left to Tonic.

use crate::connection::Peer;
use arrow_flight::flight_service_server::{FlightService, FlightServiceServer};
use arrow_flight::{FlightData, Ticket};
use async_trait::async_trait;
use bytes::{BufMut, Bytes, BytesMut};
use futures::future::BoxFuture;
use futures::{Stream, TryStreamExt};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use http_body::Frame;
use prost::Message;
use skep_protocol::node_call::STRANGERS_MESSAGE_BYTES_MAX;
use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tonic::body::Body;
use tonic::metadata::MetadataMap;
use tonic::server::NamedService;
use tonic::{Request, Status, Streaming};
use tonic_prost::ProstDecoder;
use tower_service::Service;

const DO_GET: &str = "/arrow.flight.protocol.FlightService/DoGet";

/// What each message begins with (gRPC over HTTP/2, "Length-Prefixed-Message"): whether it is compressed,
/// in a byte, and its length, in four.
const PREFIX_BYTES: usize = 5;
const UNCOMPRESSED: u8 = 0;

/// The key of `data_body`, field 1000, which has a length (Protocol Buffers, "Message Structure").
const ROWS_KEY: usize = 1000 << 3 | 2;

/// Up to how many bytes rows are copied behind what comes before them, and up to how many messages that lie
/// ready are put together: sending by itself takes longer.
const COPIED_BYTES_MAX: usize = 16 * 1024;

/// Who decides, before a message is read, how large it may be.
#[async_trait]
pub trait Gate: Send + Sync + 'static {
    /// How many bytes the messages of a call to `method` may have, in view of what its headers say of the caller;
    /// [`STRANGERS_MESSAGE_BYTES_MAX`] for one who may be anybody. What was found out may be left in the call's
    /// extensions.
    ///
    /// # Errors
    /// What the caller of a call that is not read at all gets.
    async fn message_bytes_max(
        &self,
        method: &str,
        call: &mut Request<()>,
    ) -> Result<usize, Status>;
}

/// A Flight service as a Tonic server takes it.
pub struct FlightServer<S> {
    service: Arc<S>,
}

impl<S: FlightService + Gate> FlightServer<S> {
    /// Serves `service`.
    pub fn new(service: S) -> Self {
        Self {
            service: Arc::new(service),
        }
    }
}

impl<S> Clone for FlightServer<S> {
    fn clone(&self) -> Self {
        Self {
            service: Arc::clone(&self.service),
        }
    }
}

impl<S: FlightService> NamedService for FlightServer<S> {
    const NAME: &'static str = <FlightServiceServer<S> as NamedService>::NAME;
}

impl<S: FlightService + Gate> Service<http::Request<Body>> for FlightServer<S> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let service = Arc::clone(&self.service);
        Box::pin(async move {
            let answer = answer(service, request).await;
            Ok(answer.unwrap_or_else(Status::into_http))
        })
    }
}

async fn answer<S: FlightService + Gate>(
    service: Arc<S>,
    request: http::Request<Body>,
) -> Result<http::Response<Body>, Status> {
    let (mut parts, body) = request.into_parts();
    let headers = MetadataMap::from_headers(std::mem::take(&mut parts.headers));
    let mut call = Request::from_parts(headers, std::mem::take(&mut parts.extensions), ());
    let path = parts.uri.path().to_owned();
    let method = path.rsplit('/').next().unwrap_or_default();
    let bytes_max = service.message_bytes_max(method, &mut call).await?;
    let (headers, extensions, ()) = call.into_parts();
    let strangers = extensions
        .get::<Peer>()
        .map(|peer| Arc::clone(&peer.strangers));
    let _place = match strangers.filter(|_| bytes_max <= STRANGERS_MESSAGE_BYTES_MAX) {
        Some(strangers) => strangers.acquire_owned().await.ok(),
        None => None,
    };
    parts.headers = headers.into_headers();
    parts.extensions = extensions;
    let request = http::Request::from_parts(parts, body);
    if path == DO_GET {
        return do_get(service.as_ref(), request, bytes_max).await;
    }
    let mut others = FlightServiceServer::from_arc(service)
        .max_decoding_message_size(bytes_max)
        .max_encoding_message_size(usize::MAX);
    let Ok(answer) = others.call(request).await;
    Ok(answer)
}

async fn do_get<S: FlightService>(
    service: &S,
    request: http::Request<Body>,
    received_bytes_max: usize,
) -> Result<http::Response<Body>, Status> {
    let (headers, call, body) = Request::from_http(request).into_parts();
    let decoder = ProstDecoder::<Ticket>::default();
    let mut messages = pin!(Streaming::new_request(
        decoder,
        body,
        None,
        Some(received_bytes_max)
    ));
    let ticket = messages
        .try_next()
        .await?
        .ok_or_else(|| Status::invalid_argument("DoGet without a ticket"))?;
    let answer = service
        .do_get(Request::from_parts(headers, call, ticket))
        .await?;
    let (metadata, messages, extensions) = answer.into_parts();
    let mut response = http::Response::new(Body::new(Answer::new(Box::pin(messages))));
    *response.headers_mut() = metadata.into_headers();
    *response.extensions_mut() = extensions;
    let grpc = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(CONTENT_TYPE, grpc);
    Ok(response)
}

/// Messages as the body of a response.
struct Answer<M> {
    messages: M,
    /// The rows of the message that has begun.
    rows: Option<Bytes>,
    /// How it ended, where that is not yet said.
    end: Option<Status>,
    is_over: bool,
}

impl<M> Answer<M> {
    fn new(messages: M) -> Self {
        Self {
            messages,
            rows: None,
            end: None,
            is_over: false,
        }
    }
}

impl<M: Stream<Item = Result<FlightData, Status>> + Unpin> Answer<M> {
    /// What comes next but for the rows of a large message; nothing at the end.
    fn poll_written(&mut self, context: &mut Context<'_>) -> Poll<Bytes> {
        let mut written = BytesMut::new();
        while self.end.is_none() && self.rows.is_none() && written.len() < COPIED_BYTES_MAX {
            match Pin::new(&mut self.messages).poll_next(context) {
                Poll::Ready(Some(Ok(message))) => match begin(message, &mut written) {
                    Ok(rows) => self.rows = rows,
                    Err(status) => self.end = Some(status),
                },
                Poll::Ready(Some(Err(status))) => self.end = Some(status),
                Poll::Ready(None) => self.end = Some(Status::ok("")),
                Poll::Pending if written.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(written.freeze())
    }
}

impl<M> http_body::Body for Answer<M>
where
    M: Stream<Item = Result<FlightData, Status>> + Unpin,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        if let Some(rows) = this.rows.take() {
            return Poll::Ready(Some(Ok(Frame::data(rows))));
        }
        let written = ready!(this.poll_written(context));
        if !written.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(written))));
        }
        this.is_over = true;
        Poll::Ready(this.end.take().map(|status| {
            let mut trailers = HeaderMap::new();
            status.add_header(&mut trailers)?;
            Ok(Frame::trailers(trailers))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.is_over
    }
}

/// Writes a message up to its rows. Returns the rows where they are many, and writes them where not.
fn begin(mut message: FlightData, written: &mut BytesMut) -> Result<Option<Bytes>, Status> {
    let rows = std::mem::take(&mut message.data_body);
    let before = message.encoded_len();
    let length = match rows.len() {
        0 => before,
        length => {
            let key = prost::length_delimiter_len(ROWS_KEY);
            before + key + prost::length_delimiter_len(length) + length
        }
    };
    let length = u32::try_from(length)
        .map_err(|_| Status::out_of_range(format!("a message of {length} bytes is too long")))?;
    written.reserve(PREFIX_BYTES + length as usize - rows.len());
    written.put_u8(UNCOMPRESSED);
    written.put_u32(length);
    message.encode(written).map_err(not_written)?;
    if rows.is_empty() {
        return Ok(None);
    }
    prost::encode_length_delimiter(ROWS_KEY, written).map_err(not_written)?;
    prost::encode_length_delimiter(rows.len(), written).map_err(not_written)?;
    if rows.len() > COPIED_BYTES_MAX {
        return Ok(Some(rows));
    }
    written.put_slice(&rows);
    Ok(None)
}

/// A buffer that grows takes everything.
fn not_written(error: prost::EncodeError) -> Status {
    Status::internal(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_flight::FlightDescriptor;
    use futures::future::poll_fn;
    use futures::stream::{self, StreamExt};
    use tonic::Code;

    fn message(body: usize) -> FlightData {
        FlightData {
            flight_descriptor: (body != 1).then(|| FlightDescriptor::new_cmd("x")),
            data_header: Bytes::from(vec![1; body % 300]),
            app_metadata: Bytes::from(vec![2; body % 5]),
            data_body: (0..body).map(|at| at as u8).collect::<Vec<_>>().into(),
        }
    }

    /// What Tonic's client makes of the answer.
    async fn read(messages: Vec<Result<FlightData, Status>>) -> Vec<Result<FlightData, Status>> {
        let body = Body::new(Answer::new(stream::iter(messages)));
        let decoder = ProstDecoder::<FlightData>::default();
        let read = Streaming::new_response(decoder, body, http::StatusCode::OK, None, None);
        read.collect().await
    }

    #[tokio::test]
    async fn messages_are_read_as_they_were_written() {
        let sizes = [
            0, 1, 127, 128, 16_383, 16_384, 16_385, 3_000_000, 5, 70_000, 0, 7,
        ];
        let sent: Vec<_> = sizes.into_iter().map(message).collect();
        let read = read(sent.iter().cloned().map(Ok).collect()).await;
        let read: Vec<_> = read.into_iter().map(Result::unwrap).collect();
        assert!(read == sent);
        assert!(self::read(vec![]).await.is_empty());
    }

    #[tokio::test]
    async fn an_error_comes_after_what_was_before_it() {
        let broken = || Err(Status::data_loss("it broke"));
        for size in [3, 50_000] {
            let read = read(vec![Ok(message(size)), broken(), Ok(message(1))]).await;
            assert_eq!(read.len(), 2);
            assert_eq!(read[0].as_ref().unwrap(), &message(size));
            let status = read[1].as_ref().unwrap_err();
            assert_eq!(
                (status.code(), status.message()),
                (Code::DataLoss, "it broke")
            );
        }
    }

    #[tokio::test]
    async fn rows_are_not_copied_and_small_messages_leave_together() {
        let large = message(100_000);
        let rows = large.data_body.clone();
        let sent = [message(10), message(20), large].map(Ok);
        let mut answer = Answer::new(stream::iter(sent));
        let mut next = async || {
            let frame =
                poll_fn(|context| http_body::Body::poll_frame(Pin::new(&mut answer), context));
            frame.await.unwrap().unwrap().into_data().unwrap()
        };
        assert!(next().await.len() < 1_000);
        assert_eq!(next().await.as_ptr(), rows.as_ptr());
    }
}
