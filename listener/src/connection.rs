//! One connection, with or without TLS.

use crate::coalescing_stream::CoalescingStream;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

/// How many messages of one connection are read at a time whose sender has not shown yet who it is.
const STRANGERS_MESSAGES_MAX: usize = 8;

/// Who is at the other end of a connection; every request carries it.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// The address that it has connected to.
    pub local: SocketAddr,
    /// How it has connected.
    pub transport: Transport,
    /// A place for each message that is read before its sender has shown who it is.
    pub(crate) strangers: Arc<Semaphore>,
}

impl Peer {
    /// The other end of a new connection.
    pub(crate) fn new(address: SocketAddr, local: SocketAddr, transport: Transport) -> Self {
        Self {
            address,
            local,
            transport,
            strangers: Arc::new(Semaphore::new(STRANGERS_MESSAGES_MAX)),
        }
    }
}

/// How somebody has connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Without TLS, to a server that has no certificate.
    Open,
    /// Without TLS, to a server that has a certificate: it gets no answers but that.
    Refused,
    /// With TLS, as clients do.
    Tls,
    /// With TLS on both sides: it has shown the certificate of a node of the cluster.
    Node,
}

/// A connection and its place among those that there may be.
pub(crate) struct Guarded {
    stream: TcpStream,
    _place: OwnedSemaphorePermit,
}

impl Guarded {
    pub(crate) fn new(stream: TcpStream, place: OwnedSemaphorePermit) -> Self {
        Self {
            stream,
            _place: place,
        }
    }
}

enum Kind {
    Plain(CoalescingStream<Guarded>),
    Tls(Box<CoalescingStream<TlsStream<Guarded>>>),
}

/// A connection as a Tonic server takes it.
pub struct Connection {
    kind: Kind,
    peer: Peer,
}

impl Connection {
    pub(crate) fn plain(stream: Guarded, peer: Peer) -> Self {
        Self {
            kind: Kind::Plain(CoalescingStream::new(stream)),
            peer,
        }
    }

    pub(crate) fn tls(stream: TlsStream<Guarded>, peer: Peer) -> Self {
        Self {
            kind: Kind::Tls(Box::new(CoalescingStream::new(stream))),
            peer,
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

/// Hands a call on to the stream inside.
macro_rules! inner {
    ($self:ident, $stream:ident => $call:expr) => {
        match &mut $self.get_mut().kind {
            Kind::Plain(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
            Kind::Tls(stream) => {
                let $stream = Pin::new(stream.as_mut());
                $call
            }
        }
    };
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        inner!(self, stream => stream.poll_read(context, buffer))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        inner!(self, stream => stream.poll_write(context, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        inner!(self, stream => stream.poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        inner!(self, stream => stream.poll_shutdown(context))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.kind {
            Kind::Plain(stream) => stream.is_write_vectored(),
            Kind::Tls(stream) => stream.is_write_vectored(),
        }
    }
}

impl AsyncRead for Guarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
