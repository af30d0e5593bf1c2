//! The rule that pushes filters down, for conditions that may fail.

use super::call::{Guarding, parts};
use super::conditions::{guard_condition, relevant};
use super::failure::{Failure, failure};
use crate::optimizer::rules::all_of;
use datafusion::common::DFSchema;
use datafusion::common::JoinType;
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::utils::{conjunction, split_conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Expr, Filter, Join, LogicalPlan};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use std::sync::Arc;

type Rule = Arc<dyn OptimizerRule + Send + Sync>;

/// Pushes filters down with `.0`: where two filters become one, what may fail in the upper one is guarded by
/// the lower one; and what may fail stays above joins, whose conditions stood before it.
#[derive(Debug)]
pub(crate) struct OrderedFilters(pub(crate) Rule);

impl OptimizerRule for OrderedFilters {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        match plan {
            LogicalPlan::Filter(filter) if may_fail(&filter) => self.push(filter, config),
            other => self.0.rewrite(other, config),
        }
    }
}

/// Whether a part of the filter, or of the filters right below it, may fail.
fn may_fail(filter: &Filter) -> bool {
    let own = split_conjunction(&filter.predicate);
    let mut own = own.into_iter();
    own.any(|part| failure(part, filter.input.schema()) > Failure::Never)
        || matches!(filter.input.as_ref(), LogicalPlan::Filter(below) if may_fail(below))
}

impl OrderedFilters {
    fn push(
        &self,
        filter: Filter,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let guarded = guarded_by_lower(&filter);
        let (predicates, input) = match guarded {
            Some(predicates) => (predicates, all_of(filter).1),
            None => all_of(filter),
        };
        let schema = Arc::clone(input.schema());
        let (free, held): (Vec<Expr>, Vec<Expr>) = predicates
            .into_iter()
            .partition(|predicate| passes(predicate, &input, &schema));
        let below = match conjunction(free) {
            Some(predicate) => {
                let filter = Filter::try_new(predicate, input)?;
                self.0.rewrite(LogicalPlan::Filter(filter), config)?
            }
            None => Transformed::no(Arc::unwrap_or_clone(input)),
        };
        let Some(held) = conjunction(held) else {
            return Ok(below);
        };
        let filter = Filter::try_new(held, Arc::new(below.data))?;
        Ok(Transformed::new(
            LogicalPlan::Filter(filter),
            below.transformed,
            TreeNodeRecursion::Continue,
        ))
    }
}

/// The predicates of a filter and of those right below it, the lowest first, each with guards from below.
fn guarded_by_lower(filter: &Filter) -> Option<Vec<Expr>> {
    let schema = filter.input.schema();
    let own = guard_condition(&filter.predicate, &[], schema);
    let own = own.unwrap_or_else(|| filter.predicate.clone());
    let own = split_conjunction_owned(own);
    let LogicalPlan::Filter(below) = filter.input.as_ref() else {
        return Some(own);
    };
    let mut predicates = guarded_by_lower(below)?;
    let lower = predicates.clone();
    for predicate in own {
        let predicate = with_guards(predicate, &lower, schema);
        if !predicates.contains(&predicate) {
            predicates.push(predicate);
        }
    }
    Some(predicates)
}

/// `predicate` with what guards it among `lower`.
fn with_guards(predicate: Expr, lower: &[Expr], schema: &DFSchema) -> Expr {
    let mut guards = relevant(lower, &predicate, schema);
    if guards.is_empty() {
        return predicate;
    }
    match parts(&predicate) {
        Some((Guarding::Holds, own, value)) => {
            let own = own.iter().filter(|own| !guards.contains(own));
            let own: Vec<Expr> = own.cloned().collect();
            guards.extend(own);
            Guarding::Holds.call(guards, value.clone())
        }
        _ => Guarding::Holds.call(guards, predicate),
    }
}

/// Whether a predicate may be evaluated below an operator, over rows that the operator drops.
fn passes(predicate: &Expr, operator: &LogicalPlan, schema: &DFSchema) -> bool {
    match operator {
        LogicalPlan::Join(join) => match failure(predicate, schema) {
            Failure::Never => true,
            Failure::Overflow => keeps_side_of(predicate, join) || !compares(join, predicate),
            Failure::Value => keeps_side_of(predicate, join) || has_no_condition(join),
        },
        LogicalPlan::Unnest(_) => failure(predicate, schema) < Failure::Value,
        _ => true,
    }
}

fn has_no_condition(join: &Join) -> bool {
    join.on.is_empty() && join.filter.is_none() && join.join_type == JoinType::Inner
}

/// Whether the predicate is on the side of an outer join from which every row is in its result.
fn keeps_side_of(predicate: &Expr, join: &Join) -> bool {
    let side = match join.join_type {
        JoinType::Left | JoinType::LeftMark => &join.left,
        JoinType::Right | JoinType::RightMark => &join.right,
        _ => return false,
    };
    let columns = predicate.column_refs();
    columns
        .iter()
        .all(|column| side.schema().has_column(column))
}

/// Whether the join's conditions name a column of the predicate.
fn compares(join: &Join, predicate: &Expr) -> bool {
    let columns = predicate.column_refs();
    let names = |part: &Expr| !part.column_refs().is_disjoint(&columns);
    let mut keys = join.on.iter();
    keys.any(|(left, right)| names(left) || names(right)) || join.filter.as_ref().is_some_and(names)
}
