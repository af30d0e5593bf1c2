//! Which operators of a physical plan may not be passed by what may fail.
//!
//! DataFusion moves filters below joins once more when a plan is physical, and projections that compute
//! something below filters.

use super::failure::{
    DIVISIONS, Failure, of_binary, of_cast, of_division, of_function, of_negation,
};
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{
    BinaryExpr, CaseExpr, CastExpr, Column, Literal, NegativeExpr,
};
use datafusion::physical_expr::utils::split_conjunction;
use datafusion::physical_expr::{HigherOrderFunctionExpr, PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::NestedLoopJoinExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::scalar::ScalarValue;
use std::collections::HashSet;
use std::sync::Arc;

/// Whether this is a filter of which a part may fail, over a join or another filter.
pub(crate) fn is_held_filter(node: &Arc<dyn ExecutionPlan>) -> bool {
    let Some(filter) = node.downcast_ref::<FilterExec>() else {
        return false;
    };
    let schema = filter.input().schema();
    let parts = split_conjunction(filter.predicate());
    parts
        .into_iter()
        .any(|part| failure(part, &schema) == Failure::Value)
        && drops_rows(filter.input())
}

/// Whether an operator, or one that it gets its rows through, returns fewer rows than it reads.
fn drops_rows(node: &Arc<dyn ExecutionPlan>) -> bool {
    match node.children().as_slice() {
        [] => false,
        [_] if node.is::<FilterExec>() => true,
        // The keys of groups are those of their rows.
        [_] if node.is::<AggregateExec>() => false,
        [input] => drops_rows(input),
        inputs if node.name().ends_with("JoinExec") => inputs.len() > 1,
        inputs => inputs.iter().any(|input| drops_rows(input)),
    }
}

/// Whether this is a projection of which a part may fail over rows that a filter below it drops.
pub(crate) fn is_held_projection(node: &Arc<dyn ExecutionPlan>) -> bool {
    let Some(projection) = node.downcast_ref::<ProjectionExec>() else {
        return false;
    };
    let Some(filter) = filter_below(projection.input()) else {
        return false;
    };
    let schema = projection.input().schema();
    let filtered = column_names(filter);
    let mut computed = projection.expr().iter().map(|column| &column.expr);
    computed.any(|computed| match failure(computed, &schema) {
        Failure::Never => false,
        Failure::Overflow => !column_names(computed).is_disjoint(&filtered),
        Failure::Value => true,
    })
}

/// Whether this is a join of which a condition has parts that may fail. DataFusion takes the parts of one input
/// out of it otherwise, and evaluates them for all rows of that input.
pub(crate) fn is_guarded_join(node: &Arc<dyn ExecutionPlan>) -> bool {
    let join = node.downcast_ref::<NestedLoopJoinExec>();
    join.and_then(NestedLoopJoinExec::filter)
        .is_some_and(|filter| {
            let condition = filter.expression();
            match failure(condition, filter.schema()) {
                Failure::Never => false,
                Failure::Overflow => has_branches(condition),
                Failure::Value => true,
            }
        })
}

fn has_branches(expression: &Arc<dyn PhysicalExpr>) -> bool {
    // The closure never fails.
    expression
        .exists(|part| Ok(part.is::<CaseExpr>()))
        .unwrap_or(true)
}

/// The predicate of the filter that a projection might be moved below.
fn filter_below(node: &Arc<dyn ExecutionPlan>) -> Option<&Arc<dyn PhysicalExpr>> {
    if let Some(filter) = node.downcast_ref::<FilterExec>() {
        return Some(filter.predicate());
    }
    match node.children().as_slice() {
        [input] if !node.is::<AggregateExec>() => filter_below(input),
        inputs if node.is::<UnionExec>() => inputs.iter().find_map(|input| filter_below(input)),
        _ => None,
    }
}

fn column_names(expression: &Arc<dyn PhysicalExpr>) -> HashSet<String> {
    let mut names = HashSet::new();
    // The closure never fails.
    let _ = expression.apply(|part| {
        if let Some(column) = part.downcast_ref::<Column>() {
            names.insert(column.name().to_owned());
        }
        Ok(TreeNodeRecursion::Continue)
    });
    names
}

/// As [`super::failure::failure`], for physical expressions.
fn failure(expression: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Failure {
    let mut worst = Failure::Never;
    // The closure never fails.
    let _ = expression.apply(|part| {
        worst = worst.max(of_operator(part, schema));
        Ok(match worst {
            Failure::Value => TreeNodeRecursion::Stop,
            _ => TreeNodeRecursion::Continue,
        })
    });
    worst
}

fn of_operator(expression: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Failure {
    let type_of = |part: &Arc<dyn PhysicalExpr>| {
        // A text is what most things fail over.
        part.data_type(schema).unwrap_or(DataType::Utf8)
    };
    if let Some(binary) = expression.downcast_ref::<BinaryExpr>() {
        let (left, right) = (type_of(binary.left()), type_of(binary.right()));
        let divides = matches!(binary.op(), Operator::Divide | Operator::Modulo);
        let constant = binary.right().downcast_ref::<Literal>();
        let is_nonzero = constant.is_some_and(|constant| !is_zero(constant.value()));
        return match divides && !is_nonzero {
            true => of_division(&left, &right),
            false => of_binary(*binary.op(), &left, &right, constant.is_some()),
        };
    }
    if let Some(cast) = expression.downcast_ref::<CastExpr>() {
        return of_cast(&type_of(cast.expr()), cast.cast_type());
    }
    if let Some(negated) = expression.downcast_ref::<NegativeExpr>() {
        return of_negation(&type_of(negated.arg()));
    }
    if let Some(call) = expression.downcast_ref::<ScalarFunctionExpr>() {
        let name = call.fun().name();
        if let [_, divisor] = call.args()
            && DIVISIONS.contains(&name)
            && let Some(divisor) = divisor.downcast_ref::<Literal>()
            && !is_zero(divisor.value())
        {
            return Failure::Overflow;
        }
        return of_function(name, || call.args().first().map(type_of));
    }
    match expression.is::<HigherOrderFunctionExpr>() {
        true => Failure::Value,
        false => Failure::Never,
    }
}

fn is_zero(value: &ScalarValue) -> bool {
    !value.is_null() && ScalarValue::new_zero(&value.data_type()).is_ok_and(|zero| zero == *value)
}
