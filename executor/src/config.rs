//! What an executor is told when it starts.

use skep_exchange::limits::ExchangeLimits;
use skep_listener::TlsKeeper;
use skep_runtime::functions::FunctionSet;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The settings of one executor.
#[derive(Clone, Debug)]
pub struct ExecutorConfig {
    /// Where the coordinator listens, e.g. `http://10.0.0.1:8090`.
    pub coordinator: String,
    /// The address to listen on, `HOST:PORT`; port 0 takes a free one.
    pub listen: String,
    /// How other nodes reach this one, `HOST` or `HOST:PORT`; the listening address where it is absent.
    pub advertise: Option<String>,
    /// How clients reach this executor where they read results from it, `HOST` or `HOST:PORT`; as other
    /// nodes do where it is absent.
    pub client_address: Option<String>,
    /// The certificate, where clients and the nodes of the cluster have to use TLS.
    pub tls: Option<TlsKeeper>,
    /// How many cores its tasks may use.
    pub cores: usize,
    /// How much memory its tasks may use, in bytes.
    pub memory_limit_bytes: usize,
    /// Where it spills.
    pub work_dir: PathBuf,
    /// How much it may spill, in bytes.
    pub spill_limit_bytes: u64,
    /// How much memory the footers of Parquet files may take, in bytes.
    pub metadata_cache_bytes: usize,
    /// The cluster's secret, which the coordinator must have too. Without one, the coordinator gives its key to an
    /// executor of the same user on the same machine.
    pub cluster_secret: Option<String>,
    /// The bounds of the exchange.
    pub exchange: ExchangeLimits,
    /// Options of the object stores, see [`skep_storage::Storage`].
    pub storage_options: BTreeMap<String, String>,
    /// The functions that all nodes of the cluster know.
    pub functions: FunctionSet,
}
