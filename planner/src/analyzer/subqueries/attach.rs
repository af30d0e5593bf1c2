//! The join between a subquery and the rows outside.

use super::Unnester;
use super::clauses::project;
use super::dependent::Dependent;
use super::joins::join;
use super::predicates::{case, with_columns};
use super::rows::{SUBQUERY, is_one_row, with_row};
use super::scope::Scope;
use datafusion::common::{Column, JoinType};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan, SubqueryAlias, lit};
use std::sync::Arc;

/// The right side of a join, all of whose columns have names that nothing else has.
pub(super) struct Attached {
    pub(super) plan: LogicalPlan,
    /// Which of its rows belong to a row outside.
    pub(super) on: Vec<Expr>,
    /// The columns that were asked for.
    pub(super) values: Vec<Expr>,
    /// A column that is never NULL.
    present: Expr,
    alias: String,
}

impl Unnester {
    /// A subquery as the right side of a join, with the given columns.
    pub(super) fn attached(
        &mut self,
        dependent: Dependent,
        scope: &Scope,
        values: &[Column],
    ) -> Result<Attached> {
        let on = dependent.conditions(scope);
        let mut columns = values.to_vec();
        for condition in &on {
            for column in condition.column_refs() {
                if !columns.contains(column) {
                    columns.push(column.clone());
                }
            }
        }
        let alias = self.name(SUBQUERY);
        let mut expressions = Vec::new();
        let mut renamed = Vec::new();
        for column in &columns {
            let name = self.name("value");
            expressions.push(Expr::Column(column.clone()).alias(name.clone()));
            renamed.push(Column::new(Some(alias.as_str()), name));
        }
        let name = self.name("present");
        expressions.push(lit(true).alias(name.clone()));
        let plan = project(expressions, dependent.plan)?;
        let plan = SubqueryAlias::try_new(Arc::new(plan), alias.as_str())?;
        let renamed_column = |column: &Column| {
            let position = columns.iter().position(|known| known == column)?;
            renamed.get(position).cloned().map(Expr::Column)
        };
        let on = on.into_iter();
        let on = on.map(|condition| scope.outside(with_columns(condition, renamed_column)?));
        Ok(Attached {
            on: on.collect::<Result<_>>()?,
            values: values.iter().filter_map(renamed_column).collect(),
            plan: LogicalPlan::SubqueryAlias(plan),
            present: Expr::Column(Column::new(Some(alias.as_str()), name)),
            alias,
        })
    }

    /// Gives `input` a column that says whether the subquery has a row that belongs to the row outside, and
    /// for which `condition` of the given column holds.
    pub(super) fn mark(
        &mut self,
        input: &mut LogicalPlan,
        dependent: Dependent,
        scope: &Scope,
        column: Option<&Column>,
        condition: impl FnOnce(Expr) -> Expr,
    ) -> Result<Expr> {
        let columns: Vec<Column> = column.into_iter().cloned().collect();
        let mut attached = self.attached(dependent, scope, &columns)?;
        attached.on.extend(attached.values.pop().map(condition));
        let mark = Column::new(Some(attached.alias.as_str()), "mark");
        let left = Arc::new(std::mem::take(input));
        *input = join(
            left,
            Arc::new(attached.plan),
            JoinType::LeftMark,
            attached.on,
        )?;
        Ok(Expr::Column(mark))
    }

    /// Gives `input` the given columns of a subquery of at most one row. They are NULL where it has none.
    pub(super) fn values_of(
        &mut self,
        input: &mut LogicalPlan,
        mut dependent: Dependent,
        scope: &Scope,
        columns: &[Column],
    ) -> Result<Vec<Expr>> {
        let has_row = dependent.is_free()? && is_one_row(&dependent.plan);
        let absent = dependent.absent.take().unwrap_or_default();
        let attached = self.attached(dependent, scope, columns)?;
        let left = std::mem::take(input);
        *input = match has_row {
            true => with_row(left, attached.plan)?,
            false => join(
                Arc::new(left),
                Arc::new(attached.plan),
                JoinType::Left,
                attached.on,
            )?,
        };
        let mut values = Vec::new();
        for (column, value) in columns.iter().zip(attached.values) {
            let default = absent.iter().find(|(known, _)| known == column);
            values.push(match default {
                Some((_, default)) if !is_null(default) => {
                    let default = scope.outside(default.clone())?;
                    case(vec![(attached.present.clone().is_null(), default)], value)
                }
                _ => value,
            });
        }
        Ok(values)
    }
}

fn is_null(expression: &Expr) -> bool {
    matches!(expression, Expr::Literal(value, _) if value.is_null())
}
