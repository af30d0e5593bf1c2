//! The types of decimals in expressions, and of what they meet.
//!
//! DataFusion decides them by rules that lose digits: it compares a decimal with a double as decimals of fifteen
//! digits after the point, cuts quotients, and casts to types that cannot hold what they are given. This rule
//! comes before its own coercion and leaves it nothing to decide: decimal operators become functions of ours
//! (`arithmetic.rs`), operands that are compared or put into one column get a type that loses nothing
//! (`common.rs`, `inputs.rs`), and casts that may round or overflow become functions that do so rightly (`rounding.rs`).

mod arithmetic;
mod coercion;
mod inputs;
mod rounding;

pub(crate) use arithmetic::DecimalPlanner;

use datafusion::common::DFSchema;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

/// Decides the types of decimals. It belongs before DataFusion's type coercion.
#[derive(Debug)]
pub(crate) struct NumericTypes;

impl AnalyzerRule for NumericTypes {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        // Whether types below may be others than when the plan was made.
        let mut is_changed = false;
        let typed = plan.transform_up_with_subqueries(|node| {
            if !is_changed && !may_change(&node)? {
                return Ok(Transformed::no(node));
            }
            let names = NamePreserver::new(&node);
            let schema = merge_schema(&node.inputs());
            let typed = |expression: Expr| {
                let name = names.save(&expression);
                let typed = expression.transform_up(|part| rewrite(part, &schema))?;
                Ok(typed.update_data(|expression| name.restore(expression)))
            };
            let node = node
                .map_expressions(|expression| match expression {
                    // It is not a column: those that it names are.
                    Expr::GroupingSet(_) => expression.map_children(typed),
                    column => typed(column),
                })?
                .transform_data(inputs::unify)?;
            is_changed |= node.transformed;
            match is_changed {
                true => node.map_data(LogicalPlan::recompute_schema),
                false => Ok(node),
            }
        })?;
        Ok(typed.data)
    }

    fn name(&self) -> &str {
        "numeric_types"
    }
}

/// Whether a node has anything but columns and constants, or inputs that must have something in common.
fn may_change(node: &LogicalPlan) -> Result<bool> {
    if matches!(node, LogicalPlan::Join(_) | LogicalPlan::Union(_)) {
        return Ok(true);
    }
    let mut found = false;
    node.apply_expressions(|expression| {
        let bare = match expression {
            Expr::Alias(alias) => alias.expr.as_ref(),
            other => other,
        };
        found |= !matches!(bare, Expr::Column(_) | Expr::Literal(..));
        Ok(match found {
            true => TreeNodeRecursion::Stop,
            false => TreeNodeRecursion::Continue,
        })
    })?;
    Ok(found)
}

fn rewrite(expression: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match expression {
        Expr::BinaryExpr(binary) => match arithmetic::operator(&binary, schema) {
            Some(call) => Ok(Transformed::yes(call)),
            None => coercion::comparison(binary, schema),
        },
        Expr::ScalarFunction(call) => {
            if let Some(changed) = arithmetic::call(&call, schema) {
                return Ok(Transformed::yes(changed));
            }
            match rounding::function(&call, schema)? {
                Some(changed) => Ok(Transformed::yes(changed)),
                None => coercion::arguments(call, schema),
            }
        }
        Expr::Cast(_) | Expr::TryCast(_) => rounding::cast(expression, schema),
        Expr::AggregateFunction(call) => rounding::median(call, schema),
        Expr::WindowFunction(call) => coercion::neighbour(*call, schema),
        Expr::Between(between) => coercion::between(between, schema),
        Expr::InList(list) => coercion::in_list(list, schema),
        Expr::Case(case) => coercion::case(case, schema),
        Expr::InSubquery(subquery) => inputs::in_subquery(subquery, schema),
        Expr::SetComparison(comparison) => inputs::set_comparison(comparison, schema),
        other => Ok(Transformed::no(other)),
    }
}

#[cfg(test)]
mod tests;
