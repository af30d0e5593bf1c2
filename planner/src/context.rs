//! What a statement is planned with: one snapshot of the catalog, one of the cluster, and the
//! settings of its session.

use crate::distribution::routing::Router;
use crate::resolution::catalog_names::CATALOG_NAME;
use crate::resolution::snapshot_catalog::{PlannedViews, SnapshotCatalog};
use crate::session::{PlanningSession, SessionCatalog};
use crate::table_scan::ScanLog;
use crate::template::Templates;
use datafusion::catalog::{CatalogProviderList, MemoryCatalogProviderList};
use datafusion::config::ConfigOptions;
use datafusion::execution::SessionState;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::prelude::SessionConfig;
use datafusion_distributed::{DistributedExt, get_distributed_worker_resolver};
use skep_catalog::model::Privilege;
use skep_exchange::channel::Connections;
use skep_exchange::direct::ClientAddress;
use skep_exchange::monitor::AttemptMonitor;
use skep_protocol::storage_url::AllowedRoots;
use skep_protocol::{QueryError, QueryId};
use skep_runtime::error::from_datafusion;
use skep_runtime::functions::FunctionSet;
use skep_runtime::memory::NodeMemory;
use skep_runtime::session::TaskSession;
use std::sync::Arc;
use url::Url;

/// How many executors a plan of this session may use.
pub(crate) fn node_count(config: &SessionConfig) -> usize {
    let resolver = get_distributed_worker_resolver(config);
    let executors = resolver.and_then(|resolver| resolver.get_urls());
    executors.map_or(1, |executors| executors.len())
}

/// What all statements of a coordinator are planned with.
#[derive(Clone)]
pub struct Planner {
    /// The coordinator's own disk and object stores.
    pub runtime: Arc<RuntimeEnv>,
    /// The coordinator's own memory.
    pub memory: Arc<NodeMemory>,
    /// The connections to executors.
    pub connections: Connections,
    /// The functions that all nodes of the cluster know.
    pub functions: FunctionSet,
    /// What statements have in common, made once.
    pub templates: Templates,
    /// Where statements may name files.
    pub allowed_roots: AllowedRoots,
}

/// An executor that takes tasks.
#[derive(Clone, Debug)]
pub struct ActiveExecutor {
    /// Where other nodes reach it.
    pub address: Url,
    /// Where clients reach it.
    pub client_address: ClientAddress,
    /// How many cores it has.
    pub cores: usize,
}

/// The executors that take tasks, in the order in which they joined.
#[derive(Clone, Debug, Default)]
pub struct ActiveExecutors(pub Vec<ActiveExecutor>);

impl ActiveExecutors {
    /// Where other nodes reach them.
    pub fn addresses(&self) -> Vec<Url> {
        let addresses = self.0.iter().map(|executor| executor.address.clone());
        addresses.collect()
    }

    /// The most cores that one of them has; 1 where there is none.
    pub fn cores_max(&self) -> usize {
        let cores = self.0.iter().map(|executor| executor.cores);
        cores.max().unwrap_or(1)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What one statement is planned with.
#[derive(Clone)]
pub struct PlanningContext {
    /// What all statements share.
    pub planner: Planner,
    /// The catalog as it was when planning began.
    pub catalog: SessionCatalog,
    /// The executors as they were when planning began.
    pub executors: ActiveExecutors,
    /// Whose statement it is.
    pub session: PlanningSession,
    /// The query that the statement has become.
    pub query: QueryId,
    /// What the transport reports to.
    pub monitor: Arc<AttemptMonitor>,
}

impl PlanningContext {
    /// Where the tasks of this statement go.
    pub(crate) fn router(&self) -> Router {
        Router::new(&self.query, self.executors.addresses())
    }

    /// Where the statement may read files that it names itself.
    pub(crate) fn readable_roots(&self) -> AllowedRoots {
        let roots = &self.planner.allowed_roots;
        self.catalog.rights().narrow(roots, &[Privilege::Select])
    }

    /// What a statement is planned with.
    ///
    /// # Errors
    /// As [`PlanningContext::session_config`].
    pub fn session_state(&self) -> Result<SessionState, QueryError> {
        self.session_state_with(&PlannedViews::default())
    }

    /// Where names are looked up.
    pub(crate) fn catalogs(
        &self,
        options: &ConfigOptions,
        planned_views: &PlannedViews,
    ) -> Arc<dyn CatalogProviderList> {
        let catalogs = MemoryCatalogProviderList::new();
        let catalog = SnapshotCatalog::new(self.catalog.clone())
            .with_views(options.execution.parquet.schema_force_view_types)
            .with_planned_views(planned_views.clone());
        catalogs.register_catalog(CATALOG_NAME.to_owned(), Arc::new(catalog));
        Arc::new(catalogs)
    }

    /// What a statement that uses `planned_views` is planned with.
    pub(crate) fn session_state_with(
        &self,
        planned_views: &PlannedViews,
    ) -> Result<SessionState, QueryError> {
        let template = self.template()?;
        let task = TaskSession {
            query: self.query.clone(),
            memory_limit_bytes: template.options.query_memory_limit_bytes as u64,
            node_streams: 0,
            settings: template.task_settings.clone(),
        };
        let headers = task.to_headers()?;
        let mut state = template.state.clone();
        state.register_catalog_list(self.catalogs(state.config_options(), planned_views));
        state
            .set_distributed_passthrough_headers(headers)
            .map_err(|error| from_datafusion(&error))?;
        state.set_distributed_route_tasks_handler(self.router());
        let config = state.config_mut();
        config.set_extension(Arc::new(task));
        config.set_extension(Arc::clone(&self.monitor));
        config.set_extension(Arc::new(ScanLog::default()));
        // What `now()` and its like are in all of the statement.
        state.mark_start_execution();
        Ok(state)
    }

    /// What the operators that run on the coordinator use: the query's own memory among it.
    ///
    /// # Errors
    /// As [`PlanningContext::session_config`].
    pub(crate) fn runtime(&self) -> Result<Arc<RuntimeEnv>, QueryError> {
        let memory_limit = self.template()?.options.query_memory_limit_bytes;
        let memory = &self.planner.memory;
        Ok(Arc::new(RuntimeEnv {
            memory_pool: memory.query_pool(&self.query, memory_limit),
            ..self.planner.runtime.as_ref().clone()
        }))
    }
}
