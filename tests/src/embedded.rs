//! A cluster in the test's own process, for faults that no real process would commit: its nodes know
//! functions that panic or stand still.

use crate::session::connect;
use datafusion::arrow::array::{AsArray, Int64Array};
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use skep_client::Client;
use skep_coordinator::config::QueryLimits;
use skep_coordinator::service::QueryService;
use skep_coordinator::{Authentication, CoordinatorConfig, Engine, Threads};
use skep_exchange::limits::ExchangeLimits;
use skep_executor::{Executor, ExecutorConfig};
use skep_flight_service::{DoorOptions, FlightSqlDoor};
use skep_protocol::storage_url::AllowedRoots;
use skep_runtime::functions::FunctionSet;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinSet;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

/// The memory of each node, in bytes.
const MEMORY_BYTES: usize = 256 * 1024 * 1024;

/// A coordinator and executors in this process, which end when it is dropped.
pub struct EmbeddedCluster {
    /// Where clients connect.
    pub url: String,
    /// The coordinator.
    pub engine: Engine,
    executors: Vec<Executor>,
    _serving: JoinSet<()>,
    compute: Option<Runtime>,
    _directory: TempDir,
}

impl EmbeddedCluster {
    /// Starts a cluster whose nodes know `functions`.
    pub async fn start(executors: usize, functions: FunctionSet) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let compute = Builder::new_multi_thread()
            .worker_threads(4)
            .enable_all()
            .build()
            .expect("a runtime");
        let config = coordinator_config(directory.path(), functions.clone());
        let threads = Threads {
            planning: compute.handle().clone(),
            compute: compute.handle().clone(),
        };
        let engine = Engine::open(config, threads).await;
        let engine = engine.expect("a coordinator");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let mut serving = JoinSet::new();
        serving.spawn(serve(engine.clone(), listener));
        let mut cluster = Self {
            url: format!("flight://{address}"),
            engine,
            executors: vec![],
            _serving: serving,
            compute: Some(compute),
            _directory: directory,
        };
        for number in 0..executors {
            let work = cluster._directory.path().join(format!("work-{number}"));
            let config = executor_config(&format!("http://{address}"), &work, functions.clone());
            let executor = Executor::start(config, cluster.compute()).await;
            cluster.executors.push(executor.expect("an executor"));
        }
        let members = Arc::clone(cluster.engine.members());
        crate::session::eventually("all executors", Duration::from_secs(10), async || {
            (members.snapshot().active().count() == executors).then_some(())
        })
        .await;
        cluster
    }

    fn compute(&self) -> Handle {
        let compute = self.compute.as_ref().expect("it ends with the cluster");
        compute.handle().clone()
    }

    /// Opens a session.
    pub async fn connect(&self) -> Client {
        connect(&self.url).await
    }
}

impl Drop for EmbeddedCluster {
    fn drop(&mut self) {
        self.executors.clear();
        if let Some(compute) = self.compute.take() {
            compute.shutdown_background();
        }
    }
}

async fn serve(engine: Engine, listener: TcpListener) {
    let service: Arc<dyn QueryService> = Arc::new(engine.clone());
    let door = FlightSqlDoor::new(service, DoorOptions::default());
    let served = Server::builder()
        .add_service(door.into_server())
        .add_service(engine.cluster_service().into_server())
        .serve_with_incoming(TcpIncoming::from(listener));
    served.await.expect("the server serves");
}

fn coordinator_config(directory: &Path, functions: FunctionSet) -> CoordinatorConfig {
    CoordinatorConfig {
        data_dir: directory.join("data"),
        catalog: Default::default(),
        warehouse: None,
        allowed_roots: AllowedRoots::unrestricted(),
        authentication: Authentication::default(),
        first_admin_password: None,
        token_lifetime: Duration::from_secs(3600),
        cluster_secret: None,
        tls: None,
        heartbeat_interval: Duration::from_millis(50),
        heartbeat_timeout: Duration::from_secs(3),
        executor_wait: Duration::from_secs(5),
        memory_limit_bytes: MEMORY_BYTES,
        queries: QueryLimits::default(),
        exchange: ExchangeLimits::default(),
        vacuum_safe_age: Duration::from_secs(86_400),
        vacuum_interval: Duration::ZERO,
        storage_options: BTreeMap::new(),
        functions,
    }
}

fn executor_config(coordinator: &str, work_dir: &Path, functions: FunctionSet) -> ExecutorConfig {
    ExecutorConfig {
        coordinator: coordinator.to_owned(),
        listen: "127.0.0.1:0".to_owned(),
        advertise: None,
        client_address: None,
        tls: None,
        cores: 2,
        memory_limit_bytes: MEMORY_BYTES,
        work_dir: work_dir.to_owned(),
        spill_limit_bytes: 1 << 30,
        metadata_cache_bytes: 1 << 24,
        cluster_secret: None,
        exchange: ExchangeLimits::default(),
        storage_options: BTreeMap::new(),
        functions,
    }
}

/// `panic_at(x, n)`: `x`, where it is not `n`; a panic where it is.
pub fn panic_at() -> ScalarUDF {
    ScalarUDF::from(PanicAt {
        signature: Signature::exact(
            vec![DataType::Int64, DataType::Int64],
            // Not immutable: it must not be evaluated when the statement is planned.
            Volatility::Volatile,
        ),
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct PanicAt {
    signature: Signature,
}

impl ScalarUDFImpl for PanicAt {
    fn name(&self) -> &str {
        "panic_at"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let [values, fatal] = arrays.as_slice() else {
            panic!("panic_at takes two arguments");
        };
        let fatal = fatal.as_primitive::<Int64Type>();
        let values: &Int64Array = values.as_primitive::<Int64Type>();
        for (value, fatal) in values.iter().zip(fatal) {
            assert!(value.is_none() || value != fatal, "an injected panic");
        }
        Ok(ColumnarValue::Array(Arc::new(values.clone())))
    }
}
