//! What the forms of SQL that are no calls mean in a dialect: `x[1]`, `SUBSTRING(x FROM 2)`, `j -> 'a'`.

use crate::registry::{Dialect, Implementation, entries};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::error::Result;
use datafusion::functions::expr_fn::nullif;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{
    ExprPlanner, PlannerResult, RawBinaryExpr, RawFieldAccessExpr,
};
use datafusion::logical_expr::{Expr, ExprSchemable, GetFieldAccess, ScalarUDF, cast, lit};
use datafusion::sql::sqlparser::ast::BinaryOperator;
use std::sync::Arc;

/// Plans them. It belongs before all other planners of expressions.
#[derive(Clone, Copy, Debug)]
pub struct DialectPlanner(pub Dialect);

/// The function that has this name in plans or for people.
pub fn scalar_function(name: &str) -> Option<Arc<ScalarUDF>> {
    let entry = entries().iter().find(|entry| entry.name == name)?;
    match &entry.implementation {
        Implementation::Scalar(function) => Some(Arc::clone(function)),
        _ => None,
    }
}

fn call(name: &str, args: Vec<Expr>) -> PlannerResult<Vec<Expr>> {
    match scalar_function(name) {
        Some(function) => PlannerResult::Planned(Expr::ScalarFunction(ScalarFunction::new_udf(
            function, args,
        ))),
        None => PlannerResult::Original(args),
    }
}

/// Hive divides whole numbers as doubles, and by 0 to NULL.
fn divided(expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
    let is_whole = |side: &Expr| -> Result<bool> {
        let data_type = side.get_type(schema)?;
        Ok(data_type.is_integer() || data_type.is_null())
    };
    if !is_whole(&expr.left)? || !is_whole(&expr.right)? {
        return Ok(PlannerResult::Original(expr));
    }
    let double = |side: Expr| cast(side, DataType::Float64);
    let divisor = nullif(double(expr.right), lit(0.0_f64));
    Ok(PlannerResult::Planned(double(expr.left) / divisor))
}

impl ExprPlanner for DialectPlanner {
    fn plan_binary_op(
        &self,
        expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        if self.0 == Dialect::Hive && expr.op == BinaryOperator::Divide {
            return divided(expr, schema);
        }
        let name = match expr.op {
            BinaryOperator::Arrow => "json_get",
            BinaryOperator::LongArrow => "json_get_text",
            _ => return Ok(PlannerResult::Original(expr)),
        };
        Ok(
            match call(name, vec![expr.left.clone(), expr.right.clone()]) {
                PlannerResult::Planned(planned) => PlannerResult::Planned(planned),
                PlannerResult::Original(_) => PlannerResult::Original(expr),
            },
        )
    }

    fn plan_field_access(
        &self,
        expr: RawFieldAccessExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawFieldAccessExpr>> {
        if self.0 != Dialect::Hive {
            return Ok(PlannerResult::Original(expr));
        }
        let RawFieldAccessExpr { expr, field_access } = expr;
        let is_collection = matches!(
            expr.get_type(schema)?,
            DataType::List(_)
                | DataType::LargeList(_)
                | DataType::FixedSizeList(_, _)
                | DataType::Map(_, _)
        );
        let key = match &field_access {
            GetFieldAccess::ListIndex { key } if is_collection => Some(key.as_ref().clone()),
            GetFieldAccess::NamedStructField { name } if is_collection => {
                Some(Expr::Literal(name.clone(), None))
            }
            _ => None,
        };
        if let Some(key) = key
            && let PlannerResult::Planned(planned) = call("skep_item", vec![expr.clone(), key])
        {
            return Ok(PlannerResult::Planned(planned));
        }
        Ok(PlannerResult::Original(RawFieldAccessExpr {
            expr,
            field_access,
        }))
    }

    fn plan_substring(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(match self.0 {
            Dialect::Hive => call("substr", args),
            Dialect::Ansi => PlannerResult::Original(args),
        })
    }

    fn plan_overlay(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(match self.0 {
            Dialect::Hive => call("overlay", args),
            Dialect::Ansi => PlannerResult::Original(args),
        })
    }
}
