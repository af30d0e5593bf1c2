//! The rules of the logical optimizer: DataFusion's, where they can be trusted.
//!
//! Two of them, and one join, return wrong rows, and are given plans in which they cannot:
//!
//! - A filter that names no column passes everything on its way down, also an aggregation without groups or
//!   with an empty grouping set, which has a row even where the filter leaves nothing; and one whose value
//!   changes from row to row (`random() < 0.5`) has another meaning below groups, windows and DISTINCT than
//!   above them, as it has below a join. [`HeldFilters`] keeps both where they are.
//! - A join whose keys are `a IS NOT DISTINCT FROM b` is given the property that NULLs are equal in its keys.
//!   The rules that later add keys to it, or make it anew among other joins, forget which keys that was said
//!   of: `NULL = NULL` became true in some, and the rows of NULLs were lost in others. [`NullEqualKeys`] writes
//!   such keys as a condition again before those rules run, and in the end the condition becomes keys.
//! - A sort-merge join does not look at a condition that names no column (`ON a.k = b.k AND random() < 0.5`,
//!   or NULL, which nothing else has taken out of a FULL JOIN). [`ConditionsNameColumns`] has it name one.

use crate::optimizer::flat_unions::FlatUnions;
use crate::optimizer::guards::{GuardConditions, OrderedFilters};
use crate::optimizer::leaves::{EXTRACT_LEAVES, SafeLeaves};
use crate::optimizer::null_aware_joins::NullAwareJoinsHaveOneKey;
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::common::{JoinType, NullEquality};
use datafusion::error::Result;
use datafusion::logical_expr::utils::{conjunction, split_conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Expr, Filter, Join, LogicalPlan, Operator, binary_expr};
use datafusion::optimizer::extract_equijoin_predicate::ExtractEquijoinPredicate;
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{Optimizer, OptimizerConfig, OptimizerRule};
use std::sync::Arc;

type Rule = Arc<dyn OptimizerRule + Send + Sync>;

/// The rule that pushes filters down.
const PUSH_DOWN_FILTER: &str = "push_down_filter";

/// The rule that simplifies expressions.
const SIMPLIFY: &str = "simplify_expressions";

/// The rules that make joins of joins, or keys of conditions.
const RULES_OF_JOIN_KEYS: [&str; 2] = ["extract_equijoin_predicate", "eliminate_cross_join"];

/// All rules, in their order.
pub(crate) fn logical_rules() -> Vec<Rule> {
    let mut rules: Vec<Rule> = vec![Arc::new(FlatUnions), Arc::new(GuardConditions)];
    for rule in Optimizer::new().rules {
        if RULES_OF_JOIN_KEYS.contains(&rule.name()) {
            rules.push(Arc::new(NullEqualKeys));
        }
        rules.push(match rule.name() {
            EXTRACT_LEAVES => Arc::new(SafeLeaves(rule)),
            PUSH_DOWN_FILTER => Arc::new(HeldFilters(Arc::new(OrderedFilters(rule)))),
            _ => rule,
        });
        if rules.last().is_some_and(|rule| rule.name() == SIMPLIFY) {
            // It writes CASE as AND and OR.
            rules.push(Arc::new(GuardConditions));
        }
    }
    rules.push(Arc::new(NullEqualKeys));
    rules.push(Arc::new(ExtractEquijoinPredicate::new()));
    rules.push(Arc::new(ConditionsNameColumns));
    rules.push(Arc::new(NullAwareJoinsHaveOneKey));
    rules
}

/// The rule that pushes filters down, which does not see those that must stay.
#[derive(Debug)]
struct HeldFilters(Rule);

impl OptimizerRule for HeldFilters {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        match plan {
            LogicalPlan::Filter(filter) if holds_something(&filter) => {
                let (predicates, input) = all_of(filter);
                let (held, free): (Vec<_>, Vec<_>) = predicates
                    .into_iter()
                    .partition(|predicate| is_held(predicate, &input));
                let below = match conjunction(free) {
                    Some(predicate) => {
                        let filter = Filter::try_new(predicate, input)?;
                        self.0.rewrite(LogicalPlan::Filter(filter), config)?
                    }
                    None => Transformed::no(Arc::unwrap_or_clone(input)),
                };
                let Some(held) = conjunction(held) else {
                    return Ok(below);
                };
                let filter = Filter::try_new(held, Arc::new(below.data))?;
                let plan = LogicalPlan::Filter(filter);
                Ok(Transformed::new(
                    plan,
                    below.transformed,
                    TreeNodeRecursion::Continue,
                ))
            }
            other => self.0.rewrite(other, config),
        }
    }
}

/// Whether a filter stands above an operator that it must not pass.
fn holds_something(filter: &Filter) -> bool {
    let mut filters = vec![filter];
    let mut input = filter.input.as_ref();
    while let LogicalPlan::Filter(inner) = input {
        filters.push(inner);
        input = inner.input.as_ref();
    }
    let mut predicates = filters
        .into_iter()
        .flat_map(|filter| split_conjunction(&filter.predicate));
    predicates.any(|predicate| is_held(predicate, input))
}

/// Whether a predicate does not mean the same below this operator.
fn is_held(predicate: &Expr, operator: &LogicalPlan) -> bool {
    match operator {
        LogicalPlan::Aggregate(_) | LogicalPlan::Window(_) | LogicalPlan::Distinct(_) => {
            predicate.column_refs().is_empty() || predicate.is_volatile()
        }
        LogicalPlan::Join(_) => predicate.is_volatile(),
        _ => false,
    }
}

/// The predicates of filters that stand above one another, the lowest first, and what is below them.
pub(crate) fn all_of(filter: Filter) -> (Vec<Expr>, Arc<LogicalPlan>) {
    let own = split_conjunction_owned(filter.predicate);
    match Arc::unwrap_or_clone(filter.input) {
        LogicalPlan::Filter(inner) => {
            let (mut predicates, input) = all_of(inner);
            predicates.extend(own);
            (predicates, input)
        }
        other => (own, Arc::new(other)),
    }
}

/// Inner joins in whose keys NULLs are equal, with the keys as a condition.
#[derive(Debug)]
struct NullEqualKeys;

impl OptimizerRule for NullEqualKeys {
    fn name(&self) -> &str {
        "null_equal_keys"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        match plan {
            LogicalPlan::Join(join) if is_null_equal(&join) => {
                let keys = join.on.into_iter();
                let keys =
                    keys.map(|(left, right)| binary_expr(left, Operator::IsNotDistinctFrom, right));
                Ok(Transformed::yes(LogicalPlan::Join(Join {
                    filter: conjunction(keys.chain(join.filter)),
                    on: Vec::new(),
                    null_equality: NullEquality::NullEqualsNothing,
                    ..join
                })))
            }
            other => Ok(Transformed::no(other)),
        }
    }
}

fn is_null_equal(join: &Join) -> bool {
    join.join_type == JoinType::Inner
        && join.null_equality == NullEquality::NullEqualsNull
        && !join.on.is_empty()
}

/// Joins with keys, which may become sort-merge joins, with a column in their condition.
#[derive(Debug)]
struct ConditionsNameColumns;

impl OptimizerRule for ConditionsNameColumns {
    fn name(&self) -> &str {
        "conditions_name_columns"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let may_merge = !config.options().optimizer.prefer_hash_join;
        match plan {
            LogicalPlan::Join(join) if may_merge && has_bare_condition(&join) => {
                let columns = join.on.first().map(|(key, _)| {
                    let is_null = key.clone().is_null();
                    is_null.or(key.clone().is_not_null())
                });
                Ok(Transformed::yes(LogicalPlan::Join(Join {
                    filter: conjunction(join.filter.into_iter().chain(columns)),
                    ..join
                })))
            }
            other => Ok(Transformed::no(other)),
        }
    }
}

/// Whether it has keys, and a condition that names no column.
fn has_bare_condition(join: &Join) -> bool {
    let condition = join.filter.as_ref();
    !join.on.is_empty() && condition.is_some_and(|condition| condition.column_refs().is_empty())
}

#[cfg(test)]
mod tests;
