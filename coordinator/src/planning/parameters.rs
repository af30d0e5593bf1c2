//! The parameters of a statement: which there are, of which types, and their values.

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::ParamValues;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::scalar::ScalarValue;
use skep_exchange::error::from_datafusion;
use skep_protocol::{ErrorCode, QueryError};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a parameter is said to be where its place tells nothing. Every client can send text, and values
/// of other types are taken as they come.
const TYPE_WITHOUT_HINT: DataType = DataType::Utf8;

/// The types of the parameters of `plan`, by number: `None` where no use of one tells.
fn types(plan: &LogicalPlan) -> Result<BTreeMap<usize, Option<DataType>>, QueryError> {
    let mut types: BTreeMap<usize, Option<DataType>> = BTreeMap::new();
    plan.apply_with_subqueries(|plan| {
        // The planner says nothing of what a LIMIT is.
        let hint = matches!(plan, LogicalPlan::Limit(_)).then_some(DataType::Int64);
        plan.apply_expressions(|expression| {
            expression.apply(|expression| {
                if let Expr::Placeholder(Placeholder { id, field }) = expression {
                    let number = id.trim_start_matches('$').parse().unwrap_or(usize::MAX);
                    let known = types.entry(number).or_default();
                    // The first use that tells decides; values are coerced to the others.
                    if known.is_none() {
                        let field = field.as_ref().map(|field| field.data_type().clone());
                        *known = field.or(hint.clone());
                    }
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })
    .map_err(|error| from_datafusion(&error))?;
    Ok(types)
}

/// One field for each of `$1`, `$2`, ….
pub(super) fn schema(plan: &LogicalPlan) -> Result<SchemaRef, QueryError> {
    let types = types(plan)?;
    if let Some(missing) = (1..=types.len()).find(|number| !types.contains_key(number)) {
        let text = format!(
            "the statement has {} parameters, but no ${missing}",
            types.len()
        );
        return Err(QueryError::new(ErrorCode::Semantic, text));
    }
    let fields: Vec<Field> = types
        .into_iter()
        .map(|(number, data_type)| {
            let data_type = data_type.unwrap_or(TYPE_WITHOUT_HINT);
            Field::new(format!("${number}"), data_type, true)
        })
        .collect();
    Ok(Arc::new(Schema::new(fields)))
}

/// Puts values in place of the parameters.
pub(super) fn bind(plan: LogicalPlan, values: Vec<ScalarValue>) -> Result<LogicalPlan, QueryError> {
    let expected = schema(&plan)?.fields().len();
    if values.len() != expected {
        let text = format!(
            "the statement has {expected} parameters and {} values were given",
            values.len()
        );
        return Err(QueryError::new(ErrorCode::InvalidArgument, text));
    }
    if expected == 0 {
        return Ok(plan);
    }
    plan.with_param_values(ParamValues::from(values))
        .map_err(|error| from_datafusion(&error))
}
