//! A coordinator with its doors, and executors in the same process where they are wanted.

use super::endpoint::{self, Endpoint};
use super::{EXIT_OK, settings};
use crate::config::keys::Config;
use anyhow::Context;
use skep_coordinator::Engine;
use skep_coordinator::service::QueryService;
use skep_executor::Executor;
use skep_flight_service::{DoorOptions, FlightSqlDoor};
use skep_protocol::proto::cluster_server::ClusterServer;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tracing::info;

/// How long executors of this process may finish their tasks when the process is told to stop.
const DRAIN_PATIENCE: Duration = Duration::from_secs(5);

/// How long the executors of this process may take to join.
const JOIN_PATIENCE: Duration = Duration::from_secs(10);

/// An engine that serves. Dropping it ends everything.
pub(super) struct RunningServer {
    address: SocketAddr,
    _endpoint: Endpoint,
    stop: CancellationToken,
    work: JoinSet<anyhow::Result<()>>,
    executors: Vec<Executor>,
}

impl RunningServer {
    /// Opens the catalog, listens, and starts the executors.
    ///
    /// # Errors
    /// Where the data directory or the port cannot be used.
    pub(super) async fn start(
        config: &Config,
        embedded: bool,
        storage_options: BTreeMap<String, String>,
        compute: Handle,
    ) -> anyhow::Result<Self> {
        let listen = config.server.listen;
        let listener = TcpListener::bind(listen)
            .await
            .with_context(|| format!("cannot listen on {listen}"))?;
        let address = listener.local_addr()?;
        let coordinator = settings::coordinator(config, embedded, storage_options.clone())?;
        let engine = Engine::open(coordinator, compute.clone()).await?;
        let stop = CancellationToken::new();
        let mut work = JoinSet::new();
        work.spawn(serve_doors(
            engine.clone(),
            listener,
            config.clone(),
            stop.clone(),
        ));
        info!(%address, "coordinator started");

        let mut executors = Vec::new();
        for number in 0..config.server.executors {
            let url = format!("http://{}", reachable(address));
            let mut settings = settings::executor(config, url, storage_options.clone());
            settings.listen = SocketAddr::new(address.ip(), 0).to_string();
            settings
                .work_dir
                .push(format!("{}-{number}", std::process::id()));
            executors.push(Executor::start(settings, compute.clone()).await?);
        }
        let endpoint = endpoint::Address {
            url: format!("flight://{}", reachable(address)),
            password: None,
        };
        let server = Self {
            address,
            _endpoint: Endpoint::publish(&config.server.data_dir, &endpoint),
            stop,
            work,
            executors,
        };
        server.wait_for_executors(&engine).await?;
        Ok(server)
    }

    async fn wait_for_executors(&self, engine: &Engine) -> anyhow::Result<()> {
        let all_joined = async {
            while !self.executors.iter().all(Executor::is_joined)
                || engine.members().snapshot().active().count() < self.executors.len()
            {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(JOIN_PATIENCE, all_joined)
            .await
            .context("the executors of this process did not join in time")
    }

    /// Where clients connect.
    pub(super) fn url(&self) -> String {
        format!("flight://{}", reachable(self.address))
    }

    /// Waits until it fails; it does not end by itself.
    async fn failure(&mut self) -> anyhow::Result<()> {
        match self.work.join_next().await {
            Some(Ok(result)) => result,
            Some(Err(error)) => Err(error.into()),
            None => Ok(()),
        }
    }

    /// Ends everything, giving running tasks a moment.
    pub(super) async fn shut_down(mut self, patience: Duration) {
        let mut draining = JoinSet::new();
        for executor in self.executors.drain(..) {
            draining.spawn(executor.shut_down(patience));
        }
        while draining.join_next().await.is_some() {}
        self.stop.cancel();
        self.work.shutdown().await;
    }
}

/// The address by which this host reaches a listener, which may listen on all addresses.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        std::net::IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
        std::net::IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, address.port())
}

async fn serve_doors(
    engine: Engine,
    listener: TcpListener,
    config: Config,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let exchange = &config.exchange;
    let service: Arc<dyn QueryService> = Arc::new(engine.clone());
    let door = FlightSqlDoor::new(service, DoorOptions::default());
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    Server::builder()
        .http2_keepalive_interval(Some(exchange.keep_alive_interval))
        .http2_keepalive_timeout(Some(exchange.keep_alive_timeout))
        .add_service(door.into_server())
        .add_service(ClusterServer::new(engine.cluster_service()))
        .serve_with_incoming_shutdown(incoming, stop.cancelled_owned())
        .await
        .context("the server failed")
}

/// `skep standalone` and `skep coordinator`.
pub(super) async fn serve(
    config: &Config,
    storage_options: BTreeMap<String, String>,
    compute: Handle,
) -> anyhow::Result<u8> {
    let mut server = RunningServer::start(config, false, storage_options, compute).await?;
    eprintln!(
        "skep {} listens on {} with {} executors in this process; data in {}",
        crate::version::SKEP,
        server.url(),
        config.server.executors,
        config.server.data_dir.display()
    );
    tokio::select! {
        result = server.failure() => result?,
        result = stop_signal() => result?,
    }
    server.shut_down(DRAIN_PATIENCE).await;
    Ok(EXIT_OK)
}

/// Resolves when the process is told to stop.
pub(super) async fn stop_signal() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
