//! From the configuration to what the other crates are told.

use crate::config::Environment;
use crate::config::keys::{Config, ExchangeConfig};
use crate::config::kinds::Compression;
use skep_coordinator::config::QueryLimits;
use skep_coordinator::{Authentication, CoordinatorConfig};
use skep_exchange::limits::{ExchangeLimits, WireCompression};
use skep_executor::ExecutorConfig;
use skep_protocol::storage_url::{AllowedRoots, StorageUrl};
use skep_runtime::functions::FunctionSet;
use std::collections::BTreeMap;

/// How much memory the footers of Parquet files may take on an executor, in bytes.
const METADATA_CACHE_BYTES: usize = 256 * 1024 * 1024;

/// The share of an executor's memory that the coordinator may use for its own part of queries, which is
/// to merge and pass on.
const COORDINATOR_MEMORY_SHARE: u64 = 4;

/// The variables with which the cloud stores are configured everywhere.
const STORAGE_VARIABLES: &[&str] = &["AWS_", "AZURE_", "GOOGLE_"];

/// The options of object stores, as the clouds' own tools read them from the environment.
pub(super) fn storage_options(environment: &Environment) -> BTreeMap<String, String> {
    environment
        .variables_beginning(STORAGE_VARIABLES)
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect()
}

fn exchange(config: &ExchangeConfig) -> ExchangeLimits {
    ExchangeLimits {
        stream_window_bytes: to_u32(config.stream_window),
        send_buffer_bytes: to_u32(config.stream_window),
        ticket_lifetime: config.ticket_lifetime,
        connect_timeout: config.connect_timeout,
        keep_alive_interval: config.keep_alive_interval,
        keep_alive_timeout: config.keep_alive_timeout,
        compression: match config.compression {
            Compression::None => WireCompression::None,
            Compression::Lz4 => WireCompression::Lz4,
        },
    }
}

/// HTTP/2 windows and semaphores count in 31 bits.
fn to_u32(bytes: u64) -> u32 {
    u32::try_from(bytes)
        .unwrap_or(u32::MAX)
        .min(i32::MAX as u32)
}

/// The coordinator's configuration, but for the cluster's secret and the certificate. An engine that is embedded in its user's own process may read whatever
/// that user may.
pub(super) fn coordinator(
    config: &Config,
    authentication: Authentication,
    storage_options: BTreeMap<String, String>,
) -> anyhow::Result<CoordinatorConfig> {
    let allowed_roots = match authentication {
        Authentication::Secret(_) => AllowedRoots::unrestricted(),
        _ => {
            let data_dir = StorageUrl::from_local_path(&config.server.data_dir)?;
            let mut roots = vec![data_dir.clone()];
            for root in &config.server.allow_roots {
                roots.push(StorageUrl::parse(root)?);
            }
            // The catalog lies in it.
            AllowedRoots::new(roots).withholding(data_dir)
        }
    };
    let cluster = &config.cluster;
    let query = &config.query;
    Ok(CoordinatorConfig {
        authentication,
        first_admin_password: config
            .server
            .first_admin_password
            .as_ref()
            .map(|password| password.reveal().to_owned()),
        token_lifetime: config.server.login_lifetime,
        data_dir: config.server.data_dir.clone(),
        catalog: config.server.catalog.clone(),
        warehouse: warehouse(config)?,
        allowed_roots,
        cluster_secret: None,
        tls: None,
        heartbeat_interval: cluster.heartbeat_interval,
        heartbeat_timeout: cluster.heartbeat_timeout,
        executor_wait: cluster.executor_wait,
        memory_limit_bytes: (config.executor.memory_limit / COORDINATOR_MEMORY_SHARE) as usize,
        queries: QueryLimits {
            running_max: query.max_running,
            queued_max: query.max_queued,
            queue_timeout: query.queue_timeout,
            statement_bytes_max: query.statement_bytes_max as usize,
            run_time_max: Some(query.max_run_time),
            client_wait: query.client_wait,
            result_buffer_bytes: to_u32(query.result_buffer),
            ..QueryLimits::default()
        },
        exchange: exchange(&config.exchange),
        vacuum_safe_age: config.catalog.vacuum_safe_age,
        vacuum_interval: config.catalog.vacuum_interval,
        storage_options,
        functions: FunctionSet::default(),
    })
}

/// Where managed tables go, where that was said.
pub(super) fn warehouse(config: &Config) -> anyhow::Result<Option<StorageUrl>> {
    let warehouse = config.server.warehouse.as_deref();
    Ok(warehouse.map(StorageUrl::parse).transpose()?)
}

/// The configuration of an executor that joins the coordinator at `coordinator`, but for the cluster's secret and the
/// certificate.
pub(super) fn executor(
    config: &Config,
    coordinator: String,
    storage_options: BTreeMap<String, String>,
) -> ExecutorConfig {
    let executor = &config.executor;
    ExecutorConfig {
        coordinator,
        listen: executor.listen.to_string(),
        advertise: executor
            .advertise
            .as_ref()
            .map(|url| format!("{}:{}", url.host, url.port)),
        client_address: executor
            .client_address
            .as_ref()
            .map(|url| format!("{}:{}", url.host, url.port)),
        tls: None,
        cores: executor.cores,
        memory_limit_bytes: executor.memory_limit as usize,
        work_dir: executor.work_dir.clone(),
        spill_limit_bytes: executor.spill_limit,
        metadata_cache_bytes: METADATA_CACHE_BYTES,
        cluster_secret: None,
        exchange: exchange(&config.exchange),
        storage_options,
        functions: FunctionSet::default(),
    }
}
