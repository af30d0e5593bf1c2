//! IN, ANY and ALL: true, false or unknown.

use super::Unnester;
use super::clauses::one_row;
use super::dependent::Dependent;
use super::expressions::{Wanted, exactly, names_of, single_column, target};
use super::predicates::case;
use super::rows::is_attached;
use super::scope::Scope;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, ExprSchema, ScalarValue, not_impl_err};
use datafusion::error::Result;
use datafusion::functions_aggregate::expr_fn::{count, max, min};
use datafusion::logical_expr::expr::{SetComparison, SetQuantifier};
use datafusion::logical_expr::{
    Aggregate, Expr, ExprSchemable, LogicalPlan, Operator, and, binary_expr, lit, not, or,
};
use std::sync::Arc;

/// With up to how many subqueries of its own a subquery may stand in a plan twice.
const COPIED_JOINS_MAX: usize = 3;

impl Unnester {
    pub(super) fn within(
        &mut self,
        input: &mut LogicalPlan,
        value: Expr,
        plan: LogicalPlan,
        wanted: Wanted,
    ) -> Result<Expr> {
        let column = single_column(&plan)?;
        let scope = Scope::new(input, &plan)?;
        let whole = plan.clone();
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
        if !is_exact && has_many_joins(&whole)? {
            return self.within_counted(input, value, whole, &column);
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

    /// IN with one copy of the subquery, whose rows are compared with all values outside. That may take long,
    /// but copies of subqueries that have such copies themselves would become too many.
    fn within_counted(
        &mut self,
        input: &mut LogicalPlan,
        value: Expr,
        plan: LogicalPlan,
        column: &Column,
    ) -> Result<Expr> {
        let value = as_outside(value, input.schema())?;
        let equal = value.eq(Expr::Column(column.clone()));
        let when = |condition: Expr| {
            let nothing = lit(ScalarValue::Int64(None));
            count(case(vec![(condition, lit(1_i64))], nothing))
        };
        let counts = vec![
            when(equal.clone()).alias(self.name("equal")),
            when(equal.is_null()).alias(self.name("unknown")),
        ];
        let columns = names_of(&counts);
        let counted = Aggregate::try_new(Arc::new(plan), Vec::new(), counts)?;
        let plan = LogicalPlan::Aggregate(counted);
        let scope = Scope::new(input, &plan)?;
        let dependent = self.dependent(plan, &scope)?;
        let values = self.values_of(input, dependent, &scope, &columns)?;
        let [equal, unknown] = exactly(values)?;
        let some = |count: Expr| count.gt(lit(0_i64));
        Ok(case(
            vec![
                (some(equal), lit(true)),
                (some(unknown), lit(ScalarValue::Boolean(None))),
            ],
            lit(false),
        ))
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

    pub(super) fn set_comparison(
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
}

/// Whether two values are equal, or one of them is NULL.
pub(super) fn might_be_equal(value: Expr, value_null: bool, found: Expr, found_null: bool) -> Expr {
    let mut condition = value.clone().eq(found.clone());
    if found_null {
        condition = or(condition, found.is_null());
    }
    if value_null {
        condition = or(condition, value.is_null());
    }
    condition
}

/// Whether a plan has many joins with subqueries.
fn has_many_joins(plan: &LogicalPlan) -> Result<bool> {
    let mut joins = 0;
    plan.apply(|node| {
        joins += usize::from(matches!(node, LogicalPlan::Join(join) if is_attached(&join.right)));
        Ok(match joins > COPIED_JOINS_MAX {
            true => TreeNodeRecursion::Stop,
            false => TreeNodeRecursion::Continue,
        })
    })?;
    Ok(joins > COPIED_JOINS_MAX)
}

/// An expression as it is written in a subquery.
fn as_outside(expression: Expr, schema: &DFSchema) -> Result<Expr> {
    let written = expression.transform_up(|inner| match inner {
        Expr::Column(column) => {
            let field = Arc::clone(schema.field_from_column(&column)?);
            Ok(Transformed::yes(Expr::OuterReferenceColumn(field, column)))
        }
        inner => Ok(Transformed::no(inner)),
    })?;
    Ok(written.data)
}
