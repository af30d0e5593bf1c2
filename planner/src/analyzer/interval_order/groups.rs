//! Groups of intervals of one length. What stands for a group is one of its values: the first in the order of
//! months, days and the rest, so that the result does not depend on the order of rows.

use super::{has_interval, is_interval, length, length_of, named};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::functions_aggregate::expr_fn::min;
use datafusion::logical_expr::expr::GroupingSet;
use datafusion::logical_expr::utils::grouping_set_to_exprlist;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, LogicalPlanBuilder, when};
use datafusion::scalar::ScalarValue;
use std::sync::Arc;

/// The aggregation with groups by length.
pub(super) fn by_length(aggregate: Aggregate) -> Result<LogicalPlan> {
    let input = Arc::clone(aggregate.input.schema());
    let keys = keys_of(&aggregate)?;
    if !keys.iter().any(|key| has_interval(key, &input)) {
        return Ok(LogicalPlan::Aggregate(aggregate));
    }
    let representative = |index: usize| format!("__representative_{index}");
    let representatives: Vec<Expr> = keys
        .iter()
        .enumerate()
        .filter(|(_, key)| has_interval(key, &input))
        .map(|(index, key)| named(min(key.clone()), &representative(index)))
        .collect();
    let groups = aggregate.group_expr.into_iter();
    let groups = groups.map(|group| group_by_length(group, &input));
    let values = aggregate.aggr_expr.into_iter().chain(representatives);
    let grouped = Aggregate::try_new(
        Arc::clone(&aggregate.input),
        groups.collect(),
        values.collect(),
    )?;
    let columns = grouped.schema.columns();
    let shown = aggregate.schema.iter().zip(columns).enumerate();
    let shown = shown.map(|(index, ((qualifier, field), column))| {
        let value = match is_interval(field.data_type()) && index < keys.len() {
            // Of groups of all values the key is NULL.
            true => when(
                Expr::Column(column).is_not_null(),
                Expr::Column(Column::new_unqualified(representative(index))),
            )
            .otherwise(Expr::Literal(
                ScalarValue::try_from(field.data_type())?,
                None,
            ))?,
            false => Expr::Column(column),
        };
        Ok(value.alias_qualified(qualifier.cloned(), field.name()))
    });
    let shown = shown.collect::<Result<Vec<Expr>>>()?;
    LogicalPlanBuilder::from(LogicalPlan::Aggregate(grouped))
        .project(shown)?
        .build()
}

/// The columns of the groups, in the order of the result's.
fn keys_of(aggregate: &Aggregate) -> Result<Vec<Expr>> {
    match aggregate.group_expr.as_slice() {
        [Expr::GroupingSet(_)] => {
            let keys = grouping_set_to_exprlist(&aggregate.group_expr)?;
            Ok(keys.into_iter().cloned().collect())
        }
        keys => Ok(keys.to_vec()),
    }
}

fn group_by_length(group: Expr, schema: &DFSchema) -> Expr {
    let all = |keys: Vec<Expr>| -> Vec<Expr> {
        keys.into_iter().map(|key| length(key, schema)).collect()
    };
    match group {
        Expr::GroupingSet(sets) => Expr::GroupingSet(match sets {
            GroupingSet::Rollup(keys) => GroupingSet::Rollup(all(keys)),
            GroupingSet::Cube(keys) => GroupingSet::Cube(all(keys)),
            GroupingSet::GroupingSets(sets) => {
                GroupingSet::GroupingSets(sets.into_iter().map(all).collect())
            }
        }),
        key if has_interval(&key, schema) => length_of(key),
        key => key,
    }
}

/// Rows that differ, where intervals of one length do not.
pub(super) fn distinct(input: Arc<LogicalPlan>) -> Result<LogicalPlan> {
    use datafusion::logical_expr::Distinct;
    let fields = input.schema().fields();
    if !fields.iter().any(|field| is_interval(field.data_type())) {
        return Ok(LogicalPlan::Distinct(Distinct::All(input)));
    }
    let columns = input.schema().columns().into_iter().map(Expr::Column);
    let columns: Vec<Expr> = columns.collect();
    by_length(Aggregate::try_new(input, columns, Vec::new())?)
}
