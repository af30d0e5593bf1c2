//! Lateral joins: the right side is computed for each row of the left.

use super::Unnester;
use super::clauses::{named, only, project};
use super::dependent::Dependent;
use super::joins::{conditions_of, join};
use super::predicates::case;
use super::scope::{Scope, is_in, names_anything_outside};
use datafusion::common::{Column, JoinType, not_impl_err};
use datafusion::error::Result;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, Filter, Join, LogicalPlan, Subquery, lit};
use std::sync::Arc;

/// Whether the planner says of the right side of a join that it may name columns of the left.
fn is_marked(join: &Join) -> bool {
    let mut plan = join.right.as_ref();
    loop {
        plan = match plan {
            LogicalPlan::Subquery(_) => return true,
            LogicalPlan::SubqueryAlias(alias) => alias.input.as_ref(),
            LogicalPlan::Projection(projection) => projection.input.as_ref(),
            _ => return false,
        };
    }
}

impl Unnester {
    /// Whether the right side of a join names columns of the left. The planner does not say so where only
    /// subqueries within the right side do: then a column of the left is meant that no query around has.
    pub(super) fn is_lateral(&self, join: &Join) -> Result<bool> {
        if is_marked(join) {
            return Ok(true);
        }
        let may_be = matches!(join.join_type, JoinType::Inner | JoinType::Left);
        if !may_be || !names_anything_outside(&join.right)? {
            return Ok(false);
        }
        let scope = Scope::new(&join.left, &join.right)?;
        let mut columns = scope.columns();
        Ok(columns.any(|column| !self.outer.iter().any(|schema| is_in(schema, column))))
    }

    pub(super) fn lateral_join(&mut self, whole: Join) -> Result<LogicalPlan> {
        let columns: Vec<Column> = whole.schema.iter().map(Column::from).collect();
        let conditions = conditions_of(&whole);
        let right_columns = super::columns_of(&whole.right);
        let left = Arc::unwrap_or_clone(whole.left);
        let right = Arc::unwrap_or_clone(whole.right);
        let scope = Scope::new(&left, &right)?;
        let mut dependent = self.dependent(right, &scope)?;
        let is_outer = match whole.join_type {
            JoinType::Inner => false,
            JoinType::Left => true,
            other => return not_impl_err!("LATERAL is not supported in a {other} join"),
        };
        if is_outer && !conditions.iter().all(is_true) {
            // Whether there is a row decides before ON does.
            dependent = self.close(dependent, &scope)?;
        }
        let plan = match dependent.absent.take() {
            Some(absent) => {
                let plan = self.lateral_row(left, dependent, absent, &scope)?;
                match conjunction(conditions) {
                    Some(predicate) => {
                        LogicalPlan::Filter(Filter::try_new(predicate, Arc::new(plan))?)
                    }
                    None => plan,
                }
            }
            None => {
                let (right, mut on) =
                    self.lateral_side(dependent, &right_columns, &scope, Vec::new())?;
                on.extend(conditions);
                join(Arc::new(left), Arc::new(right), whole.join_type, on)?
            }
        };
        let plan = only(plan, columns)?;
        // It may be the right side of another lateral join, on whose left side it depends.
        Ok(match names_anything_outside(&plan)? {
            true => LogicalPlan::Subquery(Subquery {
                outer_ref_columns: plan.all_out_ref_exprs(),
                subquery: Arc::new(plan),
                spans: datafusion::common::Spans::new(),
            }),
            false => plan,
        })
    }

    /// The right side with its own columns, and those that the join's conditions need under names of their
    /// own.
    fn lateral_side(
        &mut self,
        dependent: Dependent,
        columns: &[Column],
        scope: &Scope,
        more: Vec<Expr>,
    ) -> Result<(LogicalPlan, Vec<Expr>)> {
        let mut expressions: Vec<Expr> = columns.iter().cloned().map(Expr::Column).collect();
        let mut keys = Vec::new();
        for column in dependent.condition_columns() {
            let name = self.name("key");
            expressions.push(Expr::Column(column.clone()).alias(name.clone()));
            keys.push((column, Column::new_unqualified(name)));
        }
        expressions.extend(more);
        let plan = project(expressions, dependent.plan.clone())?;
        let renamed = dependent.renamed(plan, |column| {
            let key = keys.iter().find(|(known, _)| known == column);
            key.map(|(_, key)| key.clone())
        })?;
        let conditions = renamed.conditions(scope).into_iter();
        let conditions = conditions.map(|condition| scope.outside(condition));
        let conditions = conditions.collect::<Result<_>>()?;
        Ok((renamed.plan, conditions))
    }

    /// A lateral join whose right side always has a row.
    fn lateral_row(
        &mut self,
        left: LogicalPlan,
        dependent: Dependent,
        absent: Vec<(Column, Expr)>,
        scope: &Scope,
    ) -> Result<LogicalPlan> {
        let left_columns = super::columns_of(&left);
        let right_columns: Vec<Column> = absent.iter().map(|(column, _)| column.clone()).collect();
        let present = self.name("present");
        let marker = vec![lit(true).alias(present.clone())];
        let (right, on) = self.lateral_side(dependent, &right_columns, scope, marker)?;
        let plan = join(Arc::new(left), Arc::new(right), JoinType::Left, on)?;
        let is_absent = Expr::Column(Column::new_unqualified(present)).is_null();
        let mut expressions: Vec<Expr> = left_columns.into_iter().map(Expr::Column).collect();
        for (column, value) in absent {
            let value = scope.outside(value)?;
            let found = Expr::Column(column.clone());
            expressions.push(named(
                case(vec![(is_absent.clone(), value)], found),
                &column,
            ));
        }
        project(expressions, plan)
    }
}

fn is_true(condition: &Expr) -> bool {
    *condition == lit(true)
}
