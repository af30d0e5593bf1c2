//! What a subquery knows of the query around it: the columns of the plan whose rows it is computed for.

use datafusion::arrow::datatypes::FieldRef;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan};
use std::sync::Arc;

/// The plan outside, and which of its columns the subquery names. References to queries still further out are
/// left alone: for this scope they are constants.
pub(super) struct Scope {
    pub(super) outer: LogicalPlan,
    columns: Vec<(Column, FieldRef)>,
}

impl Scope {
    /// What `subquery`, which has no subqueries itself, knows of `outer`. A name that is known in several
    /// queries around it is that of the nearest, which is asked first.
    pub(super) fn new(outer: &LogicalPlan, subquery: &LogicalPlan) -> Result<Self> {
        let mut columns: Vec<(Column, FieldRef)> = Vec::new();
        subquery.apply(|node| {
            node.apply_expressions(|expression| {
                expression.apply(|inner| {
                    if let Expr::OuterReferenceColumn(field, column) = inner
                        && is_in(outer.schema(), column)
                        && !columns.iter().any(|(known, _)| known == column)
                    {
                        columns.push((column.clone(), Arc::clone(field)));
                    }
                    Ok(TreeNodeRecursion::Continue)
                })
            })
        })?;
        Ok(Self {
            outer: outer.clone(),
            columns,
        })
    }

    /// The columns of the plan outside that the subquery names.
    pub(super) fn columns(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().map(|(column, _)| column)
    }

    /// The same columns, as they are written in the subquery.
    pub(super) fn references(&self) -> impl Iterator<Item = Expr> {
        self.columns
            .iter()
            .map(|(column, field)| Expr::OuterReferenceColumn(Arc::clone(field), column.clone()))
    }

    /// Which of the columns it is.
    pub(super) fn position(&self, column: &Column) -> Option<usize> {
        self.columns().position(|known| known == column)
    }

    /// Whether an expression of the subquery depends on the row outside.
    pub(super) fn is_named_by(&self, expression: &Expr) -> Result<bool> {
        expression.exists(|inner| {
            Ok(match inner {
                Expr::OuterReferenceColumn(_, column) => self.position(column).is_some(),
                _ => false,
            })
        })
    }

    /// Whether a part of the subquery depends on the row outside.
    pub(super) fn is_named_in(&self, plan: &LogicalPlan) -> Result<bool> {
        plan.exists(|node| {
            let mut found = false;
            node.apply_expressions(|expression| {
                found |= self.is_named_by(expression)?;
                Ok(match found {
                    true => TreeNodeRecursion::Stop,
                    false => TreeNodeRecursion::Continue,
                })
            })?;
            Ok(found)
        })
    }

    /// `expression` with `values` in place of the columns outside, one for each.
    pub(super) fn replaced(&self, expression: Expr, values: &[Expr]) -> Result<Expr> {
        let written = expression.transform_up(|inner| {
            if let Expr::OuterReferenceColumn(_, column) = &inner
                && let Some(position) = self.position(column)
                && let Some(value) = values.get(position)
            {
                return Ok(Transformed::yes(value.clone()));
            }
            Ok(Transformed::no(inner))
        })?;
        Ok(written.data)
    }

    /// `expression` as it is written outside.
    pub(super) fn outside(&self, expression: Expr) -> Result<Expr> {
        let columns: Vec<Expr> = self.columns().cloned().map(Expr::Column).collect();
        self.replaced(expression, &columns)
    }
}

/// Whether a schema has exactly this column.
pub(super) fn is_in(schema: &DFSchema, column: &Column) -> bool {
    schema.iter().any(|(relation, field)| {
        relation == column.relation.as_ref() && *field.name() == column.name
    })
}

/// Whether a plan depends on anything around it.
pub(super) fn names_anything_outside(plan: &LogicalPlan) -> Result<bool> {
    plan.exists(|node| Ok(node.contains_outer_reference()))
}

/// The columns outside that a subquery names, and those within it.
pub(super) fn named_outside(subquery: &LogicalPlan) -> Result<Vec<Column>> {
    let mut columns = Vec::new();
    subquery.apply_with_subqueries(|node| {
        node.apply_expressions(|expression| {
            expression.apply(|inner| {
                if let Expr::OuterReferenceColumn(_, column) = inner {
                    columns.push(column.clone());
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(columns)
}
