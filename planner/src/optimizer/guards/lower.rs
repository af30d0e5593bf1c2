//! Writes guarded conditions as CASE, which evaluates its branches on selected rows only.

use super::call::{Guarding, parts, unhidden};
use super::conditions::{balanced, chain, relevant};
use super::failure::{Failure, failure};
use crate::join_order::{self, EstimatePlanner};
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::execution::context::QueryPlanner;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{BinaryExpr, Case, Expr, ExprSchemable, LogicalPlan, Operator, lit};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, PhysicalPlanner};
use datafusion::scalar::ScalarValue;
use std::sync::Arc;

/// Makes physical plans of logical ones, with guards that hold.
#[derive(Debug)]
pub(crate) struct GuardedPlanner;

#[async_trait]
impl QueryPlanner for GuardedPlanner {
    async fn create_physical_plan(
        &self,
        plan: &LogicalPlan,
        session: &dyn Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let ordered = join_order::ordered(plan.clone(), session).await?;
        let lowered = lower(ordered)?;
        let planner =
            DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(EstimatePlanner)]);
        planner.create_physical_plan(&lowered, session).await
    }
}

/// What a boolean expression is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    /// A condition: NULL is as good as false.
    Condition,
    Value,
}

/// The plan with CASE in the place of all that is guarded.
pub(super) fn lower(plan: LogicalPlan) -> Result<LogicalPlan> {
    let lowered = plan.transform_up_with_subqueries(|node| {
        let used = match &node {
            LogicalPlan::Filter(_) | LogicalPlan::Join(_) | LogicalPlan::TableScan(_) => {
                Use::Condition
            }
            LogicalPlan::Projection(_)
            | LogicalPlan::Aggregate(_)
            | LogicalPlan::Window(_)
            | LogicalPlan::Sort(_) => Use::Value,
            _ => return Ok(Transformed::no(node)),
        };
        if !needs_order(&node)? {
            return Ok(Transformed::no(node));
        }
        let schema = match &node {
            LogicalPlan::TableScan(scan) => {
                let name = scan.table_name.clone();
                DFSchema::try_from_qualified_schema(name, scan.source.schema().as_ref())?
            }
            other => merge_schema(&other.inputs()),
        };
        let names = NamePreserver::new(&node);
        node.map_expressions(|expression| {
            if !has_conditions(&expression) {
                return Ok(Transformed::no(expression));
            }
            let name = names.save(&expression);
            let lowered = lower_expression(expression, used, &schema)?;
            Ok(lowered.update_data(|expression| name.restore(expression)))
        })
    })?;
    Ok(lowered.data)
}

fn needs_order(node: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    node.apply_expressions(|expression| {
        found = has_conditions(expression);
        Ok(match found {
            true => TreeNodeRecursion::Stop,
            false => TreeNodeRecursion::Continue,
        })
    })?;
    Ok(found)
}

fn has_conditions(expression: &Expr) -> bool {
    let is_condition = |part: &Expr| {
        Ok(match part {
            Expr::BinaryExpr(BinaryExpr { op, .. }) => matches!(op, Operator::And | Operator::Or),
            other => parts(other).is_some() || unhidden(other).is_some(),
        })
    };
    // The closure never fails.
    expression.exists(is_condition).unwrap_or(true)
}

fn lower_expression(expression: Expr, used: Use, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match expression {
        Expr::BinaryExpr(BinaryExpr {
            op: op @ (Operator::And | Operator::Or),
            ..
        }) => lower_chain(expression, op, used, schema),
        Expr::Case(case) => lower_case(case, used, schema),
        Expr::AggregateFunction(aggregate) => lower_aggregate(aggregate, schema),
        Expr::Alias(alias) => {
            Expr::Alias(alias).map_children(|part| lower_expression(part, used, schema))
        }
        hidden if unhidden(&hidden).is_some() => Ok(match unhidden(&hidden) {
            Some(value) => Transformed::yes(value.clone()),
            None => Transformed::no(hidden),
        }),
        call if parts(&call).is_some() => Ok(Transformed::yes(lower_call(&call, used, schema)?)),
        // The names of keys that are computed are those of grouping sets.
        Expr::GroupingSet(_) => Ok(Transformed::no(expression)),
        other => other.map_children(|part| lower_expression(part, Use::Value, schema)),
    }
}

/// What FILTER says is a condition.
fn lower_aggregate(
    mut aggregate: AggregateFunction,
    schema: &DFSchema,
) -> Result<Transformed<Expr>> {
    let mut changed = false;
    if let Some(condition) = aggregate.params.filter.take() {
        let lowered = lower_expression(*condition, Use::Condition, schema)?;
        changed = lowered.transformed;
        aggregate.params.filter = Some(Box::new(lowered.data));
    }
    // A condition that was lowered has no AND or OR that needs an order.
    let lowered = Expr::AggregateFunction(aggregate)
        .map_children(|part| lower_expression(part, Use::Value, schema))?;
    Ok(Transformed::new(
        lowered.data,
        changed || lowered.transformed,
        TreeNodeRecursion::Continue,
    ))
}

/// The condition of a branch is one; its value is what the whole is.
fn lower_case(mut case: Case, used: Use, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let of_when = match case.expr {
        None => Use::Condition,
        Some(_) => Use::Value,
    };
    let mut changed = false;
    let mut lowered = |part: Box<Expr>, used: Use| -> Result<Box<Expr>> {
        let part = lower_expression(*part, used, schema)?;
        changed |= part.transformed;
        Ok(Box::new(part.data))
    };
    case.expr = match case.expr {
        Some(base) => Some(lowered(base, Use::Value)?),
        None => None,
    };
    let mut branches = Vec::with_capacity(case.when_then_expr.len());
    for (when, then) in case.when_then_expr {
        branches.push((lowered(when, of_when)?, lowered(then, used)?));
    }
    case.when_then_expr = branches;
    case.else_expr = match case.else_expr {
        Some(otherwise) => Some(lowered(otherwise, used)?),
        None => None,
    };
    let case = Expr::Case(case);
    Ok(match changed {
        true => Transformed::yes(case),
        false => Transformed::no(case),
    })
}

fn lower_call(call: &Expr, used: Use, schema: &DFSchema) -> Result<Expr> {
    let Some((guarding, guards, value)) = parts(call) else {
        return Ok(call.clone());
    };
    let part = |part: &Expr, used| -> Result<Expr> {
        Ok(lower_expression(part.clone(), used, schema)?.data)
    };
    let data_type = value.get_type(schema)?;
    let guards: Vec<Expr> = guards
        .iter()
        .map(|guard| part(guard, Use::Condition))
        .collect::<Result<_>>()?;
    let value = part(value, used)?;
    let is_safe = |guard: &Expr| failure(guard, schema) == Failure::Never;
    let otherwise = match (guarding, data_type.clone()) {
        (Guarding::Fails, _) => lit(true),
        (Guarding::Holds, datafusion::arrow::datatypes::DataType::Boolean) => lit(false),
        (Guarding::Holds, data_type) => Expr::Literal(ScalarValue::try_from(&data_type)?, None),
    };
    let (guards, whens) = match guards.iter().all(is_safe) {
        true => {
            let operator = match guarding {
                Guarding::Holds => Operator::And,
                Guarding::Fails => Operator::Or,
            };
            (balanced(guards, operator), Vec::new())
        }
        false => (None, guards),
    };
    Ok(match (guarding, guards) {
        (Guarding::Holds, Some(guard)) => case(vec![(guard, value)], Some(otherwise)),
        (Guarding::Fails, Some(guard)) => case(vec![(guard, otherwise)], Some(value)),
        (Guarding::Holds, None) => {
            let fails = |guard: Expr| (Expr::IsNotTrue(Box::new(guard)), otherwise.clone());
            case(whens.into_iter().map(fails).collect(), Some(value))
        }
        (Guarding::Fails, None) => {
            let holds = |guard: Expr| (guard, otherwise.clone());
            case(whens.into_iter().map(holds).collect(), Some(value))
        }
    })
}

fn case(branches: Vec<(Expr, Expr)>, otherwise: Option<Expr>) -> Expr {
    match branches.is_empty() {
        true => otherwise.unwrap_or_else(|| lit(ScalarValue::Null)),
        false => {
            let boxed = |(when, then)| (Box::new(when), Box::new(then));
            let branches = branches.into_iter().map(boxed).collect();
            Expr::Case(Case::new(None, branches, otherwise.map(Box::new)))
        }
    }
}

/// A chain of ANDs or ORs of which a part may fail where an earlier one decides.
fn lower_chain(
    expression: Expr,
    operator: Operator,
    used: Use,
    schema: &DFSchema,
) -> Result<Transformed<Expr>> {
    let original: Vec<Expr> = chain(&expression, operator).into_iter().cloned().collect();
    let guarding = match operator {
        Operator::And => Guarding::Holds,
        _ => Guarding::Fails,
    };
    let needs_order = original.iter().enumerate().any(|(index, part)| {
        index > 0
            && guarding.parts(part).is_none()
            && !relevant(&original[..index], part, schema).is_empty()
    });
    if !needs_order {
        return expression.map_children(|part| lower_expression(part, used, schema));
    }
    let lowered: Vec<Expr> = original
        .into_iter()
        .map(|part| Ok(lower_expression(part, used, schema)?.data))
        .collect::<Result<_>>()?;
    Ok(Transformed::yes(in_order(lowered, operator, used)))
}

/// Parts that are evaluated one after the other, each where none before it has decided.
fn in_order(mut parts: Vec<Expr>, operator: Operator, used: Use) -> Expr {
    let is_and = operator == Operator::And;
    let decided = |part: &Expr| match (is_and, used) {
        (true, Use::Condition) => Expr::IsNotTrue(Box::new(part.clone())),
        (true, Use::Value) => Expr::IsFalse(Box::new(part.clone())),
        (false, _) => part.clone(),
    };
    if used == Use::Condition {
        let last = parts.pop();
        let branches = parts.iter().map(|part| (decided(part), lit(!is_and)));
        return case(branches.collect(), last);
    }
    let mut branches: Vec<(Expr, Expr)> = parts
        .iter()
        .map(|part| (decided(part), lit(!is_and)))
        .collect();
    // Where nothing has decided, all have been evaluated, and may be once more.
    let unknown = parts.into_iter().map(|part| Expr::IsNull(Box::new(part)));
    if let Some(unknown) = balanced(unknown.collect(), Operator::Or) {
        branches.push((unknown, lit(ScalarValue::Boolean(None))));
    }
    case(branches, Some(lit(is_and)))
}
