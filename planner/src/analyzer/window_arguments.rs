//! How many arguments window functions take. The base library accepts any number up to the highest for some of
//! them, and panics where it looks for the first.

use datafusion::common::plan_err;
use datafusion::error::Result;
use datafusion::logical_expr::WindowFunctionDefinition;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawWindowExpr};

/// The least and the most arguments of window functions.
const ARGUMENTS: [(&str, usize, usize); 6] = [
    ("first_value", 1, 1),
    ("lag", 1, 3),
    ("last_value", 1, 1),
    ("lead", 1, 3),
    ("nth_value", 2, 2),
    ("ntile", 1, 1),
];

/// Refuses calls with another number of arguments. It belongs before DataFusion's planners.
#[derive(Debug)]
pub(crate) struct WindowArguments;

impl ExprPlanner for WindowArguments {
    fn plan_window(&self, expr: RawWindowExpr) -> Result<PlannerResult<RawWindowExpr>> {
        let WindowFunctionDefinition::WindowUDF(function) = &expr.func_def else {
            return Ok(PlannerResult::Original(expr));
        };
        let name = function.name();
        let known = ARGUMENTS.iter().find(|(known, _, _)| *known == name);
        if let Some((_, least, most)) = known
            && !(*least..=*most).contains(&expr.args.len())
        {
            let takes = match least == most {
                true => least.to_string(),
                false => format!("{least} to {most}"),
            };
            return plan_err!(
                "function '{name}' takes {takes} arguments, not {}",
                expr.args.len()
            );
        }
        Ok(PlannerResult::Original(expr))
    }
}
