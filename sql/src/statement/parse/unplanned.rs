//! Clauses that the parser reads and nobody plans: refused by name, since a query without them has other rows.
//!
//! The nodes are taken apart field by field, so that a field which a new version of the parser brings does not
//! compile before somebody has decided about it.

use super::unsupported;
use crate::statement::cursor::position;
use datafusion::sql::sqlparser::ast::{
    Cte, DuplicateTreatment, Expr, ForClause, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentList, FunctionArguments, Join, JoinOperator, LateralView, LimitClause,
    LockType, ObjectName, OrderBy, OrderByExpr, OrderByKind, PipeOperator, Query, Select,
    SelectItem, SetExpr, SetOperator, Spanned, Statement as SqlStatement, TableAlias, TableFactor,
    TableFunctionArgs, Visit, Visitor, WildcardAdditionalOptions, With,
};
use skep_protocol::QueryError;
use std::ops::ControlFlow;

/// Refuses a statement that has such a clause anywhere.
///
/// # Errors
/// `Unsupported`, naming the clause.
pub(super) fn check(statement: &SqlStatement) -> Result<(), QueryError> {
    match statement.visit(&mut Clauses) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(*error),
    }
}

struct Clauses;

impl Visitor for Clauses {
    type Break = Box<QueryError>;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Self::Break> {
        refuse(of_query(query), query)
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Self::Break> {
        refuse(of_select(select), select)
    }

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<Self::Break> {
        refuse(of_table(table), table)
    }

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<Self::Break> {
        let found = match expression {
            Expr::Function(function) => of_function(function),
            Expr::Trim {
                trim_characters: Some(characters),
                ..
            } if characters.len() > 1 => Some("TRIM of several texts".to_owned()),
            Expr::Prior(_) => Some("PRIOR".to_owned()),
            Expr::OuterJoin(_) => Some("(+) for an outer join (write LEFT JOIN)".to_owned()),
            _ => None,
        };
        refuse(found, expression)
    }
}

/// Breaks off with the error that a clause called `found` within `node` is not supported.
fn refuse(found: Option<String>, node: &impl Spanned) -> ControlFlow<Box<QueryError>> {
    match found {
        None => ControlFlow::Continue(()),
        Some(name) => {
            let error = unsupported(&name).at(position(node.span().start));
            ControlFlow::Break(Box::new(error))
        }
    }
}

fn named(name: &str) -> Option<String> {
    Some(name.to_owned())
}

fn of_query(query: &Query) -> Option<String> {
    let Query {
        with,
        body: _,
        order_by,
        limit_clause,
        // What FETCH says is put into other clauses.
        fetch: _,
        locks,
        for_clause,
        settings,
        format_clause,
        pipe_operators,
    } = query;
    if let Some(lock) = locks.first() {
        return named(match lock.lock_type {
            LockType::Share => "SELECT … FOR SHARE",
            LockType::Update => "SELECT … FOR UPDATE",
        });
    }
    if let Some(clause) = for_clause {
        return named(match clause {
            ForClause::Browse => "FOR BROWSE",
            ForClause::Json { .. } => "FOR JSON",
            ForClause::Xml { .. } => "FOR XML",
        });
    }
    if settings.is_some() {
        return named("SETTINGS behind a query (write SET before it)");
    }
    if format_clause.is_some() {
        return named("FORMAT behind a query");
    }
    if let Some(LimitClause::LimitOffset { limit_by, .. }) = limit_clause
        && !limit_by.is_empty()
    {
        return named("LIMIT … BY");
    }
    let of_pipes = pipe_operators.iter().find_map(of_pipe);
    let of_order = order_by.as_ref().and_then(of_order);
    let of_with = with.as_ref().and_then(of_with);
    of_order.or(of_with).or(of_pipes)
}

fn of_order(order: &OrderBy) -> Option<String> {
    let OrderBy { kind, interpolate } = order;
    if interpolate.is_some() {
        return named("ORDER BY … INTERPOLATE");
    }
    match kind {
        OrderByKind::All(_) => None,
        OrderByKind::Expressions(keys) => keys.iter().find_map(of_key),
    }
}

fn of_key(key: &OrderByExpr) -> Option<String> {
    let OrderByExpr {
        expr: _,
        options: _,
        with_fill,
    } = key;
    with_fill
        .as_ref()
        .and_then(|_| named("ORDER BY … WITH FILL"))
}

fn of_pipe(operator: &PipeOperator) -> Option<String> {
    let PipeOperator::Aggregate {
        full_table_exprs,
        group_by_expr,
    } = operator
    else {
        return None;
    };
    let is_ordered = full_table_exprs.iter().chain(group_by_expr).any(|item| {
        let options = &item.order_by;
        options.asc.is_some() || options.nulls_first.is_some()
    });
    is_ordered.then(|| "ASC and DESC within |> AGGREGATE (write |> ORDER BY behind it)".to_owned())
}

fn of_with(with: &With) -> Option<String> {
    let With {
        with_token: _,
        recursive,
        cte_tables,
    } = with;
    cte_tables.iter().find_map(|cte| {
        let Cte {
            alias,
            query,
            from,
            // Whether the rows are kept is the planner's business.
            materialized: _,
            closing_paren_token: _,
        } = cte;
        if from.is_some() {
            return named("FROM behind a query of WITH");
        }
        let of_recursion = recursive.then(|| of_recursive(query)).flatten();
        of_alias(alias).or(of_recursion)
    })
}

/// What the planner drops of a query of WITH RECURSIVE that is a union. Those that do not read themselves are put
/// into other words (`recursion.rs`).
fn of_recursive(query: &Query) -> Option<String> {
    let SetExpr::SetOperation {
        op: SetOperator::Union,
        ..
    } = query.body.as_ref()
    else {
        return None;
    };
    match query.pipe_operators.is_empty() {
        true => None,
        false => named("|> within a query of WITH RECURSIVE"),
    }
}

fn of_select(select: &Select) -> Option<String> {
    let Select {
        select_token: _,
        // Hints are comments.
        optimizer_hints: _,
        distinct: _,
        select_modifiers,
        top,
        top_before_distinct: _,
        projection,
        exclude,
        into,
        from,
        lateral_views,
        prewhere,
        selection: _,
        connect_by,
        group_by: _,
        cluster_by: _,
        distribute_by: _,
        sort_by: _,
        having: _,
        named_window: _,
        qualify: _,
        window_before_qualify: _,
        value_table_mode,
        flavor: _,
    } = select;
    if select_modifiers.is_some() {
        return named("a word between SELECT and its columns");
    }
    let clauses = [
        (top.is_some(), "TOP (write LIMIT)"),
        (exclude.is_some(), "EXCLUDE behind the columns of SELECT"),
        (
            into.is_some(),
            "SELECT … INTO (write CREATE TABLE … AS SELECT)",
        ),
        (prewhere.is_some(), "PREWHERE (write WHERE)"),
        (!connect_by.is_empty(), "CONNECT BY (write WITH RECURSIVE)"),
        (value_table_mode.is_some(), "SELECT AS STRUCT and AS VALUE"),
    ];
    if let Some((_, name)) = clauses.iter().find(|(is_there, _)| *is_there) {
        return named(name);
    }
    let of_items = projection.iter().find_map(of_item);
    let joins = || from.iter().flat_map(|table| &table.joins);
    of_items
        .or_else(|| joins().find_map(of_join))
        .or_else(|| lateral_views.iter().find_map(of_lateral_view))
}

fn of_item(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options) => {
            let WildcardAdditionalOptions {
                wildcard_token: _,
                opt_ilike: _,
                opt_exclude: _,
                opt_except: _,
                opt_replace: _,
                opt_rename: _,
                opt_alias,
            } = options;
            opt_alias.as_ref().and_then(|_| named("an alias of *"))
        }
        SelectItem::UnnamedExpr(_)
        | SelectItem::ExprWithAlias { .. }
        | SelectItem::ExprWithAliases { .. } => None,
    }
}

fn of_join(join: &Join) -> Option<String> {
    let Join {
        relation: _,
        // `tokens.rs` refuses what is written so, and writes it for DuckDB's ASOF JOIN.
        global: _,
        join_operator,
    } = join;
    match join_operator {
        JoinOperator::ArrayJoin | JoinOperator::LeftArrayJoin | JoinOperator::InnerArrayJoin => {
            named("ARRAY JOIN (write CROSS JOIN unnest(…))")
        }
        _ => None,
    }
}

fn of_lateral_view(view: &LateralView) -> Option<String> {
    let LateralView {
        lateral_view,
        lateral_view_name: _,
        lateral_col_alias: _,
        outer: _,
    } = view;
    let Expr::Function(function) = lateral_view else {
        return None;
    };
    let has_clause = function.over.is_some() || function.filter.is_some();
    has_clause.then(|| "OVER and FILTER in LATERAL VIEW".to_owned())
}

fn of_alias(alias: &TableAlias) -> Option<String> {
    let TableAlias {
        explicit: _,
        name: _,
        columns,
        at,
    } = alias;
    if at.is_some() {
        return named("AT behind the alias of a table");
    }
    let has_type = columns.iter().any(|column| column.data_type.is_some());
    has_type.then(|| "a type behind a column of a table's alias (write CAST)".to_owned())
}

fn of_table(table: &TableFactor) -> Option<String> {
    match table {
        TableFactor::Table {
            name: _,
            alias,
            args,
            with_hints,
            version,
            with_ordinality,
            partitions,
            json_path,
            // `planner/src/resolution/relations/table_sample.rs`
            sample: _,
            index_hints,
        } => {
            let clauses = [
                (!with_hints.is_empty(), "WITH (…) behind a table"),
                (version.is_some(), "a version of a table"),
                (
                    *with_ordinality,
                    "WITH ORDINALITY behind anything but UNNEST",
                ),
                (
                    !partitions.is_empty(),
                    "PARTITION (…) behind a table (write WHERE)",
                ),
                (json_path.is_some(), "a path behind a table"),
                (!index_hints.is_empty(), "a hint of an index"),
            ];
            let found = clauses.iter().find(|(is_there, _)| *is_there);
            let of_args = || args.as_ref().and_then(of_table_arguments);
            let found = found.and_then(|(_, name)| named(name));
            found
                .or_else(of_args)
                .or_else(|| alias.as_ref().and_then(of_alias))
        }
        TableFactor::Function {
            lateral: _,
            name: _,
            args,
            with_ordinality,
            alias,
        } => {
            if *with_ordinality {
                return named("WITH ORDINALITY behind anything but UNNEST");
            }
            let of_args = args.iter().find_map(of_table_argument);
            of_args.or_else(|| alias.as_ref().and_then(of_alias))
        }
        TableFactor::NestedJoin {
            table_with_joins,
            alias,
        } => {
            let of_joins = table_with_joins.joins.iter().find_map(of_join);
            of_joins.or_else(|| alias.as_ref().and_then(of_alias))
        }
        TableFactor::Derived { alias, .. }
        | TableFactor::TableFunction { alias, .. }
        | TableFactor::UNNEST { alias, .. }
        | TableFactor::JsonTable { alias, .. }
        | TableFactor::OpenJsonTable { alias, .. }
        | TableFactor::Pivot { alias, .. }
        | TableFactor::Unpivot { alias, .. }
        | TableFactor::MatchRecognize { alias, .. }
        | TableFactor::XmlTable { alias, .. }
        | TableFactor::SemanticView { alias, .. } => alias.as_ref().and_then(of_alias),
    }
}

fn of_table_arguments(arguments: &TableFunctionArgs) -> Option<String> {
    let TableFunctionArgs { args: _, settings } = arguments;
    settings
        .as_ref()
        .and_then(|_| named("SETTINGS of a table function"))
}

/// The planner takes arguments with names as if they had none.
fn of_table_argument(argument: &FunctionArg) -> Option<String> {
    match argument {
        FunctionArg::Named { .. } | FunctionArg::ExprNamed { .. } => {
            named("an argument with a name of a function behind LATERAL")
        }
        FunctionArg::Unnamed(_) => None,
    }
}

fn of_function(function: &Function) -> Option<String> {
    let Function {
        name,
        uses_odbc_syntax: _,
        parameters,
        args,
        // `planner/src/resolution/function_clauses.rs`
        filter: _,
        null_treatment: _,
        over: _,
        within_group: _,
    } = function;
    if name.to_string().eq_ignore_ascii_case("session_window") {
        return named("session_window");
    }
    if *parameters != FunctionArguments::None {
        return Some(format!("{name}(…)(…)"));
    }
    match args {
        FunctionArguments::Subquery(_) => Some(format!(
            "{name} of a query (write a query in parentheses that has one row)"
        )),
        FunctionArguments::List(list) => of_arguments(name, list),
        FunctionArguments::None => None,
    }
}

/// `count(DISTINCT *)` counts one constant for the planner.
fn of_arguments(name: &ObjectName, list: &FunctionArgumentList) -> Option<String> {
    let is_distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
    let found = list.args.iter().find_map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Wildcard) if is_distinct => Some("DISTINCT *"),
        FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(_)) if is_distinct => {
            Some("DISTINCT t.*")
        }
        FunctionArg::Unnamed(FunctionArgExpr::WildcardWithOptions(_)) => {
            Some("* with EXCLUDE and its like")
        }
        _ => None,
    });
    found.map(|found| format!("{name}({found})"))
}
