//! Calls of functions as the parser's tree has them, and the names that the planner gives to expressions.

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident,
    ObjectName, VisitMut, VisitorMut,
};
use std::ops::ControlFlow;

/// The expression as the planner calls it, which has one name for all subqueries.
pub(super) fn planner_name(expression: &Expr) -> String {
    struct Bare;

    impl VisitorMut for Bare {
        type Break = ();

        fn pre_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
            let negation = |negated: &bool| if *negated { "NOT " } else { "" };
            let name = match &*expression {
                Expr::InSubquery { expr, negated, .. } => {
                    format!("{} {}IN", planner_name(expr), negation(negated))
                }
                Expr::Exists { negated, .. } => format!("{}EXISTS", negation(negated)),
                Expr::Subquery(_) => "SUBQUERY".to_owned(),
                _ => return ControlFlow::Continue(()),
            };
            *expression = Expr::Identifier(Ident::new(name));
            ControlFlow::Continue(())
        }

        fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
            if let Expr::Cast { expr, .. } | Expr::Nested(expr) = expression {
                *expression = expr.as_ref().clone();
            }
            ControlFlow::Continue(())
        }
    }

    let mut bare = expression.clone();
    let _ = bare.visit(&mut Bare);
    bare.to_string()
}

/// A call of a function.
pub fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    let argument = |expr| FunctionArg::Unnamed(FunctionArgExpr::Expr(expr));
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: arguments.into_iter().map(argument).collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}
