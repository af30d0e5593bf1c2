//! The clauses that subqueries stand in: each gets the subquery's value as a column of its input.

use super::conditions::simplified;
use super::expressions::Wanted;
use super::scope::{is_in, named_outside};
use super::{Unnester, columns_of, has_subqueries, subquery_of};
use crate::optimizer::guards::failure::{Failure, failure};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, JoinType, not_impl_err};
use datafusion::error::Result;
use datafusion::logical_expr::expr::Sort as SortExpr;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    Aggregate, Distinct, DistinctOn, EmptyRelation, Expr, Filter, Join, LogicalPlan, Projection,
    Sort, Union, Values, Window,
};
use std::sync::Arc;

impl Unnester {
    /// WHERE and HAVING. Conditions that are a subquery alone become semi and anti joins.
    pub(super) fn filter(&mut self, filter: Filter) -> Result<LogicalPlan> {
        let mut input = Arc::unwrap_or_clone(filter.input);
        let columns = columns_of(&input);
        let (mut plain, mut embedded) = (Vec::new(), Vec::new());
        let (mut joined, mut guarded) = (Vec::new(), Vec::new());
        let parts = split_conjunction_owned(filter.predicate).into_iter();
        for part in parts.flat_map(simplified) {
            match has_subqueries(&part)? {
                // A subquery before it may be what keeps it from failing.
                false
                    if !(joined.is_empty() && embedded.is_empty())
                        && failure(&part, input.schema()) == Failure::Value =>
                {
                    guarded.push(part);
                }
                false => plain.push(part),
                true if Self::is_join(&part) => joined.push(part),
                true => embedded.push(part),
            }
        }
        // What needs no subquery is asked first, so that subqueries are computed for fewer rows.
        if let Some(predicate) = conjunction(plain) {
            input = LogicalPlan::Filter(Filter::try_new(predicate, Arc::new(input))?);
        }
        for part in joined {
            embedded.extend(self.join_for(&mut input, part)?);
        }
        let mut inputs = [input];
        let mut remaining = Vec::new();
        for part in embedded {
            remaining.push(self.expression(&mut inputs, part, Wanted::True)?);
        }
        let [mut input] = inputs;
        remaining.extend(guarded);
        if let Some(predicate) = conjunction(remaining) {
            input = LogicalPlan::Filter(Filter::try_new(predicate, Arc::new(input))?);
        }
        only(input, columns)
    }

    /// SELECT.
    pub(super) fn projection(&mut self, projection: Projection) -> Result<LogicalPlan> {
        let mut inputs = [Arc::unwrap_or_clone(projection.input)];
        let mut expressions = Vec::new();
        for (expression, field) in projection.expr.into_iter().zip(projection.schema.iter()) {
            let expression = match has_subqueries(&expression)? {
                true => self.expression(&mut inputs, expression, Wanted::Any)?,
                false => expression,
            };
            expressions.push(named(expression, &Column::from(field)));
        }
        let [input] = inputs;
        project(expressions, input)
    }

    /// GROUP BY and the arguments of aggregates.
    pub(super) fn aggregate(&mut self, aggregate: Aggregate) -> Result<LogicalPlan> {
        let mut inputs = [Arc::unwrap_or_clone(aggregate.input)];
        let groups = self.all(&mut inputs, aggregate.group_expr)?;
        let aggregates = self.all(&mut inputs, aggregate.aggr_expr)?;
        let [input] = inputs;
        let written = Aggregate::try_new(Arc::new(input), groups, aggregates)?;
        let width = written.schema.fields().len();
        restored(LogicalPlan::Aggregate(written), &aggregate.schema, 0..width)
    }

    /// Window functions.
    pub(super) fn window(&mut self, window: Window) -> Result<LogicalPlan> {
        let before = window.input.schema().fields().len();
        let mut inputs = [Arc::unwrap_or_clone(window.input)];
        let expressions = self.all(&mut inputs, window.window_expr)?;
        let [input] = inputs;
        let (after, count) = (input.schema().fields().len(), expressions.len());
        let written = Window::try_new(expressions, Arc::new(input))?;
        restored(
            LogicalPlan::Window(written),
            &window.schema,
            (0..before).chain(after..after + count),
        )
    }

    /// ORDER BY.
    pub(super) fn sort(&mut self, sort: Sort) -> Result<LogicalPlan> {
        let columns = columns_of(&sort.input);
        let input = Arc::unwrap_or_clone(sort.input);
        let mut inputs = [with_named_columns(input, &sort.expr)?];
        let mut expressions = Vec::new();
        for key in sort.expr {
            expressions.push(SortExpr {
                expr: self.expression(&mut inputs, key.expr, Wanted::Any)?,
                ..key
            });
        }
        let [input] = inputs;
        let written = LogicalPlan::Sort(Sort {
            expr: expressions,
            input: Arc::new(input),
            fetch: sort.fetch,
        });
        only(written, columns)
    }

    /// SELECT DISTINCT ON.
    pub(super) fn distinct_on(&mut self, distinct: Distinct) -> Result<LogicalPlan> {
        let Distinct::On(distinct) = distinct else {
            return not_impl_err!("a subquery is not supported in DISTINCT");
        };
        let mut inputs = [Arc::unwrap_or_clone(distinct.input)];
        let keys = self.all(&mut inputs, distinct.on_expr)?;
        let selected = self.all(&mut inputs, distinct.select_expr)?;
        let mut order = None;
        for key in distinct.sort_expr.into_iter().flatten() {
            let expr = self.expression(&mut inputs, key.expr, Wanted::Any)?;
            order
                .get_or_insert_with(Vec::new)
                .push(SortExpr { expr, ..key });
        }
        let [input] = inputs;
        let written = DistinctOn::try_new(keys, selected, order, Arc::new(input))?;
        let width = written.schema.fields().len();
        restored(
            LogicalPlan::Distinct(Distinct::On(written)),
            &distinct.schema,
            0..width,
        )
    }

    /// VALUES.
    pub(super) fn values(&mut self, values: Values) -> Result<LogicalPlan> {
        let mut rows = Vec::new();
        for row in values.values {
            let expressions = row
                .into_iter()
                .zip(values.schema.iter())
                .map(|(value, field)| named(value, &Column::from(field)))
                .collect();
            let row = Projection::try_new(expressions, Arc::new(one_row()))?;
            rows.push(Arc::new(self.projection(row)?));
        }
        union(rows, &values.schema)
    }

    /// ON. In an outer join, a subquery's value is a column of the side that it depends on.
    pub(super) fn join_condition(&mut self, join: Join) -> Result<LogicalPlan> {
        let columns: Vec<Column> = join.schema.iter().map(Column::from).collect();
        let condition = match join.on.is_empty() {
            true => join.filter,
            false => {
                let keys = join.on.into_iter();
                let keys = keys.map(|(left, right)| match join.null_equality {
                    datafusion::common::NullEquality::NullEqualsNothing => left.eq(right),
                    datafusion::common::NullEquality::NullEqualsNull => {
                        super::predicates::null_safe(left, right)
                    }
                });
                conjunction(keys.chain(join.filter))
            }
        };
        let parts = condition.map(split_conjunction_owned).unwrap_or_default();
        if join.join_type == JoinType::Inner {
            let (mut plain, mut nested) = (Vec::new(), Vec::new());
            for part in parts {
                match has_subqueries(&part)? {
                    true => nested.push(part),
                    false => plain.push(part),
                }
            }
            let joined = super::joins::join(join.left, join.right, JoinType::Inner, plain)?;
            return match conjunction(nested) {
                Some(predicate) => self.filter(Filter::try_new(predicate, Arc::new(joined))?),
                None => Ok(joined),
            };
        }
        let mut inputs = [
            Arc::unwrap_or_clone(join.left),
            Arc::unwrap_or_clone(join.right),
        ];
        let mut written = Vec::new();
        for part in parts {
            written.push(match has_subqueries(&part)? {
                true => self.expression(&mut inputs, part, Wanted::True)?,
                false => part,
            });
        }
        let [left, right] = inputs;
        let joined = super::joins::join(Arc::new(left), Arc::new(right), join.join_type, written)?;
        only(joined, columns)
    }

    fn all(&mut self, inputs: &mut [LogicalPlan], expressions: Vec<Expr>) -> Result<Vec<Expr>> {
        let expressions = expressions.into_iter();
        expressions
            .map(|expression| self.expression(inputs, expression, Wanted::Any))
            .collect()
    }
}

/// The input of an ORDER BY with the columns that only subqueries in `keys` name: the planner leaves them out.
fn with_named_columns(input: LogicalPlan, keys: &[SortExpr]) -> Result<LogicalPlan> {
    let LogicalPlan::Projection(projection) = &input else {
        return Ok(input);
    };
    let mut missing: Vec<Column> = Vec::new();
    for key in keys {
        key.expr.apply(|inner| {
            if let Some(subquery) = subquery_of(inner) {
                for column in named_outside(subquery)? {
                    let is_new = !missing.contains(&column)
                        && !is_in(input.schema(), &column)
                        && is_in(projection.input.schema(), &column);
                    missing.extend(is_new.then_some(column));
                }
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
    }
    if missing.is_empty() {
        return Ok(input);
    }
    let expressions = projection.expr.iter().cloned();
    let expressions = expressions.chain(missing.into_iter().map(Expr::Column));
    let projection = Projection::try_new(expressions.collect(), Arc::clone(&projection.input))?;
    Ok(LogicalPlan::Projection(projection))
}

/// One row without columns.
pub(super) fn one_row() -> LogicalPlan {
    LogicalPlan::EmptyRelation(EmptyRelation {
        produce_one_row: true,
        schema: Arc::new(DFSchema::empty()),
    })
}

/// All rows of `inputs`, which have the same columns, with the names of `schema`.
pub(super) fn union(mut inputs: Vec<Arc<LogicalPlan>>, schema: &DFSchema) -> Result<LogicalPlan> {
    if inputs.len() == 1 {
        return Ok(inputs.pop().map(Arc::unwrap_or_clone).unwrap_or_default());
    }
    let written = LogicalPlan::Union(Union::try_new_with_loose_types(inputs)?);
    let width = written.schema().fields().len();
    restored(written, schema, 0..width)
}

/// `expression` under the name of `column`.
pub(super) fn named(expression: Expr, column: &Column) -> Expr {
    let (relation, name) = expression.qualified_name();
    match relation == column.relation && name == column.name {
        true => expression,
        false => expression.alias_qualified(column.relation.clone(), column.name.clone()),
    }
}

/// The given expressions over `input`.
pub(super) fn project(expressions: Vec<Expr>, input: LogicalPlan) -> Result<LogicalPlan> {
    Projection::try_new(expressions, Arc::new(input)).map(LogicalPlan::Projection)
}

/// `plan` with these columns alone.
pub(super) fn only(plan: LogicalPlan, columns: Vec<Column>) -> Result<LogicalPlan> {
    match plan.schema().fields().len() == columns.len() {
        true => Ok(plan),
        false => project(columns.into_iter().map(Expr::Column).collect(), plan),
    }
}

/// The columns of `plan` at `indexes` under the names of `schema`.
pub(super) fn restored(
    plan: LogicalPlan,
    schema: &DFSchema,
    indexes: impl Iterator<Item = usize>,
) -> Result<LogicalPlan> {
    let expressions = schema.iter().zip(indexes).map(|(field, index)| {
        let column = Column::from(plan.schema().qualified_field(index));
        named(Expr::Column(column), &Column::from(field))
    });
    let expressions = expressions.collect();
    project(expressions, plan)
}
