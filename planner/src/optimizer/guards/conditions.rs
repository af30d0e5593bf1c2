//! Gives conditions that may fail the guards that stand before them.

use super::call::{Guarding, parts};
use super::constants::hide_constants;
use super::failure::{Failure, failure, has_subquery};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, TableReference};
use datafusion::error::Result;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{conjunction, merge_schema};
use datafusion::logical_expr::{BinaryExpr, Expr, Filter, Join, LogicalPlan, Operator};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use std::collections::HashSet;

/// How many guards the conditions of one list may have together. Beyond, they are evaluated one after the
/// other, as one condition.
const COPIES_MAX: usize = 200;

/// Guards the conditions of filters and joins, and what aggregates with FILTER aggregate.
#[derive(Debug)]
pub(crate) struct GuardConditions;

impl OptimizerRule for GuardConditions {
    fn name(&self) -> &str {
        "guard_conditions"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        hide_constants(plan)?.transform_data(guard_plan)
    }
}

fn guard_plan(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    match plan {
        LogicalPlan::Filter(filter) => {
            let guarded = guard_condition(&filter.predicate, &[], filter.input.schema());
            Ok(match guarded {
                Some(predicate) => {
                    let filter = Filter::try_new(predicate, filter.input)?;
                    Transformed::yes(LogicalPlan::Filter(filter))
                }
                None => Transformed::no(LogicalPlan::Filter(filter)),
            })
        }
        LogicalPlan::Join(join) => Ok(guard_join(join)),
        LogicalPlan::Aggregate(_) => guard_aggregates(plan),
        other => Ok(Transformed::no(other)),
    }
}

/// The keys of a join are compared before its condition is looked at.
fn guard_join(join: Join) -> Transformed<LogicalPlan> {
    let Some(condition) = &join.filter else {
        return Transformed::no(LogicalPlan::Join(join));
    };
    let Ok(schema) = join.left.schema().join(join.right.schema()) else {
        return Transformed::no(LogicalPlan::Join(join));
    };
    let keys = join.on.iter();
    let keys: Vec<Expr> = keys
        .map(|(left, right)| left.clone().eq(right.clone()))
        .collect();
    match guard_condition(condition, &keys, &schema) {
        Some(condition) => Transformed::yes(LogicalPlan::Join(Join {
            filter: Some(condition),
            ..join
        })),
        None => Transformed::no(LogicalPlan::Join(join)),
    }
}

/// What an aggregate with FILTER aggregates is evaluated where its condition holds.
fn guard_aggregates(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let mut has_filter = false;
    plan.apply_expressions(|expression| {
        has_filter |= expression.exists(|part| {
            let of = |aggregate: &AggregateFunction| aggregate.params.filter.is_some();
            Ok(matches!(part, Expr::AggregateFunction(aggregate) if of(aggregate)))
        })?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    if !has_filter {
        return Ok(Transformed::no(plan));
    }
    let schema = merge_schema(&plan.inputs());
    let names = NamePreserver::new(&plan);
    plan.map_expressions(|expression| {
        let name = names.save(&expression);
        let guarded = expression.transform_up(|part| Ok(guard_aggregate(part, &schema)))?;
        Ok(guarded.update_data(|expression| name.restore(expression)))
    })
}

fn guard_aggregate(expression: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let Expr::AggregateFunction(mut aggregate) = expression else {
        return Transformed::no(expression);
    };
    let Some(condition) = aggregate.params.filter.clone() else {
        return Transformed::no(Expr::AggregateFunction(aggregate));
    };
    let guards = [*condition];
    let mut changed = false;
    for argument in &mut aggregate.params.args {
        let is_guarded = Guarding::Holds.parts(argument).is_some();
        if !is_guarded && !relevant(&guards, argument, schema).is_empty() {
            *argument = Guarding::Holds.call(guards.to_vec(), argument.clone());
            changed = true;
        }
    }
    let aggregate = Expr::AggregateFunction(AggregateFunction { ..aggregate });
    match changed {
        true => Transformed::yes(aggregate),
        false => Transformed::no(aggregate),
    }
}

/// `condition` with guards where it needs some; `None` where it does not. `before` is known to have been looked
/// at.
pub(super) fn guard_condition(
    condition: &Expr,
    before: &[Expr],
    schema: &DFSchema,
) -> Option<Expr> {
    let parts: Vec<Expr> = chain(condition, Operator::And)
        .into_iter()
        .cloned()
        .collect();
    let guarded = guard_list(Guarding::Holds, parts, before, schema)?;
    conjunction(guarded)
}

/// The parts of a chain of ANDs or of ORs, in their order.
pub(super) fn chain(expression: &Expr, operator: Operator) -> Vec<&Expr> {
    let mut parts = Vec::new();
    let mut open = vec![expression];
    while let Some(next) = open.pop() {
        match next {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) if *op == operator => {
                open.push(right);
                open.push(left);
            }
            other => parts.push(other),
        }
    }
    parts
}

/// The parts of a chain with guards where they need some; `None` where nothing changes.
fn guard_list(
    guarding: Guarding,
    parts: Vec<Expr>,
    before: &[Expr],
    schema: &DFSchema,
) -> Option<Vec<Expr>> {
    let mut changed = false;
    let mut copies = 0;
    let nested: Vec<Expr> = parts
        .into_iter()
        .map(|part| match guard_nested(guarding, &part, schema) {
            Some(guarded) => {
                changed = true;
                guarded
            }
            None => part,
        })
        .collect();
    let may_fail = |part: &Expr| failure(part, schema) > Failure::Never;
    let Some(last) = nested.iter().rposition(may_fail) else {
        return changed.then_some(nested);
    };
    let keyed = keyed_tables(&nested);
    let mut guarded = Vec::with_capacity(nested.len());
    for (index, part) in nested.iter().enumerate() {
        let earlier: Vec<&Expr> = before.iter().chain(&nested[..index]).collect();
        match guard(guarding, part, &earlier, schema, &keyed) {
            Some((with_guards, count)) => {
                changed = true;
                copies += count;
                guarded.push(with_guards);
            }
            None => guarded.push(part.clone()),
        }
        if copies > COPIES_MAX {
            return Some(in_sequence(guarding, &nested, last, schema));
        }
    }
    changed.then_some(guarded)
}

/// The parts up to the last one that is guarded as one condition, with those beside it that cannot fail.
fn in_sequence(guarding: Guarding, parts: &[Expr], last: usize, schema: &DFSchema) -> Vec<Expr> {
    let sequence = guarding.call(parts[..last].to_vec(), parts[last].clone());
    let mut list: Vec<Expr> = match guarding {
        Guarding::Fails => Vec::new(),
        Guarding::Holds => {
            let safe = parts[..last].iter();
            safe.filter(|part| failure(part, schema) == Failure::Never)
                .cloned()
                .collect()
        }
    };
    list.push(sequence);
    list.extend(parts[last + 1..].iter().cloned());
    list
}

/// Guards within a part of a chain: of ORs in one of ANDs, and the other way round.
fn guard_nested(guarding: Guarding, part: &Expr, schema: &DFSchema) -> Option<Expr> {
    let (inner, operator) = match guarding {
        Guarding::Holds => (Guarding::Fails, Operator::Or),
        Guarding::Fails => (Guarding::Holds, Operator::And),
    };
    let parts: Vec<Expr> = chain(part, operator).into_iter().cloned().collect();
    if parts.len() < 2 {
        return None;
    }
    let guarded = guard_list(inner, parts, &[], schema)?;
    balanced(guarded, operator)
}

/// A chain that is not as deep as it is long.
pub(super) fn balanced(mut parts: Vec<Expr>, operator: Operator) -> Option<Expr> {
    let last = parts.pop()?;
    if parts.is_empty() {
        return Some(last);
    }
    parts.push(last);
    let right = parts.split_off(parts.len() / 2);
    let (left, right) = (balanced(parts, operator)?, balanced(right, operator)?);
    Some(datafusion::logical_expr::binary_expr(left, operator, right))
}

/// `part` with its guards among the `earlier` parts, and how many it has; `None` where it needs none.
fn guard(
    guarding: Guarding,
    part: &Expr,
    earlier: &[&Expr],
    schema: &DFSchema,
    keyed: &[[HashSet<TableReference>; 2]],
) -> Option<(Expr, usize)> {
    let is_guarded = guarding.parts(part).is_some();
    if earlier.is_empty() || is_guarded || has_subquery(part) || part.is_volatile() {
        return None;
    }
    let guards = relevant(earlier.iter().copied(), part, schema);
    if guards.is_empty() {
        return None;
    }
    if guarding == Guarding::Holds
        && let Some(sides) = key_sides(part)
    {
        return guard_key(part, &guards, &sides, schema, keyed);
    }
    let count = guards.len();
    Some((guarding.call(guards, part.clone()), count))
}

/// Those of `earlier` that guard `part`: for what may overflow, those of the same columns.
pub(super) fn relevant<'a>(
    earlier: impl IntoIterator<Item = &'a Expr>,
    part: &Expr,
    schema: &DFSchema,
) -> Vec<Expr> {
    let value = parts(part).map_or(part, |(_, _, value)| value);
    let failure = failure(value, schema);
    if failure == Failure::Never {
        return Vec::new();
    }
    let columns = value.column_refs();
    let is_relevant = |guard: &&Expr| {
        let of_guard = guard.column_refs();
        !of_guard.is_empty()
            && !has_subquery(guard)
            && !guard.is_volatile()
            && (failure == Failure::Value || !of_guard.is_disjoint(&columns))
    };
    let mut guards: Vec<Expr> = Vec::new();
    for guard in earlier.into_iter().filter(is_relevant) {
        // What an earlier part was guarded by stands before that part.
        let sequence = match parts(guard) {
            Some((Guarding::Holds, guards, value)) => {
                guards.iter().chain([value]).cloned().collect()
            }
            _ => vec![guard.clone()],
        };
        for part in sequence {
            if !guards.contains(&part) {
                guards.push(part);
            }
        }
    }
    guards
}

type Tables = HashSet<TableReference>;

fn tables(expression: &Expr) -> Option<Tables> {
    let columns = expression.column_refs();
    let tables = columns
        .into_iter()
        .map(|column: &Column| column.relation.clone());
    tables.collect()
}

/// The tables on both sides of what may be a join's key.
fn key_sides(part: &Expr) -> Option<[Tables; 2]> {
    let Expr::BinaryExpr(BinaryExpr {
        left,
        op: Operator::Eq | Operator::IsNotDistinctFrom,
        right,
    }) = part
    else {
        return None;
    };
    let (left, right) = (tables(left)?, tables(right)?);
    (!left.is_empty() && !right.is_empty() && left.is_disjoint(&right)).then_some([left, right])
}

/// The tables that are joined by keys that cannot fail.
fn keyed_tables(parts: &[Expr]) -> Vec<[Tables; 2]> {
    let plain = |part: &&Expr| {
        matches!(part, Expr::BinaryExpr(BinaryExpr { left, right, .. })
            if matches!((&**left, &**right), (Expr::Column(_), Expr::Column(_))))
    };
    let keys = parts.iter().filter(plain);
    keys.filter_map(key_sides).collect()
}

/// A key of a join stays one: each side is evaluated where the guards on its own table hold. Only beside
/// another key of the same tables it may become a condition.
fn guard_key(
    part: &Expr,
    guards: &[Expr],
    sides: &[Tables; 2],
    schema: &DFSchema,
    keyed: &[[Tables; 2]],
) -> Option<(Expr, usize)> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = part else {
        return None;
    };
    let own = |side: &Tables| -> Vec<Expr> {
        let of_side = |guard: &&Expr| tables(guard).is_some_and(|tables| tables.is_subset(side));
        guards.iter().filter(of_side).cloned().collect()
    };
    let guards_of = [own(&sides[0]), own(&sides[1])];
    let all_own = guards_of.iter().map(Vec::len).sum::<usize>() == guards.len();
    let joined = |[one, other]: &[Tables; 2]| {
        let among = |side: &Tables, all: &Tables| side.is_subset(all);
        (among(one, &sides[0]) && among(other, &sides[1]))
            || (among(one, &sides[1]) && among(other, &sides[0]))
    };
    if !all_own && keyed.iter().any(joined) && failure(part, schema) == Failure::Value {
        let count = guards.len();
        return Some((Guarding::Holds.call(guards.to_vec(), part.clone()), count));
    }
    let mut count = 0;
    let mut guard_side = |side: &Expr, guards: &[Expr]| {
        let guards = relevant(guards, side, schema);
        match guards.is_empty() || parts(side).is_some() {
            true => side.clone(),
            false => {
                count += guards.len();
                Guarding::Holds.call(guards, side.clone())
            }
        }
    };
    let left = guard_side(left, &guards_of[0]);
    let right = guard_side(right, &guards_of[1]);
    let key = datafusion::logical_expr::binary_expr(left, *op, right);
    (count > 0).then_some((key, count))
}
