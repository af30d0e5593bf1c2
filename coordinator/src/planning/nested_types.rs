//! The types of casts that only Skep's own parser reads.

use crate::statement::named_type;
use datafusion::arrow::datatypes::{Field, FieldRef};
use datafusion::error::Result;
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::sql::sqlparser::ast;
use skep_exchange::error::to_datafusion;
use std::sync::Arc;

/// Knows the words that stand for `MAP<…>`, `STRUCT<…>` and `ARRAY<…>`.
#[derive(Clone, Copy, Debug)]
pub(super) struct NestedTypes;

impl TypePlanner for NestedTypes {
    fn plan_type_field(&self, sql_type: &ast::DataType) -> Result<Option<FieldRef>> {
        let ast::DataType::Custom(name, _) = sql_type else {
            return Ok(None);
        };
        let [part] = name.0.as_slice() else {
            return Ok(None);
        };
        let word = part.as_ident().map(|word| word.value.as_str());
        let found = named_type(word.unwrap_or_default()).map_err(to_datafusion)?;
        Ok(found.map(|data_type| Arc::new(Field::new("", data_type, true))))
    }
}
