//! ROLLUP, CUBE and GROUPING SETS that name a column more than once, which the planner takes for two columns
//! of one name: as the grouping sets that they stand for, each with every column once.

use super::scope::{Scope, normalised};
use super::select::Output;
use datafusion::sql::sqlparser::ast::{Expr, GroupByExpr, Value};
use skep_protocol::{ErrorCode, QueryError};
use std::collections::HashSet;

/// How many grouping sets a statement may have.
const SETS_MAX: usize = 4096;

/// Rewrites the grouping sets of a GROUP BY in which a column is repeated.
///
/// # Errors
/// `StatementTooLarge` where there are too many sets.
pub(super) fn without_repetitions(
    group_by: &mut GroupByExpr,
    scope: &Scope,
    outputs: &[Output],
) -> Result<(), QueryError> {
    let GroupByExpr::Expressions(expressions, _) = group_by else {
        return Ok(());
    };
    let columns = Columns { scope, outputs };
    for expression in expressions {
        let sets = match expression {
            Expr::Rollup(items) if columns.are_repeated(items) => rollup(items)?,
            Expr::Cube(items) if columns.are_repeated(items) => cube(items)?,
            Expr::GroupingSets(sets) if sets.iter().any(|set| columns.is_repeated(set)) => {
                std::mem::take(sets)
            }
            _ => continue,
        };
        let sets = sets.into_iter().map(|set| columns.once(set));
        *expression = Expr::GroupingSets(sets.collect());
    }
    Ok(())
}

fn rollup(items: &[Vec<Expr>]) -> Result<Vec<Vec<Expr>>, QueryError> {
    check_count(items.len().saturating_add(1))?;
    let lengths = (0..=items.len()).rev();
    Ok(lengths
        .map(|length| items.iter().take(length).flatten().cloned().collect())
        .collect())
}

fn cube(items: &[Vec<Expr>]) -> Result<Vec<Vec<Expr>>, QueryError> {
    let bits = u32::try_from(items.len()).unwrap_or(u32::MAX);
    let count = 1_usize.checked_shl(bits).filter(|count| *count > 0);
    let count = count.unwrap_or(usize::MAX);
    check_count(count)?;
    let set = |mask: usize| {
        let items = items.iter().enumerate();
        let chosen = items.filter(|(index, _)| mask >> index & 1 == 1);
        chosen.flat_map(|(_, item)| item.iter().cloned()).collect()
    };
    Ok((0..count).rev().map(set).collect())
}

fn check_count(count: usize) -> Result<(), QueryError> {
    if count <= SETS_MAX {
        return Ok(());
    }
    let text = format!("GROUP BY has more than {SETS_MAX} grouping sets");
    Err(QueryError::new(ErrorCode::StatementTooLarge, text))
}

/// What tells whether two expressions are the same column.
struct Columns<'a> {
    scope: &'a Scope,
    outputs: &'a [Output],
}

impl Columns<'_> {
    fn are_repeated(&self, items: &[Vec<Expr>]) -> bool {
        let mut met = HashSet::new();
        let mut all = items.iter().flatten();
        all.any(|expression| !met.insert(self.identity(expression)))
    }

    fn is_repeated(&self, set: &[Expr]) -> bool {
        let mut met = HashSet::new();
        set.iter()
            .any(|expression| !met.insert(self.identity(expression)))
    }

    fn once(&self, set: Vec<Expr>) -> Vec<Expr> {
        let mut met = HashSet::new();
        let is_new = |expression: &Expr| met.insert(self.identity(expression));
        set.into_iter().filter(is_new).collect()
    }

    /// A text that is the same for the same column, however it is written.
    fn identity(&self, expression: &Expr) -> String {
        match expression {
            Expr::Nested(inner) => self.identity(inner),
            Expr::Identifier(ident) => {
                let name = normalised(ident);
                if let [visible] = self.scope.find(&name).as_slice()
                    && let Some(read) = self.scope.read(visible, None)
                {
                    return read.to_string();
                }
                let mut outputs = self.outputs.iter();
                let output = outputs.find(|output| output.column.name == name);
                output.map_or(name, |output| self.written(output))
            }
            Expr::CompoundIdentifier(parts) => {
                let names: Vec<String> = parts.iter().map(normalised).collect();
                if let Some((last, table)) = names.split_last()
                    && let [relation] = self.scope.find_relations(table)[..]
                    && let Some(found) = self.scope.relations.get(relation)
                    && let [column] = found.find(last)[..]
                {
                    return self.scope.column(relation, column, None).to_string();
                }
                names.join(".")
            }
            Expr::Value(value) => match &value.value {
                Value::Number(position, _) => {
                    let index = position.parse::<usize>().ok();
                    let index = index.and_then(|index| index.checked_sub(1));
                    let output = index.and_then(|index| self.outputs.get(index));
                    output.map_or_else(|| expression.to_string(), |output| self.written(output))
                }
                _ => expression.to_string(),
            },
            other => other.to_string(),
        }
    }

    fn written(&self, output: &Output) -> String {
        self.identity(&output.expression)
    }
}
