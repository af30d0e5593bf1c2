//! `(a, b) IN (SELECT x, y …)`, which the planner does not know: whether the subquery has a row of these
//! values.

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CaseWhen, Expr, Ident, Query, SetExpr, TableFactor, UnaryOperator, Value,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;
use skep_protocol::{ErrorCode, QueryError};

/// The name of the subquery's rows, and what those of their columns begin with.
const ROW: &str = "__row";

/// Rewrites such an IN: it is true where a row has the values, unknown where one might, and false otherwise.
///
/// # Errors
/// None that a statement can cause.
pub(super) fn rewrite(expression: &mut Expr) -> Result<(), QueryError> {
    let Expr::InSubquery {
        expr,
        subquery,
        negated,
    } = expression
    else {
        return Ok(());
    };
    let values = match expr.as_ref() {
        Expr::Tuple(values) if values.len() > 1 => values,
        _ => return Ok(()),
    };
    let equal = values
        .iter()
        .enumerate()
        .map(|(place, value)| Expr::BinaryOp {
            left: Box::new(Expr::Identifier(column(place))),
            op: BinaryOperator::Eq,
            right: Box::new(Expr::Nested(Box::new(value.clone()))),
        })
        .reduce(|left, right| Expr::BinaryOp {
            left: Box::new(left),
            op: BinaryOperator::And,
            right: Box::new(right),
        });
    let Some(equal) = equal else {
        return Ok(());
    };
    let unknown = Expr::IsNull(Box::new(Expr::Nested(Box::new(equal.clone()))));
    let branch = |condition: Expr, result: Value| CaseWhen {
        condition,
        result: Expr::value(result),
    };
    let found = exists(subquery, values.len(), equal)?;
    let unknown = exists(subquery, values.len(), unknown)?;
    let case = Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![
            branch(found, Value::Boolean(true)),
            branch(unknown, Value::Null),
        ],
        else_result: Some(Box::new(Expr::value(Value::Boolean(false)))),
    };
    *expression = match negated {
        true => Expr::UnaryOp {
            op: UnaryOperator::Not,
            expr: Box::new(case),
        },
        false => case,
    };
    Ok(())
}

fn column(place: usize) -> Ident {
    Ident::new(format!("{ROW}_{place}"))
}

/// Whether the subquery has a row for which the condition holds.
fn exists(subquery: &Query, width: usize, condition: Expr) -> Result<Expr, QueryError> {
    let columns: Vec<String> = (0..width).map(|place| column(place).value).collect();
    let columns = columns.join(", ");
    let text = format!("EXISTS (SELECT 1 FROM (SELECT 1) AS {ROW} ({columns}) WHERE true)");
    let parsed = Parser::new(&GenericDialect {})
        .try_with_sql(&text)
        .and_then(|mut parser| parser.parse_expr());
    let mut parsed = parsed.map_err(|error| failure(&error.to_string()))?;
    let Expr::Exists { subquery: rows, .. } = &mut parsed else {
        return Err(failure("it is not an EXISTS"));
    };
    let SetExpr::Select(select) = rows.body.as_mut() else {
        return Err(failure("it has no SELECT"));
    };
    let relation = select.from.first_mut().map(|table| &mut table.relation);
    let Some(TableFactor::Derived { subquery: rows, .. }) = relation else {
        return Err(failure("it has no table"));
    };
    **rows = subquery.clone();
    select.selection = Some(condition);
    Ok(parsed)
}

fn failure(text: &str) -> QueryError {
    QueryError::new(
        ErrorCode::Internal,
        format!("an IN of several columns was not rewritten: {text}"),
    )
}
