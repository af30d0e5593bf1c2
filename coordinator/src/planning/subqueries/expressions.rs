//! What each kind of subquery is worth in an expression: a column, or an expression of columns, that the input
//! gets by a join.
//!
//! IN, ANY and ALL are true, false or unknown. Where only one of them counts, the other two need not be told
//! apart, which takes a join and a copy of the subquery less: in a WHERE, an IN below AND and OR is as good as
//! false where it is unknown.

use super::clauses::one_row;
use super::dependent::Dependent;
use super::joins::join;
use super::predicates::case;
use super::scope::Scope;
use super::{Unnester, has_subqueries};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, JoinType, ScalarValue, not_impl_err, plan_err};
use datafusion::error::Result;
use datafusion::functions_aggregate::expr_fn::{count, first_value, max, min};
use datafusion::logical_expr::expr::{Case, Exists, InSubquery, SetComparison, SetQuantifier};
use datafusion::logical_expr::{
    Aggregate, BinaryExpr, Distinct, Expr, ExprSchemable, FetchType, Limit, LogicalPlan, Operator,
    SkipType, Subquery, and, binary_expr, lit, not, or,
};
use skep_exchange::functions::{only_value, single_value};
use std::sync::Arc;

/// Which value of a condition counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All three of them.
    Any,
    /// Whether it is true: unknown is as good as false.
    True,
    /// Whether it is false: unknown is as good as true.
    False,
}

impl Wanted {
    fn negated(self) -> Self {
        match self {
            Self::Any => Self::Any,
            Self::True => Self::False,
            Self::False => Self::True,
        }
    }

    fn negated_if(self, negated: bool) -> Self {
        match negated {
            true => self.negated(),
            false => self,
        }
    }
}

impl Unnester {
    /// `expression` without subqueries, over `inputs`, which get the columns that it needs.
    pub(super) fn expression(
        &mut self,
        inputs: &mut [LogicalPlan],
        expression: Expr,
        wanted: Wanted,
    ) -> Result<Expr> {
        match expression {
            Expr::InSubquery(InSubquery {
                expr,
                subquery,
                negated,
            }) => {
                let value = self.expression(inputs, *expr, Wanted::Any)?;
                let plan = self.inner_plan(inputs, Arc::unwrap_or_clone(subquery.subquery))?;
                let input = target(inputs, &plan, Some(&value))?;
                let found = self.within(input, value, plan, wanted.negated_if(negated))?;
                Ok(negated_if(negated, found))
            }
            Expr::Exists(Exists { subquery, negated }) => {
                let plan = self.inner_plan(inputs, rows_of(subquery))?;
                let found = self.exists(target(inputs, &plan, None)?, plan)?;
                Ok(negated_if(negated, found))
            }
            Expr::ScalarSubquery(subquery) => {
                let plan = self.inner_plan(inputs, Arc::unwrap_or_clone(subquery.subquery))?;
                self.scalar(target(inputs, &plan, None)?, plan)
            }
            Expr::SetComparison(comparison) => self.set_comparison(inputs, comparison, wanted),
            Expr::Not(inner) => {
                let inner = self.expression(inputs, *inner, wanted.negated())?;
                Ok(not(inner))
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right })
                if matches!(op, Operator::And | Operator::Or) =>
            {
                let left = self.expression(inputs, *left, wanted)?;
                let right = self.expression(inputs, *right, wanted)?;
                Ok(binary_expr(left, op, right))
            }
            Expr::IsTrue(inner) => {
                let inner = self.expression(inputs, *inner, Wanted::True)?;
                Ok(inner.is_true())
            }
            Expr::IsNotTrue(inner) => {
                let inner = self.expression(inputs, *inner, Wanted::True)?;
                Ok(inner.is_not_true())
            }
            Expr::IsFalse(inner) => {
                let inner = self.expression(inputs, *inner, Wanted::False)?;
                Ok(inner.is_false())
            }
            Expr::IsNotFalse(inner) => {
                let inner = self.expression(inputs, *inner, Wanted::False)?;
                Ok(inner.is_not_false())
            }
            Expr::Case(branches) if branches.expr.is_none() => {
                self.branches(inputs, branches, wanted)
            }
            other => {
                let written = other.map_children(|child| {
                    let child = self.expression(inputs, child, Wanted::Any)?;
                    Ok(Transformed::yes(child))
                })?;
                Ok(written.data)
            }
        }
    }

    /// A CASE, whose conditions need only be true or not.
    fn branches(
        &mut self,
        inputs: &mut [LogicalPlan],
        branches: Case,
        wanted: Wanted,
    ) -> Result<Expr> {
        let mut conditions = Vec::new();
        for (when, then) in branches.when_then_expr {
            let when = self.expression(inputs, *when, Wanted::True)?;
            let then = self.expression(inputs, *then, wanted)?;
            conditions.push((Box::new(when), Box::new(then)));
        }
        let otherwise = match branches.else_expr {
            Some(otherwise) => Some(Box::new(self.expression(inputs, *otherwise, wanted)?)),
            None => None,
        };
        Ok(Expr::Case(Case::new(None, conditions, otherwise)))
    }

    fn exists(&mut self, input: &mut LogicalPlan, plan: LogicalPlan) -> Result<Expr> {
        let scope = Scope::new(input, &plan)?;
        let dependent = self.dependent(plan, &scope)?;
        if dependent.absent.is_some() {
            return Ok(lit(true));
        }
        if !dependent.is_free()? {
            return self.mark(input, dependent, &scope, None, |value| value);
        }
        // Nothing depends on the row outside: whether there is one row, said once for all.
        let rows = count(lit(1_i64));
        let first = limited(dependent.plan);
        let counted = Aggregate::try_new(Arc::new(first), Vec::new(), vec![rows])?;
        let plan = LogicalPlan::Aggregate(counted);
        let columns = super::columns_of(&plan);
        let values = self.values_of(input, Dependent::free(plan), &scope, &columns)?;
        let found = values.into_iter().map(|rows| rows.gt(lit(0_i64)));
        Ok(found.reduce(and).unwrap_or_else(|| lit(true)))
    }

    fn within(
        &mut self,
        input: &mut LogicalPlan,
        value: Expr,
        plan: LogicalPlan,
        wanted: Wanted,
    ) -> Result<Expr> {
        let column = single_column(&plan)?;
        let scope = Scope::new(input, &plan)?;
        let dependent = self.dependent(plan, &scope)?;
        if dependent.absent.is_some() {
            // There is always one row.
            let values = self.values_of(input, dependent, &scope, &[column])?;
            let equal = values.into_iter().map(|found| value.clone().eq(found));
            return Ok(equal.reduce(and).unwrap_or_else(|| lit(true)));
        }
        let value_may_be_null = value.nullable(input.schema())?;
        let column_may_be_null = dependent.is_nullable(&column);
        let is_free = dependent.is_free()?;
        let is_exact = wanted == Wanted::True || !(value_may_be_null || column_may_be_null);
        if !is_exact && wanted == Wanted::False && !is_free {
            return self.mark(input, dependent, &scope, Some(&column), |found| {
                might_be_equal(value, value_may_be_null, found, column_may_be_null)
            });
        }
        let equal = |found: Expr| value.clone().eq(found);
        let copy = (!is_exact).then(|| dependent.clone());
        let found = self.mark(input, dependent, &scope, Some(&column), equal)?;
        let Some(copy) = copy else {
            return Ok(found);
        };
        let unknown = match is_free {
            true => self.has_null_or(input, copy.plan, &column, value)?,
            false => self.mark(input, copy, &scope, Some(&column), |found| {
                or(found.is_null(), value.is_null())
            })?,
        };
        Ok(match wanted {
            Wanted::False => or(found, unknown),
            _ => case(
                vec![
                    (found, lit(true)),
                    (unknown, lit(ScalarValue::Boolean(None))),
                ],
                lit(false),
            ),
        })
    }

    /// Whether a subquery that depends on nothing has a NULL, or has rows and `value` is NULL.
    fn has_null_or(
        &mut self,
        input: &mut LogicalPlan,
        plan: LogicalPlan,
        column: &Column,
        value: Expr,
    ) -> Result<Expr> {
        let counts = vec![
            count(lit(1_i64)).alias(self.name("rows")),
            count(Expr::Column(column.clone())).alias(self.name("known")),
        ];
        let counted = Aggregate::try_new(Arc::new(plan), Vec::new(), counts)?;
        let plan = LogicalPlan::Aggregate(counted);
        let scope = Scope::new(input, &one_row())?;
        let columns = super::columns_of(&plan);
        let values = self.values_of(input, Dependent::free(plan), &scope, &columns)?;
        let [rows, known] = exactly(values)?;
        let has_null = known.lt(rows.clone());
        Ok(or(has_null, and(value.is_null(), rows.gt(lit(0_i64)))))
    }

    fn scalar(&mut self, input: &mut LogicalPlan, plan: LogicalPlan) -> Result<Expr> {
        let column = single_column(&plan)?;
        let scope = Scope::new(input, &plan)?;
        let mut dependent = self.dependent(plan, &scope)?;
        let mut columns = vec![column.clone()];
        let mut is_counted = false;
        if dependent.is_free()? {
            if dependent.plan.max_rows().is_none_or(|rows| rows > 1) {
                let (plan, value) = self.guarded(dependent.plan, column)?;
                dependent = Dependent::free(plan);
                columns = vec![value];
            }
        } else if !dependent.single {
            // Values outside that no row has may have several rows: only those that are read count.
            let aggregates = vec![
                first_value(Expr::Column(column), Vec::new()).alias(self.name("first")),
                count(lit(1_i64)).alias(self.name("rows")),
            ];
            columns = names_of(&aggregates);
            dependent = self.grouped(dependent, Vec::new(), aggregates, &scope)?;
            is_counted = true;
        }
        let values = self.values_of(input, dependent, &scope, &columns)?;
        Ok(match is_counted {
            true => only_value().call(values),
            false => values
                .into_iter()
                .next()
                .unwrap_or_else(|| lit(ScalarValue::Null)),
        })
    }

    /// The one value of a subquery that depends on nothing; more are an error.
    fn guarded(&mut self, plan: LogicalPlan, column: Column) -> Result<(LogicalPlan, Column)> {
        let value = single_value().call(vec![Expr::Column(column)]);
        let written = Aggregate::try_new(Arc::new(plan), Vec::new(), vec![value])?;
        let plan = LogicalPlan::Aggregate(written);
        let value = single_column(&plan)?;
        Ok((plan, value))
    }

    fn set_comparison(
        &mut self,
        inputs: &mut [LogicalPlan],
        comparison: SetComparison,
        wanted: Wanted,
    ) -> Result<Expr> {
        let SetComparison {
            expr,
            subquery,
            op,
            quantifier,
        } = comparison;
        let value = self.expression(inputs, *expr, Wanted::Any)?;
        let plan = self.inner_plan(inputs, Arc::unwrap_or_clone(subquery.subquery))?;
        let input = target(inputs, &plan, Some(&value))?;
        match (op, &quantifier) {
            (Operator::Eq, SetQuantifier::Any) => self.within(input, value, plan, wanted),
            (Operator::NotEq, SetQuantifier::All) => {
                Ok(not(self.within(input, value, plan, wanted.negated())?))
            }
            _ => self.compared(input, value, op, &quantifier, plan),
        }
    }

    /// A comparison with the smallest and the largest value says what one with all of them would.
    fn compared(
        &mut self,
        input: &mut LogicalPlan,
        value: Expr,
        operator: Operator,
        quantifier: &SetQuantifier,
        plan: LogicalPlan,
    ) -> Result<Expr> {
        let column = single_column(&plan)?;
        let scope = Scope::new(input, &plan)?;
        let dependent = self.dependent(plan, &scope)?;
        if dependent.absent.is_some() {
            let values = self.values_of(input, dependent, &scope, &[column])?;
            let holds = values.into_iter();
            let holds = holds.map(|found| binary_expr(value.clone(), operator, found));
            return Ok(holds.reduce(and).unwrap_or_else(|| lit(true)));
        }
        let found = Expr::Column(column);
        let aggregates = vec![
            count(lit(1_i64)).alias(self.name("rows")),
            count(found.clone()).alias(self.name("known")),
            min(found.clone()).alias(self.name("smallest")),
            max(found).alias(self.name("largest")),
        ];
        let columns = names_of(&aggregates);
        let dependent = self.grouped(dependent, Vec::new(), aggregates, &scope)?;
        let values = self.values_of(input, dependent, &scope, &columns)?;
        let [rows, known, smallest, largest] = exactly(values)?;
        let compare = |other: Expr| binary_expr(value.clone(), operator, other);
        let is_any = matches!(quantifier, SetQuantifier::Any);
        let decisive = match (operator, is_any) {
            (Operator::Lt | Operator::LtEq, true) => compare(largest),
            (Operator::Gt | Operator::GtEq, true) => compare(smallest),
            (Operator::NotEq, true) => or(compare(smallest), compare(largest)),
            (Operator::Lt | Operator::LtEq, false) => not(compare(smallest)),
            (Operator::Gt | Operator::GtEq, false) => not(compare(largest)),
            (Operator::Eq, false) => not(and(compare(smallest), compare(largest))),
            _ => return not_impl_err!("{operator} {quantifier} is not supported with a subquery"),
        };
        let unknown = or(value.clone().is_null(), known.lt(rows.clone()));
        Ok(case(
            vec![
                (rows.eq(lit(0_i64)), lit(!is_any)),
                (decisive, lit(is_any)),
                (unknown, lit(ScalarValue::Boolean(None))),
            ],
            lit(!is_any),
        ))
    }

    /// Whether a condition of a WHERE is a subquery alone.
    pub(super) fn is_join(part: &Expr) -> bool {
        match part {
            Expr::Not(inner) => matches!(inner.as_ref(), Expr::Exists(_) | Expr::InSubquery(_)),
            other => matches!(other, Expr::Exists(_) | Expr::InSubquery(_)),
        }
    }

    /// Joins `input` with the subquery of a condition for which [`Self::is_join`], which leaves the rows for which
    /// it is true. What is left of the condition is returned.
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
            *input = super::joins::null_aware_anti_join(left, right, value.eq(found))?;
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

fn names_of(expressions: &[Expr]) -> Vec<Column> {
    let names = expressions.iter().map(Expr::qualified_name);
    names
        .map(|(relation, name)| Column::new(relation, name))
        .collect()
}

fn semi_or_anti(negated: bool) -> JoinType {
    match negated {
        true => JoinType::LeftAnti,
        false => JoinType::LeftSemi,
    }
}

fn negated_if(negated: bool, expression: Expr) -> Expr {
    match negated {
        true => not(expression),
        false => expression,
    }
}

fn might_be_equal(value: Expr, value_null: bool, found: Expr, found_null: bool) -> Expr {
    let mut condition = value.clone().eq(found.clone());
    if found_null {
        condition = or(condition, found.is_null());
    }
    if value_null {
        condition = or(condition, value.is_null());
    }
    condition
}

/// The input that a subquery is joined to: the one that has all columns that it depends on.
fn target<'a>(
    inputs: &'a mut [LogicalPlan],
    plan: &LogicalPlan,
    value: Option<&Expr>,
) -> Result<&'a mut LogicalPlan> {
    if let [input] = inputs {
        return Ok(input);
    }
    let mut needed = Vec::new();
    for input in inputs.iter() {
        needed.extend(Scope::new(input, plan)?.columns().cloned());
    }
    needed.extend(value.into_iter().flat_map(Expr::column_refs).cloned());
    let has_all = |input: &LogicalPlan| {
        let schema = input.schema();
        needed.iter().all(|column| schema.has_column(column))
    };
    match inputs.iter().rposition(has_all) {
        Some(position) => Ok(&mut inputs[position]),
        None => not_impl_err!(
            "a subquery in the ON of an outer join that depends on both of its sides is not supported"
        ),
    }
}

/// The subquery of an EXISTS, without what does not change whether it has rows.
fn rows_of(subquery: Subquery) -> LogicalPlan {
    let mut plan = Arc::unwrap_or_clone(subquery.subquery);
    loop {
        let input = match &plan {
            LogicalPlan::Projection(projection) => &projection.input,
            LogicalPlan::SubqueryAlias(alias) => &alias.input,
            LogicalPlan::Sort(sort) if sort.fetch.is_none() => &sort.input,
            LogicalPlan::Distinct(Distinct::All(input)) => input,
            LogicalPlan::Limit(limit) if keeps_one_row(limit) => &limit.input,
            _ => return plan,
        };
        plan = LogicalPlan::clone(input);
    }
}

fn keeps_one_row(limit: &Limit) -> bool {
    matches!(limit.get_skip_type(), Ok(SkipType::Literal(0)))
        && matches!(limit.get_fetch_type(), Ok(FetchType::Literal(fetch)) if fetch != Some(0))
}

fn limited(plan: LogicalPlan) -> LogicalPlan {
    LogicalPlan::Limit(Limit {
        skip: None,
        fetch: Some(Box::new(lit(1_i64))),
        input: Arc::new(plan),
    })
}

/// The one column of a subquery.
fn single_column(plan: &LogicalPlan) -> Result<Column> {
    let mut columns = super::columns_of(plan);
    match (columns.pop(), columns.len()) {
        (Some(column), 0) => Ok(column),
        (_, others) => plan_err!("a subquery has {} columns instead of one", others + 1),
    }
}

fn exactly<const N: usize>(values: Vec<Expr>) -> Result<[Expr; N]> {
    let count = values.len();
    match values.try_into() {
        Ok(values) => Ok(values),
        Err(_) => plan_err!("{count} values of a subquery instead of {N}"),
    }
}
