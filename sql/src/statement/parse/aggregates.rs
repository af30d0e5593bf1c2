//! Aggregates that the planner cannot tell apart: `sum(v)` and `sum(CAST(v AS INT))`, or `max(a * b + 1)` and
//! `max(a * (b + 1))`. It knows them by names in which neither casts nor parentheses count, nor what a subquery
//! is, and refuses two of one name. The second one is told that it takes all rows (`FILTER (WHERE true)`), which changes its
//! name alone.
//!
//! Decision: Of two aggregates that the planner would call by one name, `sum(v)` and `sum(CAST(v AS INT))`, one has
//! the filter `true`.

use super::calls::planner_name;
use datafusion::functions_aggregate::all_default_aggregate_functions;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, Ident, OrderBy, OrderByKind, Query, Select, SelectItem, Value,
    VisitMut, VisitorMut,
};
use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::LazyLock;

/// The names of all aggregates, in small letters.
static NAMES: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let functions = all_default_aggregate_functions();
    let names = functions.iter().flat_map(|function| {
        let aliases = function.aliases().iter();
        aliases.cloned().chain([function.name().to_owned()])
    });
    names
        .chain(skep_functions::aggregate_names().map(str::to_owned))
        .collect()
});

/// Gives the aggregates of a SELECT, and of what orders its rows, names of their own.
pub(super) fn tell_apart(select: &mut Select, order: Option<&mut OrderBy>) {
    let mut known = Known::default();
    for item in &mut select.projection {
        let (SelectItem::UnnamedExpr(expression)
        | SelectItem::ExprWithAlias {
            expr: expression, ..
        }) = item
        else {
            continue;
        };
        let written = expression.to_string();
        known.rename_in(expression);
        if let SelectItem::UnnamedExpr(renamed) = item
            && renamed.to_string() != written
        {
            *item = SelectItem::ExprWithAlias {
                expr: renamed.clone(),
                alias: Ident::with_quote('"', written),
            };
        }
    }
    let others = [&mut select.having, &mut select.qualify];
    for expression in others.into_iter().flatten() {
        known.rename_in(expression);
    }
    if let Some(OrderByKind::Expressions(keys)) = order.map(|order| &mut order.kind) {
        for key in keys {
            known.rename_in(&mut key.expr);
        }
    }
}

/// The aggregates that were met, in small letters, by the planner's name for them.
#[derive(Default)]
struct Known {
    by_name: HashMap<String, Vec<String>>,
    /// How many subqueries the visitor is in, whose aggregates are their own.
    depth: usize,
}

impl Known {
    fn rename_in(&mut self, expression: &mut Expr) {
        // The visitor never breaks off.
        let _ = expression.visit(self);
    }

    /// How many others of the same name came before an aggregate.
    fn namesakes(&mut self, aggregate: &Expr) -> usize {
        let name = planner_name(aggregate).to_lowercase();
        let written = aggregate.to_string().to_lowercase();
        let known = self.by_name.entry(name).or_default();
        let position = known.iter().position(|other| *other == written);
        position.unwrap_or_else(|| {
            known.push(written);
            known.len() - 1
        })
    }
}

impl VisitorMut for Known {
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
        if self.depth == 0 && is_aggregate(expression) {
            let namesakes = self.namesakes(expression);
            if let Expr::Function(function) = expression {
                (0..namesakes).for_each(|_| take_all_rows(function));
            }
        }
        ControlFlow::Continue(())
    }
}

fn is_aggregate(expression: &Expr) -> bool {
    let Expr::Function(function) = expression else {
        return false;
    };
    let [part] = function.name.0.as_slice() else {
        return false;
    };
    let name = part.as_ident().map(|name| name.value.to_lowercase());
    name.is_some_and(|name| NAMES.contains(&name))
}

/// Takes the rows that it took before, in other words.
fn take_all_rows(function: &mut Function) {
    let all = Expr::value(Value::Boolean(true));
    function.filter = Some(Box::new(match function.filter.take() {
        None => all,
        Some(filter) => Expr::BinaryOp {
            left: Box::new(Expr::Nested(filter)),
            op: BinaryOperator::And,
            right: Box::new(all),
        },
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::sql::sqlparser::ast::{SetExpr, Statement};
    use datafusion::sql::sqlparser::dialect::GenericDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    fn told_apart(sql: &str) -> String {
        let mut statements = Parser::parse_sql(&GenericDialect {}, sql).unwrap();
        let Statement::Query(query) = &mut statements[0] else {
            panic!("{sql}");
        };
        let SetExpr::Select(select) = query.body.as_mut() else {
            panic!("{sql}");
        };
        tell_apart(select, query.order_by.as_mut());
        query.to_string()
    }

    #[test]
    fn only_those_of_one_name_are_renamed() {
        for same in [
            "SELECT sum(v), SUM(v), sum(w), sum(v) + 1 FROM t ORDER BY sum(v)",
            "SELECT abs(v), abs(CAST(v AS INT)), row_number() OVER () FROM t",
            "SELECT sum(v), (SELECT sum(CAST(v AS INT)) FROM u) FROM t",
        ] {
            assert_eq!(told_apart(same), same);
        }
        assert_eq!(
            told_apart(
                "SELECT sum(v), 1 + sum(CAST(v AS INT)), sum((v)) AS s FROM t \
                 HAVING sum(CAST(v AS INT)) > 2 ORDER BY sum((v))"
            ),
            "SELECT sum(v), 1 + sum(CAST(v AS INT)) FILTER (WHERE true) AS \"1 + sum(CAST(v AS INT))\", \
             sum((v)) FILTER (WHERE (true) AND true) AS s FROM t \
             HAVING sum(CAST(v AS INT)) FILTER (WHERE true) > 2 \
             ORDER BY sum((v)) FILTER (WHERE (true) AND true)"
        );
        assert_eq!(
            told_apart("SELECT sum(k IN (SELECT 1)), sum(k IN (SELECT 2)) FROM t"),
            "SELECT sum(k IN (SELECT 1)), sum(k IN (SELECT 2)) FILTER (WHERE true) \
             AS \"sum(k IN (SELECT 2))\" FROM t"
        );
    }
}
