//! Subqueries of one row that nothing outside decides about: all of them stand in one join with the rows
//! outside, and the plan is no deeper for many of them.

use super::joins::{conditions_of, join};
use datafusion::common::JoinType;
use datafusion::error::Result;
use datafusion::logical_expr::{Join, LogicalPlan, lit};
use std::sync::Arc;

/// What the names of subqueries begin with that are joined.
pub(super) const SUBQUERY: &str = "subquery";

/// Whether a plan has one row, whatever its input has.
pub(super) fn is_one_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        LogicalPlan::Projection(projection) => is_one_row(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => is_one_row(&alias.input),
        _ => false,
    }
}

/// `plan` with the columns of `row`, a subquery for which [`is_one_row`].
pub(super) fn with_row(plan: LogicalPlan, row: LogicalPlan) -> Result<LogicalPlan> {
    if !has_rows(&plan) {
        return join(Arc::new(plan), Arc::new(row), JoinType::Left, Vec::new());
    }
    match plan {
        LogicalPlan::Join(Join {
            left,
            right,
            join_type: JoinType::Left,
            ..
        }) => {
            let mut rows = Vec::new();
            collect(Arc::unwrap_or_clone(right), &mut rows);
            rows.push(row);
            join(left, Arc::new(together(rows)?), JoinType::Left, Vec::new())
        }
        LogicalPlan::Join(marks) => {
            let on = conditions_of(&marks);
            let left = with_row(Arc::unwrap_or_clone(marks.left), row)?;
            join(Arc::new(left), marks.right, JoinType::LeftMark, on)
        }
        other => Ok(other),
    }
}

/// Whether a plan has a join with rows below joins that only mark its rows.
fn has_rows(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Join(join) if join.join_type == JoinType::LeftMark => has_rows(&join.left),
        LogicalPlan::Join(join) => {
            join.join_type == JoinType::Left
                && join.on.is_empty()
                && join.filter == Some(lit(true))
                && are_rows(&join.right)
        }
        _ => false,
    }
}

fn are_rows(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Join(join) => {
            join.join_type == JoinType::Left
                && join.on.is_empty()
                && join.filter == Some(lit(true))
                && are_rows(&join.left)
                && are_rows(&join.right)
        }
        plan => is_attached(plan) && is_one_row(plan),
    }
}

/// Whether a plan is the right side of a join that was a subquery.
pub(super) fn is_attached(plan: &LogicalPlan) -> bool {
    let LogicalPlan::SubqueryAlias(alias) = plan else {
        return false;
    };
    let name = alias.alias.table().strip_prefix("__");
    name.is_some_and(|name| name.starts_with(SUBQUERY))
}

fn collect(plan: LogicalPlan, rows: &mut Vec<LogicalPlan>) {
    match plan {
        LogicalPlan::Join(join) => {
            collect(Arc::unwrap_or_clone(join.left), rows);
            collect(Arc::unwrap_or_clone(join.right), rows);
        }
        row => rows.push(row),
    }
}

/// All rows in one: a tree whose two sides are equally deep. Of inner joins the optimizer would make a chain.
fn together(mut rows: Vec<LogicalPlan>) -> Result<LogicalPlan> {
    if rows.len() < 2 {
        return Ok(rows.pop().unwrap_or_default());
    }
    let others = rows.split_off(rows.len() / 2);
    let (left, right) = (together(rows)?, together(others)?);
    join(Arc::new(left), Arc::new(right), JoinType::Left, Vec::new())
}
