//! Aggregates in windows that have an order of their own: `array_agg(x ORDER BY y) OVER (PARTITION BY z)`.
//!
//! The planner drops the ORDER BY of an aggregate in a window without a word. Here it becomes arguments of a function
//! that sorts its rows (`exchange/src/functions/ordered.rs`).

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArgumentList,
    FunctionArguments, Ident, ObjectName, OrderByExpr, Value,
};
use skep_runtime::functions::{direction, ordered_name};

/// Aggregates whose result depends on the order of rows.
const ORDERED: [&str; 7] = [
    "array_agg",
    "collect_list",
    "first_value",
    "last_value",
    "listagg",
    "nth_value",
    "string_agg",
];

/// Puts the order of an aggregate in a window into its arguments.
pub(super) fn sort_within(function: &mut Function) {
    if function.over.is_none() {
        return;
    }
    let FunctionArguments::List(list) = &mut function.args else {
        return;
    };
    let Some(keys) = take_order(list) else {
        return;
    };
    let [part] = function.name.0.as_slice() else {
        return;
    };
    let name = part.as_ident().map(|name| name.value.to_lowercase());
    let Some(name) = name.filter(|name| ORDERED.contains(&name.as_str())) else {
        return;
    };
    let directions = keys.iter().map(|key| {
        let ascending = key.options.asc.unwrap_or(true);
        direction(ascending, key.options.nulls_first.unwrap_or(!ascending))
    });
    let directions = Expr::value(Value::SingleQuotedString(directions.collect()));
    list.args.push(argument(directions));
    list.args.push(argument(row_of(keys)));
    function.name = ObjectName::from(vec![Ident::new(ordered_name(&name))]);
}

fn take_order(list: &mut FunctionArgumentList) -> Option<Vec<OrderByExpr>> {
    let is_order =
        |clause: &FunctionArgumentClause| matches!(clause, FunctionArgumentClause::OrderBy(_));
    let position = list.clauses.iter().position(is_order)?;
    match list.clauses.remove(position) {
        FunctionArgumentClause::OrderBy(keys) => Some(keys),
        _ => None,
    }
}

fn argument(value: Expr) -> FunctionArg {
    FunctionArg::Unnamed(FunctionArgExpr::Expr(value))
}

fn row_of(keys: Vec<OrderByExpr>) -> Expr {
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new("struct")]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: keys.into_iter().map(|key| argument(key.expr)).collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}
