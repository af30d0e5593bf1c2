//! Floating point numbers are equal, and in order, in the same way everywhere.
//!
//! DataFusion's operators do not agree: groups and hash joins take -0.0 for 0.0, while comparisons, windows, sorts,
//! IN lists, minima and the statistics of files keep them apart, and none of them knows that there is one NaN.
//! This rule has all of them look at keys (`skep_runtime::functions::float_key`) in the place of values.
//!
//! The statistics of files, which say nothing of keys, decide nothing about floating point numbers; they have no NaN
//! in them anyway (`executor/src/float_pruning.rs`).

mod conditions;

use conditions::{holds_comparison, in_condition, in_value, key};
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    Aggregate, Distinct, Expr, Filter, Join, JoinConstraint, LogicalPlan, Projection,
};
use datafusion::optimizer::AnalyzerRule;
use skep_runtime::functions::holds_floats;
use std::sync::Arc;

/// Has operators look at the keys of floating point numbers. It belongs after all rules that make operators or
/// comparisons, among them the one that leaves no subqueries.
#[derive(Debug)]
pub struct FloatKeys;

impl AnalyzerRule for FloatKeys {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let keyed =
            plan.transform_up_with_subqueries(|node| in_plan(node).map(Transformed::yes))?;
        Ok(keyed.data)
    }

    fn name(&self) -> &str {
        "float_keys"
    }
}

fn in_plan(node: LogicalPlan) -> Result<LogicalPlan> {
    let schema = merge_schema(&node.inputs());
    match node {
        LogicalPlan::Filter(filter) => {
            let condition = in_condition(filter.predicate, &schema)?;
            Ok(LogicalPlan::Filter(Filter::try_new(
                condition,
                filter.input,
            )?))
        }
        LogicalPlan::Join(join) => in_join(join, &schema),
        LogicalPlan::Distinct(Distinct::All(input)) => {
            let input = with_keys(Arc::unwrap_or_clone(input))?;
            Ok(LogicalPlan::Distinct(Distinct::All(Arc::new(input))))
        }
        LogicalPlan::Distinct(Distinct::On(mut distinct)) => {
            for on in &mut distinct.on_expr {
                *on = key(std::mem::take(on), &schema)?;
            }
            for sort in distinct.sort_expr.iter_mut().flatten() {
                sort.expr = key(std::mem::take(&mut sort.expr), &schema)?;
            }
            Ok(LogicalPlan::Distinct(Distinct::On(distinct)))
        }
        LogicalPlan::Sort(mut sort) => {
            for expression in &mut sort.expr {
                let value = in_value(std::mem::take(&mut expression.expr), &schema)?;
                expression.expr = key(value, &schema)?;
            }
            Ok(LogicalPlan::Sort(sort))
        }
        LogicalPlan::Aggregate(aggregate) => in_aggregate(aggregate, &schema),
        node => {
            let names = NamePreserver::new(&node);
            let keyed = node.map_expressions(|expression| {
                if !holds_comparison(&expression)? {
                    return Ok(Transformed::no(expression));
                }
                let name = names.save(&expression);
                let keyed = in_value(expression, &schema)?;
                Ok(Transformed::yes(name.restore(keyed)))
            })?;
            match keyed.transformed {
                true => keyed.data.recompute_schema(),
                false => Ok(keyed.data),
            }
        }
    }
}

fn in_aggregate(mut aggregate: Aggregate, schema: &DFSchema) -> Result<LogicalPlan> {
    let names = NamePreserver::new_for_projection();
    let group_key = |group: Expr| {
        let name = names.save(&group);
        let keyed = key(in_value(group, schema)?, schema)?;
        Ok(Transformed::yes(name.restore(keyed)))
    };
    for group in &mut aggregate.group_expr {
        *group = match std::mem::take(group) {
            // It is not a column: those that it names are.
            sets @ Expr::GroupingSet(_) => sets.map_children(group_key)?.data,
            group => group_key(group)?.data,
        };
    }
    for call in &mut aggregate.aggr_expr {
        let value = std::mem::take(call);
        let name = names.save(&value);
        *call = name.restore(in_value(value, schema)?);
    }
    LogicalPlan::Aggregate(aggregate).recompute_schema()
}

fn in_join(mut join: Join, schema: &DFSchema) -> Result<LogicalPlan> {
    for (left, right) in &mut join.on {
        for side in [left, right] {
            let value = in_value(std::mem::take(side), schema)?;
            let keyed = key(value.clone(), schema)?;
            if keyed != value {
                // USING is said of columns only.
                join.join_constraint = JoinConstraint::On;
            }
            *side = keyed;
        }
    }
    if let Some(condition) = join.filter.take() {
        join.filter = Some(in_condition(condition, schema)?);
    }
    Ok(LogicalPlan::Join(join))
}

/// The rows of a plan, with keys for values.
fn with_keys(plan: LogicalPlan) -> Result<LogicalPlan> {
    let schema = Arc::clone(plan.schema());
    let mut fields = schema.fields().iter();
    if !fields.any(|field| holds_floats(field.data_type())) {
        return Ok(plan);
    }
    let columns = schema.columns().into_iter().map(|column| {
        let (relation, name) = (column.relation.clone(), column.name.clone());
        let value = Expr::Column(column);
        let keyed = key(value.clone(), &schema)?;
        Ok(match keyed == value {
            true => value,
            false => keyed.alias_qualified(relation, name),
        })
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    Ok(LogicalPlan::Projection(Projection::try_new(
        columns,
        Arc::new(plan),
    )?))
}

#[cfg(test)]
mod tests;
