//! From a resolved statement and a snapshot of the catalog to a checked, distributed physical plan.
//!
//! The steps of planning are folders, in the order in which a statement meets them: `resolution` (names, views,
//! files), `analyzer` (types and meaning), `optimizer` (logical rules), `table_scan` (what a scan reads),
//! `physical` (physical rules), `distribution` (stages, and the check that every operator's requirements hold across
//! tasks). `template.rs` composes their rules into the state that equal sessions share.

mod analyzer;
mod context;
mod distribution;
pub mod explain;
mod join_order;
mod kept_query;
mod optimizer;
mod physical;
mod prepared;
mod resolution;
pub mod session;
mod shape;
mod statistics;
mod table_scan;
mod template;
mod text_format;
mod write;

pub use context::{ActiveExecutor, ActiveExecutors, Planner, PlanningContext};
pub use distribution::distribute::distribute_checked;
pub use distribution::place_head::place_head;
pub use kept_query::KeptQuery;
pub use prepared::PreparedPlan;
pub use resolution::catalog_names::CATALOG_NAME;
pub use resolution::filter_batch::filter_batch;
pub use resolution::loose_files::{FileColumns, ReadOptions, infer_columns};
pub use resolution::names::repeated;
pub use resolution::parameters::{parameter_schema, wrong_count};
pub use resolution::snapshot_catalog::PlannedViews;
pub use resolution::views::DIALECT_PROPERTY;
pub use shape::PlanShape;
pub use statistics::{ColumnProfile, TableProfile, known_statistics};
pub use table_scan::{PruningSummary, table_schema};
pub use template::Templates;
pub use text_format::text_format;
pub use write::{TargetColumn, WriteTarget, stored_type};

use crate::distribution::routing::Router;
use crate::distribution::{direct, plan_check, sent_plans, streams};
use crate::physical::{compact_topk, constant_partitions, cooperate, waiting_joins};
use crate::resolution::function_errors::{self, FunctionPlaces};
use crate::resolution::loose_files::plan_loose_files;
use crate::resolution::names::{Purpose, resolve_names};
use crate::resolution::shown_names::ShownNames;
use crate::resolution::{catalog_names, loose_files, resolve, views};
use crate::table_scan::ScanLog;
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::{SendableRecordBatchStream, SessionState, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::sql::parser::Statement as DataFusionStatement;
use datafusion_distributed::{
    DistributedExec, DistributedMetricsFormat, NetworkBoundaryExt,
    rewrite_distributed_plan_with_metrics,
};
use skep_exchange::direct::{DirectAudience, DirectReaders};
use skep_protocol::{ErrorCode, QueryError};
use skep_runtime::bulk_scan::make_bulk_scans;
use skep_runtime::error::from_datafusion;
use skep_runtime::panic_guard::{guard_call, guard_stream};
use std::sync::Arc;
use std::time::Duration;

/// How long `EXPLAIN ANALYZE` waits for the statistics of the last task.
const METRICS_PATIENCE: Duration = Duration::from_secs(5);

/// A statement whose names and types are resolved.
pub struct ResolvedQuery {
    state: SessionState,
    logical: LogicalPlan,
    names: ShownNames,
    places: FunctionPlaces,
    router: Router,
    runtime: Arc<RuntimeEnv>,
}

/// A plan that passed its check, and all that running it needs.
pub struct PlannedQuery {
    plan: Arc<dyn ExecutionPlan>,
    scans: Vec<PruningSummary>,
    context: Arc<TaskContext>,
    schema: SchemaRef,
    router: Router,
    direct: Option<Arc<DirectReaders>>,
}

impl PlanningContext {
    /// Resolves the names of `statement` in this context's snapshot.
    ///
    /// # Errors
    /// `TableNotFound` and `ColumnNotFound` with the nearest name, `Semantic`, …
    pub async fn resolve(
        &self,
        statement: &DataFusionStatement,
    ) -> Result<ResolvedQuery, QueryError> {
        let views = PlannedViews::default();
        let state = self.session_state_with(&views)?;
        let written = statement;
        let statement = &*plan_loose_files(self, &state, written, &views).await?;
        resolve::check_tables(&state, statement, self, &self.session.database)?;
        views::plan_views_of(self, &state, statement, &views).await?;
        let mut named = statement.clone();
        let columns = resolve_names(&state, &mut named, Purpose::Result).await?;
        let places = FunctionPlaces::of(statement);
        let logical = state.statement_to_plan(named).await;
        let logical = logical.map_err(|error| {
            function_errors::explain(&state, &places, resolve::semantic_error(&error))
        })?;
        let names = ShownNames::of(written).or_all(columns);
        let resolved = self.resolved(state, logical, names)?;
        Ok(ResolvedQuery { places, ..resolved })
    }

    /// What `state` has resolved to `logical`.
    fn resolved(
        &self,
        state: SessionState,
        logical: LogicalPlan,
        names: ShownNames,
    ) -> Result<ResolvedQuery, QueryError> {
        Ok(ResolvedQuery {
            state,
            logical,
            names,
            places: FunctionPlaces::default(),
            router: self.router(),
            runtime: self.runtime()?,
        })
    }
}

impl PlanningContext {
    /// The first name in `statement` that stands for something temporary.
    ///
    /// # Errors
    /// Those of the base library.
    pub fn temporary_name(
        &self,
        statement: &DataFusionStatement,
    ) -> Result<Option<String>, QueryError> {
        resolve::temporary_name(&self.session_state()?, statement, self)
    }
}

impl ResolvedQuery {
    /// Whether it reads tables, which only executors do.
    pub fn reads_files(&self) -> bool {
        let mut found = false;
        // The closure never fails.
        let _ = self.logical.apply_with_subqueries(|plan| {
            if let LogicalPlan::TableScan(scan) = plan {
                found |= scan.table_name.schema() != Some(catalog_names::INFORMATION_SCHEMA);
            }
            Ok(TreeNodeRecursion::Continue)
        });
        found
    }

    /// Whether it reads files that it names itself, of which nobody tells when they change.
    pub fn reads_loose_files(&self) -> bool {
        let mut found = false;
        // The closure never fails.
        let _ = self.logical.apply_with_subqueries(|plan| {
            if let LogicalPlan::TableScan(scan) = plan {
                found |= scan.table_name.schema() == Some(loose_files::LOOSE_DATABASE);
            }
            Ok(TreeNodeRecursion::Continue)
        });
        found
    }

    /// Whether it reads the table of that name.
    pub fn reads(&self, database: &str, table: &str) -> bool {
        let mut found = false;
        // The closure never fails.
        let _ = self.logical.apply_with_subqueries(|plan| {
            if let LogicalPlan::TableScan(scan) = plan {
                let name = &scan.table_name;
                found |= name.table() == table && name.schema().is_none_or(|of| of == database);
            }
            Ok(TreeNodeRecursion::Continue)
        });
        found
    }

    /// How many columns the result has.
    pub fn column_count(&self) -> usize {
        self.logical.schema().fields().len()
    }

    /// The schema that every batch of the result has: the one that clients are told beforehand. Types
    /// are final only when the analyzer has made those of both sides of a union, say, one.
    pub fn schema(&self) -> SchemaRef {
        let analyzed = self.state.analyzer().execute_and_check(
            self.logical.clone(),
            self.state.config_options(),
            |_, _| {},
        );
        // What cannot be analyzed fails where it is planned, with an error of its own.
        match analyzed {
            Ok(analyzed) => result_schema(analyzed.schema().as_arrow(), &self.names),
            Err(_) => result_schema(self.logical.schema().as_arrow(), &self.names),
        }
    }

    /// The optimised logical plan, for `EXPLAIN VERBOSE`.
    ///
    /// # Errors
    /// Those of the optimiser.
    pub fn optimised(&self) -> Result<String, QueryError> {
        let optimised = self
            .state
            .optimize(&self.logical)
            .map_err(|error| from_datafusion(&error))?;
        Ok(optimised.display_indent().to_string())
    }

    /// Optimises, distributes and checks.
    ///
    /// # Errors
    /// `UnsafePlan` where no safe plan was found; those of the optimiser.
    pub async fn plan(self) -> Result<PlannedQuery, QueryError> {
        self.plan_for(|_| Ok(None)).await
    }

    /// As [`Self::plan`], for somebody who reads from the executors where the plan lets them: `audience` says
    /// who, given the schema of the result.
    ///
    /// # Errors
    /// As [`Self::plan`].
    pub async fn plan_for(
        mut self,
        audience: impl FnOnce(&SchemaRef) -> Result<Option<DirectAudience>, QueryError>,
    ) -> Result<PlannedQuery, QueryError> {
        let schema = self.schema();
        let physical = self
            .state
            .create_physical_plan(&self.logical)
            .await
            .map_err(|error| self.places.place(resolve::semantic_error(&error)))?;
        let physical = make_bulk_scans(physical)
            .and_then(cooperate::cooperate)
            .and_then(compact_topk::compact_topk)
            .and_then(constant_partitions::sort_by_constants)
            .and_then(waiting_joins::without_waiting)
            .map_err(|error| from_datafusion(&error))?;
        let checked = distribute_checked(physical, &self.state).await?;
        for violation in &checked.mended {
            tracing::debug!(%violation, "narrowed a stage that failed the plan check");
        }
        let plan = place_head(checked.plan)?;
        plan_check::check(&plan).map_err(|violations| {
            let what: Vec<String> = violations.iter().map(ToString::to_string).collect();
            QueryError::new(
                ErrorCode::UnsafePlan,
                format!("the plan failed its check: {}", what.join("; ")),
            )
        })?;
        sent_plans::verify(&plan, &self.state)?;
        streams::tell_tasks(&plan, self.router.executor_count(), &mut self.state)?;
        let scans = self.state.config().get_extension::<ScanLog>();
        let direct = direct::readers(&plan, || audience(&schema))?;
        if let Some(direct) = &direct {
            self.state.config_mut().set_extension(Arc::clone(direct));
        }
        Ok(PlannedQuery {
            direct,
            plan,
            scans: scans.map_or_else(Vec::new, |log| log.scans()),
            context: Arc::new(TaskContext::from(&self.state).with_runtime(self.runtime)),
            schema,
            router: self.router,
        })
    }
}

impl PlannedQuery {
    /// The schema that every batch of the result has.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// What it may use of the coordinator's memory.
    pub fn memory_pool(&self) -> &Arc<dyn MemoryPool> {
        self.context.memory_pool()
    }

    /// Those who read its rows from executors, where that is so: it has no rows of its own then.
    pub fn direct(&self) -> Option<&Arc<DirectReaders>> {
        self.direct.as_ref()
    }

    /// Whether it runs tasks on executors.
    pub fn needs_executors(&self) -> bool {
        self.plan.is::<DistributedExec>()
    }

    /// The stages that it runs on executors, and how much they will read.
    pub fn shape(&self) -> PlanShape {
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let mut shape = PlanShape::default();
        let statistics = StatisticsContext::new();
        // The walk itself never fails.
        let _ = self.plan.apply(|node| {
            if let Some(boundary) = node.as_network_boundary() {
                let stage = boundary.input_stage();
                let (num, tasks) = (number(stage.num()), number(stage.task_count()));
                shape.stages.insert(num, tasks);
            } else if node.children().is_empty() {
                let statistics = statistics.compute(node.as_ref(), &StatisticsArgs::default());
                let rows = statistics
                    .ok()
                    .and_then(|all| all.num_rows.get_value().copied());
                shape.input_rows += rows.unwrap_or(0) as u64;
            }
            Ok(TreeNodeRecursion::Continue)
        });
        shape
    }

    /// Starts the query. A plan is executed once.
    ///
    /// # Errors
    /// Those of starting the head's operators.
    pub fn execute(&self) -> Result<SendableRecordBatchStream, QueryError> {
        self.starter()()
    }

    /// What starts the query, to be called where its operators are to run.
    pub fn starter(
        &self,
    ) -> impl FnOnce() -> Result<SendableRecordBatchStream, QueryError> + Send + use<> {
        let (plan, context) = (Arc::clone(&self.plan), Arc::clone(&self.context));
        move || {
            guard_call(|| execute_stream(plan, context))
                .map(guard_stream)
                .map_err(|error| from_datafusion(&error))
        }
    }

    /// What its scans read of what there is.
    pub fn scans(&self) -> &[PruningSummary] {
        &self.scans
    }

    /// The plan as text.
    pub fn explain_text(&self) -> String {
        explain::render_text(&self.plan, &self.routes())
    }

    /// The plan as JSON.
    pub fn explain_json(&self) -> serde_json::Value {
        explain::render_json(&self.plan, &self.routes())
    }

    /// The plan as text, with what each operator did in the run that has just ended.
    ///
    /// # Errors
    /// `Network` where the statistics do not arrive.
    pub async fn explain_analyze_text(&self) -> Result<String, QueryError> {
        let plan = self.with_metrics().await?;
        Ok(explain::render_analyze_text(&plan, &self.routes()))
    }

    /// What [`Self::explain_analyze_text`] shows, as JSON.
    ///
    /// # Errors
    /// `Network` where the statistics do not arrive.
    pub async fn explain_analyze_json(&self) -> Result<serde_json::Value, QueryError> {
        let plan = self.with_metrics().await?;
        Ok(explain::render_analyze_json(&plan, &self.routes()))
    }

    fn routes(&self) -> impl Fn(usize, usize) -> Option<String> + '_ {
        |stage, task| self.router.describe(&self.plan, stage, task)
    }

    async fn with_metrics(&self) -> Result<Arc<dyn ExecutionPlan>, QueryError> {
        let plan = Arc::clone(&self.plan);
        let rewriting =
            rewrite_distributed_plan_with_metrics(plan, DistributedMetricsFormat::PerTask);
        match tokio::time::timeout(METRICS_PATIENCE, rewriting).await {
            Ok(result) => result.map_err(|error| from_datafusion(&error)),
            Err(_) => Err(QueryError::new(
                ErrorCode::Network,
                "the statistics of some tasks did not arrive",
            )),
        }
    }
}

/// Every column may be NULL in a result: the planners of different versions and operators do not
/// agree about which cannot, and clients fail where one call says so and another does not.
fn result_schema(schema: &Schema, names: &ShownNames) -> SchemaRef {
    let columns = schema.fields().len();
    let fields: Vec<Field> = schema
        .fields()
        .iter()
        .enumerate()
        .map(|(index, field)| {
            let name = names.get(index, columns).unwrap_or(field.name());
            Field::new(name, field.data_type().clone(), true)
        })
        .collect();
    Arc::new(Schema::new(fields))
}
