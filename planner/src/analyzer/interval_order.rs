//! Intervals compare by their length: a month is 30 days, a day is 24 hours, as in PostgreSQL and DuckDB.
//!
//! Arrow compares months, then days, then the rest, so that 36 hours would be less than a day. This rule puts
//! [`interval_length`] around intervals wherever values are compared: in conditions, keys of joins, orders, groups,
//! DISTINCT and partitions of windows; and aggregates that know the length in the place of `min` and `max`.

mod groups;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::expr::{
    AggregateFunction, Alias, Between, Case, Cast, InList, InSubquery, ScalarFunction,
    SetComparison, Sort, WindowFunction, WindowFunctionDefinition,
};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    AggregateUDF, BinaryExpr, Distinct, Expr, ExprSchemable, Join, LogicalPlan, LogicalPlanBuilder,
    Operator, ScalarUDF, Subquery, when,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::scalar::ScalarValue;
use skep_runtime::functions::time::{
    interval_length, interval_max, interval_min, interval_of_duration, interval_text,
};
use std::sync::Arc;

/// The rule. It belongs after the one that makes the types of both sides of an operator one, and after those
/// that write down comparisons.
#[derive(Debug)]
pub(crate) struct IntervalOrder;

impl AnalyzerRule for IntervalOrder {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let rewritten = plan.transform_up_with_subqueries(rewrite)?;
        Ok(rewritten.data)
    }

    fn name(&self) -> &str {
        "interval_order"
    }
}

/// The same for the order of windows, whose frames DataFusion wants to type by it. It belongs before the rule that
/// makes the types of both sides of an operator one.
#[derive(Debug)]
pub(crate) struct IntervalWindows;

impl AnalyzerRule for IntervalWindows {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let ordered = plan.transform_up_with_subqueries(|node| {
            let LogicalPlan::Window(_) = &node else {
                return Ok(Transformed::no(node));
            };
            let names = NamePreserver::new_for_projection();
            let schema = merge_schema(&node.inputs());
            let ordered = node.map_expressions(|expression| {
                let name = names.save(&expression);
                let ordered = expression.transform_up(|part| match part {
                    Expr::WindowFunction(mut call) => {
                        let keys = &call.params.order_by;
                        let is_changed = keys.iter().any(|key| has_interval(&key.expr, &schema));
                        call.params.order_by = by_length(call.params.order_by, &schema);
                        let call = Expr::WindowFunction(call);
                        Ok(Transformed::new_transformed(call, is_changed))
                    }
                    other => Ok(Transformed::no(other)),
                })?;
                Ok(ordered.update_data(|expression| name.restore(expression)))
            })?;
            match ordered.transformed {
                true => ordered.data.recompute_schema().map(Transformed::yes),
                false => Ok(ordered),
            }
        })?;
        Ok(ordered.data)
    }

    fn name(&self) -> &str {
        "interval_windows"
    }
}

fn is_interval(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Interval(_))
}

fn has_interval(expression: &Expr, schema: &DFSchema) -> bool {
    let data_type = expression.get_type(schema);
    data_type.is_ok_and(|data_type| is_interval(&data_type))
}

/// The length of an interval; other values stay as they are.
fn length(expression: Expr, schema: &DFSchema) -> Expr {
    match has_interval(&expression, schema) {
        true => length_of(expression),
        false => expression,
    }
}

fn length_of(interval: Expr) -> Expr {
    let interval = match interval {
        // The length of a duration is known without its days.
        Expr::ScalarFunction(mut call) if call.func == interval_of_duration() => {
            match call.args.pop() {
                Some(duration) => duration,
                None => Expr::ScalarFunction(call),
            }
        }
        other => other,
    };
    Expr::ScalarFunction(ScalarFunction::new_udf(interval_length(), vec![interval]))
}

fn rewrite(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let names = NamePreserver::new(&node);
    let schema = merge_schema(&node.inputs());
    let compared = |expression: Expr| {
        let name = names.save(&expression);
        let rewritten = expression.transform_up(|part| rewrite_part(part, &schema))?;
        Ok(rewritten.update_data(|expression| name.restore(expression)))
    };
    let rewritten = node.map_expressions(|expression| match expression {
        // It is not a column: those that it names are.
        Expr::GroupingSet(_) => expression.map_children(compared),
        column => compared(column),
    })?;
    let is_changed = rewritten.transformed;
    let node = match rewritten.data {
        LogicalPlan::Sort(mut sort) => {
            sort.expr = by_length(sort.expr, sort.input.schema());
            LogicalPlan::Sort(sort)
        }
        LogicalPlan::Join(join) => LogicalPlan::Join(joined_by_length(join)),
        LogicalPlan::Aggregate(aggregate) => groups::by_length(aggregate)?,
        LogicalPlan::Distinct(Distinct::All(input)) => groups::distinct(input)?,
        LogicalPlan::Distinct(Distinct::On(mut distinct)) => {
            let schema = Arc::clone(distinct.input.schema());
            let keys = distinct.on_expr.into_iter();
            distinct.on_expr = keys.map(|key| length(key, &schema)).collect();
            let order = distinct.sort_expr.take();
            distinct.sort_expr = order.map(|order| by_length(order, &schema));
            LogicalPlan::Distinct(Distinct::On(distinct))
        }
        other => other,
    };
    match is_changed {
        true => node.recompute_schema().map(Transformed::yes),
        false => Ok(Transformed::yes(node)),
    }
}

fn by_length(order: Vec<Sort>, schema: &DFSchema) -> Vec<Sort> {
    let order = order.into_iter().map(|key| Sort {
        expr: length(key.expr, schema),
        ..key
    });
    order.collect()
}

fn joined_by_length(join: Join) -> Join {
    let (left, right) = (
        Arc::clone(join.left.schema()),
        Arc::clone(join.right.schema()),
    );
    let keys = join.on.into_iter();
    let keys = keys.map(|(one, other)| (length(one, &left), length(other, &right)));
    Join {
        on: keys.collect(),
        ..join
    }
}

fn is_comparison(operator: Operator) -> bool {
    matches!(
        operator,
        Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom
    )
}

fn rewrite_part(part: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    Ok(match part {
        Expr::BinaryExpr(BinaryExpr { left, op, right })
            if is_comparison(op) && has_interval(&left, schema) && has_interval(&right, schema) =>
        {
            let (left, right) = (Box::new(length_of(*left)), Box::new(length_of(*right)));
            Transformed::yes(Expr::BinaryExpr(BinaryExpr { left, op, right }))
        }
        Expr::Between(between) if has_interval(&between.expr, schema) => {
            Transformed::yes(Expr::Between(Between {
                expr: Box::new(length_of(*between.expr)),
                negated: between.negated,
                low: Box::new(length_of(*between.low)),
                high: Box::new(length_of(*between.high)),
            }))
        }
        Expr::InList(list) if has_interval(&list.expr, schema) => {
            Transformed::yes(Expr::InList(InList {
                expr: Box::new(length_of(*list.expr)),
                list: list.list.into_iter().map(length_of).collect(),
                negated: list.negated,
            }))
        }
        Expr::Case(Case {
            expr: Some(compared),
            when_then_expr,
            else_expr,
        }) if has_interval(&compared, schema) => {
            let branches = when_then_expr.into_iter();
            let branches = branches.map(|(when, then)| (Box::new(length_of(*when)), then));
            Transformed::yes(Expr::Case(Case {
                expr: Some(Box::new(length_of(*compared))),
                when_then_expr: branches.collect(),
                else_expr,
            }))
        }
        Expr::Cast(cast) => converted(cast, schema)?,
        Expr::ScalarFunction(call) => function(call, schema)?,
        Expr::AggregateFunction(call) => aggregate(call, schema),
        Expr::WindowFunction(call) => window(*call, schema),
        Expr::InSubquery(within) if has_interval(&within.expr, schema) => {
            Transformed::yes(Expr::InSubquery(InSubquery {
                expr: Box::new(length_of(*within.expr)),
                subquery: lengths(within.subquery)?,
                negated: within.negated,
            }))
        }
        Expr::SetComparison(comparison) if has_interval(&comparison.expr, schema) => {
            Transformed::yes(Expr::SetComparison(SetComparison {
                expr: Box::new(length_of(*comparison.expr)),
                subquery: lengths(comparison.subquery)?,
                ..comparison
            }))
        }
        other => Transformed::no(other),
    })
}

/// Casts of intervals to text, and of durations to intervals.
fn converted(cast: Cast, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let from = cast.expr.get_type(schema)?;
    let target = cast.field.data_type();
    let call = |function: Arc<ScalarUDF>, value: Box<Expr>| {
        Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![*value]))
    };
    Ok(match (&from, target) {
        (DataType::Interval(_) | DataType::Duration(_), target) if target.is_string() => {
            let text = call(interval_text(), cast.expr);
            Transformed::yes(text.cast_to(target, schema)?)
        }
        // A cast would count nanoseconds alone, which end after 292 years.
        (DataType::Duration(_), DataType::Interval(_)) => {
            Transformed::yes(call(interval_of_duration(), cast.expr))
        }
        _ => Transformed::no(Expr::Cast(cast)),
    })
}

/// The lengths of what a subquery returns.
fn lengths(subquery: Subquery) -> Result<Subquery> {
    let schema = Arc::clone(subquery.subquery.schema());
    let columns = schema.iter().map(|(qualifier, field)| {
        length(Expr::from((qualifier, field)), &schema).alias(field.name())
    });
    let columns: Vec<Expr> = columns.collect();
    let plan = LogicalPlanBuilder::from(subquery.subquery.as_ref().clone());
    Ok(Subquery {
        subquery: Arc::new(plan.project(columns)?.build()?),
        ..subquery
    })
}

/// Functions that compare their arguments.
fn function(call: ScalarFunction, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let is_of_intervals = call
        .args
        .iter()
        .any(|argument| has_interval(argument, schema));
    let operator = match call.func.name() {
        _ if !is_of_intervals => None,
        "nullif" => Some(Operator::Eq),
        "greatest" => Some(Operator::GtEq),
        "least" => Some(Operator::LtEq),
        _ => None,
    };
    let Some(operator) = operator else {
        return Ok(Transformed::no(Expr::ScalarFunction(call)));
    };
    let compare = |left: &Expr, right: &Expr| {
        Expr::BinaryExpr(BinaryExpr {
            left: Box::new(length_of(left.clone())),
            op: operator,
            right: Box::new(length_of(right.clone())),
        })
    };
    let mut arguments = call.args.into_iter();
    let Some(first) = arguments.next() else {
        return Ok(Transformed::no(Expr::Literal(ScalarValue::Null, None)));
    };
    let chosen = arguments.try_fold(first, |best, other| match operator {
        Operator::Eq => {
            let data_type = best.get_type(schema)?;
            let null = Expr::Literal(ScalarValue::try_from(&data_type)?, None);
            when(compare(&best, &other), null).otherwise(best)
        }
        // NULL is passed over.
        _ => when(best.clone().is_null(), other.clone())
            .when(other.clone().is_null(), best.clone())
            .when(compare(&best, &other), best)
            .otherwise(other),
    })?;
    Ok(Transformed::yes(chosen))
}

/// `min` and `max` by length, where that is what an aggregate of an interval is.
fn extreme(name: &str) -> Option<Arc<AggregateUDF>> {
    match name {
        "min" => Some(interval_min()),
        "max" => Some(interval_max()),
        _ => None,
    }
}

fn aggregate(mut call: AggregateFunction, schema: &DFSchema) -> Transformed<Expr> {
    let mut is_changed = false;
    let is_of_interval = match call.params.args.as_slice() {
        [argument] => has_interval(argument, schema),
        _ => false,
    };
    if is_of_interval && let Some(extreme) = extreme(call.func.name()) {
        call.func = extreme;
        // Of equal ones it does not matter how many there are.
        call.params.distinct = false;
        is_changed = true;
    } else if call.params.distinct && call.func.name() == "count" {
        is_changed = call
            .params
            .args
            .iter()
            .any(|argument| has_interval(argument, schema));
        let arguments = call.params.args.into_iter();
        call.params.args = arguments.map(|argument| length(argument, schema)).collect();
    }
    let is_key = |key: &Sort| has_interval(&key.expr, schema);
    is_changed |= call.params.order_by.iter().any(is_key);
    call.params.order_by = by_length(call.params.order_by, schema);
    Transformed::new_transformed(Expr::AggregateFunction(call), is_changed)
}

fn window(mut call: WindowFunction, schema: &DFSchema) -> Transformed<Expr> {
    let is_of_interval = match call.params.args.as_slice() {
        [argument] => has_interval(argument, schema),
        _ => false,
    };
    let mut is_changed = false;
    if is_of_interval && let Some(extreme) = extreme(&call.fun.to_string()) {
        call.fun = WindowFunctionDefinition::AggregateUDF(extreme);
        is_changed = true;
    }
    let keys = call.params.partition_by.iter();
    let order = call.params.order_by.iter().map(|key| &key.expr);
    is_changed |= keys.chain(order).any(|key| has_interval(key, schema));
    let keys = call.params.partition_by.into_iter();
    call.params.partition_by = keys.map(|key| length(key, schema)).collect();
    call.params.order_by = by_length(call.params.order_by, schema);
    Transformed::new_transformed(Expr::WindowFunction(Box::new(call)), is_changed)
}

/// A name for an expression within a plan.
fn named(expression: Expr, name: &str) -> Expr {
    Expr::Alias(Alias::new(expression, None::<&str>, name))
}

#[cfg(test)]
mod tests;
