//! A port that clients and nodes connect to, at the coordinator as at an executor: it takes connections, over
//! TLS where there is a certificate, finds out who says that they are calling, and reads no more of them before
//! that than it has to. The other end of TLS between nodes is here too.
//!
//! Who may log in is decided elsewhere.

mod answers;
mod coalescing_stream;
mod connection;
mod handshake;
mod incoming;
mod node_tls;
mod tls;

pub use answers::{FlightServer, Gate};
pub use connection::{Connection, Peer, Transport};
pub use handshake::{
    Credentials, HandshakeStream, address, check_node_transport, check_transport, credentials,
    ends, handshake,
};
pub use incoming::{Incoming, ListenerOptions};
pub use node_tls::NodeConnector;
pub use tls::{TlsError, TlsFiles, TlsKeeper};
