//! The types of casts and literals that only Skep's own parser reads, or that the planner does not know.

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::error::Result;
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::sql::sqlparser::ast;
use skep_runtime::error::to_datafusion;
use skep_sql::statement::named_type;
use std::sync::Arc;

/// Knows the words that stand for `MAP<…>`, `STRUCT<…>` and `ARRAY<…>`, and bytes and times of every kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NestedTypes;

impl TypePlanner for NestedTypes {
    fn plan_type_field(&self, sql_type: &ast::DataType) -> Result<Option<FieldRef>> {
        let field = |data_type| Ok(Some(Arc::new(Field::new("", data_type, true))));
        let name = match sql_type {
            ast::DataType::Custom(name, _) => name,
            // Their sizes are seen to where they are written (`statement/parse/rewrite.rs`).
            ast::DataType::Binary(_)
            | ast::DataType::Varbinary(_)
            | ast::DataType::Blob(_)
            | ast::DataType::Bytes(_) => return field(DataType::Binary),
            ast::DataType::Time(
                _,
                ast::TimezoneInfo::None | ast::TimezoneInfo::WithoutTimeZone,
            ) => {
                return field(DataType::Time64(TimeUnit::Microsecond));
            }
            _ => return Ok(None),
        };
        let [part] = name.0.as_slice() else {
            return Ok(None);
        };
        let word = part.as_ident().map(|word| word.value.as_str());
        let found = named_type(word.unwrap_or_default()).map_err(to_datafusion)?;
        Ok(found.map(|data_type| Arc::new(Field::new("", data_type, true))))
    }
}
