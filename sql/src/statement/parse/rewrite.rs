//! What DataFusion's planner does not know of Hive's queries, put into a tree that it knows.
//!
//! Decision: `DIV` is read as DuckDB's `//`, and a lateral view as a join with a function
//! (`sql/src/statement/parse/tokens.rs`, `rewrite.rs`): the parser and the planner have no place for what they are.

use super::calls::{call, planner_name};
use super::clauses::unsupported;
use super::{
    aggregates, fetch, functions, generators, grouping_ids, joins, json, named_windows, numbers,
    ordered_windows, ordinality, patterns, recursion, rows_equal, rows_in, sliding_windows, times,
};
use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryLength, BinaryOperator, CastKind, CharacterLength, DataType, Expr, Function,
    FunctionArg, FunctionArguments, GroupByExpr, GroupByWithModifier, Ident, Join, JoinConstraint,
    JoinOperator, LateralView, ObjectName, OrderBy, OrderByExpr, OrderByKind, Query, Select,
    SelectFlavor, SelectItem, SetExpr, Statement as SqlStatement, Subscript, TableAlias,
    TableAliasColumnDef, TableFactor, TableWithJoins, Value, VisitMut, VisitorMut,
};
use skep_protocol::{ErrorCode, QueryError};
use skep_runtime::functions::{CUT_BYTES, ROUND_TIME};
use std::collections::HashSet;
use std::ops::ControlFlow;

/// Rewrites a query.
///
/// # Errors
/// `Unsupported`, `Syntax`.
pub(super) fn rewrite(statement: &mut SqlStatement) -> Result<(), QueryError> {
    match statement.visit(&mut Rewriter::default()) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(*error),
    }
}

#[derive(Default)]
struct Rewriter {
    /// The items without names of the SELECTs that the visitor is in, as they were written.
    written: Vec<Vec<Option<String>>>,
}

impl VisitorMut for Rewriter {
    type Break = Box<QueryError>;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Self::Break> {
        as_flow(rewrite_query(query))
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Self::Break> {
        if !select.sort_by.is_empty() || !select.cluster_by.is_empty() {
            let text = "SORT BY and CLUSTER BY inside of a UNION; put the query into parentheses";
            return as_flow(Err(unsupported(text)));
        }
        if matches!(select.flavor, SelectFlavor::FromFirstNoSelect) {
            // `FROM t` alone has all of its columns, and is what pipes begin with.
            select.flavor = SelectFlavor::Standard;
            select.projection = vec![SelectItem::Wildcard(Default::default())];
        }
        if let Err(error) = rewrite_relations(select) {
            return as_flow(Err(error));
        }
        generators::move_to_views(select);
        functions::name_windows(select);
        aggregates::tell_apart(select, None);
        name_repeated(&mut select.projection);
        self.written.push(texts(&select.projection));
        as_flow(join_lateral_views(select))
    }

    fn pre_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<Self::Break> {
        ordinality::rewrite(table);
        as_flow(match table {
            TableFactor::NestedJoin {
                table_with_joins, ..
            } => table_with_joins
                .joins
                .iter_mut()
                .try_for_each(joins::rewrite),
            _ => Ok(()),
        })
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<Self::Break> {
        if let Some(written) = self.written.pop() {
            name_as_written(&mut select.projection, written);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<Self::Break> {
        numbers::rewrite_rows(&mut query.body);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<Self::Break> {
        numbers::rewrite(expression);
        rewrite_expression(expression);
        json::rewrite(expression);
        rows_equal::rewrite(expression);
        let rewritten = patterns::rewrite(expression)
            .and_then(|()| times::rewrite(expression))
            .and_then(|()| rows_in::rewrite(expression));
        as_flow(rewritten)
    }
}

/// The clauses of a query that stand around its SELECT.
fn rewrite_query(query: &mut Query) -> Result<(), QueryError> {
    if let Some(with) = &mut query.with {
        recursion::rewrite(with)?;
    }
    fetch::rewrite(query)?;
    if let Some(order) = &mut query.order_by {
        order_by_all(order);
    }
    let SetExpr::Select(select) = query.body.as_mut() else {
        return Ok(());
    };
    group_with_modifiers(&mut select.group_by)?;
    grouping_ids::rewrite(select, query.order_by.as_mut());
    sliding_windows::rewrite(select, query.order_by.as_mut());
    named_windows::write_out(select, query.order_by.as_mut())?;
    aggregates::tell_apart(select, query.order_by.as_mut());
    order_as_sorted(select, &mut query.order_by)
}

/// The groups, windows and joins of a SELECT.
fn rewrite_relations(select: &mut Select) -> Result<(), QueryError> {
    group_with_modifiers(&mut select.group_by)?;
    grouping_ids::rewrite(select, None);
    sliding_windows::rewrite(select, None);
    named_windows::write_out(select, None)?;
    let mut joins = select.from.iter_mut().flat_map(|table| &mut table.joins);
    joins.try_for_each(joins::rewrite)
}

fn as_flow(result: Result<(), QueryError>) -> ControlFlow<Box<QueryError>> {
    match result {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(Box::new(error)),
    }
}

/// The planner refuses `SELECT 1, 1`, `SELECT a, CAST(a AS INT)` and `SELECT a - b - c, a - (b - c)`: two
/// columns of the same name, in which neither casts nor parentheses count. Where nobody has named them, the
/// second one is called as it is written, or, where that is the same, too, as Hive calls columns without a
/// name, by its position.
fn name_repeated(items: &mut [SelectItem]) {
    let (mut names, mut texts) = (HashSet::new(), HashSet::new());
    let is_alone = items.len() == 1;
    for (index, item) in items.iter_mut().enumerate() {
        let SelectItem::UnnamedExpr(expression) = item else {
            continue;
        };
        if matches!(
            expression,
            Expr::Identifier(_) | Expr::CompoundIdentifier(_)
        ) {
            // Columns keep their names (`planner/src/resolution/names.rs`); what is called like one is named.
            let text = expression.to_string();
            if let Some(column) = text.rsplit('.').next() {
                names.insert(column.to_owned());
            }
            names.insert(text);
            continue;
        }
        let text = expression.to_string();
        let is_new_text = texts.insert(text.clone());
        let is_new_name = match selected(expression) {
            // A column of the same name may stand beside it.
            Some(Expr::Identifier(_) | Expr::CompoundIdentifier(_)) => is_alone,
            Some(inner) => names.insert(planner_name(inner)),
            None => names.insert(planner_name(expression)),
        };
        if is_new_name {
            continue;
        }
        let alias = match is_new_text {
            true => Ident::with_quote('"', text),
            false => Ident::new(format!("_c{index}")),
        };
        *item = SelectItem::ExprWithAlias {
            expr: expression.clone(),
            alias,
        };
    }
}

/// What a scalar subquery selects, by which the planner calls it.
fn selected(expression: &Expr) -> Option<&Expr> {
    match expression {
        Expr::Nested(inner) => selected(inner),
        Expr::Subquery(query) => {
            let SetExpr::Select(select) = query.body.as_ref() else {
                return None;
            };
            match select.projection.as_slice() {
                [SelectItem::UnnamedExpr(inner)] => Some(inner),
                _ => None,
            }
        }
        _ => None,
    }
}

/// How the items without a name are written; the planner names calls of functions itself, some of which make
/// several columns.
fn texts(items: &[SelectItem]) -> Vec<Option<String>> {
    let text = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(Expr::Function(function)) if !functions::is_renamed(function) => {
            None
        }
        SelectItem::UnnamedExpr(expression) => Some(expression.to_string()),
        _ => None,
    };
    items.iter().map(text).collect()
}

/// Names the items that are another expression now, so that their columns are called as they were written.
fn name_as_written(items: &mut [SelectItem], written: Vec<Option<String>>) {
    for (item, text) in items.iter_mut().zip(written) {
        let (SelectItem::UnnamedExpr(expression), Some(text)) = (&mut *item, text) else {
            continue;
        };
        if expression.to_string() != text {
            *item = SelectItem::ExprWithAlias {
                expr: expression.clone(),
                alias: Ident::with_quote('"', text),
            };
        }
    }
}

/// `SORT BY` orders the rows of each task and promises nothing about their whole; ordering the whole
/// keeps that promise, too. `CLUSTER BY a` is `DISTRIBUTE BY a SORT BY a`.
fn order_as_sorted(select: &mut Select, order: &mut Option<OrderBy>) -> Result<(), QueryError> {
    let mut sorted = std::mem::take(&mut select.sort_by);
    for key in std::mem::take(&mut select.cluster_by) {
        select.distribute_by.push(key.clone());
        sorted.push(OrderByExpr {
            expr: key,
            options: Default::default(),
            with_fill: None,
        });
    }
    if sorted.is_empty() {
        return Ok(());
    }
    if order.is_some() {
        let text = "a query has either ORDER BY or SORT BY, not both";
        return Err(QueryError::new(ErrorCode::Syntax, text));
    }
    *order = Some(OrderBy {
        kind: OrderByKind::Expressions(sorted),
        interpolate: None,
    });
    Ok(())
}

/// `ORDER BY ALL`, which the parser takes for a column called so.
fn order_by_all(order: &mut OrderBy) {
    let OrderByKind::Expressions(keys) = &order.kind else {
        return;
    };
    if let [key] = keys.as_slice()
        && let Expr::Identifier(ident) = &key.expr
        && ident.quote_style.is_none()
        && ident.value.eq_ignore_ascii_case("all")
    {
        order.kind = OrderByKind::All(key.options);
    }
}

/// `GROUP BY a, b WITH ROLLUP` is `GROUP BY ROLLUP (a, b)`, and Hive's `GROUP BY a, b GROUPING SETS (…)` has the
/// groups of the latter alone; the planner does not look at what stands behind.
fn group_with_modifiers(group_by: &mut GroupByExpr) -> Result<(), QueryError> {
    let (GroupByExpr::All(modifiers) | GroupByExpr::Expressions(_, modifiers)) = &mut *group_by;
    let mut modifiers = std::mem::take(modifiers).into_iter();
    let Some(modifier) = modifiers.next() else {
        return Ok(());
    };
    let GroupByExpr::Expressions(expressions, _) = group_by else {
        return Err(unsupported("GROUP BY ALL WITH ROLLUP and its like"));
    };
    if modifiers.next().is_some() {
        let text = "GROUP BY has one of WITH ROLLUP, WITH CUBE and GROUPING SETS at the most";
        return Err(QueryError::new(ErrorCode::Syntax, text));
    }
    let each = |expressions: &mut Vec<Expr>| {
        let all = std::mem::take(expressions).into_iter();
        all.map(|expression| vec![expression]).collect()
    };
    let grouped = match modifier {
        GroupByWithModifier::Rollup => Expr::Rollup(each(expressions)),
        GroupByWithModifier::Cube => Expr::Cube(each(expressions)),
        GroupByWithModifier::GroupingSets(sets) => sets,
        GroupByWithModifier::Totals => return Err(unsupported("GROUP BY … WITH TOTALS")),
    };
    *expressions = vec![grouped];
    Ok(())
}

/// A lateral view becomes a join with a function, in parentheses: `(t CROSS JOIN LATERAL explode(a) AS
/// z(x))`, which the planner of relations recognises (`planner/src/resolution/relations/lateral_view.rs`).
fn join_lateral_views(select: &mut Select) -> Result<(), QueryError> {
    for view in std::mem::take(&mut select.lateral_views) {
        let mut tables = std::mem::take(&mut select.from).into_iter();
        let Some(mut first) = tables.next() else {
            let text = "LATERAL VIEW needs a FROM before it";
            return Err(QueryError::new(ErrorCode::Syntax, text));
        };
        for table in tables {
            first.joins.push(Join {
                relation: nested(table),
                global: false,
                join_operator: JoinOperator::CrossJoin(JoinConstraint::None),
            });
        }
        let joined = TableWithJoins {
            relation: nested(first),
            joins: vec![lateral_join(view)?],
        };
        select.from = vec![TableWithJoins {
            relation: nested(joined),
            joins: vec![],
        }];
    }
    Ok(())
}

fn nested(table: TableWithJoins) -> TableFactor {
    TableFactor::NestedJoin {
        table_with_joins: Box::new(table),
        alias: None,
    }
}

fn lateral_join(view: LateralView) -> Result<Join, QueryError> {
    let Expr::Function(Function { name, args, .. }) = view.lateral_view else {
        let text = "LATERAL VIEW needs a function such as explode";
        return Err(QueryError::new(ErrorCode::Syntax, text));
    };
    let args: Vec<FunctionArg> = match args {
        FunctionArguments::List(list) => list.args,
        _ => vec![],
    };
    let alias = TableAlias {
        explicit: true,
        name: last_part(&view.lateral_view_name),
        columns: view
            .lateral_col_alias
            .into_iter()
            .map(|name| TableAliasColumnDef {
                name,
                data_type: None,
            })
            .collect(),
        at: None,
    };
    let constraint = JoinConstraint::None;
    Ok(Join {
        relation: TableFactor::Function {
            lateral: true,
            name,
            args,
            with_ordinality: false,
            alias: Some(alias),
        },
        global: false,
        join_operator: match view.outer {
            true => JoinOperator::LeftOuter(constraint),
            false => JoinOperator::CrossJoin(constraint),
        },
    })
}

fn last_part(name: &ObjectName) -> Ident {
    let part = name.0.last().and_then(|part| part.as_ident());
    part.cloned().unwrap_or_else(|| Ident::new("lateral_view"))
}

/// The length of `VARCHAR(n)` and `CHAR(n)`.
fn text_length(data_type: &DataType) -> Option<u64> {
    match data_type {
        DataType::Varchar(Some(length))
        | DataType::CharVarying(Some(length))
        | DataType::CharacterVarying(Some(length))
        | DataType::Char(Some(length))
        | DataType::Character(Some(length)) => match length {
            CharacterLength::IntegerLength { length, .. } => Some(*length),
            CharacterLength::Max => None,
        },
        _ => None,
    }
}

/// The type without its size, and what gives a value that size.
fn without_size(data_type: DataType) -> (DataType, Option<(&'static str, u64)>) {
    if let Some(length) = text_length(&data_type) {
        return (DataType::Varchar(None), Some(("left", length)));
    }
    match data_type {
        DataType::Varbinary(Some(BinaryLength::IntegerLength { length }))
        | DataType::Binary(Some(length))
        | DataType::Blob(Some(length))
        | DataType::Bytes(Some(length)) => (DataType::Bytea, Some((CUT_BYTES, length))),
        DataType::Time(Some(digits), zone) => {
            (DataType::Time(None, zone), Some((ROUND_TIME, digits)))
        }
        other => (other, None),
    }
}

fn sized(value: Expr, size: Option<(&str, u64)>) -> Expr {
    match size {
        None => value,
        Some((function, size)) => {
            let size = Expr::value(Value::Number(size.to_string(), false));
            call(function, vec![value, size])
        }
    }
}

/// The planner reads `(s)['a']`, and not `(s).a`.
fn name_field(access: &mut AccessExpr) {
    let AccessExpr::Dot(Expr::Identifier(field)) = access else {
        return;
    };
    let name = match field.quote_style {
        Some(_) => field.value.clone(),
        None => field.value.to_lowercase(),
    };
    *access = AccessExpr::Subscript(Subscript::Index {
        index: Expr::value(Value::SingleQuotedString(name)),
    });
}

fn rewrite_expression(expression: &mut Expr) {
    if let Expr::Function(function) = expression {
        match functions::cast(function) {
            Some(cast) => *expression = cast,
            None => {
                functions::rewrite(function);
                ordered_windows::sort_within(function);
            }
        }
        return;
    }
    if let Expr::CompoundFieldAccess { root, access_chain } = expression {
        // `t.items[1]` begins with a table or a column: these names are parts of one.
        let is_part = |access: &&AccessExpr| matches!(access, AccessExpr::Dot(Expr::Identifier(_)));
        let parts = match root.as_ref() {
            Expr::Identifier(_) => access_chain.iter().take_while(is_part).count(),
            _ => 0,
        };
        access_chain.iter_mut().skip(parts).for_each(name_field);
        return;
    }
    let taken = std::mem::replace(expression, Expr::value(Value::Null));
    *expression = match taken {
        rounded @ (Expr::Ceil { .. } | Expr::Floor { .. }) => functions::rounding(rounded),
        Expr::RLike {
            negated,
            expr,
            pattern,
            regexp: _,
        } => Expr::BinaryOp {
            left: expr,
            op: match negated {
                true => BinaryOperator::PGRegexNotMatch,
                false => BinaryOperator::PGRegexMatch,
            },
            right: pattern,
        },
        // Written DIV: see `tokens.rs`.
        Expr::BinaryOp {
            left,
            op: BinaryOperator::DuckIntegerDivide,
            right,
        } => call("div", vec![*left, *right]),
        // The planner takes a size for nothing; a cast cuts what is longer.
        Expr::Cast {
            kind: kind @ (CastKind::Cast | CastKind::DoubleColon | CastKind::TryCast),
            expr,
            data_type,
            format,
            array: false,
        } => {
            let (data_type, size) = without_size(data_type);
            let cast = Expr::Cast {
                kind,
                expr,
                data_type,
                format,
                array: false,
            };
            sized(cast, size)
        }
        Expr::TypedString(mut typed) => {
            let (data_type, size) = without_size(typed.data_type);
            typed.data_type = data_type;
            sized(Expr::TypedString(typed), size)
        }
        other => other,
    };
}
