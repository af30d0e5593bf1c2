//! `grouping_id(a, b)`, `grouping_id()` and Hive's `GROUPING__ID`: which of the columns that are grouped by a row is a
//! total over, as bits. The planner knows it as `grouping(a, b)`.

use super::calls::call;
use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArgumentList, FunctionArguments, GroupByExpr, Ident, ObjectName,
    OrderBy, Query, Select, SelectItem, VisitMut, VisitorMut,
};
use std::ops::ControlFlow;

/// Puts them into the planner's words, also in what orders the rows.
pub(super) fn rewrite(select: &mut Select, order: Option<&mut OrderBy>) {
    let mut keys = Vec::new();
    if let GroupByExpr::Expressions(expressions, _) = &select.group_by {
        expressions.iter().for_each(|key| add_keys(key, &mut keys));
    }
    if keys.is_empty() {
        return;
    }
    let mut ids = Ids { keys, depth: 0 };
    for item in &mut select.projection {
        let written = match item {
            SelectItem::UnnamedExpr(expression) => Some(expression.to_string()),
            _ => None,
        };
        // The visitor never breaks off.
        let _ = item.visit(&mut ids);
        if let (SelectItem::UnnamedExpr(expression), Some(written)) = (&mut *item, written)
            && expression.to_string() != written
        {
            *item = SelectItem::ExprWithAlias {
                expr: expression.clone(),
                alias: Ident::with_quote('"', written.to_lowercase()),
            };
        }
    }
    let _ = select.having.visit(&mut ids);
    let _ = select.qualify.visit(&mut ids);
    if let Some(order) = order {
        let _ = order.visit(&mut ids);
    }
}

/// The columns of a key, in the order in which they first come.
fn add_keys(key: &Expr, keys: &mut Vec<Expr>) {
    match key {
        Expr::Rollup(sets) | Expr::Cube(sets) | Expr::GroupingSets(sets) => {
            for part in sets.iter().flatten() {
                add_keys(part, keys);
            }
        }
        Expr::Tuple(parts) => parts.iter().for_each(|part| add_keys(part, keys)),
        key if !keys.contains(key) => keys.push(key.clone()),
        _ => {}
    }
}

struct Ids {
    keys: Vec<Expr>,
    /// How many subqueries the visitor is in, which have groups of their own.
    depth: usize,
}

impl VisitorMut for Ids {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        if self.depth > 0 {
            return ControlFlow::Continue(());
        }
        match expression {
            Expr::Identifier(ident)
                if ident.quote_style.is_none()
                    && ident.value.eq_ignore_ascii_case("grouping__id") =>
            {
                *expression = call("grouping", self.keys.clone());
            }
            Expr::Function(function) if is_grouping_id(function) => match &function.args {
                FunctionArguments::List(FunctionArgumentList { args, .. }) if !args.is_empty() => {
                    function.name = ObjectName::from(vec![Ident::new("grouping")]);
                }
                _ => *expression = call("grouping", self.keys.clone()),
            },
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

fn is_grouping_id(function: &Function) -> bool {
    function
        .name
        .to_string()
        .eq_ignore_ascii_case("grouping_id")
}
