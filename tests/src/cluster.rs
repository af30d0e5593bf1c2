//! A cluster of real processes on ports of their own, with everything they write in one temporary
//! directory.

use crate::process::Process;
use crate::session::{columns, eventually};
use crate::tls::Certificate;
use skep_client::{Client, ClientOptions};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// How long executors may take to join or to be missed.
const MEMBERSHIP_PATIENCE: Duration = Duration::from_secs(20);

/// What a cluster is made of.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Executors in processes of their own; with `standalone`, in the coordinator's.
    pub executors: usize,
    /// Each executor's cores.
    pub cores: usize,
    /// Whether everything is in one process.
    pub standalone: bool,
    /// More configuration of every process, as `key=value`.
    pub set: Vec<String>,
    /// Where tables may lie, besides the cluster's own directory.
    pub roots: Vec<PathBuf>,
    /// What clients and nodes reach the processes with.
    pub certificate: Option<Certificate>,
    /// The password of the user `admin`, where clients have to log in.
    pub admin_password: Option<String>,
}

impl Setup {
    /// A coordinator and `executors` executors with one core each.
    pub fn executors(executors: usize) -> Self {
        Self {
            executors,
            cores: 1,
            standalone: false,
            set: vec![
                // Often enough for tests that wait for what executors report.
                "cluster.heartbeat_interval=100ms".to_owned(),
                "cluster.heartbeat_timeout=3s".to_owned(),
            ],
            roots: Vec::new(),
            certificate: None,
            admin_password: None,
        }
    }

    /// One process with one executor of two cores.
    pub fn standalone() -> Self {
        Self {
            executors: 1,
            cores: 2,
            standalone: true,
            ..Self::executors(1)
        }
    }

    /// The same with more configuration.
    pub fn with(mut self, setting: &str) -> Self {
        self.set.push(setting.to_owned());
        self
    }

    /// The same with another place for tables.
    pub fn with_root(mut self, root: &Path) -> Self {
        self.roots.push(root.to_owned());
        self
    }

    /// The same for clients with TLS.
    pub fn with_certificate(mut self, certificate: &Certificate) -> Self {
        self.certificate = Some(certificate.clone());
        self
    }

    /// The same for clients that log in.
    pub fn with_admin(mut self, password: &str) -> Self {
        self.admin_password = Some(password.to_owned());
        self.with(&format!("server.first_admin_password={password}"))
    }

    fn common_arguments(&self) -> Vec<String> {
        let set = self.set.iter();
        let set = set.flat_map(|setting| ["--set".to_owned(), setting.clone()]);
        let certificate = self.certificate.iter().flat_map(Certificate::flags);
        set.chain(certificate).collect()
    }

    fn server_arguments(&self, listen: &str, directory: &Path) -> Vec<String> {
        let path = |name: &str| directory.join(name).display().to_string();
        let mut arguments = self.common_arguments();
        let command = if self.standalone {
            "standalone"
        } else {
            "coordinator"
        };
        arguments.insert(0, command.to_owned());
        let mut option = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
        option("--listen", listen.to_owned());
        option("--data-dir", path("data"));
        option("--work-dir", path("work"));
        option("--memory-limit", "1GiB".to_owned());
        option("--cores", self.cores.to_string());
        if self.standalone {
            option("--executors", self.executors.to_string());
        }
        for root in std::iter::once(directory).chain(self.roots.iter().map(PathBuf::as_path)) {
            option("--allow-root", root.display().to_string());
        }
        arguments
    }

    fn executor_arguments(&self, listen: &str, coordinator: &str, directory: &Path) -> Vec<String> {
        let mut arguments = self.common_arguments();
        arguments.insert(0, "executor".to_owned());
        let mut option = |name: &str, value: &str| {
            arguments.extend([name.to_owned(), value.to_owned()]);
        };
        option("--coordinator", coordinator);
        option("--listen", listen);
        option("--cores", &self.cores.to_string());
        option("--memory-limit", "512MiB");
        option("--work-dir", &directory.join("work").display().to_string());
        arguments
    }
}

/// An executor's row of `SHOW EXECUTORS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutorRow {
    /// Where it is reached.
    pub address: String,
    /// `ACTIVE`, `DRAINING`, `LOST` or `LEFT`.
    pub state: String,
    /// How many tasks it runs.
    pub running_tasks: u64,
}

/// A running cluster, which ends when it is dropped.
pub struct Cluster {
    /// The coordinator, with everything else where it is one process.
    pub coordinator: Process,
    /// The executors in processes of their own.
    pub executors: Vec<Process>,
    /// Where clients connect.
    pub url: String,
    /// What it was started with.
    pub setup: Setup,
    directory: TempDir,
}

impl Cluster {
    /// Starts a cluster and waits until it is complete.
    pub async fn start(setup: Setup) -> Self {
        Self::start_at(setup, "127.0.0.1:0").await
    }

    /// Starts a cluster whose coordinator listens on `listen`.
    pub async fn start_at(setup: Setup, listen: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let arguments = setup.server_arguments(listen, directory.path());
        let mut coordinator = Process::start("coordinator", directory.path(), &arguments);
        let url = listening_url(&mut coordinator).await;
        let mut cluster = Self {
            coordinator,
            executors: vec![],
            url,
            setup,
            directory,
        };
        if !cluster.setup.standalone {
            for _ in 0..cluster.setup.executors {
                cluster.add_executor();
            }
        }
        cluster.wait_for_active(cluster.setup.executors).await;
        cluster
    }

    /// Where everything of the cluster is kept.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The coordinator's data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.directory().join("data")
    }

    /// Starts one more executor, without waiting for it.
    pub fn add_executor(&mut self) {
        let process = self.start_executor("127.0.0.1:0", &self.url);
        self.executors.push(process);
    }

    /// Starts an executor that is not one of the cluster's list.
    pub fn start_executor(&self, listen: &str, coordinator: &str) -> Process {
        let arguments = self
            .setup
            .executor_arguments(listen, coordinator, self.directory());
        Process::start("executor", self.directory(), &arguments)
    }

    /// Starts an executor that differs from this cluster's in one setting.
    pub fn stranger(&self, setting: &str) -> Process {
        let setup = self.setup.clone().with(setting);
        let arguments = setup.executor_arguments("127.0.0.1:0", &self.url, self.directory());
        Process::start("stranger", self.directory(), &arguments)
    }

    /// Starts another coordinator with this cluster's data, without waiting for it.
    pub fn start_coordinator(&self, listen: &str) -> Process {
        let arguments = self.setup.server_arguments(listen, self.directory());
        Process::start("coordinator", self.directory(), &arguments)
    }

    /// Ends the coordinator and starts it again where it was.
    pub async fn restart_coordinator(&mut self) {
        self.coordinator.terminate().await;
        self.replace_coordinator().await;
    }

    /// Kills the coordinator and starts another one in its place.
    pub async fn kill_coordinator(&mut self) {
        self.coordinator.crash().await;
        self.replace_coordinator().await;
    }

    async fn replace_coordinator(&mut self) {
        self.coordinator = self.start_coordinator(self.url.trim_start_matches("flight://"));
        listening_url(&mut self.coordinator).await;
    }

    /// Opens a session.
    pub async fn connect(&self) -> Client {
        let pem = self.setup.certificate.as_ref().map(|certificate| {
            std::fs::read(&certificate.certificate).expect("the certificate is there")
        });
        let mut options = ClientOptions {
            ca_certificate_pem: pem,
            ..ClientOptions::default()
        };
        if let Some(password) = &self.setup.admin_password {
            options.user = "admin".to_owned();
            options.password = Some(password.clone());
        }
        let client = Client::connect(&self.url, options).await;
        client.unwrap_or_else(|error| panic!("{error}"))
    }

    /// `HOST:PORT` of the coordinator.
    pub fn authority(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or_default()
    }

    /// What `SHOW EXECUTORS` says.
    pub async fn executors(&self) -> Vec<ExecutorRow> {
        show_executors(&mut self.connect().await).await
    }

    /// Waits until exactly `count` executors take tasks.
    pub async fn wait_for_active(&self, count: usize) {
        let mut client = self.connect().await;
        eventually(
            &format!("{count} active executors"),
            MEMBERSHIP_PATIENCE,
            async || {
                let executors = show_executors(&mut client).await;
                let active = executors
                    .iter()
                    .filter(|executor| executor.state == "ACTIVE");
                (active.count() == count).then_some(())
            },
        )
        .await;
    }

    /// Waits until no executor runs a task.
    pub async fn wait_for_idle(&self, limit: Duration) {
        let mut client = self.connect().await;
        eventually("end of all tasks", limit, async || {
            let executors = show_executors(&mut client).await;
            let idle = executors
                .iter()
                .filter(|executor| executor.state == "ACTIVE")
                .all(|executor| executor.running_tasks == 0);
            idle.then_some(())
        })
        .await;
    }
}

async fn show_executors(client: &mut Client) -> Vec<ExecutorRow> {
    let names = ["address", "state", "running_tasks"];
    let rows = columns(client, "SHOW EXECUTORS", &names).await;
    let row = |mut row: Vec<String>| ExecutorRow {
        running_tasks: row.pop().expect("three columns").parse().expect("a number"),
        state: row.pop().expect("three columns"),
        address: row.pop().expect("three columns"),
    };
    rows.into_iter().map(row).collect()
}

/// The URL in a server's first line.
pub async fn listening_url(server: &mut Process) -> String {
    let line = server.line_with("listens on flight").await;
    let url = line
        .split_whitespace()
        .find(|word| word.starts_with("flight://") || word.starts_with("flights://"));
    url.expect("the line has a URL").to_owned()
}
