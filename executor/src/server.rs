//! An executor as a whole: its memory, its disk, its two services on one port, and its membership.

use crate::config::ExecutorConfig;
use crate::exchange_service::ExchangeService;
use crate::granted::GrantedTasks;
use crate::membership::{Load, Membership};
use crate::readers::Readers;
use crate::task_service::TaskService;
use crate::worker::TaskRunner;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use parking_lot::Mutex;
use skep_exchange::channel::{Connections, CoordinatorConnection, LocalTasks, SharedKey};
use skep_listener::{FlightServer, Incoming, ListenerOptions};
use skep_protocol::QueryError;
use skep_runtime::memory::NodeMemory;
use skep_storage::Storage;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::{TcpListener, UdpSocket};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tracing::info;
use url::Url;
use uuid::Uuid;

/// The largest HTTP/2 frame that an executor takes, in bytes.
const FRAME_BYTES_MAX: u32 = 1024 * 1024;

/// The most connections at one time, of nodes and clients together.
const CONNECTIONS_MAX: usize = 10_000;

/// The most calls at one time on one connection: a node reads a partition with each.
const STREAMS_MAX: u32 = 16 * 1024;

/// How often a draining executor looks whether its tasks have ended.
const DRAIN_POLL_INTERVAL: Duration = Duration::from_millis(100);

/// How long the coordinator may take to answer that it knows of an executor that leaves.
const DRAIN_TOLD_MAX: Duration = Duration::from_secs(2);

/// An executor did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum ExecutorError {
    /// Its address is in use or is none of this host's.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address that was asked for.
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// It listens on every address of its machine, and does not know which one others reach.
    #[error(
        "cannot find this machine's address on the way to the coordinator at {coordinator} ({source}): set \
         executor.advertise"
    )]
    OwnAddress {
        /// Where the coordinator listens.
        coordinator: String,
        /// Why.
        source: std::io::Error,
    },
    /// The directory for spilling cannot be made or written.
    #[error("cannot write to the work directory {}: {source}", path.display())]
    WorkDir {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The runtime environment could not be made.
    #[error("cannot set up the executor: {0}")]
    Setup(datafusion::error::DataFusionError),
    /// Serving failed.
    #[error("the executor's server failed: {0}")]
    Serve(tonic::transport::Error),
    /// The coordinator refused this executor.
    #[error("{0}")]
    Refused(QueryError),
}

/// A running executor. Dropping it ends its tasks.
pub struct Executor {
    address: String,
    load: Arc<Load>,
    stop: CancellationToken,
    work: JoinSet<Result<(), ExecutorError>>,
    joined: Arc<Mutex<Option<String>>>,
    /// Kept for the connections, which do not.
    tasks: Arc<dyn LocalTasks>,
}

impl Executor {
    /// Starts an executor. Connections live on the current runtime, operators run on `compute`.
    ///
    /// # Errors
    /// Where the port is in use or the work directory cannot be written.
    pub async fn start(config: ExecutorConfig, compute: Handle) -> Result<Self, ExecutorError> {
        let (listener, port) = listen(&config).await?;
        let host = advertised_host(&config).await?;
        let address = advertised_address(&config, &host, port);
        let node = authority(&address).to_owned();
        let memory = Arc::new(NodeMemory::new(config.memory_limit_bytes));
        let runtime = make_runtime(&config, &memory)?;
        let key = SharedKey::default();
        let io = Handle::current();
        let tls = config.tls.clone();
        let limits = config.exchange.clone();
        let connections = Connections::new(key.clone(), limits, io, Some(host), tls);
        let functions = config.functions.clone();
        let coordinator = to_coordinator(&config, &connections);
        let own = connections.clone();
        let runner = TaskRunner::new(runtime, memory.clone(), connections, coordinator, functions);
        let load = Arc::new(Load::of(memory));
        let local_tasks: Arc<dyn LocalTasks> = Arc::new(runner.clone());
        let exchange = ExchangeService {
            runner: runner.clone(),
            key: key.clone(),
            limits: config.exchange.clone(),
            compute: compute.clone(),
            node: node.clone(),
            bytes_sent: Arc::clone(&load.bytes_sent),
            readers: Readers::default(),
        };
        let executor_id = Uuid::new_v4().simple().to_string();
        let tasks = TaskService {
            runner,
            compute,
            node,
            running: Arc::clone(&load.running),
            drain: load.drain.clone(),
        };
        let tasks = GrantedTasks::new(tasks, executor_id.clone(), key.clone());
        let (stop, joined) = (CancellationToken::new(), Arc::new(Mutex::new(None)));
        let mut work = JoinSet::new();
        work.spawn(serve(
            listener,
            config.clone(),
            exchange,
            tasks,
            stop.clone(),
        ));
        let membership = Membership {
            executor_id,
            address: address.clone(),
            client_address: client_address(&config, &address),
            config,
            connections: own.clone(),
            key,
            load: Arc::clone(&load),
            joined: Arc::clone(&joined),
            stop: stop.clone(),
        };
        work.spawn(async move { membership.run().await.map_err(ExecutorError::Refused) });
        info!(%address, "executor started");
        let executor = Self {
            address,
            load,
            stop,
            work,
            joined,
            tasks: local_tasks,
        };
        executor.serve_locally(&own);
        Ok(executor)
    }

    /// Lets a node in this process read the output of its tasks without a connection.
    pub fn serve_locally(&self, connections: &Connections) {
        if let Ok(url) = Url::parse(&self.address) {
            connections.serve_locally(url, &self.tasks);
        }
    }

    /// How other nodes reach it.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether it is a member of a cluster now.
    pub fn is_joined(&self) -> bool {
        self.joined.lock().is_some()
    }

    /// Waits until it fails, or until it was stopped.
    ///
    /// # Errors
    /// What made it fail.
    pub async fn wait(&mut self) -> Result<(), ExecutorError> {
        while let Some(ended) = self.work.join_next().await {
            if let Ok(result) = ended {
                result?;
            }
        }
        Ok(())
    }

    /// Resolves when the coordinator asks this executor to leave.
    pub fn told_to_leave(&self) -> impl Future<Output = ()> + use<> {
        self.load.drain.clone().cancelled_owned()
    }

    /// Takes no new tasks, waits up to `patience` for the running ones, and ends. The coordinator learns
    /// first, so that it does not take the end for a loss.
    pub async fn shut_down(mut self, patience: Duration) {
        self.load.drain.cancel();
        if self.is_joined() {
            let known = self.load.drain_known.cancelled();
            let _ = tokio::time::timeout(DRAIN_TOLD_MAX, known).await;
        }
        let idle = async {
            while self.load.running.load(Ordering::Relaxed) > 0 {
                tokio::time::sleep(DRAIN_POLL_INTERVAL).await;
            }
        };
        let _ = tokio::time::timeout(patience, idle).await;
        self.stop.cancel();
        self.work.shutdown().await;
    }
}

/// Listens, and says on which port.
async fn listen(config: &ExecutorConfig) -> Result<(TcpListener, u16), ExecutorError> {
    let failed = |source| ExecutorError::Listen {
        address: config.listen.clone(),
        source,
    };
    let listener = TcpListener::bind(&config.listen).await.map_err(failed)?;
    let port = listener.local_addr().map_err(failed)?.port();
    Ok((listener, port))
}

/// The way to the coordinator, for rows that only it has.
fn to_coordinator(
    config: &ExecutorConfig,
    connections: &Connections,
) -> Option<CoordinatorConnection> {
    let url = Url::parse(&config.coordinator).ok()?;
    Some(CoordinatorConnection {
        connections: connections.clone(),
        url,
    })
}

/// How other nodes reach an executor at `host` that listens on `port`.
fn advertised_address(config: &ExecutorConfig, host: &str, port: u16) -> String {
    let scheme = match &config.tls {
        Some(_) => "https",
        None => "http",
    };
    match &config.advertise {
        Some(advertise) if has_port(advertise) => format!("{scheme}://{advertise}"),
        _ => format!("{scheme}://{host}:{port}"),
    }
}

/// `HOST:PORT` of an executor's address.
fn authority(address: &str) -> &str {
    address.split_once("://").map_or(address, |(_, rest)| rest)
}

/// How clients reach an executor whose address among nodes is `address`.
fn client_address(config: &ExecutorConfig, address: &str) -> String {
    let own = authority(address);
    let port = own.rsplit(':').next().unwrap_or_default();
    match &config.client_address {
        Some(told) if has_port(told) => told.clone(),
        Some(host) => format!("{host}:{port}"),
        None => own.to_owned(),
    }
}

/// The host in this executor's address. One that listens on every address of its machine announces the one
/// from which it reaches the coordinator.
async fn advertised_host(config: &ExecutorConfig) -> Result<String, ExecutorError> {
    if let Some(advertise) = &config.advertise {
        return Ok(host_of(advertise).to_owned());
    }
    let host = host_of(&config.listen);
    if !matches!(host, "0.0.0.0" | "[::]" | "") {
        return Ok(host.to_owned());
    }
    let unknown = |source| ExecutorError::OwnAddress {
        coordinator: config.coordinator.clone(),
        source,
    };
    let address = address_towards(&config.coordinator)
        .await
        .map_err(unknown)?;
    Ok(match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    })
}

/// This machine's address on the way to `coordinator`. Nothing is sent.
async fn address_towards(coordinator: &str) -> std::io::Result<IpAddr> {
    let invalid = || std::io::Error::from(std::io::ErrorKind::InvalidInput);
    let url = Url::parse(coordinator).map_err(|_| invalid())?;
    let host = url.host_str().ok_or_else(invalid)?.to_owned();
    let port = url.port_or_known_default().ok_or_else(invalid)?;
    let host = host.trim_matches(['[', ']']).to_owned();
    let addresses = tokio::net::lookup_host((host, port)).await?;
    let mut last = invalid();
    for address in addresses {
        let any: SocketAddr = match address {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any).await?;
        match socket
            .connect(address)
            .await
            .and_then(|()| socket.local_addr())
        {
            Ok(own) => return Ok(own.ip()),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn has_port(address: &str) -> bool {
    host_of(address).len() < address.len()
}

/// `host` of `host:port` or `[v6]:port`.
fn host_of(address: &str) -> &str {
    match address.rfind(':') {
        Some(colon) if !address[colon..].contains(']') => &address[..colon],
        _ => address,
    }
}

fn make_runtime(
    config: &ExecutorConfig,
    memory: &NodeMemory,
) -> Result<Arc<RuntimeEnv>, ExecutorError> {
    let work_dir = |source| ExecutorError::WorkDir {
        path: config.work_dir.clone(),
        source,
    };
    std::fs::create_dir_all(&config.work_dir).map_err(work_dir)?;
    let probe = config.work_dir.join(".skep-write-test");
    std::fs::write(&probe, b"").map_err(work_dir)?;
    std::fs::remove_file(&probe).map_err(work_dir)?;
    let disk = DiskManagerBuilder::default()
        .with_mode(DiskManagerMode::Directories(vec![config.work_dir.clone()]))
        .with_max_temp_directory_size(config.spill_limit_bytes);
    RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::clone(memory.pool()))
        .with_disk_manager_builder(disk)
        .with_object_store_registry(Arc::new(Storage::new(config.storage_options.clone())))
        .with_metadata_cache_limit(config.metadata_cache_bytes)
        .build_arc()
        .map_err(ExecutorError::Setup)
}

async fn serve(
    listener: TcpListener,
    config: ExecutorConfig,
    exchange: ExchangeService,
    tasks: GrantedTasks,
    stop: CancellationToken,
) -> Result<(), ExecutorError> {
    let limits = &config.exchange;
    let exchange = FlightServer::new(exchange);
    let listening = ListenerOptions {
        connections_max: CONNECTIONS_MAX,
        tls: config.tls,
    };
    let incoming = Incoming::new(listener, listening);
    Server::builder()
        .http2_keepalive_interval(Some(limits.keep_alive_interval))
        .http2_keepalive_timeout(Some(limits.keep_alive_timeout))
        .max_frame_size(FRAME_BYTES_MAX)
        .max_concurrent_streams(STREAMS_MAX)
        .add_service(exchange)
        .add_service(tasks)
        .serve_with_incoming_shutdown(incoming, stop.cancelled_owned())
        .await
        .map_err(ExecutorError::Serve)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports() {
        assert_eq!(host_of("10.0.0.1:80"), "10.0.0.1");
        assert_eq!(host_of("host"), "host");
        assert_eq!(host_of("[::1]:80"), "[::1]");
        assert_eq!(host_of("[::1]"), "[::1]");
        assert!(has_port("h:1") && !has_port("[::1]"));
    }

    #[tokio::test]
    async fn an_executor_that_listens_everywhere_finds_its_address() {
        for (coordinator, own) in [
            ("http://127.0.0.1:8090", "127.0.0.1"),
            ("http://localhost:8090", "127.0.0.1"),
        ] {
            let found = address_towards(coordinator).await.unwrap();
            assert!(found.is_loopback(), "{found} is not {own}");
        }
        assert!(
            address_towards("http://no.such.host.invalid:1")
                .await
                .is_err()
        );
    }
}
