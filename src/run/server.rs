//! A coordinator with its doors, and executors in the same process where they are wanted.

use super::endpoint::{self, Endpoint};
use super::{EXIT_OK, cluster, settings};
use crate::config::keys::Config;
use anyhow::Context;
use skep_coordinator::service::QueryService;
use skep_coordinator::{
    Authentication, CoordinatorConfig, Engine, EngineError, FIRST_ADMIN, Threads,
};
use skep_executor::{Executor, ExecutorConfig, ExecutorError};
use skep_flight_service::{DoorOptions, FlightSqlDoor};
use skep_listener::{Incoming, ListenerOptions, TlsFiles, TlsKeeper};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tracing::info;

/// How long executors of this process may finish their tasks when the process is told to stop.
const DRAIN_PATIENCE: Duration = Duration::from_secs(5);

/// How long the executors of this process may take to join.
const JOIN_PATIENCE: Duration = Duration::from_secs(10);

/// The most calls at one time on one connection.
const STREAMS_MAX: u32 = 4096;

/// An engine that serves. Dropping it ends everything.
pub(super) struct RunningServer {
    address: SocketAddr,
    uses_tls: bool,
    _endpoint: Endpoint,
    stop: CancellationToken,
    work: JoinSet<anyhow::Result<()>>,
    executors: Vec<Executor>,
}

impl RunningServer {
    /// Opens the catalog, listens, and starts the executors.
    ///
    /// # Errors
    /// Where the data directory, the port or the certificate cannot be used, or nobody could log in.
    pub(super) async fn start(
        config: &Config,
        authentication: Authentication,
        storage_options: BTreeMap<String, String>,
        threads: Threads,
    ) -> anyhow::Result<Self> {
        let listen = config.server.listen;
        let server = &config.server;
        let files = TlsPaths {
            section: "server",
            certificate: &server.tls_certificate,
            key: &server.tls_key,
            client_authorities: &server.tls_client_authorities,
            node_authorities: &config.cluster.tls_authorities,
        };
        let tls = certificate(files).await?;
        let uses_tls = tls.is_some();
        let cluster_secret = cluster::of_coordinator(config, &authentication)?;
        let password = password_of(&authentication);
        let listener = TcpListener::bind(listen)
            .await
            .with_context(|| format!("cannot listen on {listen}"))?;
        let address = listener.local_addr()?;
        let coordinator = CoordinatorConfig {
            cluster_secret: cluster_secret.clone(),
            tls: tls.clone(),
            ..settings::coordinator(config, authentication, storage_options.clone())?
        };
        let engine = match Engine::open(coordinator, threads.clone()).await {
            Err(EngineError::NobodyCanLogIn) => anyhow::bail!(no_users(listen)),
            opened => opened?,
        };
        let (stop, mut work) = (CancellationToken::new(), JoinSet::new());
        work.spawn(serve_doors(
            engine.clone(),
            listener,
            config.clone(),
            tls.clone(),
            stop.clone(),
        ));
        work.spawn(tidy_up(engine.clone()));
        info!(%address, "coordinator started");
        let mut executors = Vec::new();
        for number in 0..config.server.executors {
            let url = format!("http://{}", reachable(address));
            let mut settings = settings::executor(config, url, storage_options.clone());
            settings.tls = tls.clone();
            settings.cluster_secret = cluster_secret.clone();
            settings.listen = SocketAddr::new(address.ip(), 0).to_string();
            settings
                .work_dir
                .push(format!("{}-{number}", std::process::id()));
            executors.push(start_executor(settings, &engine, &threads).await?);
        }
        let endpoint = endpoint::Address {
            url: url_of(address, uses_tls),
            password,
        };
        let server = Self {
            address,
            uses_tls,
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
        url_of(self.address, self.uses_tls)
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

/// Starts an executor in this process, whose output the coordinator reads without a connection.
async fn start_executor(
    settings: ExecutorConfig,
    engine: &Engine,
    threads: &Threads,
) -> Result<Executor, ExecutorError> {
    let executor = Executor::start(settings, threads.compute.clone()).await?;
    executor.serve_locally(engine.connections());
    Ok(executor)
}

fn url_of(address: SocketAddr, uses_tls: bool) -> String {
    let scheme = if uses_tls { "flights" } else { "flight" };
    format!("{scheme}://{}", reachable(address))
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

/// Removes what nobody needs any more; it does not end by itself.
async fn tidy_up(engine: Engine) -> anyhow::Result<()> {
    tokio::join!(engine.close_idle_sessions(), engine.sweep_forever());
    Ok(())
}

async fn serve_doors(
    engine: Engine,
    listener: TcpListener,
    config: Config,
    tls: Option<TlsKeeper>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let exchange = &config.exchange;
    let service: Arc<dyn QueryService> = Arc::new(engine.clone());
    let options = DoorOptions {
        needs_tls: tls.is_some(),
        pending_result_wait_max: config.server.result_wait,
        ..DoorOptions::default()
    };
    let door = FlightSqlDoor::new(service, options);
    let options = ListenerOptions {
        connections_max: config.server.max_connections,
        tls,
    };
    let incoming = Incoming::new(listener, options);
    Server::builder()
        .http2_keepalive_interval(Some(exchange.keep_alive_interval))
        .http2_keepalive_timeout(Some(exchange.keep_alive_timeout))
        .max_concurrent_streams(STREAMS_MAX)
        .add_service(door.into_server())
        .add_service(engine.cluster_service().into_server())
        .serve_with_incoming_shutdown(incoming, stop.cancelled_owned())
        .await
        .context("the server failed")
}

/// What only this process knows, so that an engine inside it serves nobody else on this machine; and what nobody
/// knows before it is written down.
pub(super) fn random_secret() -> String {
    let bytes: [u8; 32] = rand::random();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Every connection is an open file, and shells allow programs few of them unless they ask for more.
fn allow_connections(connections_max: usize) {
    let allowed = rlimit::increase_nofile_limit(u64::MAX).unwrap_or_default();
    if allowed < connections_max as u64 {
        tracing::warn!(
            allowed,
            connections_max,
            "the system allows fewer open files than server.max_connections"
        );
    }
}

/// Whether clients have to log in.
fn authentication(config: &Config) -> Authentication {
    let server = &config.server;
    match (
        server.insecure_let_anyone_in,
        server.listen.ip().is_loopback(),
    ) {
        (true, _) => Authentication::Never,
        (false, true) => Authentication::OnceThereAreUsers,
        (false, false) => Authentication::Required,
    }
}

/// What to do about a server that nobody could log in to.
fn no_users(listen: SocketAddr) -> String {
    format!(
        "a server on {listen} is reachable from other hosts, and there is no user yet: set \
         SKEP_SERVER_FIRST_ADMIN_PASSWORD to make the user '{FIRST_ADMIN}', or, where everybody who \
         reaches the port may do everything, start with --insecure-let-anyone-in"
    )
}

/// Where a process is told to find its certificate.
pub(super) struct TlsPaths<'a> {
    /// The section of the configuration that tells.
    pub section: &'static str,
    pub certificate: &'a Option<PathBuf>,
    pub key: &'a Option<PathBuf>,
    pub client_authorities: &'a Option<PathBuf>,
    /// Those of the cluster's nodes, whose section is `cluster`.
    pub node_authorities: &'a Option<PathBuf>,
}

/// The certificate, where there is one. Half a configuration is a mistake, and no reason to go without.
pub(super) async fn certificate(paths: TlsPaths<'_>) -> anyhow::Result<Option<TlsKeeper>> {
    let section = paths.section;
    match (paths.certificate, paths.key) {
        (Some(certificate), Some(key)) => {
            let files = TlsFiles {
                certificate: certificate.clone(),
                key: key.clone(),
                client_authorities: paths.client_authorities.clone(),
                node_authorities: paths.node_authorities.clone(),
            };
            Ok(Some(TlsKeeper::start(files).await?))
        }
        (None, None) if paths.client_authorities.is_none() && paths.node_authorities.is_none() => {
            Ok(None)
        }
        _ => anyhow::bail!(
            "TLS needs both {section}.tls_certificate and {section}.tls_key: `skep tls init` makes a pair"
        ),
    }
}

/// `skep standalone` and `skep coordinator`.
pub(super) async fn serve(
    config: &Config,
    storage_options: BTreeMap<String, String>,
    threads: Threads,
) -> anyhow::Result<u8> {
    allow_connections(config.server.max_connections);
    let authentication = authentication(config);
    if authentication == Authentication::Never {
        tracing::warn!("whoever reaches the port may run any statement");
    }
    if !config.server.listen.ip().is_loopback() && config.server.tls_certificate.is_none() {
        tracing::warn!("passwords and rows travel without encryption: see server.tls_certificate");
    }
    let mut server = RunningServer::start(config, authentication, storage_options, threads).await?;
    let executors = match config.server.executors {
        1 => "1 executor".to_owned(),
        count => format!("{count} executors"),
    };
    eprintln!(
        "skep {} listens on {} with {executors} in this process; data in {}",
        crate::version::SKEP,
        server.url(),
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

/// The password of an engine that has made one up for itself.
fn password_of(authentication: &Authentication) -> Option<String> {
    match authentication {
        Authentication::Secret(secret) => Some(secret.clone()),
        Authentication::Never | Authentication::OnceThereAreUsers | Authentication::Required => {
            None
        }
    }
}
