//! The coordinator as a whole: what every statement passes through, in order.

mod dispatch;
mod metadata;
mod write;

use crate::cluster::{ClusterService, Members};
use crate::config::CoordinatorConfig;
use crate::planning::{Planner, PlanningContext};
use crate::query::QueryRegistry;
use crate::query::admission::Admission;
use crate::service::{
    CatalogMetadata, QueryService, QueryStatus, SessionId, StatementDescription, SubmitRequest,
    SubmittedQuery,
};
use crate::session::{Session, Sessions};
use async_trait::async_trait;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use skep_catalog::{Catalog, CatalogError, CatalogOptions};
use skep_exchange::channel::{Connections, SharedKey};
use skep_exchange::memory::NodeMemory;
use skep_exchange::monitor::AttemptMonitor;
use skep_exchange::storage::Storage;
use skep_protocol::ticket::ClusterKey;
use skep_protocol::{QueryError, QueryId};
use std::sync::Arc;
use std::time::Instant;
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

/// A coordinator did not start.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The catalog cannot be opened.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The runtime environment could not be made.
    #[error("cannot set up the coordinator: {0}")]
    Setup(#[from] datafusion::error::DataFusionError),
}

/// A coordinator. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

/// What all clones of an [`Engine`] share.
pub(crate) struct Inner {
    pub(crate) config: CoordinatorConfig,
    pub(crate) id: String,
    pub(crate) key: ClusterKey,
    pub(crate) catalog: Catalog,
    pub(crate) members: Arc<Members>,
    pub(crate) sessions: Sessions,
    pub(crate) queries: Arc<QueryRegistry>,
    pub(crate) planner: Planner,
    pub(crate) admission: Admission,
    pub(crate) compute: Handle,
}

impl Engine {
    /// Opens the catalog and is ready for executors and statements. Connections live on the current
    /// runtime; planning and the coordinator's part of queries run on `compute`.
    ///
    /// # Errors
    /// Where the data directory cannot be used.
    pub async fn open(config: CoordinatorConfig, compute: Handle) -> Result<Self, EngineError> {
        let catalog = Catalog::open(CatalogOptions {
            data_dir: config.data_dir.clone(),
            allowed_roots: config.allowed_roots.clone(),
            store: config.catalog.clone(),
            warehouse: config.warehouse.clone(),
        })
        .await?;
        let key = match &config.cluster_secret {
            Some(secret) => ClusterKey::from_secret(secret),
            None => ClusterKey::random(),
        };
        let memory = Arc::new(NodeMemory::new(config.memory_limit_bytes));
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::clone(memory.pool()))
            .with_object_store_registry(Arc::new(Storage::new(config.storage_options.clone())))
            .build_arc()?;
        let shared_key = SharedKey::known(key.clone());
        let io = Handle::current();
        let connections = Connections::new(shared_key, config.exchange.clone(), io, None);
        Ok(Self(Arc::new(Inner {
            id: Uuid::new_v4().simple().to_string(),
            key,
            catalog,
            members: Arc::new(Members::new()),
            sessions: Sessions::new(config.queries.clone()),
            queries: Arc::new(QueryRegistry::new(config.queries.history_max)),
            planner: Planner {
                runtime,
                memory,
                connections,
                functions: config.functions.clone(),
            },
            admission: Admission::new(config.queries.clone()),
            compute,
            config,
        })))
    }

    /// The door that executors join by.
    pub fn cluster_service(&self) -> ClusterService {
        let inner = &self.0;
        ClusterService::new(
            Arc::clone(&inner.members),
            inner.id.clone(),
            inner.key.clone(),
            &inner.config,
        )
    }

    /// The executors.
    pub fn members(&self) -> &Arc<Members> {
        &self.0.members
    }

    /// Runs `work` on the compute runtime, and no longer than somebody waits for it.
    async fn on_compute<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, QueryError>> + Send + 'static,
    ) -> Result<T, QueryError> {
        match AbortOnDropHandle::new(self.0.compute.spawn(work)).await {
            Ok(result) => result,
            Err(error) if error.is_panic() => {
                Err(QueryError::internal("planning the statement panicked"))
            }
            Err(_) => Err(QueryError::internal("the coordinator is shutting down")),
        }
    }
}

impl Inner {
    /// What a statement of `session` is planned with, now.
    pub(crate) fn planning_context(&self, session: &Session, query: &QueryId) -> PlanningContext {
        PlanningContext {
            planner: self.planner.clone(),
            catalog: self.catalog.snapshot(),
            cluster: self.members.snapshot(),
            session: session.clone(),
            query: query.clone(),
            monitor: Arc::new(AttemptMonitor::default()),
        }
    }
}

#[async_trait]
impl QueryService for Engine {
    fn open_session(&self, user: &str) -> Result<SessionId, QueryError> {
        self.0.sessions.open(user, Instant::now())
    }

    fn has_session(&self, session: &SessionId) -> bool {
        self.0.sessions.get(session, Instant::now()).is_ok()
    }

    fn close_session(&self, session: &SessionId) {
        if self.0.sessions.close(session) {
            self.0
                .queries
                .cancel_session(&session.0, "its session was closed");
        }
    }

    async fn describe(
        &self,
        session: &SessionId,
        sql: &str,
    ) -> Result<StatementDescription, QueryError> {
        let session = self.0.sessions.get(session, Instant::now())?;
        let inner = Arc::clone(&self.0);
        let sql = sql.to_owned();
        self.on_compute(async move { inner.describe(&session, &sql).await })
            .await
    }

    async fn submit(&self, request: SubmitRequest) -> Result<SubmittedQuery, QueryError> {
        let session = self.0.sessions.get(&request.session, Instant::now())?;
        let queries = &self.0.queries;
        let handle = queries.register(&session.user, &session.id.0, &request.sql);
        let inner = Arc::clone(&self.0);
        self.on_compute(async move { inner.run(session, handle, request).await })
            .await
    }

    fn status(&self, query: &QueryId) -> Option<QueryStatus> {
        self.0.queries.status(query)
    }

    fn queries(&self) -> Vec<QueryStatus> {
        self.0.queries.all()
    }

    fn live_queries(&self, session: &SessionId) -> Vec<QueryStatus> {
        self.0.queries.live_of_session(&session.0)
    }

    fn cancel(&self, query: &QueryId, reason: &str) -> bool {
        self.0.queries.cancel(query, reason)
    }

    async fn metadata(&self, session: &SessionId) -> Result<CatalogMetadata, QueryError> {
        let session = self.0.sessions.get(session, Instant::now())?;
        let inner = Arc::clone(&self.0);
        self.on_compute(async move { inner.metadata(&session).await })
            .await
    }
}
