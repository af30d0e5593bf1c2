//! Long chains of AND and OR as trees that are not deep.
//!
//! The parser reads `a OR b OR c` as `(a OR b) OR c`. Planning asks at each level for the types of all that
//! is below it, which took half a minute for two thousand alternatives as tools write them. Both operators
//! are associative, with NULLs too, and what stands on the left is still looked at first.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Statement, Value, VisitMut, VisitorMut,
};
use std::ops::ControlFlow;

/// A chain of no more operands than this stays as it was read.
const CHAIN_MAX: usize = 32;

/// Makes long chains in `statement` trees.
pub(super) fn balance(statement: &mut Statement) {
    let _ = statement.visit(&mut Balance);
}

struct Balance;

impl VisitorMut for Balance {
    type Break = ();

    fn pre_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        let op = match expression {
            Expr::BinaryOp { op, .. } => op.clone(),
            _ => return ControlFlow::Continue(()),
        };
        if matches!(op, BinaryOperator::And | BinaryOperator::Or)
            && operand_count(expression, &op) > CHAIN_MAX
        {
            let nothing = Expr::value(Value::Null);
            let chain = std::mem::replace(expression, nothing);
            *expression = joined(operands(chain, &op), &op);
        }
        ControlFlow::Continue(())
    }
}

fn operand_count(mut chain: &Expr, op: &BinaryOperator) -> usize {
    let mut count = 1;
    while let Expr::BinaryOp { left, op: own, .. } = chain
        && own == op
    {
        count += 1;
        chain = left;
    }
    count
}

fn operands(mut chain: Expr, op: &BinaryOperator) -> Vec<Expr> {
    let mut operands = Vec::new();
    loop {
        chain = match chain {
            Expr::BinaryOp {
                left,
                op: own,
                right,
            } if own == *op => {
                operands.push(*right);
                *left
            }
            first => {
                operands.push(first);
                operands.reverse();
                return operands;
            }
        };
    }
}

/// Joins neighbours until one is left. There is one from the beginning at least.
fn joined(mut operands: Vec<Expr>, op: &BinaryOperator) -> Expr {
    while operands.len() > 1 {
        let mut pairs = Vec::with_capacity(operands.len().div_ceil(2));
        let mut left_to_right = operands.into_iter();
        while let Some(left) = left_to_right.next() {
            pairs.push(match left_to_right.next() {
                Some(right) => Expr::BinaryOp {
                    left: Box::new(left),
                    op: op.clone(),
                    right: Box::new(right),
                },
                None => left,
            });
        }
        operands = pairs;
    }
    operands.pop().unwrap_or(Expr::value(Value::Null))
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::sql::sqlparser::ast::visit_expressions;
    use datafusion::sql::sqlparser::dialect::GenericDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    fn parsed(sql: &str) -> Statement {
        let mut parser = Parser::new(&GenericDialect {}).with_recursion_limit(10_000);
        parser = parser.try_with_sql(sql).unwrap();
        parser.parse_statement().unwrap()
    }

    fn depth(expression: &Expr) -> usize {
        match expression {
            Expr::BinaryOp { left, right, .. } => 1 + depth(left).max(depth(right)),
            Expr::Nested(inner) => depth(inner),
            _ => 0,
        }
    }

    fn depth_max(statement: &Statement) -> usize {
        let mut deepest = 0;
        let _ = visit_expressions(statement, |expression| {
            deepest = deepest.max(depth(expression));
            ControlFlow::<()>::Continue(())
        });
        deepest
    }

    #[test]
    fn long_chains_are_shallow_and_say_the_same() {
        let pairs: Vec<_> = (0..500).map(|n| format!("a = {n} AND b = {n}")).collect();
        let alternatives = pairs.join(" OR ");
        let conditions = (0..99).map(|n| format!("c <> {n}")).collect::<Vec<_>>();
        let sql = format!(
            "SELECT (SELECT max(a) FROM t WHERE {alternatives}) FROM t WHERE ({alternatives}) AND {}",
            conditions.join(" AND ")
        );
        let mut statement = parsed(&sql);
        assert!(depth_max(&statement) > 500);
        let text = statement.to_string();
        balance(&mut statement);
        assert_eq!(statement.to_string(), text);
        // 2^9 > 500, 2^7 > 99, and what the operands have themselves.
        assert!(
            depth_max(&statement) <= 9 + 7 + 2,
            "{}",
            depth_max(&statement)
        );
    }

    #[test]
    fn short_chains_and_other_operators_stay_as_they_are() {
        for sql in [
            "SELECT 1 FROM t WHERE a OR b OR c",
            &format!("SELECT a{} FROM t", " - a".repeat(100)),
            &format!("SELECT 1 FROM t WHERE a{}", " AND a OR b".repeat(20)),
        ] {
            let mut statement = parsed(sql);
            let before = statement.clone();
            balance(&mut statement);
            assert_eq!(statement, before, "{sql}");
        }
    }
}
