//! The domain of a subquery: all values that the columns outside have, each once.

use super::Unnester;
use super::clauses::project;
use super::predicates::with_columns;
use super::scope::Scope;
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{Column, DFSchema, JoinType, not_impl_err};
use datafusion::error::Result;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{
    Distinct, Expr, Filter, Join, LogicalPlan, Projection, SubqueryAlias,
};
use std::sync::Arc;

/// See the head of this file.
pub(super) struct Domain {
    pub(super) plan: LogicalPlan,
    /// One for each of the scope's columns.
    pub(super) columns: Vec<Column>,
}

impl Unnester {
    /// A plan of the values of the scope's columns. It may have values that no row
    /// outside has: nothing is joined to them later.
    ///
    /// # Errors
    /// The rows outside are other ones whenever they are read.
    pub(super) fn domain(&mut self, scope: &Scope) -> Result<Domain> {
        let values = scope.columns().cloned().map(Expr::Column).collect();
        let (source, values) = source_of(scope.outer.clone(), values)?;
        if values.iter().any(Expr::is_volatile) || is_volatile(&source)? {
            return not_impl_err!(
                "this correlated subquery is not supported where the rows outside depend on a \
                 function such as random()"
            );
        }
        let names: Vec<String> = values.iter().map(|_| self.name("outer")).collect();
        let values = values.into_iter().zip(&names);
        let values = values.map(|(value, name)| value.alias(name.clone()));
        let projected = project(values.collect(), source)?;
        let distinct = LogicalPlan::Distinct(Distinct::All(Arc::new(projected)));
        let alias = self.name("domain");
        let plan = SubqueryAlias::try_new(Arc::new(distinct), alias.as_str())?;
        let columns = names.into_iter();
        let columns = columns.map(|name| Column::new(Some(alias.as_str()), name));
        Ok(Domain {
            plan: LogicalPlan::SubqueryAlias(plan),
            columns: columns.collect(),
        })
    }
}

/// A smaller plan that has at least the same values of `values`, and the values as its expressions. Rows that
/// LIMIT chooses may be others when it is computed a second time, and joins that only add columns are left
/// out.
fn source_of(plan: LogicalPlan, values: Vec<Expr>) -> Result<(LogicalPlan, Vec<Expr>)> {
    match plan {
        LogicalPlan::Limit(limit) => source_of(Arc::unwrap_or_clone(limit.input), values),
        LogicalPlan::Sort(sort) => source_of(Arc::unwrap_or_clone(sort.input), values),
        LogicalPlan::Projection(projection) if !projection.expr.iter().any(Expr::is_volatile) => {
            let values = through_projection(&projection, values)?;
            source_of(Arc::unwrap_or_clone(projection.input), values)
        }
        LogicalPlan::SubqueryAlias(alias) => {
            let values = through_alias(&alias, values)?;
            source_of(Arc::unwrap_or_clone(alias.input), values)
        }
        LogicalPlan::Filter(filter) => filtered(filter, values),
        LogicalPlan::Window(window) if are_from(window.input.schema(), &values) => {
            source_of(Arc::unwrap_or_clone(window.input), values)
        }
        LogicalPlan::Join(join) => joined(join, values),
        other => Ok((other, values)),
    }
}

fn through_projection(projection: &Projection, values: Vec<Expr>) -> Result<Vec<Expr>> {
    let replacement = |column: &Column| {
        let index = projection.schema.index_of_column(column).ok()?;
        let expression = projection.expr.get(index)?.clone();
        Some(expression.unalias_nested().data)
    };
    let values = values.into_iter();
    values
        .map(|value| with_columns(value, replacement))
        .collect()
}

fn through_alias(alias: &SubqueryAlias, values: Vec<Expr>) -> Result<Vec<Expr>> {
    let replacement = |column: &Column| {
        let index = alias.schema.index_of_column(column).ok()?;
        let field = alias.input.schema().qualified_field(index);
        Some(Expr::Column(Column::from(field)))
    };
    let values = values.into_iter();
    values
        .map(|value| with_columns(value, replacement))
        .collect()
}

/// The filter keeps the domain small, and what it keeps out may be values that the subquery cannot take.
fn filtered(filter: Filter, mut values: Vec<Expr>) -> Result<(LogicalPlan, Vec<Expr>)> {
    let input = Arc::unwrap_or_clone(filter.input);
    if filter.predicate.is_volatile() {
        return source_of(input, values);
    }
    let count = values.len();
    values.push(filter.predicate);
    let (source, mut values) = source_of(input, values)?;
    match conjunction(values.split_off(count)) {
        Some(predicate) => {
            let filter = Filter::try_new(predicate, Arc::new(source))?;
            Ok((LogicalPlan::Filter(filter), values))
        }
        None => Ok((source, values)),
    }
}

fn joined(join: Join, values: Vec<Expr>) -> Result<(LogicalPlan, Vec<Expr>)> {
    let keeps_left = matches!(
        join.join_type,
        JoinType::Inner
            | JoinType::Left
            | JoinType::LeftSemi
            | JoinType::LeftAnti
            | JoinType::LeftMark
    );
    let keeps_right = matches!(join.join_type, JoinType::Inner | JoinType::Right);
    if keeps_left && are_from(join.left.schema(), &values) {
        return source_of(Arc::unwrap_or_clone(join.left), values);
    }
    if keeps_right && are_from(join.right.schema(), &values) {
        return source_of(Arc::unwrap_or_clone(join.right), values);
    }
    Ok((LogicalPlan::Join(join), values))
}

fn are_from(schema: &DFSchema, values: &[Expr]) -> bool {
    values.iter().all(|value| {
        let columns = value.column_refs();
        columns.into_iter().all(|column| schema.has_column(column))
    })
}

fn is_volatile(plan: &LogicalPlan) -> Result<bool> {
    plan.exists(|node| Ok(node.expressions().iter().any(Expr::is_volatile)))
}
