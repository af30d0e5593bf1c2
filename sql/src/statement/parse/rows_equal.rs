//! Comparisons of rows that are written out: `(a, b) = (1, 2)` and `(a, b) IN ((1, 2), (3, 4))`. Rows are equal where all
//! their values are, and unknown where one of these is; the planner would compare structs, in which NULL equals NULL,
//! and whose fields have a type that not every value of both sides has.

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, UnaryOperator};

/// How many values all rows of a list may have together; a longer one stays as it is.
const VALUES_MAX: usize = 20_000;

/// Compares the values of rows in the place of rows.
pub(super) fn rewrite(expression: &mut Expr) {
    let rewritten = match expression {
        Expr::BinaryOp {
            left,
            op: op @ (BinaryOperator::Eq | BinaryOperator::NotEq),
            right,
        } => equal(left, right).map(|equal| (equal, *op == BinaryOperator::NotEq)),
        Expr::InList {
            expr,
            list,
            negated,
        } => in_list(expr, list).map(|found| (found, *negated)),
        _ => None,
    };
    if let Some((found, negated)) = rewritten {
        let found = Expr::Nested(Box::new(found));
        *expression = match negated {
            true => Expr::UnaryOp {
                op: UnaryOperator::Not,
                expr: Box::new(found),
            },
            false => found,
        };
    }
}

/// The values of a row that is written out.
fn values(row: &Expr) -> Option<&[Expr]> {
    match row {
        Expr::Tuple(values) if values.len() > 1 => Some(values),
        Expr::Nested(inner) => values(inner),
        _ => None,
    }
}

fn equal(left: &Expr, right: &Expr) -> Option<Expr> {
    let (left, right) = (values(left)?, values(right)?);
    if left.len() != right.len() {
        return None;
    }
    let pairs = left.iter().zip(right).map(|(left, right)| Expr::BinaryOp {
        left: Box::new(Expr::Nested(Box::new(left.clone()))),
        op: BinaryOperator::Eq,
        right: Box::new(Expr::Nested(Box::new(right.clone()))),
    });
    Some(joined(&pairs.collect::<Vec<_>>(), &BinaryOperator::And))
}

fn in_list(row: &Expr, list: &[Expr]) -> Option<Expr> {
    let width = values(row)?.len();
    if list.is_empty() || list.len().saturating_mul(width) > VALUES_MAX {
        return None;
    }
    let equal: Option<Vec<Expr>> = list.iter().map(|item| equal(row, item)).collect();
    let equal = equal?.into_iter().map(|it| Expr::Nested(Box::new(it)));
    Some(joined(&equal.collect::<Vec<_>>(), &BinaryOperator::Or))
}

/// Conditions as a tree: planning takes time that grows with the square of a chain's length.
fn joined(conditions: &[Expr], op: &BinaryOperator) -> Expr {
    match conditions {
        [one] => one.clone(),
        conditions => {
            let (left, right) = conditions.split_at(conditions.len() / 2);
            Expr::BinaryOp {
                left: Box::new(joined(left, op)),
                op: op.clone(),
                right: Box::new(joined(right, op)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::sql::sqlparser::dialect::GenericDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    fn rewritten(sql: &str) -> String {
        let parser = Parser::new(&GenericDialect {}).try_with_sql(sql);
        let mut expression = parser.unwrap().parse_expr().unwrap();
        rewrite(&mut expression);
        expression.to_string()
    }

    #[test]
    fn rows_are_compared_by_their_values() {
        assert_eq!(rewritten("(a, b) = (1, 2)"), "((a) = (1) AND (b) = (2))");
        assert_eq!(
            rewritten("(a, b) <> (1, 2)"),
            "NOT ((a) = (1) AND (b) = (2))"
        );
        assert_eq!(
            rewritten("(a, b) NOT IN ((1, 2), (3, 4))"),
            "NOT (((a) = (1) AND (b) = (2)) OR ((a) = (3) AND (b) = (4)))"
        );
        for same in [
            "(a, b) = c",
            "(a, b) = (1, 2, 3)",
            "a IN (1, 2)",
            "(a, b) IN (c, (1, 2))",
        ] {
            assert_eq!(rewritten(same), same);
        }
    }
}
