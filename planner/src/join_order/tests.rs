//! Whatever order is taken, the rows are those of the order that was written.

mod orders;
mod shapes;

use super::cost::{Machine, Method};
use super::extract::{Extracted, extract};
use super::graph::JoinGraph;
use super::rebuild::rebuild;
use super::relation_set::RelationSet;
use super::reordered;
use super::search::{JoinTree, Joined, best_order};
use crate::optimizer::guards::GuardedPlanner;
use crate::optimizer::rules::logical_rules;
use crate::physical::rules::physical_rules;
use crate::session::{JoinOrder, SkepOptions};
use crate::statistics::{Estimator, ScanProfiles};
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::collect;
use datafusion::prelude::{SessionConfig, SessionContext};
use std::sync::Arc;

const MACHINE: Machine = Machine {
    nodes: 2.0,
    broadcast_bytes_max: 32.0 * 1024.0 * 1024.0,
    broadcast_rows_max: 2e6,
};

/// A session that joins as plans say.
fn context() -> SessionContext {
    let mut config = SessionConfig::new().with_target_partitions(2);
    let options = config.options_mut();
    options.extensions.insert(SkepOptions {
        join_order: JoinOrder::AsWritten,
        ..SkepOptions::default()
    });
    options.execution.skip_physical_aggregate_schema_check = true;
    let state = SessionStateBuilder::new()
        .with_config(config)
        .with_default_features()
        .with_optimizer_rules(logical_rules())
        .with_physical_optimizer_rules(physical_rules())
        .with_query_planner(Arc::new(GuardedPlanner))
        .build();
    SessionContext::new_with_state(state)
}

async fn optimised(context: &SessionContext, sql: &str) -> LogicalPlan {
    let frame = context.sql(sql).await;
    let frame = frame.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let plan = context.state().optimize(frame.logical_plan());
    plan.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// The rows of a plan, in order.
async fn rows(state: &SessionState, plan: &LogicalPlan) -> Vec<String> {
    let explained = plan.display_indent();
    let planned = state
        .query_planner()
        .create_physical_plan(plan, state)
        .await;
    let planned = planned.unwrap_or_else(|error| panic!("{error}\n{explained}"));
    let batches = collect(planned, state.task_ctx()).await;
    let batches = batches.unwrap_or_else(|error| panic!("{error}\n{explained}"));
    let text = pretty_format_batches(&batches).unwrap().to_string();
    let lines = text.lines().filter(|line| line.starts_with("| "));
    let mut cells: Vec<String> = lines.skip(1).map(|line| line.replace(' ', "")).collect();
    cells.sort();
    cells
}

/// The topmost region of a plan.
fn region_of(plan: &LogicalPlan) -> Option<Extracted> {
    if let LogicalPlan::Join(_) = plan
        && let Some(found) = extract(plan).unwrap()
    {
        return Some(found);
    }
    plan.inputs().into_iter().find_map(region_of)
}

/// Names as they are looked up, and columns that two relations call alike.
#[tokio::test]
async fn columns_keep_their_names_and_places() {
    let context = context();
    for sql in [
        "CREATE TABLE big AS SELECT value AS k, value % 10 AS d, value AS v FROM range(1000)",
        "CREATE TABLE mid AS SELECT value AS k, value % 3 AS d, value AS v FROM range(100)",
        "CREATE TABLE few AS SELECT value AS k, value AS d, value AS v FROM range(3)",
        "CREATE TABLE \"Few\" AS SELECT value AS \"K\", value AS k FROM range(3)",
    ] {
        context.sql(sql).await.unwrap().collect().await.unwrap();
    }
    for sql in [
        "SELECT * FROM big JOIN mid ON big.k = mid.k JOIN few ON few.k = mid.d",
        "SELECT few.v, big.v, mid.v AS k FROM big, mid, few WHERE big.k = mid.k AND few.k = mid.d",
        "SELECT * FROM (SELECT k, v AS w FROM big) AS a JOIN (SELECT k, d, v AS w FROM mid) AS b \
         ON a.k = b.k JOIN few ON few.k = b.d",
        "SELECT x.v, y.v FROM big x JOIN big y ON x.k = y.k JOIN few z ON z.k = y.k WHERE z.v > 0",
        "SELECT b.k FROM big b JOIN mid m ON b.k = m.k JOIN \"Few\" f ON f.\"K\" = m.d AND f.k = m.d",
        "SELECT big.k FROM big JOIN mid ON big.k = mid.k WHERE mid.d IN (SELECT k FROM few WHERE v > 0)",
        "SELECT count(*) FROM big, mid, few WHERE big.d + mid.d = few.k AND big.k = mid.k",
        "SELECT big.k, q.n FROM big JOIN (SELECT d, count(*) AS n FROM mid JOIN few USING (d) GROUP BY d) q \
         ON q.d = big.d JOIN mid ON mid.k = big.k",
        "SELECT a.k, b.k FROM (big a JOIN mid b ON a.k = b.k) JOIN (SELECT a.k FROM few a) c ON c.k = b.d",
    ] {
        let plan = optimised(&context, sql).await;
        let state = context.state();
        let scans = ScanProfiles::default();
        let ordered = reordered(plan.clone(), &scans, state.config_options(), MACHINE).unwrap();
        let fields = |plan: &LogicalPlan| -> Vec<String> {
            let names = plan.schema().iter();
            names
                .map(|(qualifier, field)| format!("{qualifier:?}.{}", field.name()))
                .collect()
        };
        assert_eq!(fields(&ordered), fields(&plan), "{sql}");
        assert_eq!(
            rows(&state, &ordered).await,
            rows(&state, &plan).await,
            "{sql}"
        );
    }
}
