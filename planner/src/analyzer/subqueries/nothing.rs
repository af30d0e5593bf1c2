//! What aggregates return for no rows.

use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, ExprSchemable};
use datafusion::physical_expr::aggregate::LoweredAggregateBuilder;

/// The value of an aggregate for no rows: 0 for `count`, NULL for most others.
pub(super) fn value_of_nothing(aggregate: &Expr, input: &DFSchema) -> Result<ScalarValue> {
    // The aggregate itself knows best.
    if let Ok(value) = evaluated(aggregate, input) {
        return Ok(value);
    }
    let kind = aggregate.get_type(input)?;
    match aggregate.clone().unalias_nested().data {
        Expr::AggregateFunction(function) => function.func.default_value(&kind),
        _ => ScalarValue::try_from(&kind),
    }
}

fn evaluated(aggregate: &Expr, input: &DFSchema) -> Result<ScalarValue> {
    let properties = ExecutionProps::new();
    let context = PhysicalPlanningContext::default();
    let lowered =
        LoweredAggregateBuilder::new(aggregate, input, input.inner(), &properties, &context)
            .build()?;
    lowered.aggregate.create_accumulator()?.evaluate()
}
