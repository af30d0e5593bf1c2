//! Joins: how they are made, and joins within subqueries.

use super::Unnester;
use super::clauses::{named, project};
use super::dependent::Dependent;
use super::operators::with_alias;
use super::predicates::{Equality, null_safe};
use super::scope::Scope;
use datafusion::common::{Column, JoinConstraint, JoinType, NullEquality, not_impl_err};
use datafusion::error::Result;
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{BinaryExpr, Expr, Join, LogicalPlan, Operator, binary_expr, lit};
use std::sync::Arc;

/// A join on all of these conditions.
pub(super) fn join(
    left: Arc<LogicalPlan>,
    right: Arc<LogicalPlan>,
    join_type: JoinType,
    on: Vec<Expr>,
) -> Result<LogicalPlan> {
    let condition = conjunction(on);
    let condition = match join_type {
        JoinType::Inner => condition,
        _ => Some(condition.unwrap_or_else(|| lit(true))),
    };
    Join::try_new(
        left,
        right,
        Vec::new(),
        condition,
        join_type,
        JoinConstraint::On,
        NullEquality::NullEqualsNothing,
        false,
    )
    .map(LogicalPlan::Join)
}

/// The rows of `left` for which `equal` is false for every row of `right`, and not unknown.
pub(super) fn null_aware_anti_join(
    left: Arc<LogicalPlan>,
    right: Arc<LogicalPlan>,
    equal: Expr,
) -> Result<LogicalPlan> {
    let (keys, condition) = match equal {
        Expr::BinaryExpr(BinaryExpr {
            left: value,
            op: Operator::Eq,
            right: found,
        }) if reads(&left, &value) && reads(&right, &found) => (vec![(*value, *found)], None),
        other => (Vec::new(), Some(other)),
    };
    // As a key from the beginning: only a join by keys is aware of NULLs, whether or not a rule finds them.
    Join::try_new(
        left,
        right,
        keys,
        condition,
        JoinType::LeftAnti,
        JoinConstraint::On,
        NullEquality::NullEqualsNothing,
        true,
    )
    .map(LogicalPlan::Join)
}

/// Whether an expression reads columns of a plan, and no others.
fn reads(plan: &LogicalPlan, expression: &Expr) -> bool {
    let columns = expression.column_refs();
    !columns.is_empty()
        && columns
            .iter()
            .all(|column| plan.schema().has_column(column))
}

/// A join's conditions, each on its own.
pub(super) fn conditions_of(join: &Join) -> Vec<Expr> {
    let operator = match join.null_equality {
        NullEquality::NullEqualsNothing => Operator::Eq,
        NullEquality::NullEqualsNull => Operator::IsNotDistinctFrom,
    };
    let keys = join.on.iter();
    let keys = keys.map(|(left, right)| binary_expr(left.clone(), operator, right.clone()));
    let others = join.filter.clone().map(split_conjunction_owned);
    keys.chain(others.into_iter().flatten()).collect()
}

impl Unnester {
    pub(super) fn dependent_join(&mut self, whole: Join, scope: &Scope) -> Result<Dependent> {
        let conditions = conditions_of(&whole);
        let columns: Vec<Column> = whole.schema.iter().map(Column::from).collect();
        let is_null_aware = whole.null_aware;
        let left = self.dependent(Arc::unwrap_or_clone(whole.left), scope)?;
        let right = self.dependent(Arc::unwrap_or_clone(whole.right), scope)?;
        let left = self.close(left, scope)?;
        let mut right = self.close(right, scope)?;
        let mark = columns.last().and_then(|mark| mark.relation.clone());
        if let (JoinType::LeftMark, Some(alias)) = (whole.join_type, mark) {
            // The mark is named after the right side, where all of that has one name.
            right = with_alias(right, alias)?;
        }
        match whole.join_type {
            JoinType::Inner => self.dependent_inner_join(left, right, conditions, scope),
            JoinType::Full => self.dependent_full_join(left, right, conditions, &columns, scope),
            kind @ (JoinType::Left
            | JoinType::LeftSemi
            | JoinType::LeftAnti
            | JoinType::LeftMark) => {
                self.dependent_left_join(kind, left, right, conditions, scope, is_null_aware)
            }
            JoinType::Right => {
                self.dependent_left_join(JoinType::Left, right, left, conditions, scope, false)
            }
            other => not_impl_err!("a {other} join is not supported in a correlated subquery"),
        }
    }

    fn dependent_inner_join(
        &mut self,
        mut left: Dependent,
        mut right: Dependent,
        conditions: Vec<Expr>,
        scope: &Scope,
    ) -> Result<Dependent> {
        if left.bound.is_none() && right.bound.is_some() {
            std::mem::swap(&mut left, &mut right);
        }
        let single = left.single && right.single;
        let (mut on, mut predicates) = (Vec::new(), Vec::new());
        for condition in conditions {
            match scope.is_named_by(&condition)? {
                true => predicates.push(condition),
                false => on.push(condition),
            }
        }
        predicates.extend(right.conditions(scope));
        if let Some(bound) = &left.bound {
            let values: Vec<Expr> = bound.iter().cloned().map(Expr::Column).collect();
            for predicate in std::mem::take(&mut predicates) {
                on.push(scope.replaced(predicate, &values)?);
            }
        } else {
            on.extend(implied(&left.predicates, &predicates, scope)?);
            predicates.extend(left.predicates);
        }
        Ok(Dependent {
            plan: join(
                Arc::new(left.plan),
                Arc::new(right.plan),
                JoinType::Inner,
                on,
            )?,
            bound: left.bound,
            predicates,
            absent: None,
            single,
        })
    }

    /// A join that keeps the rows of its left side, whatever there is on the right.
    fn dependent_left_join(
        &mut self,
        kind: JoinType,
        left: Dependent,
        right: Dependent,
        mut on: Vec<Expr>,
        scope: &Scope,
        is_null_aware: bool,
    ) -> Result<Dependent> {
        on.extend(right.conditions(scope));
        let needed: Vec<&Expr> = on.iter().collect();
        let (left, values) = self.with_values(left, scope, &needed)?;
        let mut written = Vec::new();
        let mut is_changed = false;
        for condition in on {
            is_changed |= scope.is_named_by(&condition)?;
            written.push(scope.replaced(condition, &values)?);
        }
        if is_null_aware && is_changed {
            return not_impl_err!("this NOT IN within a correlated subquery is not supported");
        }
        let (outer, inner) = (Arc::new(left.plan), Arc::new(right.plan));
        let plan = match conjunction(written.clone()) {
            Some(equal) if is_null_aware => null_aware_anti_join(outer, inner, equal)?,
            _ => join(outer, inner, kind, written)?,
        };
        let keeps_single = kind != JoinType::Left || right.single;
        Ok(Dependent {
            plan,
            bound: left.bound,
            predicates: left.predicates,
            absent: None,
            single: left.single && keeps_single,
        })
    }

    fn dependent_full_join(
        &mut self,
        left: Dependent,
        right: Dependent,
        mut on: Vec<Expr>,
        columns: &[Column],
        scope: &Scope,
    ) -> Result<Dependent> {
        let left = self.bind(left, scope)?;
        let right = self.bind(right, scope)?;
        let left_keys: Vec<Column> = left.bound.unwrap_or_default();
        let right_keys: Vec<Column> = right.bound.unwrap_or_default();
        let values: Vec<Expr> = left_keys.iter().cloned().map(Expr::Column).collect();
        for condition in &mut on {
            *condition = scope.replaced(std::mem::take(condition), &values)?;
        }
        let mut expressions: Vec<Expr> = columns.iter().cloned().map(Expr::Column).collect();
        let mut bound = Vec::new();
        for (left, right) in left_keys.into_iter().zip(right_keys) {
            let (left, right) = (Expr::Column(left), Expr::Column(right));
            on.push(null_safe(left.clone(), right.clone()));
            let key = Column::new_unqualified(self.name("key"));
            // One of them has the value: they are equal where both sides have a row.
            expressions.push(named(coalesce(vec![left, right]), &key));
            bound.push(key);
        }
        let plan = join(
            Arc::new(left.plan),
            Arc::new(right.plan),
            JoinType::Full,
            on,
        )?;
        Ok(Dependent {
            plan: project(expressions, plan)?,
            bound: Some(bound),
            predicates: Vec::new(),
            absent: None,
            single: false,
        })
    }
}

/// What follows from two values being equal to the same one outside: that they are equal.
fn implied(left: &[Expr], right: &[Expr], scope: &Scope) -> Result<Vec<Expr>> {
    let mut found = Vec::new();
    for left in left {
        let Some(left) = Equality::of(left, scope)? else {
            continue;
        };
        for right in right {
            let Some(right) = Equality::of(right, scope)? else {
                continue;
            };
            if left.outside == right.outside {
                let operator = match left.operator == right.operator {
                    true => left.operator,
                    false => Operator::Eq,
                };
                found.push(binary_expr(left.inside.clone(), operator, right.inside));
            }
        }
    }
    Ok(found)
}
