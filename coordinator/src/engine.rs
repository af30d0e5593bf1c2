//! The coordinator as a whole: what every statement passes through, in order.

mod analyze;
mod attempts;
mod copy;
mod dispatch;
mod explain;
mod files;
mod ingest;
mod insert;
mod metadata;
mod sweep;
mod views;
mod write;
mod write_attempts;

use crate::client_rows::ClientRows;
use crate::cluster::{ClusterService, Members, OwnNode, RowsDoor};
use crate::config::Authentication;
use crate::config::CoordinatorConfig;
use crate::engine::metadata::MetadataCache;
use crate::identity::{FIRST_ADMIN, Identity, KnownRights, Login};
use crate::query::QueryRegistry;
use crate::query::admission::Admission;
use crate::service::{
    Caller, CatalogMetadata, IngestRequest, IssuedToken, QueryService, QueryStatus, SessionId,
    StatementDescription, SubmitRequest, SubmittedQuery,
};
use crate::session::{Session, SessionCatalog, Sessions};
use crate::statement::without_secrets;
use async_trait::async_trait;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use skep_catalog::catalog::{NewDatabase, permitted};
use skep_catalog::{Catalog, CatalogError, CatalogOptions, NewUser};
use skep_exchange::channel::{Connections, SharedKey};
use skep_exchange::monitor::AttemptMonitor;
use skep_planner::{Planner, PlanningContext, Templates};
use skep_protocol::ClusterKey;
use skep_protocol::storage_url::StorageUrl;
use skep_protocol::{QueryError, QueryId};
use skep_runtime::memory::NodeMemory;
use skep_storage::Storage;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

/// How often idle sessions are looked for.
const IDLE_CHECK_INTERVAL: Duration = Duration::from_secs(10);

/// A coordinator did not start.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The catalog cannot be opened.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The runtime environment could not be made.
    #[error("cannot set up the coordinator: {0}")]
    Setup(#[from] datafusion::error::DataFusionError),
    /// The first administrator's password is none.
    #[error("the first administrator's password cannot be used: {0}")]
    FirstAdmin(#[source] QueryError),
    /// Callers have to log in and there is no user.
    #[error("callers have to log in, and there is no user who could")]
    NobodyCanLogIn,
}

/// A coordinator. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Engine(Arc<Coordinator>);

/// What all clones of an [`Engine`] share.
pub(crate) struct Coordinator {
    pub(crate) config: CoordinatorConfig,
    pub(crate) id: String,
    pub(crate) key: ClusterKey,
    pub(crate) catalog: Catalog,
    pub(crate) identity: Identity,
    pub(crate) known_rights: KnownRights,
    pub(crate) metadata: MetadataCache,
    pub(crate) members: Arc<Members>,
    pub(crate) sessions: Sessions,
    pub(crate) queries: Arc<QueryRegistry>,
    pub(crate) planner: Planner,
    pub(crate) admission: Admission,
    pub(crate) threads: Threads,
    pub(crate) client_rows: ClientRows,
}

/// Where an engine's work is done. Planning has threads that no operator takes, so that a statement
/// which ends another is always carried out.
#[derive(Clone, Debug)]
pub struct Threads {
    /// Where statements are planned and the short ones run.
    pub planning: Handle,
    /// Where the coordinator's part of queries runs.
    pub compute: Handle,
}

impl Engine {
    /// Opens the catalog and is ready for executors and statements. Connections live on the current
    /// runtime.
    ///
    /// # Errors
    /// Where the data directory cannot be used.
    pub async fn open(config: CoordinatorConfig, threads: Threads) -> Result<Self, EngineError> {
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
        let identity = Identity::new(
            config.authentication.clone(),
            config.token_lifetime,
            key.clone(),
        );
        set_up_users(&catalog, &identity, &config).await?;
        let memory = Arc::new(NodeMemory::new(config.memory_limit_bytes));
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::clone(memory.pool()))
            .with_object_store_registry(Arc::new(Storage::new(config.storage_options.clone())))
            .build_arc()?;
        let shared_key = SharedKey::known(key.clone());
        let io = Handle::current();
        let tls = config.tls.clone();
        let connections = Connections::new(shared_key, config.exchange.clone(), io, None, tls);
        Ok(Self(Arc::new(Coordinator {
            id: Uuid::new_v4().simple().to_string(),
            key,
            catalog,
            identity,
            known_rights: KnownRights::default(),
            metadata: MetadataCache::default(),
            members: Arc::new(Members::new()),
            sessions: Sessions::new(config.queries.clone()),
            queries: Arc::new(QueryRegistry::new(config.queries.history_max)),
            planner: Planner {
                runtime,
                memory,
                connections,
                functions: config.functions.clone(),
                templates: Templates::default(),
                allowed_roots: config.allowed_roots.clone(),
            },
            admission: Admission::new(config.queries.clone()),
            threads,
            client_rows: ClientRows::default(),
            config,
        })))
    }

    /// The door that executors join by.
    pub fn cluster_service(&self) -> ClusterService {
        let inner = &self.0;
        ClusterService::new(
            Arc::clone(&inner.members),
            OwnNode {
                id: inner.id.clone(),
                key: inner.key.clone(),
                connections: self.connections().clone(),
            },
            &inner.config,
            RowsDoor {
                rows: inner.client_rows.clone(),
                limits: inner.config.exchange.clone(),
                pool: Arc::clone(inner.planner.memory.pool()),
                compute: inner.threads.compute.clone(),
            },
            Arc::new(self.clone()),
        )
    }

    /// The connections to the executors.
    pub fn connections(&self) -> &Connections {
        &self.0.planner.connections
    }

    /// The executors.
    pub fn members(&self) -> &Arc<Members> {
        &self.0.members
    }

    /// Closes sessions that have been idle for too long, so that what is temporary in them goes. It does
    /// not end by itself.
    pub async fn close_idle_sessions(&self) {
        let mut ticks = tokio::time::interval(IDLE_CHECK_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let live = self.0.queries.live_sessions();
            let is_busy = |session: &SessionId| live.contains(&session.0);
            self.0.sessions.close_idle(Instant::now(), is_busy);
        }
    }

    /// Runs `work` where statements are planned, and no longer than somebody waits for it.
    async fn on_planning<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, QueryError>> + Send + 'static,
    ) -> Result<T, QueryError> {
        match AbortOnDropHandle::new(self.0.threads.planning.spawn(work)).await {
            Ok(result) => result,
            Err(error) if error.is_panic() => {
                Err(QueryError::internal("planning the statement panicked"))
            }
            Err(_) => Err(QueryError::internal("the coordinator is shutting down")),
        }
    }
}

/// Makes the first administrator where one is wanted, and refuses to start where nobody could log in.
async fn set_up_users(
    catalog: &Catalog,
    identity: &Identity,
    config: &CoordinatorConfig,
) -> Result<(), EngineError> {
    let is_empty = catalog.snapshot().users().next().is_none();
    match &config.first_admin_password {
        Some(password) if is_empty => {
            let password_hash = identity.hash(password.clone()).await;
            let new = NewUser {
                name: FIRST_ADMIN.to_owned(),
                password_hash: password_hash.map_err(EngineError::FirstAdmin)?,
                admin: true,
                if_not_exists: true,
            };
            catalog.create_user(new, &permitted).await?;
            Ok(())
        }
        None if is_empty && config.authentication == Authentication::Required => {
            Err(EngineError::NobodyCanLogIn)
        }
        _ => Ok(()),
    }
}

impl Coordinator {
    /// The catalog as `session` sees it now.
    pub(crate) fn session_catalog(&self, session: &Session) -> SessionCatalog {
        let snapshot = self.catalog.snapshot();
        let rights = self.rights_in(&snapshot, session);
        SessionCatalog::new(snapshot, session.temporary.snapshot(), rights)
    }

    /// The catalog that has the table or view of that name, or would have it.
    pub(crate) fn catalog_of<'a>(
        &'a self,
        session: &'a Session,
        database: &str,
        name: &str,
    ) -> &'a Catalog {
        let temporary = session.temporary.catalog();
        let has = |catalog: &&Catalog| catalog.snapshot().find_relation(database, name).is_some();
        temporary.filter(has).unwrap_or(&self.catalog)
    }

    /// The catalog of what is temporary in `session`, with a database of that name.
    pub(crate) async fn temporary_catalog<'a>(
        &self,
        session: &'a Session,
        database: &str,
    ) -> Result<&'a Catalog, QueryError> {
        let catalog = self.session_catalog(session);
        let name = catalog.database(database)?.name.clone();
        let store = |location: &StorageUrl| self.object_store(location);
        let catalog = session
            .temporary
            .open(&self.catalog, store, &self.threads.planning)
            .await?;
        let new = NewDatabase {
            name,
            if_not_exists: true,
            ..NewDatabase::default()
        };
        catalog.create_database(new).await?;
        Ok(catalog)
    }

    /// What a statement of `session` is planned with, now.
    pub(crate) fn planning_context(&self, session: &Session, query: &QueryId) -> PlanningContext {
        PlanningContext {
            planner: self.planner.clone(),
            catalog: self.session_catalog(session),
            executors: self.members.snapshot().for_planning(),
            session: session.for_planning(),
            query: query.clone(),
            monitor: Arc::new(AttemptMonitor::default()),
        }
    }
}

#[async_trait]
impl QueryService for Engine {
    async fn log_in(
        &self,
        user: &str,
        password: &str,
        source: Option<IpAddr>,
    ) -> Result<Caller, QueryError> {
        let users = self.0.catalog.snapshot();
        let login = Login {
            user,
            password,
            source,
        };
        self.0.identity.log_in(&users, login).await
    }

    fn check_caller(&self, caller: &Caller) -> Result<(), QueryError> {
        let users = self.0.catalog.snapshot();
        self.0.identity.check(&users, caller)
    }

    fn issue_token(&self, caller: &Caller) -> IssuedToken {
        self.0.identity.issue_token(caller)
    }

    fn read_token(&self, text: &str) -> Result<IssuedToken, QueryError> {
        let users = self.0.catalog.snapshot();
        self.0.identity.read_token(&users, text)
    }

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
        self.on_planning(async move { inner.describe(&session, &sql).await })
            .await
    }

    async fn submit(&self, request: SubmitRequest) -> Result<SubmittedQuery, QueryError> {
        let session = self.0.sessions.get(&request.session, Instant::now())?;
        let queries = &self.0.queries;
        let shown = without_secrets(&request.sql);
        let handle = queries.register(&session.user, &session.id.0, &shown);
        let inner = Arc::clone(&self.0);
        self.on_planning(async move { inner.run(session, handle, request).await })
            .await
    }

    async fn ingest(&self, request: IngestRequest) -> Result<u64, QueryError> {
        let session = self.0.sessions.get(&request.session, Instant::now())?;
        let shown = ingest::shown(&request);
        let handle = self
            .0
            .queries
            .register(&session.user, &session.id.0, &shown);
        let inner = Arc::clone(&self.0);
        self.on_planning(async move { inner.ingest(session, handle, request).await })
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

    async fn metadata(&self, session: &SessionId) -> Result<Arc<CatalogMetadata>, QueryError> {
        let session = self.0.sessions.get(session, Instant::now())?;
        let inner = Arc::clone(&self.0);
        self.on_planning(async move { inner.metadata(&session).await })
            .await
    }
}
