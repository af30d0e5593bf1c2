//! What a statement is planned with: one snapshot of the catalog, one of the cluster, and the
//! settings of its session.

use super::bulk_scan;
use super::checked_arithmetic::CheckedArithmetic;
use super::client_rows::spread_over;
use super::decimal_sums::WholeDecimalSums;
use super::distribute_by::DistributeByHash;
use super::logical_rules::logical_rules;
use super::nested_types::NestedTypes;
use super::null_aware_in::NullAwareIn;
use super::physical_rules::physical_rules;
use super::relations::HiveRelations;
use super::routing::Router;
use super::scalar_subquery::SingleRowSubqueries;
use super::session_functions;
use super::set_multiplicity::CountedCopies;
use super::snapshot_catalog::{PlannedViews, SnapshotCatalog};
use super::table_scan::ScanLog;
use crate::cluster::ClusterSnapshot;
use crate::session::{Session, SessionCatalog, SkepOptions};
use datafusion::catalog::{CatalogProviderList, MemoryCatalogProviderList};
use datafusion::common::DataFusionError;
use datafusion::config::ConfigOptions;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::{FunctionRegistry, SessionState, SessionStateBuilder};
use datafusion::prelude::SessionConfig;
use datafusion_distributed::{DistributedExt, WorkerResolver};
use skep_exchange::bulk_scan::BulkScanCodec;
use skep_exchange::channel::Connections;
use skep_exchange::constants::ForgetConstantsCodec;
use skep_exchange::error::{from_datafusion, to_datafusion};
use skep_exchange::functions::FunctionSet;
use skep_exchange::memory::NodeMemory;
use skep_exchange::monitor::AttemptMonitor;
use skep_exchange::rows::RowsCodec;
use skep_exchange::session::TaskSession;
use skep_hive_text::TextScanCodec;
use skep_protocol::{ErrorCode, QueryError, QueryId};
use skep_writer::WriteCodec;
use std::sync::Arc;
use url::Url;

/// The name of the one catalog.
pub const CATALOG_NAME: &str = "skep";

/// How many partitions a stage has per task at least: with one, the planner would aggregate in one
/// step, which cannot be distributed.
const PARTITIONS_MIN: usize = 2;

/// Up to which estimated size the smaller side of a join is sent to all tasks instead of distributing
/// both sides. DataFusion's own bounds, 1 MiB and 131,072 rows, are meant for threads, which share
/// memory anyway; where rows cross a network, moving the larger side costs far more. On TPC-H at scale
/// 10 with two executors these bounds took 5 to 45 % off queries 2, 3, 5, 8, 9 and 10.
const BROADCAST_BYTES_MAX: usize = 32 * 1024 * 1024;
const BROADCAST_ROWS_MAX: usize = 2_000_000;

/// Which part of a bounded query's memory one broadcast may take, and how many bytes a row of it counts
/// for where only their number is known.
const BROADCAST_SETTING: &str = "datafusion.optimizer.hash_join_single_partition_threshold";
const BROADCAST_SHARE: usize = 16;
const BROADCAST_ROW_BYTES: usize = 16;

/// What a sort sets aside for its merge, and which part of a bounded query's memory all partitions of
/// one sort may set aside together.
const SORT_RESERVATION: &str = "datafusion.execution.sort_spill_reservation_bytes";
const SORT_RESERVATION_SHARE: usize = 8;

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
}

/// What one statement is planned with.
#[derive(Clone)]
pub struct PlanningContext {
    /// What all statements share.
    pub planner: Planner,
    /// The catalog as it was when planning began.
    pub catalog: SessionCatalog,
    /// The executors as they were when planning began.
    pub cluster: Arc<ClusterSnapshot>,
    /// Whose statement it is.
    pub session: Session,
    /// The query that the statement has become.
    pub query: QueryId,
    /// What the transport reports to.
    pub monitor: Arc<AttemptMonitor>,
}

impl PlanningContext {
    /// Where the tasks of this statement go.
    pub(super) fn router(&self) -> Router {
        Router::new(&self.query, self.cluster.active_addresses())
    }

    /// The session's settings with what follows from the cluster.
    ///
    /// # Errors
    /// `InvalidSetting`; the settings were checked when they were set.
    pub fn session_config(&self) -> Result<SessionConfig, QueryError> {
        let mut config = SessionConfig::new()
            .with_default_catalog_and_schema(CATALOG_NAME, &self.session.database)
            .with_create_default_catalog_and_schema(false)
            .with_target_partitions(self.cluster.cores_max().max(PARTITIONS_MIN));
        let options = config.options_mut();
        // The values of physical scalar subqueries do not cross stages, and a distributed scan must
        // read the files of its own task only.
        options
            .optimizer
            .enable_physical_uncorrelated_scalar_subquery = false;
        options.execution.enable_file_stream_work_stealing = false;
        options.sql_parser.collect_spans = true;
        // Operators and plans disagree about what may be NULL (`b IS TRUE`), and results say that all may.
        options.execution.skip_physical_aggregate_schema_check = true;
        options.optimizer.hash_join_single_partition_threshold = BROADCAST_BYTES_MAX;
        options.optimizer.hash_join_single_partition_threshold_rows = BROADCAST_ROWS_MAX;
        options.extensions.insert(SkepOptions::default());
        self.session
            .settings
            .apply(options)
            .map_err(|text| QueryError::new(ErrorCode::InvalidSetting, text))?;
        let own = options.extensions.get::<SkepOptions>();
        let memory_limit = own.map_or(0, |own| own.query_memory_limit_bytes);
        if memory_limit > 0 && !self.session.settings.is_set(BROADCAST_SETTING) {
            // What is broadcast has to fit into the query's memory on every node.
            let bytes = BROADCAST_BYTES_MAX.min(memory_limit / BROADCAST_SHARE);
            let rows = BROADCAST_ROWS_MAX.min(bytes / BROADCAST_ROW_BYTES);
            options.optimizer.hash_join_single_partition_threshold = bytes;
            let rows_max = &mut options.optimizer.hash_join_single_partition_threshold_rows;
            // A number of rows that the user has set is left as it is.
            if *rows_max == BROADCAST_ROWS_MAX {
                *rows_max = rows;
            }
        }
        if memory_limit > 0 && !self.session.settings.is_set(SORT_RESERVATION) {
            // Every partition of every sort sets this much aside for its merge.
            let share = memory_limit
                / (SORT_RESERVATION_SHARE * options.execution.target_partitions.max(1));
            let reserved = &mut options.execution.sort_spill_reservation_bytes;
            *reserved = share.min(*reserved);
        }
        Ok(config)
    }

    /// What a statement is planned with.
    ///
    /// # Errors
    /// As [`PlanningContext::session_config`].
    pub fn session_state(&self) -> Result<SessionState, QueryError> {
        self.session_state_with(&PlannedViews::default())
    }

    /// Where names are looked up.
    pub(super) fn catalogs(
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
    pub(super) fn session_state_with(
        &self,
        planned_views: &PlannedViews,
    ) -> Result<SessionState, QueryError> {
        let config = self.session_config()?;
        let options = config.options().extensions.get::<SkepOptions>().cloned();
        let options = options.unwrap_or_default();
        let memory_limit = options.query_memory_limit_bytes;
        let task = TaskSession::new(self.query.clone(), memory_limit as u64, config.options());
        let headers = task.to_headers()?;
        let runtime = RuntimeEnv {
            memory_pool: self.planner.memory.query_pool(&self.query, memory_limit),
            ..self.planner.runtime.as_ref().clone()
        };
        let catalogs = self.catalogs(config.options(), planned_views);
        let config = config
            .with_extension(Arc::new(task))
            .with_extension(Arc::clone(&self.monitor))
            .with_extension(Arc::new(ScanLog::default()));
        let config = spread_over(config, self.cluster.active().count());
        let distributed = || -> Result<SessionState, DataFusionError> {
            let mut state = SessionStateBuilder::new()
                .with_config(config)
                .with_runtime_env(Arc::new(runtime))
                .with_default_features()
                .with_analyzer_rule(Arc::new(SingleRowSubqueries))
                .with_analyzer_rule(Arc::new(NullAwareIn))
                .with_analyzer_rule(Arc::new(CountedCopies))
                .with_analyzer_rule(Arc::new(WholeDecimalSums))
                .with_analyzer_rule(Arc::new(CheckedArithmetic))
                .with_analyzer_rule(Arc::new(DistributeByHash))
                .with_type_planner(Arc::new(NestedTypes))
                .with_optimizer_rules(logical_rules())
                .with_relation_planners(vec![Arc::new(HiveRelations)])
                .with_catalog_list(catalogs)
                .with_distributed_channel_resolver(self.planner.connections.clone())
                .with_physical_optimizer_rules(physical_rules())
                .with_distributed_user_codec(WriteCodec)
                .with_distributed_user_codec(TextScanCodec)
                .with_distributed_user_codec(RowsCodec)
                .with_distributed_user_codec(ForgetConstantsCodec)
                .with_distributed_user_codec(BulkScanCodec)
                .with_distributed_desired_task_count_handler(bulk_scan::desired_tasks)
                .with_distributed_scale_up_leaf_node_handler(bulk_scan::scale_up)
                .with_distributed_worker_resolver(FixedExecutors(self.cluster.active_addresses()))
                .with_distributed_passthrough_headers(headers)?
                .with_distributed_max_tasks_per_stage(options.stage_tasks_max)?
                .with_distributed_file_scan_config_bytes_per_partition(
                    options.scan_partition_bytes.max(1),
                )?
                .with_distributed_broadcast_joins(options.broadcast_joins)?
                .with_distributed_partial_reduce(options.partial_reduce)?
                .with_distributed_route_tasks_handler(self.router())
                .build();
            self.planner.functions.register(&mut state)?;
            for function in session_functions::of(&self.session) {
                state.register_udf(Arc::new(function))?;
            }
            // What `now()` and its like are in all of the statement.
            let options = Arc::clone(state.config().options());
            state.execution_props_mut().mark_start_execution(options);
            Ok(state)
        };
        distributed().map_err(|error| from_datafusion(&error))
    }
}

/// The executors that one attempt may use: those that there were when it was planned.
struct FixedExecutors(Vec<Url>);

impl WorkerResolver for FixedExecutors {
    fn get_urls(&self) -> Result<Vec<Url>, DataFusionError> {
        match self.0.is_empty() {
            true => Err(to_datafusion(QueryError::new(
                ErrorCode::NoExecutors,
                "there is no executor in this cluster",
            ))),
            false => Ok(self.0.clone()),
        }
    }
}
