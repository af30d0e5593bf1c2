//! Conditions of a WHERE that are a subquery alone: semi and anti joins.

use super::dependent::Dependent;
use super::expressions::{limited, negated_if, rows_of, single_column};
use super::joins::{join, null_aware_anti_join};
use super::scope::Scope;
use super::within::might_be_equal;
use super::{Unnester, has_subqueries};
use datafusion::common::{JoinType, ScalarValue, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::expr::Exists;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, and, lit, not};
use std::sync::Arc;

/// The conditions that must hold for `part` to be true, where it is a CASE that tells true, unknown and false
/// apart (`statement/parse/rows_in.rs`), or the opposite of one.
pub(super) fn simplified(part: Expr) -> Vec<Expr> {
    let (case, negated) = match &part {
        Expr::Not(inner) => (inner.as_ref(), true),
        other => (other, false),
    };
    let Expr::Case(branches) = case else {
        return vec![part];
    };
    let value = |expression: &Expr| match expression {
        Expr::Literal(ScalarValue::Boolean(value), _) => Some(*value),
        Expr::Literal(ScalarValue::Null, _) => Some(None),
        _ => None,
    };
    let otherwise = branches.else_expr.as_deref().and_then(value);
    if branches.expr.is_some() || otherwise != Some(Some(false)) {
        return vec![part];
    }
    match branches.when_then_expr.as_slice() {
        [(found, yes), (unknown, maybe)]
            if value(yes) == Some(Some(true)) && value(maybe) == Some(None) =>
        {
            let is_known = [found, unknown].map(|part| matches!(**part, Expr::Exists(_)));
            match negated {
                false => vec![*found.clone()],
                true if is_known == [true, true] => {
                    vec![not(*found.clone()), not(*unknown.clone())]
                }
                true => vec![part],
            }
        }
        _ => vec![part],
    }
}

impl Unnester {
    /// Whether a condition of a WHERE is a subquery alone.
    pub(super) fn is_join(part: &Expr) -> bool {
        match part {
            Expr::Not(inner) => matches!(inner.as_ref(), Expr::Exists(_) | Expr::InSubquery(_)),
            other => matches!(other, Expr::Exists(_) | Expr::InSubquery(_)),
        }
    }

    /// Joins `input` with the subquery of a condition for which [`Self::is_join`], which leaves the rows for
    /// which it is true. What is left of the condition is returned.
    pub(super) fn join_for(&mut self, input: &mut LogicalPlan, part: Expr) -> Result<Option<Expr>> {
        let (part, outer_negated) = match part {
            Expr::Not(inner) => (*inner, true),
            other => (other, false),
        };
        match part {
            Expr::Exists(Exists { subquery, negated }) => {
                let inputs = std::slice::from_ref(&*input);
                let plan = self.inner_plan(inputs, rows_of(subquery))?;
                self.join_existing(input, plan, negated != outer_negated)
            }
            Expr::InSubquery(within) if !has_subqueries(&within.expr)? => {
                let inputs = std::slice::from_ref(&*input);
                let plan = Arc::unwrap_or_clone(within.subquery.subquery);
                let plan = self.inner_plan(inputs, plan)?;
                self.join_within(input, *within.expr, plan, within.negated != outer_negated)
            }
            other => Ok(Some(negated_if(outer_negated, other))),
        }
    }

    fn join_existing(
        &mut self,
        input: &mut LogicalPlan,
        plan: LogicalPlan,
        negated: bool,
    ) -> Result<Option<Expr>> {
        let scope = Scope::new(input, &plan)?;
        let mut dependent = self.dependent(plan, &scope)?;
        if dependent.absent.is_some() {
            return Ok(negated.then(|| lit(false)));
        }
        if dependent.is_free()? {
            dependent = Dependent::free(limited(dependent.plan));
        }
        let attached = self.attached(dependent, &scope, &[])?;
        let left = Arc::new(std::mem::take(input));
        let kind = semi_or_anti(negated);
        *input = join(left, Arc::new(attached.plan), kind, attached.on)?;
        Ok(None)
    }

    fn join_within(
        &mut self,
        input: &mut LogicalPlan,
        value: Expr,
        plan: LogicalPlan,
        negated: bool,
    ) -> Result<Option<Expr>> {
        let column = single_column(&plan)?;
        let scope = Scope::new(input, &plan)?;
        let dependent = self.dependent(plan, &scope)?;
        if dependent.absent.is_some() {
            let values = self.values_of(input, dependent, &scope, &[column])?;
            let equal = values.into_iter().map(|found| value.clone().eq(found));
            return Ok(equal.reduce(and).map(|equal| negated_if(negated, equal)));
        }
        let value_may_be_null = value.nullable(input.schema())?;
        let column_may_be_null = dependent.is_nullable(&column);
        let may_be_unknown = negated && (value_may_be_null || column_may_be_null);
        let has_own_join =
            dependent.is_free()? && !value.column_refs().is_empty() && !value.contains_outer();
        let mut attached = self.attached(dependent, &scope, &[column])?;
        let Some(found) = attached.values.pop() else {
            return plan_err!("the subquery of IN has no column");
        };
        let left = Arc::new(std::mem::take(input));
        let right = Arc::new(attached.plan);
        if may_be_unknown && has_own_join {
            *input = null_aware_anti_join(left, right, value.eq(found))?;
            return Ok(None);
        }
        attached.on.push(match may_be_unknown {
            true => might_be_equal(value, value_may_be_null, found, column_may_be_null),
            false => value.eq(found),
        });
        *input = join(left, right, semi_or_anti(negated), attached.on)?;
        Ok(None)
    }
}

fn semi_or_anti(negated: bool) -> JoinType {
    match negated {
        true => JoinType::LeftAnti,
        false => JoinType::LeftSemi,
    }
}
