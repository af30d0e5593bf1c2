//! `TABLESAMPLE`: a part of a table's rows.

use datafusion::common::{DataFusionError, not_impl_err, plan_datafusion_err, plan_err};
use datafusion::error::Result;
use datafusion::functions::math::expr_fn::random;
use datafusion::logical_expr::planner::RelationPlannerContext;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, lit};
use datafusion::sql::sqlparser::ast::{
    Expr as SqlExpr, TableFactor, TableSample, TableSampleBucket, TableSampleKind,
    TableSampleMethod, TableSampleQuantity, TableSampleUnit, Value, ValueWithSpan,
};
use skep_runtime::functions::bucket_of;

/// Plans a sample of `table`.
///
/// # Errors
/// Where the sample is not one of `n PERCENT`, `n ROWS`, `BERNOULLI (n)`, `SYSTEM (n)` and `BUCKET x OUT OF y [ON e]`.
pub(super) fn plan(
    table: TableFactor,
    sample: TableSampleKind,
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let (TableSampleKind::BeforeTableAlias(sample) | TableSampleKind::AfterTableAlias(sample)) =
        sample;
    let input = context.plan(table)?;
    let TableSample {
        modifier: _,
        name,
        quantity,
        seed,
        bucket,
        offset,
    } = *sample;
    if seed.is_some() {
        return not_impl_err!("TABLESAMPLE … REPEATABLE is not supported");
    }
    if offset.is_some() {
        return not_impl_err!("SAMPLE … OFFSET is not supported");
    }
    match (quantity, bucket, name) {
        (None, Some(bucket), None) => of_bucket(input, bucket, context),
        (Some(quantity), None, method) => of_quantity(input, &quantity, method),
        _ => plan_err!("TABLESAMPLE takes n PERCENT, n ROWS or BUCKET x OUT OF y"),
    }
}

fn of_quantity(
    input: LogicalPlan,
    quantity: &TableSampleQuantity,
    method: Option<TableSampleMethod>,
) -> Result<LogicalPlan> {
    let percent = match (method, &quantity.unit) {
        (None, Some(TableSampleUnit::Rows)) => {
            let rows = number(&quantity.value)? as usize;
            return LogicalPlanBuilder::from(input)
                .limit(0, Some(rows))?
                .build();
        }
        (None, Some(TableSampleUnit::Percent)) => number(&quantity.value)?,
        // How SYSTEM chooses rows is the engine's business: one by one, as BERNOULLI does.
        (Some(_), None | Some(TableSampleUnit::Percent)) => number(&quantity.value)?,
        (Some(method), Some(TableSampleUnit::Rows)) => {
            return plan_err!("TABLESAMPLE {method} takes PERCENT, not ROWS");
        }
        (None, None) => return plan_err!("TABLESAMPLE needs PERCENT or ROWS behind its number"),
    };
    if !(0.0..=100.0).contains(&percent) {
        return plan_err!("TABLESAMPLE takes 0 to 100 PERCENT, not {percent}");
    }
    keep(input, random().lt(lit(percent / 100.0)))
}

fn of_bucket(
    input: LogicalPlan,
    bucket: TableSampleBucket,
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let (chosen, total) = (whole(&bucket.bucket)?, whole(&bucket.total)?);
    if chosen == 0 || chosen > total {
        return plan_err!("TABLESAMPLE takes BUCKET 1 to {total} OUT OF {total}, not {chosen}");
    }
    let Some(on) = bucket.on else {
        return plan_err!("TABLESAMPLE (BUCKET x OUT OF y) needs ON a column, or ON rand()");
    };
    let is_random = matches!(&on, SqlExpr::Function(function)
        if matches!(function.name.to_string().to_ascii_lowercase().as_str(), "rand" | "random"));
    if is_random {
        return keep(input, random().lt(lit(1.0 / total as f64)));
    }
    let on = context.sql_to_expr(on, input.schema())?;
    let of_row = bucket_of().call(vec![on, lit(total as i64)]);
    keep(input, of_row.eq(lit(chosen as i64 - 1)))
}

fn keep(input: LogicalPlan, rows: Expr) -> Result<LogicalPlan> {
    LogicalPlanBuilder::from(input).filter(rows)?.build()
}

fn not_a_number(text: &impl std::fmt::Display) -> DataFusionError {
    plan_datafusion_err!("TABLESAMPLE takes a number, not {text}")
}

fn number(expression: &SqlExpr) -> Result<f64> {
    match expression {
        SqlExpr::Value(ValueWithSpan {
            value: Value::Number(text, _),
            ..
        }) => text.parse().map_err(|_| not_a_number(expression)),
        _ => Err(not_a_number(expression)),
    }
}

fn whole(value: &ValueWithSpan) -> Result<u32> {
    let text = value.to_string();
    text.parse().map_err(|_| not_a_number(&text))
}
