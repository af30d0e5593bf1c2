//! The operators of a subquery, computed for all rows outside at once.

use super::Unnester;
use super::clauses::{named, one_row, project, union};
use super::dependent::Dependent;
use super::grouping_sets::sets_of;
use super::nothing::value_of_nothing;
use super::predicates::with_columns;
use super::scope::Scope;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, TableReference, not_impl_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    Aggregate, Distinct, DistinctOn, Expr, Filter, LogicalPlan, LogicalPlanBuilder, Projection,
    Sort, SubqueryAlias, Union, Unnest, Values, Window, lit,
};
use std::sync::Arc;

impl Unnester {
    /// A subquery, which has no subqueries itself, for all rows of the scope.
    pub(super) fn dependent(&mut self, plan: LogicalPlan, scope: &Scope) -> Result<Dependent> {
        if !scope.is_named_in(&plan)? {
            return Ok(Dependent::free(plan));
        }
        match plan {
            LogicalPlan::Projection(projection) => self.dependent_projection(projection, scope),
            LogicalPlan::Filter(filter) => self.dependent_filter(filter, scope),
            LogicalPlan::SubqueryAlias(alias) => self.dependent_alias(alias, scope),
            LogicalPlan::Subquery(inner) => {
                self.dependent(Arc::unwrap_or_clone(inner.subquery), scope)
            }
            LogicalPlan::Join(join) => self.dependent_join(join, scope),
            LogicalPlan::Aggregate(aggregate) => self.dependent_aggregate(aggregate, scope),
            LogicalPlan::Distinct(Distinct::All(input)) => self.dependent_distinct(input, scope),
            LogicalPlan::Distinct(Distinct::On(distinct)) => {
                self.dependent_distinct_on(distinct, scope)
            }
            LogicalPlan::Sort(sort) => self.dependent_sort(sort, scope),
            LogicalPlan::Limit(limit) => self.dependent_limit(limit, scope),
            LogicalPlan::Window(window) => self.dependent_window(window, scope),
            LogicalPlan::Union(union) => self.dependent_union(union, scope),
            LogicalPlan::Values(values) => self.dependent_values(values, scope),
            LogicalPlan::Unnest(unnest) => self.dependent_unnest(unnest, scope),
            LogicalPlan::RecursiveQuery(_) => {
                not_impl_err!("a recursive query cannot name columns of the query around it")
            }
            _ => not_impl_err!("this subquery cannot name columns of the query around it"),
        }
    }

    fn dependent_projection(&mut self, projection: Projection, scope: &Scope) -> Result<Dependent> {
        let input = self.dependent(Arc::unwrap_or_clone(projection.input), scope)?;
        let needed: Vec<&Expr> = projection.expr.iter().collect();
        let (input, values) = self.with_values(input, scope, &needed)?;
        let mut expressions = Vec::new();
        let mut absent = input.absent.as_ref().map(|_| Vec::new());
        for (expression, field) in projection.expr.into_iter().zip(projection.schema.iter()) {
            let column = Column::from(field);
            if let (Some(new), Some(old)) = (&mut absent, &input.absent) {
                let value = with_columns(expression.clone(), |column| {
                    let value = old.iter().find(|(known, _)| known == column);
                    value.map(|(_, value)| value.clone())
                })?;
                new.push((column.clone(), value.unalias_nested().data));
            }
            expressions.push(named(scope.replaced(expression, &values)?, &column));
        }
        let mut keys = Vec::new();
        for column in input.condition_columns() {
            let key = match projected(&expressions, &column) {
                Some(key) => key,
                None => {
                    let name = self.name("key");
                    expressions.push(Expr::Column(column.clone()).alias(name.clone()));
                    Column::new_unqualified(name)
                }
            };
            keys.push((column, key));
        }
        let plan = project(expressions, input.plan.clone())?;
        let input = Dependent {
            absent: None,
            ..input
        };
        let renamed = input.renamed(plan, |column| {
            let key = keys.iter().find(|(known, _)| known == column);
            key.map(|(_, key)| key.clone())
        })?;
        Ok(Dependent { absent, ..renamed })
    }

    fn dependent_filter(&mut self, filter: Filter, scope: &Scope) -> Result<Dependent> {
        let input = self.dependent(Arc::unwrap_or_clone(filter.input), scope)?;
        let mut input = self.close(input, scope)?;
        let (mut own, mut plain) = (Vec::new(), Vec::new());
        for part in split_conjunction_owned(filter.predicate) {
            match scope.is_named_by(&part)? {
                true => own.push(part),
                false => plain.push(part),
            }
        }
        match &input.bound {
            Some(bound) => {
                let values: Vec<Expr> = bound.iter().cloned().map(Expr::Column).collect();
                for part in own {
                    plain.push(scope.replaced(part, &values)?);
                }
            }
            None => input.predicates.extend(own),
        }
        if let Some(predicate) = conjunction(plain) {
            let filter = Filter::try_new(predicate, Arc::new(input.plan))?;
            input.plan = LogicalPlan::Filter(filter);
        }
        Ok(input)
    }

    fn dependent_alias(&mut self, alias: SubqueryAlias, scope: &Scope) -> Result<Dependent> {
        let input = self.dependent(Arc::unwrap_or_clone(alias.input), scope)?;
        with_alias(input, alias.alias)
    }

    fn dependent_aggregate(&mut self, aggregate: Aggregate, scope: &Scope) -> Result<Dependent> {
        if let Some(sets) = sets_of(&aggregate) {
            return self.dependent_grouping_sets(aggregate, sets, scope);
        }
        let input = self.dependent(Arc::unwrap_or_clone(aggregate.input), scope)?;
        self.grouped(input, aggregate.group_expr, aggregate.aggr_expr, scope)
    }

    /// Groups and aggregates for each row outside.
    pub(super) fn grouped(
        &mut self,
        input: Dependent,
        groups: Vec<Expr>,
        aggregates: Vec<Expr>,
        scope: &Scope,
    ) -> Result<Dependent> {
        let input = self.close(input, scope)?;
        let needed: Vec<&Expr> = groups.iter().chain(&aggregates).collect();
        let (input, values) = self.with_values(input, scope, &needed)?;
        let (input, keys) = self.keyed(input, scope)?;
        let is_total = groups.is_empty();
        let mut written = Vec::new();
        for group in groups {
            let (relation, name) = group.qualified_name();
            let group = scope.replaced(group, &values)?;
            written.push(named(group, &Column::new(relation, name)));
        }
        let count = written.len();
        let mut renamed = Vec::new();
        for key in &keys {
            let name = self.name("key");
            written.push(Expr::Column(key.clone()).alias(name.clone()));
            renamed.push(Column::new_unqualified(name));
        }
        let mut names = Vec::new();
        let mut replaced = Vec::new();
        let mut absent = Vec::new();
        for aggregate in aggregates {
            let (relation, name) = aggregate.qualified_name();
            let column = Column::new(relation, name);
            let aggregate = scope.replaced(aggregate, &values)?;
            let nothing = value_of_nothing(&aggregate, input.plan.schema())?;
            absent.push((column.clone(), lit(nothing)));
            names.push(column);
            replaced.push(aggregate);
        }
        let plan = Aggregate::try_new(Arc::new(input.plan.clone()), written, replaced)?;
        let plan = with_names(LogicalPlan::Aggregate(plan), count + renamed.len(), names)?;
        let is_correlated = input.is_correlated();
        let result = input.renamed(plan, |column| {
            let position = keys.iter().position(|known| known == column)?;
            renamed.get(position).cloned()
        })?;
        Ok(Dependent {
            absent: (is_total && is_correlated).then_some(absent),
            single: is_total,
            ..result
        })
    }

    fn dependent_distinct(&mut self, input: Arc<LogicalPlan>, scope: &Scope) -> Result<Dependent> {
        let columns = super::columns_of(&input);
        let input = self.dependent(Arc::unwrap_or_clone(input), scope)?;
        if input.absent.is_some() {
            return Ok(input);
        }
        let (input, _) = self.keyed(input, scope)?;
        let tidied = self.tidied(input, &columns)?;
        Ok(Dependent {
            plan: LogicalPlan::Distinct(Distinct::All(Arc::new(tidied.plan))),
            ..tidied
        })
    }

    fn dependent_distinct_on(&mut self, distinct: DistinctOn, scope: &Scope) -> Result<Dependent> {
        let input = self.dependent(Arc::unwrap_or_clone(distinct.input), scope)?;
        let input = self.close(input, scope)?;
        let order = distinct.sort_expr.unwrap_or_default();
        let selected = distinct.select_expr;
        let mut needed: Vec<&Expr> = distinct.on_expr.iter().chain(&selected).collect();
        needed.extend(order.iter().map(|key| &key.expr));
        let (input, values) = self.with_values(input, scope, &needed)?;
        let (input, keys) = self.keyed(input, scope)?;
        let key_columns = || keys.iter().cloned().map(Expr::Column);
        let mut on: Vec<Expr> = key_columns().collect();
        for expression in distinct.on_expr {
            on.push(scope.replaced(expression, &values)?);
        }
        let mut columns = Vec::new();
        for (expression, field) in selected.into_iter().zip(distinct.schema.iter()) {
            let expression = scope.replaced(expression, &values)?;
            columns.push(named(expression, &Column::from(field)));
        }
        let mut renamed = Vec::new();
        for key in &keys {
            let name = self.name("key");
            columns.push(Expr::Column(key.clone()).alias(name.clone()));
            renamed.push(Column::new_unqualified(name));
        }
        let mut sorted: Vec<_> = key_columns().map(|key| key.sort(true, false)).collect();
        for mut key in order {
            key.expr = scope.replaced(key.expr, &values)?;
            sorted.push(key);
        }
        let written = DistinctOn::try_new(on, columns, Some(sorted), Arc::new(input.plan.clone()))?;
        let plan = LogicalPlan::Distinct(Distinct::On(written));
        input.renamed(plan, |column| {
            let position = keys.iter().position(|known| known == column)?;
            renamed.get(position).cloned()
        })
    }

    fn dependent_sort(&mut self, sort: Sort, scope: &Scope) -> Result<Dependent> {
        let input = self.dependent(Arc::unwrap_or_clone(sort.input), scope)?;
        let needed: Vec<&Expr> = sort.expr.iter().map(|key| &key.expr).collect();
        let (input, values) = self.with_values(input, scope, &needed)?;
        let mut keys = sort.expr.clone();
        for key in &mut keys {
            key.expr = scope.replaced(std::mem::take(&mut key.expr), &values)?;
        }
        let plan = LogicalPlan::Sort(Sort {
            expr: keys,
            input: Arc::new(input.plan),
            fetch: sort.fetch,
        });
        Ok(Dependent { plan, ..input })
    }

    fn dependent_window(&mut self, window: Window, scope: &Scope) -> Result<Dependent> {
        let before = window.input.schema().fields().len();
        let input = self.dependent(Arc::unwrap_or_clone(window.input), scope)?;
        let input = self.close(input, scope)?;
        let needed: Vec<&Expr> = window.window_expr.iter().collect();
        let (input, values) = self.with_values(input, scope, &needed)?;
        let (input, keys) = self.keyed(input, scope)?;
        let mut expressions = Vec::new();
        let names = window.schema.iter().skip(before);
        for (expression, field) in window.window_expr.into_iter().zip(names) {
            let expression = scope.replaced(expression, &values)?;
            let divided = divided(expression, &keys)?;
            expressions.push(named(divided, &Column::from(field)));
        }
        let written = Window::try_new(expressions, Arc::new(input.plan))?;
        Ok(Dependent {
            plan: LogicalPlan::Window(written),
            ..input
        })
    }

    fn dependent_union(&mut self, whole: Union, scope: &Scope) -> Result<Dependent> {
        let names: Vec<Column> = scope
            .columns()
            .map(|_| Column::new_unqualified(self.name("key")))
            .collect();
        let mut inputs = Vec::new();
        for input in whole.inputs {
            let columns = super::columns_of(&input);
            let input = self.dependent(Arc::unwrap_or_clone(input), scope)?;
            let input = self.bind(input, scope)?;
            let mut expressions = Vec::new();
            for (column, field) in columns.into_iter().zip(whole.schema.iter()) {
                expressions.push(named(Expr::Column(column), &Column::from(field)));
            }
            for (key, name) in input.bound.into_iter().flatten().zip(&names) {
                expressions.push(named(Expr::Column(key), name));
            }
            inputs.push(Arc::new(project(expressions, input.plan)?));
        }
        let Some(schema) = inputs.first().map(|input| Arc::clone(input.schema())) else {
            return plan_err!("a union has no inputs");
        };
        Ok(Dependent {
            bound: Some(names),
            ..Dependent::free(union(inputs, &schema)?)
        })
    }

    fn dependent_values(&mut self, values: Values, scope: &Scope) -> Result<Dependent> {
        let mut rows = Vec::new();
        for row in values.values {
            let expressions = row.into_iter().zip(values.schema.iter());
            let expressions = expressions.map(|(value, field)| named(value, &Column::from(field)));
            let row = Projection::try_new(expressions.collect(), Arc::new(one_row()))?;
            rows.push(Arc::new(LogicalPlan::Projection(row)));
        }
        let whole = Union {
            inputs: rows,
            schema: values.schema,
        };
        self.dependent_union(whole, scope)
    }

    fn dependent_unnest(&mut self, unnest: Unnest, scope: &Scope) -> Result<Dependent> {
        let input = self.dependent(Arc::unwrap_or_clone(unnest.input), scope)?;
        let mut input = self.bind(input, scope)?;
        let bound = input.bound.iter().flatten();
        let mut expressions: Vec<Expr> = super::columns_of(&input.plan)
            .into_iter()
            .map(Expr::Column)
            .collect();
        let mut keys = Vec::new();
        for column in bound {
            // What is unnested is not a key any more.
            keys.push(match unnest.exec_columns.contains(column) {
                false => column.clone(),
                true => {
                    let name = self.name("key");
                    expressions.push(Expr::Column(column.clone()).alias(name.clone()));
                    Column::new_unqualified(name)
                }
            });
        }
        input.plan = project(expressions, input.plan)?;
        input.bound = Some(keys);
        let plan = LogicalPlanBuilder::from(input.plan)
            .unnest_columns_with_options(unnest.exec_columns, unnest.options)?
            .build()?;
        Ok(Dependent {
            plan,
            single: false,
            ..input
        })
    }
}

/// The name under which `expressions` have a column already.
fn projected(expressions: &[Expr], column: &Column) -> Option<Column> {
    let found = expressions.iter().find(|expression| match expression {
        Expr::Alias(alias) => matches!(alias.expr.as_ref(), Expr::Column(inner) if inner == column),
        Expr::Column(inner) => inner == column,
        _ => false,
    })?;
    let (relation, name) = found.qualified_name();
    Some(Column::new(relation, name))
}

/// The same under another name.
pub(super) fn with_alias(input: Dependent, alias: TableReference) -> Result<Dependent> {
    let before = Arc::clone(input.plan.schema());
    let written = SubqueryAlias::try_new(Arc::new(input.plan.clone()), alias)?;
    let after = Arc::clone(&written.schema);
    input.renamed(LogicalPlan::SubqueryAlias(written), |column| {
        let index = before.index_of_column(column).ok()?;
        Some(Column::from(after.qualified_field(index)))
    })
}

/// Aggregates under the names that they had, after `before` columns.
fn with_names(plan: LogicalPlan, before: usize, names: Vec<Column>) -> Result<LogicalPlan> {
    let fields = plan.schema().iter().skip(before);
    if fields.map(Column::from).eq(names.iter().cloned()) {
        return Ok(plan);
    }
    let columns = super::columns_of(&plan);
    let (groups, aggregates) = columns.split_at(before.min(columns.len()));
    let groups = groups.iter().cloned().map(Expr::Column);
    let aggregates = aggregates.iter().cloned().zip(&names);
    let aggregates = aggregates.map(|(column, name)| named(Expr::Column(column), name));
    project(groups.chain(aggregates).collect(), plan)
}

/// A window function whose windows are those of one row outside each.
fn divided(expression: Expr, keys: &[Column]) -> Result<Expr> {
    let written = expression.transform_up(|inner| match inner {
        Expr::WindowFunction(mut function) => {
            let keys = keys.iter().cloned().map(Expr::Column);
            function.params.partition_by.extend(keys);
            Ok(Transformed::yes(Expr::WindowFunction(function)))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(written.data)
}
