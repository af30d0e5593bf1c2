//! The order in which tables are joined, and which side of each join is built.
//!
//! It is decided on the optimised logical plan, where filters are as far down as they go and subqueries are
//! joins, just before that becomes physical. `extract.rs` finds regions of joins that may change places, the
//! search (`search.rs`, `dphyp.rs`, `greedy.rs`) orders them by estimates (`estimate.rs`) and costs (`cost.rs`)
//! under the conditions of `conflicts.rs`, `rebuild.rs` makes a plan of it. What was decided of each join
//! travels in nodes of estimates beside its inputs, and `methods.rs` has physical joins follow it.

mod conflicts;
mod cost;
mod dphyp;
mod estimate;
mod extract;
mod graph;
mod greedy;
mod methods;
mod rebuild;
mod region;
mod relation_set;
mod search;

pub(crate) use methods::{EstimatePlanner, with_decided_joins};

use crate::session::{JoinOrder, SkepOptions};
use crate::statistics::{Estimator, ScanProfiles, profile_scans};
use cost::Machine;
use datafusion::catalog::Session;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::optimize_projections::OptimizeProjections;
use datafusion::optimizer::{OptimizerContext, OptimizerRule};
use graph::JoinGraph;
use std::sync::Arc;

/// The plan with its joins in a good order, as far as the session wants one.
///
/// # Errors
/// Those of reading the catalog, and of rules that the changed plan has to pass.
pub(crate) async fn ordered(plan: LogicalPlan, session: &dyn Session) -> Result<LogicalPlan> {
    let options = session.config_options();
    let own = options.extensions.get::<SkepOptions>();
    let order = own.map_or(JoinOrder::default(), |own| own.join_order);
    if order == JoinOrder::AsWritten || !has_joins(&plan)? {
        return Ok(plan);
    }
    let scans = profile_scans(&plan, session).await?;
    reordered(plan, &scans, options, machine(session))
}

/// Orders every region of `plan` by what is known of its scans.
fn reordered(
    plan: LogicalPlan,
    scans: &ScanProfiles,
    options: &ConfigOptions,
    machine: Machine,
) -> Result<LogicalPlan> {
    let ordering = Ordering {
        estimator: Estimator::new(scans),
        machine,
    };
    let ordered = ordering.order(plan)?;
    if !ordered.transformed {
        return Ok(ordered.data);
    }
    // Columns that only conditions read are needed up to other joins than before.
    let context = OptimizerContext::new_with_config_options(Arc::new(options.clone()));
    let pruned = OptimizeProjections::new().rewrite(ordered.data, &context)?;
    Ok(pruned.data)
}

fn has_joins(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        found |= matches!(node, LogicalPlan::Join(_));
        Ok(match found {
            true => TreeNodeRecursion::Stop,
            false => TreeNodeRecursion::Continue,
        })
    })?;
    Ok(found)
}

/// The cluster as the session is planned for.
fn machine(session: &dyn Session) -> Machine {
    let options = &session.config_options().optimizer;
    let nodes = crate::context::node_count(session.config());
    Machine {
        nodes: nodes.max(1) as f64,
        broadcast_bytes_max: options.hash_join_single_partition_threshold as f64,
        broadcast_rows_max: options.hash_join_single_partition_threshold_rows as f64,
    }
}

struct Ordering<'s> {
    estimator: Estimator<'s>,
    machine: Machine,
}

impl Ordering<'_> {
    fn order(&self, plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
        if let LogicalPlan::RecursiveQuery(_) = plan {
            // What it reads of itself has no statistics, and it runs in one place.
            return Ok(Transformed::no(plan));
        }
        if let LogicalPlan::Join(_) = plan
            && let Some(extracted) = extract::extract(&plan)?
        {
            return self.order_region(extracted);
        }
        plan.map_children(|child| self.order(child))
    }

    /// Orders what is within the relations of a region, and then these.
    fn order_region(&self, extracted: extract::Extracted) -> Result<Transformed<LogicalPlan>> {
        let extracted = extracted.map_relations(|relation| Ok(self.order(relation)?.data))?;
        let region = extracted.region(&self.estimator);
        let graph = JoinGraph::new(&region);
        let Some(tree) = search::best_order(&graph, self.machine) else {
            return Ok(Transformed::yes(extracted.into_written()));
        };
        let plan = rebuild::rebuild(&extracted, &graph, &tree)?;
        Ok(Transformed::yes(plan))
    }
}

#[cfg(test)]
mod tests;
