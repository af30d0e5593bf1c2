//! One connection per node and size of windows, made when first used, and the key that tickets are signed with.
//!
//! Where the node has a certificate, all of its connections to others are TLS on both sides, and never anything
//! else.

use super::local::LocalTasks;
use crate::limits::{ExchangeLimits, WireCompression};
use crate::node_name::node_name;
use parking_lot::{Mutex, RwLock};
use skep_listener::{NodeConnector, TlsKeeper};
use skep_protocol::ClusterKey;
use skep_protocol::node_call::NODE_CALL_HEADER;
use skep_protocol::ticket::unix_time_ms;
use skep_protocol::{ErrorCode, QueryError};
use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::sync::{Arc, Weak};
use tokio::runtime::Handle;
use tonic::Request;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use url::{Host, Url};

/// The window of a whole connection, in bytes: the largest that HTTP/2 allows (RFC 9113, 6.9.1), so
/// that streams which stand still never use up what the others need.
const CONNECTION_WINDOW_BYTES: u32 = i32::MAX as u32;

/// The largest frame, in bytes: fewer and larger frames cost less per byte.
const FRAME_BYTES_MAX: u32 = 1024 * 1024;

/// The cluster's key, which an executor learns when it joins.
#[derive(Clone, Debug, Default)]
pub struct SharedKey(Arc<RwLock<Option<ClusterKey>>>);

impl SharedKey {
    /// A key that is known from the start.
    pub fn known(key: ClusterKey) -> Self {
        Self(Arc::new(RwLock::new(Some(key))))
    }

    /// Learns the key, or another one after the coordinator was restarted.
    pub fn set(&self, key: ClusterKey) {
        *self.0.write() = Some(key);
    }

    /// The key.
    ///
    /// # Errors
    /// `Network` while the node has not joined a cluster.
    pub fn get(&self) -> Result<ClusterKey, QueryError> {
        self.0.read().clone().ok_or_else(|| {
            QueryError::new(ErrorCode::Network, "this node has not joined a cluster yet")
        })
    }
}

/// The connections of one node to the executors of its cluster. Cheap to clone.
#[derive(Clone)]
pub struct Connections(Arc<Inner>);

struct Inner {
    key: SharedKey,
    limits: ExchangeLimits,
    io: Handle,
    /// The host of this node as others see it; loopback addresses are local anyway.
    local_host: Option<String>,
    /// The node's certificate, where the cluster has TLS.
    tls: Option<TlsKeeper>,
    /// The ids of the executors that have joined, by their addresses.
    executors: RwLock<HashMap<Url, String>>,
    /// By address and window of a stream in bytes, which is one for all streams of a connection.
    channels: Mutex<HashMap<(Url, u32), Channel>>,
    /// The executors of this process, by their addresses. Their tasks read through the connections, so
    /// the connections do not keep the tasks alive.
    local: RwLock<HashMap<Url, Weak<dyn LocalTasks>>>,
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections")
            .field("open", &self.0.channels.lock().len())
            .finish_non_exhaustive()
    }
}

impl Connections {
    /// No connections yet. They will live on the runtime `io`, which does no computing, and use the certificate
    /// of `tls` where there is one.
    pub fn new(
        key: SharedKey,
        limits: ExchangeLimits,
        io: Handle,
        local_host: Option<String>,
        tls: Option<TlsKeeper>,
    ) -> Self {
        Self(Arc::new(Inner {
            key,
            limits,
            io,
            local_host,
            tls,
            executors: RwLock::default(),
            channels: Mutex::new(HashMap::new()),
            local: RwLock::default(),
        }))
    }

    /// Reads from `tasks` without a connection where they are asked for at `url`, the address of an
    /// executor in this process.
    pub fn serve_locally(&self, url: Url, tasks: &Arc<dyn LocalTasks>) {
        self.0.local.write().insert(url, Arc::downgrade(tasks));
    }

    /// The tasks of the executor at `url`, where that is in this process.
    pub(super) fn local_tasks(&self, url: &Url) -> Option<Arc<dyn LocalTasks>> {
        self.0.local.read().get(url)?.upgrade()
    }

    /// The bounds that apply.
    pub fn limits(&self) -> &ExchangeLimits {
        &self.0.limits
    }

    /// The key that tickets are signed with.
    ///
    /// # Errors
    /// `Network` while this node has not joined a cluster.
    pub fn key(&self) -> Result<ClusterKey, QueryError> {
        self.0.key.get()
    }

    /// The runtime that connections live on.
    pub fn io(&self) -> &Handle {
        &self.0.io
    }

    /// Whether `url` is on this host.
    pub fn is_local(&self, url: &Url) -> bool {
        match url.host() {
            Some(Host::Ipv4(address)) if address.is_loopback() => true,
            Some(Host::Ipv6(address)) if address.is_loopback() => true,
            Some(Host::Domain("localhost")) => true,
            _ => self.0.local_host.is_some() && url.host_str() == self.0.local_host.as_deref(),
        }
    }

    /// How batches from `url` are compressed, as requests name it: those of the same host are not worth
    /// compressing.
    pub(super) fn compression(&self, url: &Url) -> &'static str {
        match self.0.limits.compression {
            WireCompression::Lz4 if !self.is_local(url) => "lz4",
            _ => "none",
        }
    }

    /// The connection to the node at `url`; it is made when it is first used, and made again when it
    /// broke.
    ///
    /// # Errors
    /// `Internal` where `url` is not an address.
    pub fn channel(&self, url: &Url) -> Result<Channel, QueryError> {
        self.channel_with_window(url, self.0.limits.stream_window_bytes)
    }

    /// The connection whose streams have `window_bytes` under way at most.
    ///
    /// # Errors
    /// As [`Connections::channel`].
    pub(super) fn channel_with_window(
        &self,
        url: &Url,
        window_bytes: u32,
    ) -> Result<Channel, QueryError> {
        let mut channels = self.0.channels.lock();
        let key = (url.clone(), window_bytes);
        if let Some(channel) = channels.get(&key) {
            return Ok(channel.clone());
        }
        let endpoint = self
            .endpoint(url)?
            .initial_stream_window_size(window_bytes)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_frame_size(FRAME_BYTES_MAX);
        let _io = self.0.io.enter();
        let channel = match &self.0.tls {
            Some(tls) => endpoint.connect_with_connector_lazy(NodeConnector::new(tls.clone())),
            None => endpoint.connect_lazy(),
        };
        channels.insert(key, channel.clone());
        Ok(channel)
    }

    /// A connection to the node at `url` by itself, which is there when it is returned.
    ///
    /// # Errors
    /// `Network` where the node cannot be reached, `Internal` where `url` is not an address.
    pub async fn connect(&self, url: &Url) -> Result<Channel, QueryError> {
        let endpoint = self.endpoint(url)?;
        let connected = match &self.0.tls {
            Some(tls) => {
                let connector = NodeConnector::new(tls.clone());
                endpoint.connect_with_connector(connector).await
            }
            None => endpoint.connect().await,
        };
        connected.map_err(|error| QueryError::new(ErrorCode::Network, with_causes(&error)))
    }

    fn endpoint(&self, url: &Url) -> Result<Endpoint, QueryError> {
        let limits = &self.0.limits;
        // Whether it is TLS is for the connector; the library would look for a certificate of its own kind.
        let address = format!("http://{}", node_name(url));
        let endpoint = Endpoint::from_shared(address)
            .map_err(|error| QueryError::internal(format!("'{url}' is no address: {error}")))?;
        Ok(endpoint
            .connect_timeout(limits.connect_timeout)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(limits.keep_alive_interval)
            .keep_alive_timeout(limits.keep_alive_timeout)
            .keep_alive_while_idle(true))
    }

    /// An executor of that id has joined, and is reached at `url`.
    pub fn joined(&self, url: Url, executor_id: String) {
        self.0.executors.write().insert(url, executor_id);
    }

    /// An executor has left.
    pub fn left(&self, executor_id: &str) {
        let mut executors = self.0.executors.write();
        executors.retain(|_, known| known != executor_id);
    }

    /// The id of the executor at `url`, which tasks are granted to.
    ///
    /// # Errors
    /// `ExecutorLost` where none has joined, or it has left.
    pub(super) fn executor_id(&self, url: &Url) -> Result<String, QueryError> {
        let known = self.0.executors.read().get(url).cloned();
        known.ok_or_else(|| {
            let text = "lost an executor: it has left the cluster";
            QueryError::new(ErrorCode::ExecutorLost, text).on_node(node_name(url))
        })
    }

    /// A call that shows the other node that this one belongs to the cluster.
    ///
    /// # Errors
    /// `Network` while this node has not joined a cluster.
    pub(super) fn call<T>(&self, message: T) -> Result<Request<T>, QueryError> {
        let credential = self.key()?.node_credential(unix_time_ms());
        let mut call = Request::new(message);
        let credential = MetadataValue::from_bytes(&credential);
        call.metadata_mut().insert_bin(NODE_CALL_HEADER, credential);
        Ok(call)
    }

    /// Forgets the connections to a node that has left.
    pub fn forget(&self, url: &Url) {
        self.0.channels.lock().retain(|(known, _), _| known != url);
    }
}

/// An error with what caused it: the library says "transport error" alone.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn knows_what_is_local() {
        let host = Some("10.0.0.7".to_owned());
        let limits = ExchangeLimits::default();
        let connections =
            Connections::new(SharedKey::default(), limits, Handle::current(), host, None);
        for (url, local) in [
            ("http://127.0.0.1:1", true),
            ("http://[::1]:1", true),
            ("http://localhost:1", true),
            ("http://10.0.0.7:1", true),
            ("http://10.0.0.8:1", false),
        ] {
            assert_eq!(connections.is_local(&url.parse().unwrap()), local, "{url}");
        }
    }

    #[tokio::test]
    async fn without_a_key_there_are_no_tickets() {
        let limits = ExchangeLimits::default();
        let connections =
            Connections::new(SharedKey::default(), limits, Handle::current(), None, None);
        assert_eq!(connections.key().unwrap_err().code, ErrorCode::Network);
    }
}
