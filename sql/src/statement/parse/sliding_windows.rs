//! `GROUP BY window(t, '10 minutes', '5 minutes')`: windows of time that overlap. Each row is joined with all of its
//! windows, as a lateral view does.

use super::calls::call;
use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Ident,
    LateralView, ObjectName, OrderBy, Select, SelectItem, VisitMut, visit_expressions_mut,
};
use std::ops::ControlFlow;

/// What the window is called that a row is joined with.
const WINDOW: &str = "window";

/// Puts such a window into a lateral view, also where it orders the rows.
pub(super) fn rewrite(select: &mut Select, order: Option<&mut OrderBy>) {
    let GroupByExpr::Expressions(keys, _) = &select.group_by else {
        return;
    };
    let Some(window) = keys.iter().find(|key| is_sliding(key)).cloned() else {
        return;
    };
    let Expr::Function(Function {
        args: FunctionArguments::List(list),
        ..
    }) = &window
    else {
        return;
    };
    let arguments = list.args.iter().filter_map(value_of).cloned().collect();
    select.lateral_views.push(LateralView {
        lateral_view: call("explode", vec![call("skep_windows", arguments)]),
        lateral_view_name: ObjectName::from(vec![Ident::with_quote('"', "window:rows")]),
        lateral_col_alias: vec![Ident::new(WINDOW)],
        outer: false,
    });
    let mut fields: Vec<Expr> = Vec::new();
    for item in &mut select.projection {
        let written = match item {
            SelectItem::UnnamedExpr(Expr::Function(function)) => Some(function.to_string()),
            _ => None,
        };
        replace(item, &window, &mut fields);
        if let (SelectItem::UnnamedExpr(found @ Expr::Identifier(_)), Some(_)) = (&*item, written) {
            *item = SelectItem::ExprWithAlias {
                expr: found.clone(),
                alias: Ident::new(WINDOW),
            };
        }
    }
    replace(&mut select.having, &window, &mut fields);
    if let Some(order) = order {
        replace(order, &window, &mut fields);
    }
    replace(&mut select.group_by, &window, &mut Vec::new());
    // They follow from the window, so that there are no more groups.
    if let GroupByExpr::Expressions(keys, _) = &mut select.group_by {
        keys.extend(fields);
    }
}

/// Puts the column in the window's place, and adds the fields of it that are read.
fn replace(node: &mut impl VisitMut, window: &Expr, fields: &mut Vec<Expr>) {
    // The visitor never breaks off.
    let _ = visit_expressions_mut(node, |part| {
        if part == window {
            *part = Expr::Identifier(Ident::new(WINDOW));
        }
        if let Expr::CompoundIdentifier(names) = part
            && let [table, _] = names.as_slice()
            && table.value.eq_ignore_ascii_case(WINDOW)
            && !fields.contains(part)
        {
            fields.push(part.clone());
        }
        ControlFlow::<()>::Continue(())
    });
}

fn value_of(argument: &FunctionArg) -> Option<&Expr> {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => Some(value),
        _ => None,
    }
}

/// Whether windows begin more often than they end, or more rarely.
fn is_sliding(key: &Expr) -> bool {
    let Expr::Function(function) = key else {
        return false;
    };
    let FunctionArguments::List(list) = &function.args else {
        return false;
    };
    let is_window = function.name.to_string().eq_ignore_ascii_case(WINDOW);
    match list.args.as_slice() {
        [_, length, slide] | [_, length, slide, _] => is_window && length != slide,
        _ => false,
    }
}
