//! What is the same for all statements of sessions with equal settings: rules, functions, and options with what
//! follows from the cluster. Making it takes longer than planning a small statement does, so it is made
//! once and copied.
//!
//! Decision: A join's smaller side is broadcast up to 32 MiB or two million rows, far above DataFusion's bounds:
//! moving the larger side between nodes costs more.
//!
//! Decision: `planner/src/template.rs::speak` registers the engine's functions after those of the dialect, and
//! Hive's again after them: each stands above what the base library has under its name.

use crate::analyzer::aggregate_orders::AggregateOrders;
use crate::analyzer::checked_arithmetic::CheckedArithmetic;
use crate::analyzer::decimal_sums::WholeDecimalSums;
use crate::analyzer::distribute_by::DistributeByHash;
use crate::analyzer::float_keys::FloatKeys;
use crate::analyzer::interval_operators::IntervalOperators;
use crate::analyzer::interval_order::{IntervalOrder, IntervalWindows};
use crate::analyzer::microseconds::Microseconds;
use crate::analyzer::null_fields::NullFields;
use crate::analyzer::numeric_types::{DecimalPlanner, NumericTypes};
use crate::analyzer::set_multiplicity::CountedCopies;
use crate::analyzer::sql_types::SqlTypes;
use crate::analyzer::subqueries::UnnestedSubqueries;
use crate::analyzer::window_arguments::WindowArguments;
use crate::analyzer::window_flags::WindowFlags;
use crate::distribution::bulk_scan;
use crate::distribution::client_rows::spread_over;
use crate::optimizer::guards::GuardedPlanner;
use crate::optimizer::rules::logical_rules;
use crate::physical::rules::physical_rules;
use crate::resolution::catalog_names::CATALOG_NAME;
use crate::resolution::field_names::FieldNames;
use crate::resolution::relations::HiveRelations;
use crate::resolution::series;
use crate::resolution::session_functions;
use crate::session::{PlanningSession, Settings, SkepOptions};
use crate::{Planner, PlanningContext};
use datafusion::common::DataFusionError;
use datafusion::execution::{FunctionRegistry, SessionState, SessionStateBuilder};
use datafusion::optimizer::{Analyzer, AnalyzerRule};
use datafusion::prelude::SessionConfig;
use datafusion_distributed::{DistributedExt, WorkerResolver};
use parking_lot::Mutex;
use skep_exchange::rows::RowsCodec;
use skep_functions::DialectPlanner;
use skep_hive_text::TextScanCodec;
use skep_protocol::{ErrorCode, QueryError};
use skep_runtime::bulk_scan::BulkScanCodec;
use skep_runtime::constants::ForgetConstantsCodec;
use skep_runtime::error::{from_datafusion, to_datafusion};
use skep_runtime::functions::{FunctionSet, time};
use skep_runtime::session::changed_settings;
use skep_sql::Dialect;
use skep_writer::WriteCodec;
use std::collections::VecDeque;
use std::sync::Arc;
use url::Url;

/// How many are kept: those that were used last.
const KEPT_MAX: usize = 64;

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

/// What a template is made from. Templates of equal keys are equal.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    user: String,
    database: String,
    settings: Settings,
    /// The most cores that an executor has.
    cores_max: usize,
    executors: Vec<Url>,
}

/// What the statements of sessions with equal settings have in common.
pub(crate) struct Template {
    /// Without what belongs to one statement: catalog, query, memory, and the time that `now()` tells.
    pub(crate) state: SessionState,
    /// Skep's own options.
    pub(crate) options: SkepOptions,
    /// The settings that tasks are sent, by name.
    pub(crate) task_settings: Vec<(String, String)>,
}

/// The templates of one coordinator that were used last, the latest first.
#[derive(Clone, Default)]
pub struct Templates(Arc<Mutex<VecDeque<Kept>>>);

struct Kept {
    key: Key,
    template: Arc<Template>,
}

impl Templates {
    fn get(&self, key: &Key) -> Option<Arc<Template>> {
        let mut kept = self.0.lock();
        let found = kept.iter().position(|known| known.key == *key)?;
        let found = kept.remove(found)?;
        let template = Arc::clone(&found.template);
        kept.push_front(found);
        Some(template)
    }

    fn keep(&self, key: Key, template: &Arc<Template>) {
        let template = Arc::clone(template);
        let mut kept = self.0.lock();
        kept.retain(|known| known.key != key);
        kept.truncate(KEPT_MAX - 1);
        kept.push_front(Kept { key, template });
    }
}

impl PlanningContext {
    /// What this statement has in common with others.
    ///
    /// # Errors
    /// `InvalidSetting`; the settings were checked when they were set.
    pub(crate) fn template(&self) -> Result<Arc<Template>, QueryError> {
        let key = Key {
            user: self.session.user.clone(),
            database: self.session.database.clone(),
            settings: self.session.settings.clone(),
            cores_max: self.executors.cores_max(),
            executors: self.executors.addresses(),
        };
        let templates = &self.planner.templates;
        if let Some(template) = templates.get(&key) {
            return Ok(template);
        }
        let template = Arc::new(self.planner.new_template(&self.session, &key)?);
        templates.keep(key, &template);
        Ok(template)
    }

    /// The session's settings with what follows from the cluster.
    ///
    /// # Errors
    /// `InvalidSetting`; the settings were checked when they were set.
    pub fn session_config(&self) -> Result<SessionConfig, QueryError> {
        Ok(self.template()?.state.config().clone())
    }
}

impl Planner {
    fn new_template(&self, session: &PlanningSession, key: &Key) -> Result<Template, QueryError> {
        let config = session_config(key)?;
        let options = own_options(&config);
        let task_settings = changed_settings(config.options());
        let state = self.new_state(config, &options, session, key);
        Ok(Template {
            state: state.map_err(|error| from_datafusion(&error))?,
            options,
            task_settings,
        })
    }

    fn new_state(
        &self,
        config: SessionConfig,
        options: &SkepOptions,
        session: &PlanningSession,
        key: &Key,
    ) -> Result<SessionState, DataFusionError> {
        let zone = time::session_zone(config.options());
        let mut state = with_rules(&zone)
            .with_config(spread_over(config, key.executors.len()))
            .with_runtime_env(Arc::clone(&self.runtime))
            .with_distributed_channel_resolver(self.connections.clone())
            .with_distributed_user_codec(WriteCodec)
            .with_distributed_user_codec(TextScanCodec)
            .with_distributed_user_codec(RowsCodec)
            .with_distributed_user_codec(ForgetConstantsCodec)
            .with_distributed_user_codec(BulkScanCodec)
            .with_distributed_desired_task_count_handler(bulk_scan::desired_tasks)
            .with_distributed_scale_up_leaf_node_handler(bulk_scan::scale_up)
            .with_distributed_worker_resolver(FixedExecutors(key.executors.clone()))
            .with_distributed_max_tasks_per_stage(options.stage_tasks_max)?
            .with_distributed_file_scan_config_bytes_per_partition(
                options.scan_partition_bytes.max(1),
            )?
            .with_distributed_broadcast_joins(options.broadcast_joins)?
            .with_distributed_partial_reduce(options.partial_reduce)?
            .build();
        state.register_expr_planner(Arc::new(DecimalPlanner))?;
        let mut state = speak(state, key.settings.dialect(), &self.functions)?;
        series::register(&mut state);
        for function in session_functions::of(session) {
            state.register_udf(Arc::new(function))?;
        }
        Ok(state)
    }
}

/// What plans statements: rules and planners, without what depends on a cluster.
pub(super) fn with_rules(zone: &Arc<str>) -> SessionStateBuilder {
    let mut builder = SessionStateBuilder::new().with_default_features();
    let planners = builder.expr_planners().get_or_insert_default();
    planners.insert(0, Arc::new(IntervalOperators));
    planners.insert(0, Arc::new(FieldNames));
    planners.insert(0, Arc::new(WindowArguments));
    builder
        .with_analyzer_rules(first_rules())
        .with_analyzer_rule(Arc::new(Microseconds))
        .with_analyzer_rule(Arc::new(CountedCopies))
        .with_analyzer_rule(Arc::new(IntervalOrder))
        .with_analyzer_rule(Arc::new(WholeDecimalSums))
        .with_analyzer_rule(Arc::new(CheckedArithmetic))
        .with_analyzer_rule(Arc::new(UnnestedSubqueries))
        .with_analyzer_rule(Arc::new(DistributeByHash))
        .with_analyzer_rule(Arc::new(AggregateOrders))
        .with_analyzer_rule(Arc::new(NullFields))
        .with_analyzer_rule(Arc::new(FloatKeys))
        .with_analyzer_rule(Arc::new(WindowFlags))
        .with_type_planner(Arc::new(SqlTypes {
            zone: Arc::clone(zone),
        }))
        .with_query_planner(Arc::new(GuardedPlanner))
        .with_optimizer_rules(logical_rules())
        .with_relation_planners(vec![Arc::new(HiveRelations)])
        .with_physical_optimizer_rules(physical_rules())
}

/// DataFusion's rules; before its type coercion, the types of decimals and the order of windows by intervals.
/// The arguments of `grouping` are resolved first, while they are the expressions that are grouped by.
fn first_rules() -> Vec<Arc<dyn AnalyzerRule + Send + Sync>> {
    let mut rules = Analyzer::new().rules;
    let coercion = rules.iter().position(|rule| rule.name() == "type_coercion");
    let own: [Arc<dyn AnalyzerRule + Send + Sync>; 2] =
        [Arc::new(NumericTypes), Arc::new(IntervalWindows)];
    let at = coercion.unwrap_or_default();
    rules.splice(at..at, own);
    rules
}

/// The session with the functions of a dialect.
///
/// # Errors
/// The registry's, where it takes no functions.
pub(crate) fn speak(
    state: SessionState,
    dialect: Dialect,
    functions: &FunctionSet,
) -> Result<SessionState, DataFusionError> {
    let dialect = match dialect {
        Dialect::Standard => skep_functions::Dialect::Ansi,
        Dialect::Hive => skep_functions::Dialect::Hive,
    };
    let mut planners = state.expr_planners().to_vec();
    planners.retain(|planner| !format!("{planner:?}").starts_with("DialectPlanner"));
    planners.insert(0, Arc::new(DialectPlanner(dialect)));
    let mut state = SessionStateBuilder::new_from_existing(state)
        .with_expr_planners(planners)
        .build();
    skep_functions::register_for_planning(&mut state, dialect)?;
    // Those of the engine stand above the base library's.
    functions.register(&mut state)?;
    for function in time::of_session(state.config().options()) {
        state.register_udf(Arc::new(function))?;
    }
    if dialect == skep_functions::Dialect::Hive {
        // Some of their names mean something else there.
        skep_functions::register_for_planning(&mut state, dialect)?;
    }
    Ok(state)
}

fn own_options(config: &SessionConfig) -> SkepOptions {
    let options = config.options().extensions.get::<SkepOptions>();
    options.cloned().unwrap_or_default()
}

fn session_config(key: &Key) -> Result<SessionConfig, QueryError> {
    let mut config = SessionConfig::new()
        .with_default_catalog_and_schema(CATALOG_NAME, &key.database)
        .with_create_default_catalog_and_schema(false)
        .with_target_partitions(key.cores_max.max(PARTITIONS_MIN));
    let options = config.options_mut();
    // The values of physical scalar subqueries do not cross stages, and a distributed scan must
    // read the files of its own task only.
    options
        .optimizer
        .enable_physical_uncorrelated_scalar_subquery = false;
    options.execution.enable_file_stream_work_stealing = false;
    options.sql_parser.collect_spans = true;
    options.sql_parser.parse_float_as_decimal = true;
    // Operators and plans disagree about what may be NULL (`b IS TRUE`), and results say that all may.
    options.execution.skip_physical_aggregate_schema_check = true;
    options.optimizer.hash_join_single_partition_threshold = BROADCAST_BYTES_MAX;
    options.optimizer.hash_join_single_partition_threshold_rows = BROADCAST_ROWS_MAX;
    options.extensions.insert(SkepOptions::default());
    key.settings
        .apply(options)
        .map_err(|text| QueryError::new(ErrorCode::InvalidSetting, text))?;
    let memory_limit = own_options(&config).query_memory_limit_bytes;
    let options = config.options_mut();
    if memory_limit > 0 && !key.settings.is_set(BROADCAST_SETTING) {
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
    if memory_limit > 0 && !key.settings.is_set(SORT_RESERVATION) {
        // Every partition of every sort sets this much aside for its merge.
        let share =
            memory_limit / (SORT_RESERVATION_SHARE * options.execution.target_partitions.max(1));
        let reserved = &mut options.execution.sort_spill_reservation_bytes;
        *reserved = share.min(*reserved);
    }
    Ok(config)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn key(user: &str) -> Key {
        Key {
            user: user.to_owned(),
            database: "default".to_owned(),
            settings: Settings::default(),
            cores_max: 2,
            executors: vec![Url::parse("http://127.0.0.1:1").unwrap()],
        }
    }

    fn template() -> Arc<Template> {
        Arc::new(Template {
            state: SessionStateBuilder::new().build(),
            options: SkepOptions::default(),
            task_settings: Vec::new(),
        })
    }

    #[test]
    fn only_what_was_made_from_the_same_is_used() {
        let templates = Templates::default();
        let kept = template();
        templates.keep(key("ada"), &kept);
        let found = templates.get(&key("ada"));
        assert!(found.is_some_and(|found| Arc::ptr_eq(&found, &kept)));

        let mut settings = Settings::default();
        settings.set("batch_size", "1").unwrap_err();
        settings
            .set("datafusion.execution.batch_size", "1")
            .unwrap();
        let base = key("ada");
        let others = [
            key("bob"),
            Key {
                database: "other".to_owned(),
                ..base.clone()
            },
            Key {
                settings,
                ..base.clone()
            },
            Key {
                cores_max: 3,
                ..base.clone()
            },
            Key {
                executors: Vec::new(),
                ..base
            },
        ];
        for other in others {
            assert!(templates.get(&other).is_none(), "{other:?}");
        }
    }

    #[test]
    fn those_used_last_are_kept() {
        let templates = Templates::default();
        for number in 0..=KEPT_MAX {
            templates.keep(key(&number.to_string()), &template());
            assert!(templates.get(&key("0")).is_some());
        }
        assert!(templates.get(&key("1")).is_none());
        assert!(templates.get(&key("2")).is_some());
        assert_eq!(templates.0.lock().len(), KEPT_MAX);
    }
}
