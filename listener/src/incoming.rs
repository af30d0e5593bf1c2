//! Takes connections, over TLS where there is a certificate, and hands them to the server.
//!
//! One port serves clients and the nodes of the cluster. Where it has a certificate, all have to use TLS, and
//! nodes have to show a certificate, too: they ask for their own protocol when they connect (ALPN, RFC 7301),
//! so that no client is asked for one. The first byte of a connection tells whether it is TLS. A connection
//! that says nothing is closed, and how many there are is bounded, so that nobody can keep others out by
//! holding connections.

use crate::connection::{Connection, Guarded, Peer, Transport};
use crate::node_tls::NODE_PROTOCOL;
use crate::tls::TlsKeeper;
use futures::Stream;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::rustls::server::Acceptor;
use tracing::{debug, warn};

/// How long a connection may take until it has said what it is and its TLS handshake is done.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);

/// How long no connection is taken after one could not be: there are too many open files, say.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How many connections are ready and not yet taken by the server.
const READY_MAX: usize = 64;

/// How long a connection may be silent before the network is asked whether its other end is there.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// The first byte of a TLS connection: a record of the handshake (RFC 8446, 5.1).
const TLS_HANDSHAKE: u8 = 22;

/// What an HTTP/2 connection begins with (RFC 9113, 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long to wait until the rest of a preface is looked for again.
const PREFACE_PAUSE: Duration = Duration::from_millis(10);

/// What a listener is told.
#[derive(Clone)]
pub struct ListenerOptions {
    /// The most connections at one time. One more is closed at once.
    pub connections_max: usize,
    /// The certificate, where everybody has to use TLS.
    pub tls: Option<TlsKeeper>,
}

/// Connections as a Tonic server takes them. Dropping it ends the listening.
pub struct Incoming {
    ready: mpsc::Receiver<Connection>,
    _accepting: JoinSet<()>,
}

impl Incoming {
    /// Takes the connections of `listener`. Must be called within a Tokio runtime.
    pub fn new(listener: TcpListener, options: ListenerOptions) -> Self {
        let (sender, ready) = mpsc::channel(READY_MAX);
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, options, sender));
        Self {
            ready,
            _accepting: accepting,
        }
    }
}

impl Stream for Incoming {
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.ready.poll_recv(context).map(|next| next.map(Ok))
    }
}

async fn accept(listener: TcpListener, options: ListenerOptions, ready: mpsc::Sender<Connection>) {
    let places = Arc::new(Semaphore::new(options.connections_max));
    let mut greetings = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, address)) => match Arc::clone(&places).try_acquire_owned() {
                    Ok(place) => {
                        let greeting = greet(stream, place, options.tls.clone());
                        greetings.spawn(hand_over(greeting, ready.clone()));
                    }
                    Err(_) => debug!(%address, "closed a connection: there are too many"),
                },
                Err(error) => {
                    warn!(%error, "cannot take a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = greetings.join_next() => {}
        }
    }
}

async fn hand_over(
    greeting: impl Future<Output = io::Result<Connection>>,
    ready: mpsc::Sender<Connection>,
) {
    match tokio::time::timeout(HANDSHAKE_PATIENCE, greeting).await {
        // The server is gone where nobody takes it.
        Ok(Ok(connection)) => drop(ready.send(connection).await),
        Ok(Err(error)) => debug!(%error, "a connection failed before its first call"),
        Err(_) => debug!("closed a connection that said nothing"),
    }
}

/// Finds out what a new connection is.
async fn greet(
    stream: TcpStream,
    place: OwnedSemaphorePermit,
    tls: Option<TlsKeeper>,
) -> io::Result<Connection> {
    stream.set_nodelay(true)?;
    let probes = socket2::TcpKeepalive::new()
        .with_time(SILENCE_MAX)
        .with_interval(SILENCE_MAX);
    socket2::SockRef::from(&stream).set_tcp_keepalive(&probes)?;
    let (address, local) = (stream.peer_addr()?, stream.local_addr()?);
    let starts_tls = is_tls(&stream).await?;
    match tls {
        Some(tls) if starts_tls => {
            let stream = Guarded::new(stream, place);
            let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
            let is_node = start
                .client_hello()
                .alpn()
                .is_some_and(|mut protocols| protocols.any(|protocol| protocol == NODE_PROTOCOL));
            let (config, transport) = match is_node {
                true => (tls.for_nodes(), Transport::Node),
                false => (tls.for_clients(), Transport::Tls),
            };
            let stream = start.into_stream(config).await?;
            Ok(Connection::tls(
                stream,
                Peer::new(address, local, transport),
            ))
        }
        tls => {
            check_preface(&stream).await?;
            let transport = match tls {
                Some(_) => Transport::Refused,
                None => Transport::Open,
            };
            let peer = Peer::new(address, local, transport);
            Ok(Connection::plain(Guarded::new(stream, place), peer))
        }
    }
}

/// Waits for the first byte, and leaves it where it is.
async fn is_tls(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0];
    match stream.peek(&mut first).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(first[0] == TLS_HANDSHAKE),
    }
}

/// Refuses what is not HTTP/2, and waits until all of its preface is there, which the server would wait
/// for without end.
async fn check_preface(stream: &TcpStream) -> io::Result<()> {
    loop {
        let mut bytes = [0; PREFACE.len()];
        let length = stream.peek(&mut bytes).await?;
        if length == 0 || bytes[..length] != PREFACE[..length] {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if length == PREFACE.len() {
            return Ok(());
        }
        tokio::time::sleep(PREFACE_PAUSE).await;
    }
}
