//! PIVOT and UNPIVOT, put into words that the planner knows, for which the columns of their table must be known.
//!
//! PIVOT aggregates by all columns that it does not name: `t PIVOT (sum(v) FOR k IN ('a', 'b' AS c))` is
//! `(SELECT others, sum(v) FILTER (WHERE k IS NOT DISTINCT FROM 'a') AS a, … FROM t GROUP BY others)`. UNPIVOT has a
//! row for each of the columns that it names, made by a join with their numbers.

use super::from::binary;
use super::scope::{Chain, Scope, exact, normalised};
use super::{Names, error_at};
use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CaseWhen, Expr, ExprWithAlias, Function, GroupByExpr, Ident, Join,
    JoinConstraint, JoinOperator, NullInclusion, Parens, PivotValueSource, Query, Select,
    SelectItem, SetExpr, Spanned, TableAlias, TableAliasColumnDef, TableFactor, TableWithJoins,
    Value, Values, visit_expressions,
};
use skep_protocol::{ErrorCode, QueryError};
use skep_sql::statement::{call, position, query_of, select_all, unsupported};
use std::collections::HashSet;
use std::ops::ControlFlow;

/// The relation that numbers the columns of an UNPIVOT, and its column.
const PLACES: &str = "unpivot:places";
const PLACE: &str = "unpivot:place";

impl Names<'_> {
    /// Rewrites PIVOT and UNPIVOT; anything else stays as it is.
    pub(super) fn pivots(
        &mut self,
        relation: &mut TableFactor,
        before: &Scope,
        outer: Option<&Chain>,
    ) -> Result<(), QueryError> {
        let (table, clause) = match &*relation {
            TableFactor::Pivot { table, .. } => (table, "PIVOT"),
            TableFactor::Unpivot { table, .. } => (table, "UNPIVOT"),
            _ => return Ok(()),
        };
        let mut table = table.as_ref().clone();
        let scope = self.relation(&mut table, before, outer, true)?;
        if !scope.is_known() {
            let text = format!("{clause} of a table whose columns are not known before planning");
            return Err(unsupported(&text).at(position(relation.span().start)));
        }
        let columns: Vec<String> = scope.visible.iter().map(|it| it.name.clone()).collect();
        let (query, alias) = match &*relation {
            TableFactor::Pivot { alias, .. } => (pivoted(relation, &columns, self.is_hive)?, alias),
            TableFactor::Unpivot { alias, .. } => (unpivoted(relation, &columns)?, alias),
            _ => return Ok(()),
        };
        *relation = TableFactor::Derived {
            lateral: false,
            alias: alias.clone(),
            subquery: Box::new(query),
            sample: None,
        };
        Ok(())
    }
}

/// The columns that are not among those that a clause names.
fn others(
    columns: &[String],
    named: &HashSet<String>,
    idents: impl IntoIterator<Item = Ident>,
) -> Result<Vec<String>, QueryError> {
    for ident in idents {
        let name = normalised(&ident).to_lowercase();
        if !columns.iter().any(|column| column.to_lowercase() == name) {
            let text = format!(
                "column '{}' is not in the table that it is taken from",
                ident.value
            );
            return Err(error_at(ErrorCode::ColumnNotFound, text, &ident));
        }
    }
    let rest = columns.iter();
    let rest = rest.filter(|column| !named.contains(&column.to_lowercase()));
    Ok(rest.cloned().collect())
}

fn lower_case(idents: &[Ident]) -> HashSet<String> {
    let names = idents.iter().map(normalised);
    names.map(|name| name.to_lowercase()).collect()
}

/// The names of columns in expressions, without their tables.
fn names_in<'a>(expressions: impl Iterator<Item = &'a Expr>) -> Vec<Ident> {
    let mut names = Vec::new();
    for expression in expressions {
        // The visitor never breaks off.
        let _ = visit_expressions(expression, |part| {
            match part {
                Expr::Identifier(ident) => names.push(ident.clone()),
                Expr::CompoundIdentifier(parts) => names.extend(parts.last().cloned()),
                _ => {}
            }
            ControlFlow::<()>::Continue(())
        });
    }
    names
}

fn column(name: &str) -> Expr {
    Expr::Identifier(exact(name, None))
}

fn item(expr: Expr, name: &str) -> SelectItem {
    SelectItem::ExprWithAlias {
        expr,
        alias: exact(name, None),
    }
}

fn plain(columns: Vec<String>) -> Vec<SelectItem> {
    columns
        .iter()
        .map(|name| SelectItem::UnnamedExpr(column(name)))
        .collect()
}

fn pivoted(pivot: &TableFactor, columns: &[String], is_hive: bool) -> Result<Query, QueryError> {
    let TableFactor::Pivot {
        table,
        aggregate_functions,
        value_column,
        value_source,
        default_on_null,
        alias: _,
    } = pivot
    else {
        return Err(QueryError::internal("a PIVOT is something else"));
    };
    let values = match value_source {
        PivotValueSource::List(values) => values,
        PivotValueSource::Any(_) | PivotValueSource::Subquery(_) => {
            let text = "PIVOT with IN (ANY) or IN (a query) instead of a list of values";
            return Err(unsupported(text).at(position(pivot.span().start)));
        }
    };
    let aggregates = aggregate_functions.iter().map(|it| &it.expr);
    let idents = names_in(aggregates.chain(value_column));
    let named = lower_case(&idents);
    let groups = others(columns, &named, idents)?;
    let mut projection = plain(groups.clone());
    for value in values {
        let condition = is_value(value_column, &value.expr)?;
        for aggregate in aggregate_functions {
            let name = pivot_name(value, aggregate, aggregate_functions.len() == 1, is_hive);
            let mut filtered = filtered(&aggregate.expr, &condition)?;
            if let Some(default) = default_on_null {
                filtered = call("coalesce", vec![filtered, default.clone()]);
            }
            projection.push(item(filtered, &name));
        }
    }
    let mut select = of_table(table);
    select.projection = projection;
    let keys = groups.iter().map(|name| column(name)).collect();
    select.group_by = GroupByExpr::Expressions(keys, Vec::new());
    Ok(query_of(SetExpr::Select(Box::new(select))))
}

fn of_table(table: &TableFactor) -> Select {
    select_all(TableWithJoins {
        relation: table.clone(),
        joins: Vec::new(),
    })
}

/// Whether the columns have the value, or the row of values.
fn is_value(columns: &[Expr], value: &Expr) -> Result<Expr, QueryError> {
    let values = match value {
        Expr::Tuple(values) if columns.len() > 1 => values.as_slice(),
        Expr::Nested(inner) if columns.len() == 1 => std::slice::from_ref(inner.as_ref()),
        value => std::slice::from_ref(value),
    };
    if values.len() != columns.len() {
        let text = format!(
            "a value of PIVOT has {} parts, it is for {} columns",
            values.len(),
            columns.len()
        );
        return Err(QueryError::new(ErrorCode::Semantic, text).at(position(value.span().start)));
    }
    if let Some(ident) = names_in(values.iter()).first() {
        let text = format!(
            "a value of PIVOT is a constant, not column '{}'",
            ident.value
        );
        return Err(error_at(ErrorCode::Semantic, text, ident));
    }
    let equal = columns.iter().zip(values).map(|(column, value)| {
        Expr::IsNotDistinctFrom(
            Box::new(Expr::Nested(Box::new(column.clone()))),
            Box::new(Expr::Nested(Box::new(value.clone()))),
        )
    });
    let all = equal.reduce(|one, other| binary(one, BinaryOperator::And, other));
    all.ok_or_else(|| QueryError::internal("a PIVOT is for no columns"))
}

/// An aggregate of the rows for which a condition holds.
fn filtered(aggregate: &Expr, condition: &Expr) -> Result<Expr, QueryError> {
    let Expr::Function(function) = aggregate else {
        let text = "PIVOT takes aggregate functions alone";
        let at = position(aggregate.span().start);
        return Err(QueryError::new(ErrorCode::Semantic, text).at(at));
    };
    let filter = match &function.filter {
        None => condition.clone(),
        Some(filter) => binary(
            Expr::Nested(filter.clone()),
            BinaryOperator::And,
            condition.clone(),
        ),
    };
    Ok(Expr::Function(Function {
        filter: Some(Box::new(filter)),
        ..function.clone()
    }))
}

/// What the column of a value and an aggregate is called. Spark leaves out the name of an aggregate that is alone.
fn pivot_name(
    value: &ExprWithAlias,
    aggregate: &ExprWithAlias,
    is_alone: bool,
    is_hive: bool,
) -> String {
    let value = match &value.alias {
        Some(alias) => normalised(alias),
        None => text_of(&value.expr),
    };
    match &aggregate.alias {
        None if is_alone => value,
        Some(_) if is_alone && is_hive => value,
        Some(alias) => format!("{value}_{}", normalised(alias)),
        None => format!("{value}_{}", aggregate.expr.to_string().to_lowercase()),
    }
}

/// A constant as text, without quotes.
fn text_of(value: &Expr) -> String {
    match value {
        Expr::Nested(inner) => text_of(inner),
        Expr::Tuple(values) => values.iter().map(text_of).collect::<Vec<_>>().join("_"),
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => text.clone(),
            Value::Null => "null".to_owned(),
            other => other.to_string(),
        },
        Expr::TypedString(typed) => typed.value.clone().into_string().unwrap_or_default(),
        other => other.to_string(),
    }
}

fn unpivoted(unpivot: &TableFactor, columns: &[String]) -> Result<Query, QueryError> {
    let TableFactor::Unpivot {
        table,
        value,
        name,
        columns: sources,
        null_inclusion,
        alias: _,
    } = unpivot
    else {
        return Err(QueryError::internal("an UNPIVOT is something else"));
    };
    let targets = parts_of(value)?;
    let sources = sources
        .iter()
        .map(|source| Ok((parts_of(&source.expr)?, source.alias.as_ref())))
        .collect::<Result<Vec<_>, QueryError>>()?;
    if let Some((source, _)) = sources.iter().find(|(it, _)| it.len() != targets.len()) {
        let text = format!(
            "UNPIVOT makes {} columns of {}",
            targets.len(),
            source.len()
        );
        let at = position(unpivot.span().start);
        return Err(QueryError::new(ErrorCode::Semantic, text).at(at));
    }
    let idents: Vec<Ident> = sources.iter().flat_map(|(it, _)| it.clone()).collect();
    let named = lower_case(&idents);
    let mut projection = plain(others(columns, &named, idents)?);
    let names = sources.iter().map(|(source, alias)| match alias {
        Some(alias) => alias.value.clone(),
        None => source.iter().map(normalised).collect::<Vec<_>>().join("_"),
    });
    let names = names.map(|text| Expr::value(Value::SingleQuotedString(text)));
    projection.push(item(by_place(names.collect()), &normalised(name)));
    let mut has_value: Option<Expr> = None;
    for (index, target) in targets.iter().enumerate() {
        let values = sources.iter().filter_map(|(source, _)| source.get(index));
        let values = values.map(|ident| column(&normalised(ident))).collect();
        let value = by_place(values);
        let is_there = Expr::IsNotNull(Box::new(value.clone()));
        projection.push(item(value, &normalised(target)));
        has_value = Some(match has_value {
            None => is_there,
            Some(others) => binary(others, BinaryOperator::Or, is_there),
        });
    }
    let mut select = of_table(table);
    for table in &mut select.from {
        table.joins.push(places(sources.len()));
    }
    select.projection = projection;
    if *null_inclusion != Some(NullInclusion::IncludeNulls) {
        select.selection = has_value;
    }
    Ok(query_of(SetExpr::Select(Box::new(select))))
}

/// The columns of `a` or `(a, b)`.
fn parts_of(expression: &Expr) -> Result<Vec<Ident>, QueryError> {
    let one = |expression: &Expr| match expression {
        Expr::Identifier(ident) => Ok(ident.clone()),
        other => {
            let text = format!("UNPIVOT takes columns without their tables, not {other}");
            Err(QueryError::new(ErrorCode::Semantic, text).at(position(other.span().start)))
        }
    };
    match expression {
        Expr::Tuple(parts) => parts.iter().map(one).collect(),
        Expr::Nested(inner) => parts_of(inner),
        other => Ok(vec![one(other)?]),
    }
}

/// The one of several values whose number is the place.
fn by_place(values: Vec<Expr>) -> Expr {
    let conditions = values
        .into_iter()
        .enumerate()
        .map(|(index, value)| CaseWhen {
            condition: number(index),
            result: value,
        });
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: Some(Box::new(Expr::CompoundIdentifier(vec![
            exact(PLACES, None),
            exact(PLACE, None),
        ]))),
        conditions: conditions.collect(),
        else_result: None,
    }
}

fn number(value: usize) -> Expr {
    Expr::value(Value::Number(value.to_string(), false))
}

/// A join with the numbers below `count`.
fn places(count: usize) -> Join {
    let rows = (0..count).map(|place| Parens::with_empty_span(vec![number(place)]));
    let values = Values {
        explicit_row: false,
        value_keyword: false,
        rows: rows.collect(),
    };
    Join {
        relation: TableFactor::Derived {
            lateral: false,
            subquery: Box::new(query_of(SetExpr::Values(values))),
            alias: Some(TableAlias {
                explicit: true,
                name: exact(PLACES, None),
                columns: vec![TableAliasColumnDef {
                    name: exact(PLACE, None),
                    data_type: None,
                }],
                at: None,
            }),
            sample: None,
        },
        global: false,
        join_operator: JoinOperator::CrossJoin(JoinConstraint::None),
    }
}
