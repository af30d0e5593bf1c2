//! What a NULL struct holds is NULL.
//!
//! CASE, `nullif` and other functions make a struct NULL without touching its fields, and reading a field does not
//! ask whether the struct is NULL. This rule has the fields of computed structs made NULL with them
//! (`skep_runtime::functions::null_fields`).

use datafusion::arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;
use skep_runtime::functions::null_fields;

/// Functions whose structs are never NULL, or hold what another struct holds.
const HARMLESS: [&str; 3] = ["get_field", "named_struct", "struct"];

/// Has the fields of computed structs be NULL where the structs are.
#[derive(Debug)]
pub struct NullFields;

impl AnalyzerRule for NullFields {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let mended = plan.transform_up_with_subqueries(|node| {
            let schema = merge_schema(&node.inputs());
            let names = NamePreserver::new(&node);
            let mended = |expression: Expr| {
                if !expression.exists(|part| Ok(makes_null(part, &schema)))? {
                    return Ok(Transformed::no(expression));
                }
                let name = names.save(&expression);
                let mended = expression.transform_up(|part| Ok(mend(part, &schema)))?;
                Ok(mended.update_data(|expression| name.restore(expression)))
            };
            let mended = node.map_expressions(|expression| match expression {
                // It is not a column: those that it names are.
                Expr::GroupingSet(_) => expression.map_children(mended),
                column => mended(column),
            })?;
            match mended.transformed {
                true => mended.map_data(LogicalPlan::recompute_schema),
                false => Ok(mended),
            }
        })?;
        Ok(mended.data)
    }

    fn name(&self) -> &str {
        "null_fields"
    }
}

/// Whether an expression may make a struct NULL and leave its fields.
fn makes_null(expression: &Expr, schema: &DFSchema) -> bool {
    let may = match expression {
        Expr::Case(_) => true,
        Expr::ScalarFunction(call) => {
            !HARMLESS.contains(&call.name()) && call.func != null_fields()
        }
        _ => false,
    };
    let is_struct = |data_type| matches!(data_type, DataType::Struct(_));
    may && expression.get_type(schema).is_ok_and(is_struct)
}

fn mend(expression: Expr, schema: &DFSchema) -> Transformed<Expr> {
    match makes_null(&expression, schema) {
        true => Transformed::yes(Expr::ScalarFunction(ScalarFunction::new_udf(
            null_fields(),
            vec![expression],
        ))),
        false => Transformed::no(expression),
    }
}
