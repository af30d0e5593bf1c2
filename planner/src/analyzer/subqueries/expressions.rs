//! What each kind of subquery is worth in an expression: a column, or an expression of columns, that the input
//! gets by a join.
//!
//! IN, ANY and ALL are true, false or unknown. Where only one of them counts, the other two need not be told
//! apart, which takes a join and a copy of the subquery less: in a WHERE, an IN below AND and OR is as good as
//! false where it is unknown.

use super::Unnester;
use super::dependent::Dependent;
use super::scope::Scope;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, ScalarValue, not_impl_err, plan_err};
use datafusion::error::Result;
use datafusion::functions_aggregate::expr_fn::{count, first_value};
use datafusion::logical_expr::expr::{Case, Exists, InSubquery};
use datafusion::logical_expr::{
    Aggregate, BinaryExpr, Distinct, Expr, FetchType, Limit, LogicalPlan, Operator, SkipType,
    Subquery, and, binary_expr, lit, not,
};
use skep_runtime::functions::{only_value, single_value};
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
    pub(super) fn negated(self) -> Self {
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
}

pub(super) fn names_of(expressions: &[Expr]) -> Vec<Column> {
    let names = expressions.iter().map(Expr::qualified_name);
    names
        .map(|(relation, name)| Column::new(relation, name))
        .collect()
}

pub(super) fn negated_if(negated: bool, expression: Expr) -> Expr {
    match negated {
        true => not(expression),
        false => expression,
    }
}

/// The input that a subquery is joined to: the one that has all columns that it depends on.
pub(super) fn target<'a>(
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
pub(super) fn rows_of(subquery: Subquery) -> LogicalPlan {
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

pub(super) fn limited(plan: LogicalPlan) -> LogicalPlan {
    LogicalPlan::Limit(Limit {
        skip: None,
        fetch: Some(Box::new(lit(1_i64))),
        input: Arc::new(plan),
    })
}

/// The one column of a subquery.
pub(super) fn single_column(plan: &LogicalPlan) -> Result<Column> {
    let mut columns = super::columns_of(plan);
    match (columns.pop(), columns.len()) {
        (Some(column), 0) => Ok(column),
        (_, others) => plan_err!("a subquery has {} columns instead of one", others + 1),
    }
}

pub(super) fn exactly<const N: usize>(values: Vec<Expr>) -> Result<[Expr; N]> {
    let count = values.len();
    match values.try_into() {
        Ok(values) => Ok(values),
        Err(_) => plan_err!("{count} values of a subquery instead of {N}"),
    }
}
