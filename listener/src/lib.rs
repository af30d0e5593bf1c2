//! A port that clients connect to, at the coordinator as at an executor that serves results: it takes
//! connections, over TLS where there is a certificate, and finds out who says that they are calling.
//!
//! Who may log in is decided elsewhere.

mod answers;
mod coalescing_stream;
mod connection;
mod handshake;
mod incoming;
mod tls;

pub use answers::FlightServer;
pub use connection::{Connection, Peer};
pub use handshake::{
    Credentials, HandshakeStream, address, check_transport, credentials, handshake,
};
pub use incoming::{Incoming, ListenerOptions};
pub use tls::{TlsError, TlsFiles, TlsKeeper};
