//! Subqueries in all clauses, written as joins.
//!
//! DataFusion's own rules take some correlated subqueries in some clauses, and compare columns by name
//! between the subquery and the query around it, which is wrong where both read one table. This rule runs
//! before them and leaves no subquery: IN, EXISTS, ANY, ALL, scalar subqueries and lateral joins become semi,
//! anti, mark and left joins, whose right side has names of its own (`attach.rs`). What a subquery says of
//! the row outside is pulled up to that join where it can be; where it cannot (below an aggregation of
//! ranges, a LIMIT, an outer join), the subquery is computed for all values at once that the row outside has:
//! for their *domain*, as in T. Neumann and A. Kemper, "Unnesting Arbitrary Queries", BTW 2015
//! (`dependent.rs`, `operators.rs`).

mod attach;
mod clauses;
mod conditions;
mod dependent;
mod domain;
mod expressions;
mod grouping_sets;
mod joins;
mod lateral;
mod limits;
mod nothing;
mod operators;
mod predicates;
mod rows;
mod scope;
mod within;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchemaRef, not_impl_err};
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;
use std::sync::Arc;

/// Writes subqueries as joins. It belongs after the rules that look into subqueries, among them those that make
/// the types of both sides of a comparison one.
#[derive(Debug)]
pub struct UnnestedSubqueries;

impl AnalyzerRule for UnnestedSubqueries {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        match plan_has_subqueries(&plan)? {
            true => {
                let plan = Unnester::default().plan(plan)?;
                refuse_references(&plan)?;
                Ok(plan)
            }
            false => Ok(plan),
        }
    }

    fn name(&self) -> &str {
        "unnested_subqueries"
    }
}

/// Rewrites one plan.
#[derive(Debug, Default)]
struct Unnester {
    /// How many names were given.
    names: usize,
    /// What the queries around the present one select from.
    outer: Vec<DFSchemaRef>,
}

impl Unnester {
    /// A name that nothing else in the plan has.
    fn name(&mut self, kind: &str) -> String {
        self.names += 1;
        format!("__{kind}_{}", self.names)
    }

    /// A plan without subqueries that has the same rows.
    fn plan(&mut self, plan: LogicalPlan) -> Result<LogicalPlan> {
        if !plan_has_subqueries(&plan)? {
            return Ok(plan);
        }
        let written = plan.transform_up(|node| {
            let node = node.recompute_schema()?;
            self.node(node).map(Transformed::yes)
        })?;
        Ok(written.data)
    }

    /// The same for a subquery of a plan that reads `inputs`.
    fn inner_plan(&mut self, inputs: &[LogicalPlan], plan: LogicalPlan) -> Result<LogicalPlan> {
        let known = self.outer.len();
        let schemas = inputs.iter().map(|input| Arc::clone(input.schema()));
        self.outer.extend(schemas);
        let written = self.plan(plan);
        self.outer.truncate(known);
        written
    }

    fn node(&mut self, node: LogicalPlan) -> Result<LogicalPlan> {
        match node {
            LogicalPlan::Join(join) if self.is_lateral(&join)? => self.lateral_join(join),
            node if !node_has_subqueries(&node)? => Ok(node),
            LogicalPlan::Filter(filter) => self.filter(filter),
            LogicalPlan::Projection(projection) => self.projection(projection),
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate),
            LogicalPlan::Window(window) => self.window(window),
            LogicalPlan::Sort(sort) => self.sort(sort),
            LogicalPlan::Join(join) => self.join_condition(join),
            LogicalPlan::Values(values) => self.values(values),
            LogicalPlan::Distinct(distinct) => self.distinct_on(distinct),
            LogicalPlan::Limit(_) => {
                not_impl_err!("subqueries in LIMIT and OFFSET are not supported")
            }
            _ => not_impl_err!("a subquery is not supported in this clause"),
        }
    }
}

/// Refuses a plan that still names a column of a query around a subquery.
fn refuse_references(plan: &LogicalPlan) -> Result<()> {
    plan.apply(|node| {
        node.apply_expressions(|expression| {
            expression.apply(|inner| match inner {
                Expr::OuterReferenceColumn(_, column) => {
                    not_impl_err!("a subquery cannot name column '{column}' in this clause")
                }
                _ => Ok(TreeNodeRecursion::Continue),
            })
        })
    })?;
    Ok(())
}

/// The plan of an expression that is a subquery.
fn subquery_of(expression: &Expr) -> Option<&LogicalPlan> {
    match expression {
        Expr::Exists(exists) => Some(&exists.subquery.subquery),
        Expr::InSubquery(within) => Some(&within.subquery.subquery),
        Expr::SetComparison(comparison) => Some(&comparison.subquery.subquery),
        Expr::ScalarSubquery(subquery) => Some(&subquery.subquery),
        _ => None,
    }
}

fn has_subqueries(expression: &Expr) -> Result<bool> {
    expression.exists(|inner| Ok(subquery_of(inner).is_some()))
}

fn node_has_subqueries(node: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    node.apply_expressions(|expression| {
        found |= has_subqueries(expression)?;
        Ok(match found {
            true => TreeNodeRecursion::Stop,
            false => TreeNodeRecursion::Continue,
        })
    })?;
    Ok(found)
}

fn plan_has_subqueries(plan: &LogicalPlan) -> Result<bool> {
    plan.exists(|node| Ok(matches!(node, LogicalPlan::Subquery(_)) || node_has_subqueries(node)?))
}

/// The columns of a plan, in order.
fn columns_of(plan: &LogicalPlan) -> Vec<Column> {
    plan.schema().iter().map(Column::from).collect()
}

#[cfg(test)]
mod tests;
