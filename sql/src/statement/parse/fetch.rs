//! `FETCH FIRST n ROWS ONLY`, which is LIMIT, and `… WITH TIES`, which keeps the rows whose rank is no more.

use super::blank::{query_of, select_all};
use super::calls::call;
use super::clauses::unsupported;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Distinct, Expr, Fetch, Function, Ident, LimitClause, Offset, OrderByExpr,
    OrderByKind, Query, Select, SelectItem, SetExpr, TableAlias, TableFactor, TableWithJoins,
    Value, Values, WindowSpec, WindowType,
};
use skep_protocol::{ErrorCode, QueryError};

/// Puts what FETCH says into other clauses of a query.
///
/// # Errors
/// `Syntax`, `Unsupported`.
pub(super) fn rewrite(query: &mut Query) -> Result<(), QueryError> {
    let Some(fetch) = query.fetch.take() else {
        return Ok(());
    };
    let Fetch {
        with_ties,
        percent,
        quantity,
    } = fetch;
    if percent {
        return Err(unsupported("FETCH FIRST n PERCENT"));
    }
    let count = quantity.unwrap_or_else(|| number(1));
    if with_ties {
        return keep_ties(query, count);
    }
    let offset = match query.limit_clause.take() {
        None => None,
        Some(LimitClause::LimitOffset {
            limit: None,
            offset,
            limit_by,
        }) if limit_by.is_empty() => offset,
        Some(_) => {
            let text = "a query has either LIMIT or FETCH FIRST, not both";
            return Err(QueryError::new(ErrorCode::Syntax, text));
        }
    };
    query.limit_clause = Some(LimitClause::LimitOffset {
        limit: Some(count),
        offset,
        limit_by: Vec::new(),
    });
    Ok(())
}

/// Rows that are equal in what orders them have the same rank, which is the place of the first of them.
fn keep_ties(query: &mut Query, count: Expr) -> Result<(), QueryError> {
    let Some(OrderByKind::Expressions(keys)) = query.order_by.as_ref().map(|order| &order.kind)
    else {
        let text = "FETCH FIRST … WITH TIES needs an ORDER BY with expressions";
        return Err(QueryError::new(ErrorCode::Syntax, text));
    };
    let keys = keys.clone();
    let skipped = match &query.limit_clause {
        None => None,
        Some(LimitClause::LimitOffset {
            limit: None,
            offset: Some(Offset { value, .. }),
            limit_by,
        }) if limit_by.is_empty() => Some(value.clone()),
        Some(_) => {
            let text = "a query has either LIMIT or FETCH FIRST, not both";
            return Err(QueryError::new(ErrorCode::Syntax, text));
        }
    };
    let last = match skipped {
        None => count,
        Some(skipped) => binary(count, BinaryOperator::Plus, skipped),
    };
    if !is_plain(&query.body) {
        put_into_from(query);
    }
    let SetExpr::Select(select) = query.body.as_mut() else {
        return Err(unsupported("FETCH FIRST … WITH TIES here"));
    };
    let keys = keys
        .into_iter()
        .map(|key| by_expression(key, select))
        .collect::<Result<Vec<_>, _>>()?;
    let mut rank = call("rank", Vec::new());
    if let Expr::Function(Function { over, .. }) = &mut rank {
        *over = Some(WindowType::WindowSpec(WindowSpec {
            window_name: None,
            partition_by: Vec::new(),
            order_by: keys,
            window_frame: None,
        }));
    }
    let is_within = binary(rank, BinaryOperator::LtEq, last);
    select.qualify = Some(match select.qualify.take() {
        None => is_within,
        Some(condition) => binary(
            Expr::Nested(Box::new(condition)),
            BinaryOperator::And,
            is_within,
        ),
    });
    Ok(())
}

/// Whether the rows of a query are those that QUALIFY sees.
fn is_plain(body: &SetExpr) -> bool {
    match body {
        SetExpr::Select(select) => {
            matches!(select.distinct, None | Some(Distinct::All)) && select.qualify.is_none()
        }
        _ => false,
    }
}

/// `SELECT * FROM` the query without its order.
fn put_into_from(query: &mut Query) {
    let nothing = SetExpr::Values(Values {
        explicit_row: false,
        value_keyword: false,
        rows: Vec::new(),
    });
    let body = std::mem::replace(query.body.as_mut(), nothing);
    let select = select_all(TableWithJoins {
        relation: TableFactor::Derived {
            lateral: false,
            subquery: Box::new(query_of(body)),
            alias: Some(TableAlias {
                explicit: true,
                name: Ident::with_quote('"', "all rows"),
                columns: Vec::new(),
                at: None,
            }),
            sample: None,
        },
        joins: Vec::new(),
    });
    *query.body = SetExpr::Select(Box::new(select));
}

/// A key of ORDER BY that is the position of a column as that column's expression.
fn by_expression(mut key: OrderByExpr, select: &Select) -> Result<OrderByExpr, QueryError> {
    let Expr::Value(value) = &key.expr else {
        return Ok(key);
    };
    let Value::Number(position, _) = &value.value else {
        return Ok(key);
    };
    let index = position.parse::<usize>().ok();
    let item = index.and_then(|index| select.projection.get(index.checked_sub(1)?));
    match item {
        Some(SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) => {
            key.expr = expr.clone();
            Ok(key)
        }
        _ => Err(unsupported(
            "FETCH FIRST … WITH TIES with the position of a column; name the column",
        )),
    }
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp {
        left: Box::new(left),
        op,
        right: Box::new(right),
    }
}

fn number(value: u64) -> Expr {
    Expr::value(Value::Number(value.to_string(), false))
}
