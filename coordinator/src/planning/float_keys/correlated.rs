//! Keys in conditions that join a subquery with what is around it.
//!
//! A subquery with an aggregate becomes a join with groups, where what it equals on its side is a column. So the key
//! of that side is computed below the condition, as a column of its own.

use super::conditions::{in_condition, key};
use datafusion::common::{Column, DFSchema};
use datafusion::error::Result;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{BinaryExpr, Expr, Filter, LogicalPlan, Operator, Projection};
use std::sync::Arc;

/// A filter that compares keys.
pub(super) fn in_filter(filter: Filter, schema: &DFSchema) -> Result<LogicalPlan> {
    if !filter.predicate.contains_outer() {
        let condition = in_condition(filter.predicate, schema)?;
        return Ok(LogicalPlan::Filter(Filter::try_new(
            condition,
            filter.input,
        )?));
    }
    let mut keys = Vec::new();
    let conditions = split_conjunction_owned(filter.predicate);
    let conditions = conditions.into_iter().map(|condition| match condition {
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::Eq,
            right,
        }) if is_local(&left) && is_outer(&right) => {
            let (own, other) = (as_column(*left, schema, &mut keys)?, key(*right, schema)?);
            Ok(own.eq(other))
        }
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::Eq,
            right,
        }) if is_outer(&left) && is_local(&right) => {
            let (other, own) = (key(*left, schema)?, as_column(*right, schema, &mut keys)?);
            Ok(other.eq(own))
        }
        other => in_condition(other, schema),
    });
    let conditions = conditions.collect::<Result<Vec<_>>>()?;
    let Some(condition) = conjunction(conditions) else {
        return Ok(Arc::unwrap_or_clone(filter.input));
    };
    if keys.is_empty() {
        let filter = Filter::try_new(condition, filter.input)?;
        return Ok(LogicalPlan::Filter(filter));
    }
    let columns: Vec<Expr> = schema.columns().into_iter().map(Expr::Column).collect();
    let with_keys = columns.iter().cloned().chain(keys).collect();
    let below = LogicalPlan::Projection(Projection::try_new(with_keys, filter.input)?);
    let filtered = LogicalPlan::Filter(Filter::try_new(condition, Arc::new(below))?);
    Ok(LogicalPlan::Projection(Projection::try_new(
        columns,
        Arc::new(filtered),
    )?))
}

/// Whether a value is one of the subquery's own.
fn is_local(value: &Expr) -> bool {
    value.any_column_refs() && !value.contains_outer()
}

/// Whether a value is one of what is around the subquery.
fn is_outer(value: &Expr) -> bool {
    value.contains_outer() && !value.any_column_refs()
}

/// The key of a value, as a column that is among `keys`.
fn as_column(value: Expr, schema: &DFSchema, keys: &mut Vec<Expr>) -> Result<Expr> {
    let keyed = key(value.clone(), schema)?;
    if keyed == value {
        return Ok(value);
    }
    let name = keyed.schema_name().to_string();
    let column = Expr::Column(Column::new_unqualified(name.clone()));
    let keyed = keyed.alias(name);
    if !keys.contains(&keyed) {
        keys.push(keyed);
    }
    Ok(column)
}
