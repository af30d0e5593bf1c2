//! ASOF JOIN: for each row of the left side, the one row of the right side that matches and is next to it.
//!
//! Snowflake writes `a ASOF JOIN b MATCH_CONDITION (a.t >= b.t) ON a.k = b.k`, which keeps the rows of `a` that have no
//! match. DuckDB writes `a ASOF [LEFT] JOIN b ON a.k = b.k AND a.t >= b.t`, also with USING, whose last column is the
//! one that need not be equal; the parser is given it as GLOBAL JOIN (`sql/src/statement/parse/word_order.rs`). Both become a
//! lateral join with the first of the matching rows in the order of what is compared. Of several rows next to it, one
//! is taken.

use super::Names;
use super::from::{binary, key, using_names};
use super::scope::{Scope, normalised};
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Ident, Join, JoinConstraint, JoinOperator, LimitClause, OrderBy,
    OrderByExpr, OrderByKind, OrderByOptions, Query, SetExpr, Spanned, TableAlias, TableFactor,
    TableWithJoins, Value, visit_expressions,
};
use skep_protocol::{ErrorCode, QueryError};
use skep_sql::statement::{position, query_of, select_all, unsupported};
use std::ops::ControlFlow;

/// What an ASOF JOIN says.
struct AsOf {
    /// All conditions, the one that is no equality among them.
    condition: Expr,
    /// The columns of USING.
    using: Vec<Ident>,
    /// The column of USING that need not be equal.
    nearest: Option<Ident>,
    /// Whether rows without a match are kept.
    is_outer: bool,
}

impl Names<'_> {
    /// Writes an ASOF JOIN as a lateral join; returns the columns of its USING.
    pub(super) fn asof(
        &mut self,
        join: &mut Join,
        left: &Scope,
    ) -> Result<Option<Vec<Ident>>, QueryError> {
        let Some(asof) = said(join, left)? else {
            return Ok(None);
        };
        let nothing = TableFactor::UNNEST {
            alias: None,
            array_exprs: Vec::new(),
            with_offset: false,
            with_offset_alias: None,
            with_ordinality: false,
        };
        let mut right = std::mem::replace(&mut join.relation, nothing);
        let alias = self.alias_of_right(&mut right)?;
        let key = match asof.nearest {
            Some(name) => (Expr::Identifier(name), false),
            None => nearest(&asof.condition, left)?,
        };
        let mut select = select_all(TableWithJoins {
            relation: right,
            joins: Vec::new(),
        });
        select.selection = Some(asof.condition);
        let mut query = query_of(SetExpr::Select(Box::new(select)));
        first_by(&mut query, key);
        join.relation = TableFactor::Derived {
            lateral: true,
            subquery: Box::new(query),
            alias: Some(alias),
            sample: None,
        };
        join.global = false;
        let always = JoinConstraint::On(Expr::value(Value::Boolean(true)));
        join.join_operator = match asof.is_outer {
            true => JoinOperator::LeftOuter(always),
            false => JoinOperator::Inner(always),
        };
        Ok(Some(asof.using))
    }

    /// What the right side is called from outside, and from within.
    fn alias_of_right(&mut self, right: &mut TableFactor) -> Result<TableAlias, QueryError> {
        let start = right.span().start;
        match right {
            TableFactor::Table { name, alias, .. } => {
                let named = |ident: &Ident| TableAlias {
                    explicit: true,
                    name: ident.clone(),
                    columns: Vec::new(),
                    at: None,
                };
                if let Some(alias) = alias {
                    return Ok(named(&alias.name));
                }
                let last = name.0.last().and_then(|part| part.as_ident());
                match last {
                    Some(last) => Ok(named(last)),
                    None => Ok(self.new_alias()),
                }
            }
            TableFactor::Derived { alias, .. }
            | TableFactor::Function { alias, .. }
            | TableFactor::UNNEST { alias, .. } => {
                let alias = alias.get_or_insert_with(|| self.new_alias());
                Ok(TableAlias {
                    columns: Vec::new(),
                    ..alias.clone()
                })
            }
            _ => Err(
                unsupported("ASOF JOIN with anything but a table or a query").at(position(start)),
            ),
        }
    }
}

/// What a join says, where it is an ASOF JOIN.
fn said(join: &Join, left: &Scope) -> Result<Option<AsOf>, QueryError> {
    let (constraint, extra, is_outer) = match (&join.join_operator, join.global) {
        (
            JoinOperator::AsOf {
                match_condition,
                constraint,
            },
            _,
        ) => (constraint, Some(match_condition.clone()), true),
        (_, false) => return Ok(None),
        (JoinOperator::Join(constraint) | JoinOperator::Inner(constraint), true) => {
            (constraint, None, false)
        }
        (JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint), true) => {
            (constraint, None, true)
        }
        (_, true) => return Err(unsupported("ASOF JOIN that is neither INNER nor LEFT")),
    };
    let (condition, using) = match constraint {
        JoinConstraint::On(condition) => (Some(nested(condition)), Vec::new()),
        JoinConstraint::Using(names) => {
            let names = using_names(names)?;
            (equal(left, &names, extra.is_none())?, names)
        }
        JoinConstraint::None => (None, Vec::new()),
        JoinConstraint::Natural => return Err(unsupported("NATURAL ASOF JOIN")),
    };
    let parts = condition.into_iter().chain(extra.as_ref().map(nested));
    let text = "ASOF JOIN needs a condition: ON, USING or MATCH_CONDITION";
    let condition = parts
        .reduce(both)
        .ok_or_else(|| QueryError::new(ErrorCode::Syntax, text))?;
    let nearest = using.last().filter(|_| extra.is_none()).cloned();
    Ok(Some(AsOf {
        condition,
        nearest,
        using,
        is_outer,
    }))
}

fn nested(condition: &Expr) -> Expr {
    Expr::Nested(Box::new(condition.clone()))
}

/// The condition of USING. The last column of DuckDB's is at least that of the right side.
fn equal(left: &Scope, names: &[Ident], last_is_nearest: bool) -> Result<Option<Expr>, QueryError> {
    let conditions = names.iter().enumerate().map(|(index, name)| {
        let op = match last_is_nearest && index + 1 == names.len() {
            true => BinaryOperator::GtEq,
            false => BinaryOperator::Eq,
        };
        let right = Expr::Identifier(name.clone());
        Ok(binary(left_key(left, name)?, op, right))
    });
    let conditions = conditions.collect::<Result<Vec<Expr>, QueryError>>()?;
    Ok(conditions.into_iter().reduce(both))
}

fn both(one: Expr, other: Expr) -> Expr {
    binary(one, BinaryOperator::And, other)
}

/// The left side's column of USING, with its table.
fn left_key(left: &Scope, name: &Ident) -> Result<Expr, QueryError> {
    let key = key(left, name, "left")?;
    let read = left.read(&key, Some(name));
    read.ok_or_else(|| QueryError::internal("a key of USING is no column"))
}

/// What of the right side the rows are ordered by, and whether the least comes first.
fn nearest(condition: &Expr, left: &Scope) -> Result<(Expr, bool), QueryError> {
    let mut found = Vec::new();
    for part in conjuncts(condition) {
        let Expr::BinaryOp {
            left: one,
            op,
            right: other,
        } = part
        else {
            continue;
        };
        let least_first = match op {
            BinaryOperator::GtEq | BinaryOperator::Gt => false,
            BinaryOperator::LtEq | BinaryOperator::Lt => true,
            _ => continue,
        };
        match (is_of(one, left), is_of(other, left)) {
            (true, false) => found.push((other.as_ref().clone(), least_first)),
            (false, true) => found.push((one.as_ref().clone(), !least_first)),
            _ => {}
        }
    }
    let text = match found.as_slice() {
        [one] => return Ok(one.clone()),
        [] => {
            "ASOF JOIN needs one condition with <, <=, > or >= between a value of the left and one of the right side"
        }
        _ => "ASOF JOIN takes one condition with <, <=, > or >=",
    };
    let at = position(condition.span().start);
    Err(QueryError::new(ErrorCode::Semantic, text).at(at))
}

fn conjuncts(condition: &Expr) -> Vec<&Expr> {
    match condition {
        Expr::Nested(inner) => conjuncts(inner),
        Expr::BinaryOp {
            left,
            op: BinaryOperator::And,
            right,
        } => {
            let mut parts = conjuncts(left);
            parts.extend(conjuncts(right));
            parts
        }
        other => vec![other],
    }
}

/// Whether all names in an expression are those of the left side, and there is one.
fn is_of(expression: &Expr, left: &Scope) -> bool {
    let mut count = 0_usize;
    let flow = visit_expressions(expression, |part| {
        let is_left = match part {
            Expr::Identifier(ident) => !left.find(&normalised(ident)).is_empty(),
            Expr::CompoundIdentifier(parts) => {
                let names: Vec<String> = parts.iter().map(normalised).collect();
                let is_table = |length: usize| {
                    let table = names.get(..length).unwrap_or_default();
                    !left.find_relations(table).is_empty()
                };
                (1..names.len().min(4)).any(is_table)
            }
            _ => return ControlFlow::Continue(()),
        };
        count += 1;
        match is_left {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    });
    flow.is_continue() && count > 0
}

/// The first row of a query in the order of a key.
fn first_by(query: &mut Query, (key, least_first): (Expr, bool)) {
    query.order_by = Some(OrderBy {
        kind: OrderByKind::Expressions(vec![OrderByExpr {
            expr: key,
            options: OrderByOptions {
                asc: Some(least_first),
                nulls_first: Some(false),
            },
            with_fill: None,
        }]),
        interpolate: None,
    });
    query.limit_clause = Some(LimitClause::LimitOffset {
        limit: Some(Expr::value(Value::Number("1".to_owned(), false))),
        offset: None,
        limit_by: Vec::new(),
    });
}
