//! A subquery computed for all rows outside at once, and how its rows are told apart.

use super::Unnester;
use super::clauses::{named, project};
use super::domain::Domain;
use super::joins::join;
use super::predicates::{Equality, case, null_safe, with_columns};
use super::scope::{Scope, names_anything_outside};
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{Column, JoinType};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan, lit};
use std::sync::Arc;

/// For one row outside, the subquery's rows are those of `plan` for which the conditions hold. The columns of
/// the subquery are among those of `plan`, under their names; further ones serve the conditions.
#[derive(Clone)]
pub(super) struct Dependent {
    pub(super) plan: LogicalPlan,
    /// Columns of `plan` that have the values of the scope's columns, one for each. Where there are such,
    /// there are no predicates.
    pub(super) bound: Option<Vec<Column>>,
    /// Conditions between columns of `plan` and columns outside.
    pub(super) predicates: Vec<Expr>,
    /// The one row that the subquery has where `plan` has none for the row outside, by columns: that of an
    /// aggregation without groups. The subquery has one row for every row outside then.
    pub(super) absent: Option<Vec<(Column, Expr)>>,
    /// Whether there is at most one row for each row outside.
    pub(super) single: bool,
}

impl Dependent {
    /// A plan that does not depend on the row outside.
    pub(super) fn free(plan: LogicalPlan) -> Self {
        Self {
            plan,
            bound: None,
            predicates: Vec::new(),
            absent: None,
            single: false,
        }
    }

    /// Whether it depends neither on the row outside nor on one still further out.
    pub(super) fn is_free(&self) -> Result<bool> {
        Ok(!self.is_correlated() && self.absent.is_none() && !names_anything_outside(&self.plan)?)
    }

    pub(super) fn is_correlated(&self) -> bool {
        self.bound.is_some() || !self.predicates.is_empty()
    }

    pub(super) fn is_nullable(&self, column: &Column) -> bool {
        let field = self.plan.schema().qualified_field_from_column(column);
        field.is_ok_and(|(_, field)| field.is_nullable())
    }

    /// Which rows belong to a row outside, with columns of the plan and references to columns outside.
    pub(super) fn conditions(&self, scope: &Scope) -> Vec<Expr> {
        match &self.bound {
            Some(bound) => {
                let pairs = bound.iter().cloned().zip(scope.references());
                pairs
                    .map(|(column, outside)| null_safe(Expr::Column(column), outside))
                    .collect()
            }
            None => self.predicates.clone(),
        }
    }

    /// The columns of the plan that the conditions need.
    pub(super) fn condition_columns(&self) -> Vec<Column> {
        let mut columns = self.bound.clone().unwrap_or_default();
        for predicate in &self.predicates {
            for column in predicate.column_refs() {
                if !columns.contains(column) {
                    columns.push(column.clone());
                }
            }
        }
        columns
    }

    /// The same with other names for the plan's columns.
    pub(super) fn renamed(
        self,
        plan: LogicalPlan,
        name: impl Fn(&Column) -> Option<Column>,
    ) -> Result<Self> {
        let renamed = |column: Column| name(&column).unwrap_or(column);
        let as_expression = |column: &Column| name(column).map(Expr::Column);
        let predicates = self.predicates.into_iter();
        let predicates = predicates.map(|predicate| with_columns(predicate, as_expression));
        Ok(Self {
            plan,
            bound: self
                .bound
                .map(|bound| bound.into_iter().map(renamed).collect()),
            predicates: predicates.collect::<Result<_>>()?,
            absent: self.absent.map(|absent| {
                let absent = absent.into_iter();
                absent
                    .map(|(column, value)| (renamed(column), value))
                    .collect()
            }),
            single: self.single,
        })
    }

    /// Expressions of the plan with the values of the scope's columns, as far as they are known.
    pub(super) fn known(&self, scope: &Scope) -> Result<Vec<Option<Expr>>> {
        if let Some(bound) = &self.bound {
            return Ok(bound
                .iter()
                .cloned()
                .map(|c| Some(Expr::Column(c)))
                .collect());
        }
        let mut equalities = Vec::new();
        for predicate in &self.predicates {
            equalities.extend(Equality::of(predicate, scope)?);
        }
        let known = scope.references().map(|reference| {
            let equality = equalities.iter().find(|known| known.outside == reference);
            equality.map(|equality| equality.inside.clone())
        });
        Ok(known.collect())
    }
}

impl Unnester {
    /// The same with columns for the scope's columns that are in `needed`, and their values as expressions of
    /// the plan: one for each of the scope's columns, the reference itself for those that are not needed.
    pub(super) fn with_values(
        &mut self,
        dependent: Dependent,
        scope: &Scope,
        needed: &[&Expr],
    ) -> Result<(Dependent, Vec<Expr>)> {
        let known = dependent.known(scope)?;
        let mut values = Vec::new();
        for (reference, known) in scope.references().zip(known) {
            match known {
                Some(known) => values.push(known),
                None if !is_in_any(&reference, needed)? => values.push(reference),
                None => {
                    let dependent = self.bind(dependent, scope)?;
                    let columns = dependent.bound.iter().flatten().cloned();
                    let values = columns.map(Expr::Column).collect();
                    return Ok((dependent, values));
                }
            }
        }
        Ok((dependent, values))
    }

    /// The same, joined with the domain: its rows have the values of the row outside beside them.
    pub(super) fn bind(&mut self, dependent: Dependent, scope: &Scope) -> Result<Dependent> {
        if dependent.absent.is_some() {
            return self.close(dependent, scope);
        }
        if dependent.bound.is_some() {
            return Ok(dependent);
        }
        let domain = self.domain(scope)?;
        let on = domain.conditions(&dependent, scope)?;
        let plan = join(
            Arc::new(domain.plan),
            Arc::new(dependent.plan),
            JoinType::Inner,
            on,
        )?;
        Ok(Dependent {
            plan,
            bound: Some(domain.columns),
            predicates: Vec::new(),
            absent: None,
            single: dependent.single,
        })
    }

    /// The same, with the row that there is where the plan has none.
    pub(super) fn close(&mut self, mut dependent: Dependent, scope: &Scope) -> Result<Dependent> {
        let Some(absent) = dependent.absent.take() else {
            return Ok(dependent);
        };
        let domain = self.domain(scope)?;
        let on = domain.conditions(&dependent, scope)?;
        let present = self.name("present");
        let mut columns: Vec<Expr> = super::columns_of(&dependent.plan)
            .into_iter()
            .map(Expr::Column)
            .collect();
        columns.push(lit(true).alias(present.clone()));
        let right = project(columns, dependent.plan)?;
        let values = domain.values();
        let plan = join(Arc::new(domain.plan), Arc::new(right), JoinType::Left, on)?;
        let is_absent = Expr::Column(Column::new_unqualified(present)).is_null();
        let mut expressions = Vec::new();
        for (column, value) in absent {
            let value = scope.replaced(value, &values)?;
            let found = Expr::Column(column.clone());
            expressions.push(named(
                case(vec![(is_absent.clone(), value)], found),
                &column,
            ));
        }
        expressions.extend(values);
        Ok(Dependent {
            plan: project(expressions, plan)?,
            bound: Some(domain.columns),
            predicates: Vec::new(),
            absent: None,
            single: dependent.single,
        })
    }

    /// The same, with columns that have one value each for a row outside: the subquery's rows for it are those
    /// that have these values.
    pub(super) fn keyed(
        &mut self,
        dependent: Dependent,
        scope: &Scope,
    ) -> Result<(Dependent, Vec<Column>)> {
        let dependent = self.close(dependent, scope)?;
        if let Some(bound) = &dependent.bound {
            let keys = bound.clone();
            return Ok((dependent, keys));
        }
        let mut equalities = Vec::new();
        for predicate in &dependent.predicates {
            let Some(equality) = Equality::of(predicate, scope)? else {
                let dependent = self.bind(dependent, scope)?;
                let keys = dependent.bound.clone().unwrap_or_default();
                return Ok((dependent, keys));
            };
            equalities.push(equality);
        }
        let mut expressions: Vec<Expr> = super::columns_of(&dependent.plan)
            .into_iter()
            .map(Expr::Column)
            .collect();
        let width = expressions.len();
        let (mut keys, mut predicates) = (Vec::new(), Vec::new());
        for mut equality in equalities {
            let key = match &equality.inside {
                Expr::Column(column) => column.clone(),
                other => {
                    let name = self.name("key");
                    expressions.push(other.clone().alias(name.clone()));
                    Column::new_unqualified(name)
                }
            };
            equality.inside = Expr::Column(key.clone());
            predicates.push(equality.predicate());
            keys.push(key);
        }
        let plan = match expressions.len() > width {
            true => project(expressions, dependent.plan)?,
            false => dependent.plan,
        };
        let dependent = Dependent {
            plan,
            predicates,
            ..dependent
        };
        Ok((dependent, keys))
    }

    /// The same with the given columns, and those that the conditions need, alone.
    pub(super) fn tidied(&mut self, dependent: Dependent, columns: &[Column]) -> Result<Dependent> {
        let mut kept = columns.to_vec();
        for column in dependent.condition_columns() {
            if !kept.contains(&column) {
                kept.push(column);
            }
        }
        let expressions = kept.into_iter().map(Expr::Column).collect();
        Ok(Dependent {
            plan: project(expressions, dependent.plan)?,
            ..dependent
        })
    }
}

fn is_in_any(reference: &Expr, expressions: &[&Expr]) -> Result<bool> {
    for expression in expressions {
        if expression.exists(|inner| Ok(inner == reference))? {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Domain {
    /// The domain's columns as expressions.
    pub(super) fn values(&self) -> Vec<Expr> {
        self.columns.iter().cloned().map(Expr::Column).collect()
    }

    /// Which rows of a subquery belong to a row of the domain.
    fn conditions(&self, dependent: &Dependent, scope: &Scope) -> Result<Vec<Expr>> {
        let values = self.values();
        let conditions = dependent.conditions(scope).into_iter();
        conditions
            .map(|condition| scope.replaced(condition, &values))
            .collect()
    }
}
