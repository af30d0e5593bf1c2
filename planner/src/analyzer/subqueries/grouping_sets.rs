//! ROLLUP, CUBE and GROUPING SETS in subqueries, computed for all rows outside at once: each set is one of
//! groups for each row outside.

use super::Unnester;
use super::clauses::{named, project};
use super::dependent::Dependent;
use super::nothing::value_of_nothing;
use super::scope::Scope;
use datafusion::common::{Column, DFSchema, ExprSchema, ScalarValue, not_impl_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::{Aggregate, Expr, GroupingSet, LogicalPlan, cast, lit};
use std::sync::Arc;

/// The grouping sets of an aggregation that has such, the largest first.
pub(super) fn sets_of(aggregate: &Aggregate) -> Option<Vec<Vec<Expr>>> {
    let [Expr::GroupingSet(sets)] = aggregate.group_expr.as_slice() else {
        return None;
    };
    Some(match sets {
        GroupingSet::GroupingSets(sets) => sets.clone(),
        GroupingSet::Rollup(groups) => {
            let counts = (0..=groups.len()).rev();
            counts.map(|count| groups[..count].to_vec()).collect()
        }
        GroupingSet::Cube(groups) => {
            let choices = (0..1_usize << groups.len()).rev();
            let chosen = |choice: usize| {
                let numbered = groups.iter().enumerate();
                let chosen = numbered.filter(|(place, _)| choice & (1 << place) != 0);
                chosen.map(|(_, group)| group.clone()).collect()
            };
            choices.map(chosen).collect()
        }
    })
}

impl Unnester {
    pub(super) fn dependent_grouping_sets(
        &mut self,
        aggregate: Aggregate,
        sets: Vec<Vec<Expr>>,
        scope: &Scope,
    ) -> Result<Dependent> {
        let input = self.dependent(Arc::unwrap_or_clone(aggregate.input), scope)?;
        let input = self.close(input, scope)?;
        let needed: Vec<&Expr> = sets.iter().flatten().chain(&aggregate.aggr_expr).collect();
        let (input, values) = self.with_values(input, scope, &needed)?;
        let (input, keys) = self.keyed(input, scope)?;
        let (input, keys) = self.with_key_columns(input, &keys)?;
        let is_empty: Vec<bool> = sets.iter().map(Vec::is_empty).collect();
        let mut written = Vec::new();
        for set in sets {
            // The keys come first, which leaves the bits of the others as they are in the sets' ids.
            let mut groups: Vec<Expr> = keys.iter().cloned().map(Expr::Column).collect();
            for group in set {
                groups.push(scope.replaced(group, &values)?);
            }
            written.push(groups);
        }
        let mut aggregates = Vec::new();
        for expression in aggregate.aggr_expr {
            aggregates.push(scope.replaced(expression, &values)?);
        }
        let nothing = match is_empty.iter().filter(|is_empty| **is_empty).count() {
            0 => None,
            1 => Some(nothing(&aggregate.schema, &aggregates, &input.plan)?),
            _ => {
                return not_impl_err!(
                    "several empty grouping sets are not supported in a correlated subquery"
                );
            }
        };
        let groups = vec![Expr::GroupingSet(GroupingSet::GroupingSets(written))];
        let plan = Aggregate::try_new(Arc::new(input.plan.clone()), groups, aggregates)?;
        let plan = with_old_columns(LogicalPlan::Aggregate(plan), &keys, &aggregate.schema)?;
        let grouped = Dependent {
            plan,
            absent: nothing,
            single: false,
            ..input
        };
        self.close(grouped, scope)
    }

    /// The same with the keys in columns that nothing else is in.
    fn with_key_columns(
        &mut self,
        input: Dependent,
        keys: &[Column],
    ) -> Result<(Dependent, Vec<Column>)> {
        let columns = super::columns_of(&input.plan).into_iter();
        let mut expressions: Vec<Expr> = columns.map(Expr::Column).collect();
        let mut renamed = Vec::new();
        for key in keys {
            let name = self.name("key");
            expressions.push(Expr::Column(key.clone()).alias(name.clone()));
            renamed.push(Column::new_unqualified(name));
        }
        let plan = project(expressions, input.plan.clone())?;
        let input = input.renamed(plan, |column| {
            let position = keys.iter().position(|known| known == column)?;
            renamed.get(position).cloned()
        })?;
        Ok((input, renamed))
    }
}

/// The row of the empty grouping set where there are no rows.
fn nothing(
    schema: &DFSchema,
    aggregates: &[Expr],
    input: &LogicalPlan,
) -> Result<Vec<(Column, Expr)>> {
    let groups = schema.fields().len().saturating_sub(aggregates.len() + 1);
    let mut row = Vec::new();
    for (place, field) in schema.iter().enumerate() {
        let column = Column::from(field);
        let kind = field.1.data_type();
        let value = match place {
            place if place < groups => ScalarValue::try_from(kind)?,
            place if place == groups => {
                let all = 1_u64
                    .checked_shl(groups as u32)
                    .map_or(u64::MAX, |bit| bit - 1);
                ScalarValue::from(all).cast_to(kind)?
            }
            place => value_of_nothing(&aggregates[place - groups - 1], input.schema())?,
        };
        row.push((column, lit(value)));
    }
    Ok(row)
}

/// The keys, and behind them the columns of `plan` as they were without the keys.
fn with_old_columns(plan: LogicalPlan, keys: &[Column], schema: &DFSchema) -> Result<LogicalPlan> {
    let columns = super::columns_of(&plan);
    if columns.len() != schema.fields().len() + keys.len() {
        return plan_err!("a grouping set lost a column");
    }
    let mut expressions: Vec<Expr> = keys.iter().cloned().map(Expr::Column).collect();
    let new = columns.into_iter().skip(keys.len());
    for (column, (relation, field)) in new.zip(schema.iter()) {
        let is_wider = plan.schema().field_from_column(&column)?.data_type() != field.data_type();
        let mut expression = Expr::Column(column);
        if is_wider {
            expression = cast(expression, field.data_type().clone());
        }
        expressions.push(named(expression, &Column::from((relation, field))));
    }
    project(expressions, plan)
}
