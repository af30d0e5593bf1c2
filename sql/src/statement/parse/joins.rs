//! Joins that the planner does not know by these words: SEMI and ANTI without LEFT, STRAIGHT_JOIN, CROSS JOIN with a
//! condition, and APPLY.

use super::unsupported;
use crate::statement::cursor::position;
use datafusion::sql::sqlparser::ast::{
    Expr, Join, JoinConstraint, JoinOperator, Spanned, TableFactor, Value,
};
use skep_protocol::QueryError;

/// Puts a join into the planner's words.
///
/// # Errors
/// `Unsupported` for APPLY of what cannot name the columns before it.
pub(super) fn rewrite(join: &mut Join) -> Result<(), QueryError> {
    let nothing = JoinOperator::CrossJoin(JoinConstraint::None);
    join.join_operator = match std::mem::replace(&mut join.join_operator, nothing) {
        JoinOperator::Semi(constraint) => JoinOperator::LeftSemi(constraint),
        JoinOperator::Anti(constraint) => JoinOperator::LeftAnti(constraint),
        JoinOperator::StraightJoin(constraint) => JoinOperator::Inner(constraint),
        JoinOperator::CrossJoin(
            constraint @ (JoinConstraint::On(_)
            | JoinConstraint::Using(_)
            | JoinConstraint::Natural),
        ) => JoinOperator::Inner(constraint),
        JoinOperator::CrossApply => {
            make_lateral(&mut join.relation, "CROSS APPLY")?;
            JoinOperator::CrossJoin(JoinConstraint::None)
        }
        JoinOperator::OuterApply => {
            make_lateral(&mut join.relation, "OUTER APPLY")?;
            let always = Expr::value(Value::Boolean(true));
            JoinOperator::LeftOuter(JoinConstraint::On(always))
        }
        other => other,
    };
    Ok(())
}

fn make_lateral(relation: &mut TableFactor, apply: &str) -> Result<(), QueryError> {
    match relation {
        TableFactor::Derived { lateral, .. } | TableFactor::Function { lateral, .. } => {
            *lateral = true;
            Ok(())
        }
        TableFactor::UNNEST { .. } => Ok(()),
        other => {
            let text = format!("{apply} of anything but a query or a function");
            Err(unsupported(&text).at(position(other.span().start)))
        }
    }
}
