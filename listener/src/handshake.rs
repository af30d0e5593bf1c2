//! Logging in: the Handshake call, and credentials that come with every other call.
//!
//! Clients differ: most send `authorization: Basic …` and take `authorization: Bearer …` from the
//! response's headers; some send the older `BasicAuth` message as the payload and take the token from
//! the answer's payload; some never log in and send `Basic` with every call.

use crate::connection::{Peer, Transport};
use arrow_flight::{BasicAuth, HandshakeRequest, HandshakeResponse};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use prost::Message;
use skep_protocol::{ErrorCode, QueryError};
use std::net::SocketAddr;
use std::time::Duration;
use tonic::metadata::MetadataMap;
use tonic::transport::server::TcpConnectInfo;
use tonic::{Extensions, Request, Response, Status, Streaming};

/// Where the token travels, in both directions.
const AUTHORIZATION: &str = "authorization";

/// Where clients of the older handshake put the token.
const AUTH_TOKEN: &str = "auth-token-bin";

/// How long a client that sent no header may take to send its first message.
const FIRST_MESSAGE_WAIT_MAX: Duration = Duration::from_secs(10);

/// What a Handshake answers with.
pub type HandshakeStream = BoxStream<'static, Result<HandshakeResponse, Status>>;

/// What a caller says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// A token from an earlier login.
    Token(String),
    /// A user's name and password.
    Password {
        /// The name.
        user: String,
        /// The password.
        password: String,
    },
    /// Nothing.
    None,
}

/// Answers a Handshake with the token that `log_in` gives for the caller's credentials.
///
/// # Errors
/// Those of `log_in`; `InvalidState` for a caller without TLS who has to use it, `Unauthenticated` and
/// `InvalidArgument` for credentials that cannot be read.
pub async fn handshake<L>(
    request: Request<Streaming<HandshakeRequest>>,
    log_in: impl FnOnce(Credentials) -> L,
) -> Result<Response<HandshakeStream>, Status>
where
    L: Future<Output = Result<String, QueryError>>,
{
    check_transport(request.extensions())?;
    let in_headers = credentials(request.metadata())?;
    // With credentials in the headers the answer does not wait for a message: some clients send
    // none. And it holds none, for some clients read none and would wait for ever.
    let (token, messages) = if in_headers == Credentials::None {
        let payload = first_payload(request.into_inner()).await?;
        let token = log_in(payload_credentials(&payload)?).await?;
        let answer = HandshakeResponse {
            protocol_version: 0,
            payload: Bytes::from(token.clone()),
        };
        (token, stream::iter([Ok(answer)]).boxed())
    } else {
        (log_in(in_headers).await?, stream::empty().boxed())
    };
    let header = format!("Bearer {token}")
        .parse()
        .map_err(|_| malformed(AUTHORIZATION))?;
    let mut response = Response::new(messages);
    response.metadata_mut().insert(AUTHORIZATION, header);
    Ok(response)
}

/// Refuses callers that should have used TLS and have not, before anything that they say is read.
///
/// # Errors
/// `InvalidState` with what to do instead.
pub fn check_transport(call: &Extensions) -> Result<(), QueryError> {
    let text =
        "this server takes clients over TLS alone: connect with `flights://` or `grpc+tls://`";
    match call.get::<Peer>() {
        Some(peer) if peer.transport == Transport::Refused => {
            Err(QueryError::new(ErrorCode::InvalidState, text))
        }
        _ => Ok(()),
    }
}

/// Refuses callers that are no nodes of the cluster, as far as the connection tells: where there is a
/// certificate, nodes have shown one, too.
///
/// # Errors
/// `PermissionDenied` with what to do instead.
pub fn check_node_transport(call: &Extensions) -> Result<(), QueryError> {
    let text = "the nodes of this cluster use TLS and show each other certificates: give the executor \
                executor.tls_certificate and executor.tls_key";
    match call.get::<Peer>().map(|peer| peer.transport) {
        Some(Transport::Refused | Transport::Tls) => {
            Err(QueryError::new(ErrorCode::PermissionDenied, text))
        }
        Some(Transport::Open | Transport::Node) | None => Ok(()),
    }
}

/// Where a call comes from.
pub fn address<T>(request: &Request<T>) -> Option<SocketAddr> {
    let peer = request.extensions().get::<Peer>();
    peer.map(|peer| peer.address).or(request.remote_addr())
}

/// The two ends of the connection of a call: the caller's, and this server's.
pub fn ends(call: &Extensions) -> Option<(SocketAddr, SocketAddr)> {
    let of_listener = call.get::<Peer>().map(|peer| (peer.address, peer.local));
    of_listener.or_else(|| {
        let ends = call.get::<TcpConnectInfo>()?;
        ends.remote_addr().zip(ends.local_addr())
    })
}

/// The credentials in a call's headers.
///
/// # Errors
/// `Unauthenticated` where they are of no known kind.
pub fn credentials(headers: &MetadataMap) -> Result<Credentials, QueryError> {
    if let Some(value) = headers.get(AUTHORIZATION) {
        return value
            .to_str()
            .ok()
            .and_then(parse_authorization)
            .ok_or(malformed(AUTHORIZATION));
    }
    if let Some(value) = headers.get_bin(AUTH_TOKEN) {
        let bytes = value.to_bytes().map_err(|_| malformed(AUTH_TOKEN))?;
        return String::from_utf8(bytes.to_vec())
            .map(Credentials::Token)
            .map_err(|_| malformed(AUTH_TOKEN));
    }
    Ok(Credentials::None)
}

async fn first_payload(mut messages: Streaming<HandshakeRequest>) -> Result<Bytes, Status> {
    let first = tokio::time::timeout(FIRST_MESSAGE_WAIT_MAX, messages.try_next())
        .await
        .map_err(|_| bad_request("the handshake holds no message"))??;
    Ok(first.map(|message| message.payload).unwrap_or_default())
}

fn payload_credentials(payload: &Bytes) -> Result<Credentials, QueryError> {
    if payload.is_empty() {
        return Ok(Credentials::None);
    }
    BasicAuth::decode(payload.clone())
        .map(|login| Credentials::Password {
            user: login.username,
            password: login.password,
        })
        .map_err(|_| bad_request("the handshake's payload is not a login"))
}

fn malformed(header: &str) -> QueryError {
    let text = format!("the '{header}' header holds no credentials of a known kind");
    QueryError::new(ErrorCode::Unauthenticated, text)
}

fn bad_request(text: &str) -> QueryError {
    QueryError::new(ErrorCode::InvalidArgument, text)
}

fn parse_authorization(header: &str) -> Option<Credentials> {
    let (scheme, value) = header.trim().split_once(' ')?;
    let value = value.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(match value {
            // What flightsql-dbapi sends where it was given neither a token nor a user.
            "None" => Credentials::None,
            token => Credentials::Token(token.to_owned()),
        });
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let bytes = BASE64_STANDARD
        .decode(value)
        .or_else(|_| BASE64_STANDARD_NO_PAD.decode(value))
        .ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (user, password) = text.split_once(':')?;
    Some(Credentials::Password {
        user: user.to_owned(),
        password: password.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorization_headers_are_read() {
        let ada = Some(Credentials::Password {
            user: "ada".into(),
            password: "a:b".into(),
        });
        assert_eq!(parse_authorization("Basic YWRhOmE6Yg=="), ada);
        assert_eq!(parse_authorization("basic YWRhOmE6Yg"), ada);
        assert_eq!(
            parse_authorization("BEARER  0123"),
            Some(Credentials::Token("0123".into()))
        );
        assert_eq!(parse_authorization("Bearer None"), Some(Credentials::None));
        for nonsense in ["", "Basic", "Basic !!", "Basic YWRh", "Digest abc"] {
            assert_eq!(parse_authorization(nonsense), None, "{nonsense}");
        }
    }
}
