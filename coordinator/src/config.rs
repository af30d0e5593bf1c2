//! What a coordinator is told when it starts.

use skep_catalog::CatalogLocation;
use skep_exchange::limits::ExchangeLimits;
use skep_listener::TlsKeeper;
use skep_protocol::storage_url::{AllowedRoots, StorageUrl};
use skep_runtime::functions::FunctionSet;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// The settings of one coordinator.
#[derive(Clone)]
pub struct CoordinatorConfig {
    /// Where the catalog and everything else that must survive a restart is kept.
    pub data_dir: PathBuf,
    /// Where the catalog's database is.
    pub catalog: CatalogLocation,
    /// Below which directory managed tables go; `None` for one in the data directory.
    pub warehouse: Option<StorageUrl>,
    /// Where tables may lie.
    pub allowed_roots: AllowedRoots,
    /// The cluster's secret, which executors must have too. Without one, only executors of the same user on the
    /// same machine may join.
    pub cluster_secret: Option<String>,
    /// The certificate, where nodes have to use TLS among themselves.
    pub tls: Option<TlsKeeper>,
    /// Whether callers have to log in.
    pub authentication: Authentication,
    /// The password of the user [`FIRST_ADMIN`](crate::FIRST_ADMIN), who is made where there are no
    /// users yet.
    pub first_admin_password: Option<String>,
    /// How long a login holds.
    pub token_lifetime: Duration,
    /// How often executors report.
    pub heartbeat_interval: Duration,
    /// After how much silence an executor counts as lost.
    pub heartbeat_timeout: Duration,
    /// How long a query waits for the first executor to join.
    pub executor_wait: Duration,
    /// How much memory the coordinator's own part of queries may use, in bytes.
    pub memory_limit_bytes: usize,
    /// The bounds of queries.
    pub queries: QueryLimits,
    /// The bounds of the exchange.
    pub exchange: ExchangeLimits,
    /// How old a file must be that nobody knows before VACUUM removes it.
    pub vacuum_safe_age: Duration,
    /// How often that is done without being asked for; zero for never.
    pub vacuum_interval: Duration,
    /// Options of the object stores, see [`skep_storage::Storage`].
    pub storage_options: BTreeMap<String, String>,
    /// The functions that all nodes of the cluster know.
    pub functions: FunctionSet,
}

/// The bounds of queries on one coordinator.
#[derive(Clone, Debug)]
pub struct QueryLimits {
    /// How many queries run at the same time.
    pub running_max: usize,
    /// How many more may wait.
    pub queued_max: usize,
    /// How long a query waits for a place.
    pub queue_timeout: Duration,
    /// How many bytes a statement may have.
    pub statement_bytes_max: usize,
    /// How long a query may run, from its submission; `None` for as long as it takes.
    pub run_time_max: Option<Duration>,
    /// How long a statement waits for a client that reads nothing of its result, or sends nothing of its
    /// rows.
    pub client_wait: Duration,
    /// How many ended queries `SHOW QUERIES` remembers.
    pub history_max: usize,
    /// How many sessions may be open.
    pub sessions_max: usize,
    /// After how long without use a session is closed.
    pub session_idle_timeout: Duration,
    /// How many bytes of a result lie ready for its client at most.
    pub result_buffer_bytes: u32,
}

impl Default for QueryLimits {
    fn default() -> Self {
        Self {
            running_max: 64,
            queued_max: 1000,
            queue_timeout: Duration::from_secs(300),
            statement_bytes_max: 4 * 1024 * 1024,
            run_time_max: None,
            client_wait: Duration::from_secs(60 * 60),
            history_max: 1000,
            sessions_max: 10_000,
            session_idle_timeout: Duration::from_secs(3600),
            result_buffer_bytes: 32 * 1024 * 1024,
        }
    }
}

/// Whether callers have to say who they are.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum Authentication {
    /// As soon as there is a user. Until then every connection is let in: for loopback.
    #[default]
    OnceThereAreUsers,
    /// Always.
    Required,
    /// Never.
    Never,
    /// They have to know this secret, which the program around the engine has made up for itself.
    Secret(String),
}

impl fmt::Debug for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OnceThereAreUsers => "OnceThereAreUsers",
            Self::Required => "Required",
            Self::Never => "Never",
            Self::Secret(_) => "Secret(…)",
        })
    }
}
