//! Structs of files that may be NULL, with fields that may not.
//!
//! Where such a struct is NULL, the reader gives its fields any value, since they have no place for NULL; and reading a
//! field does not ask whether the struct is NULL. So the fields of such structs become NULL with them
//! (`skep_runtime::functions::null_fields`). Of a struct without such fields only those are read that are needed,
//! as before.

use crate::column_names::AnyCase;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_expr_adapter::{PhysicalExprAdapter, PhysicalExprAdapterFactory};
use skep_runtime::functions::null_fields;
use std::sync::Arc;

/// Adapts expressions to files, to the case of their names ([`AnyCase`]) and to such structs.
#[derive(Debug)]
pub(crate) struct NullableFields;

impl PhysicalExprAdapterFactory for NullableFields {
    fn create(
        &self,
        logical_file_schema: SchemaRef,
        physical_file_schema: SchemaRef,
    ) -> Result<Arc<dyn PhysicalExprAdapter>> {
        let file = Arc::clone(&physical_file_schema);
        let stock = AnyCase.create(logical_file_schema, physical_file_schema)?;
        let mut fields = file.fields().iter();
        Ok(match fields.any(|field| is_affected(field, false)) {
            true => Arc::new(Adapter { stock, file }),
            false => stock,
        })
    }
}

/// Whether a field, or one within it, may not be NULL although what holds it may.
fn is_affected(field: &Field, may_be_held_by_null: bool) -> bool {
    let may_be_null = may_be_held_by_null || field.is_nullable();
    may_be_held_by_null && !field.is_nullable()
        || match field.data_type() {
            DataType::Struct(fields) => fields.iter().any(|field| is_affected(field, may_be_null)),
            DataType::List(item) | DataType::LargeList(item) => is_affected(item, false),
            _ => false,
        }
}

#[derive(Debug)]
struct Adapter {
    stock: Arc<dyn PhysicalExprAdapter>,
    file: Arc<Schema>,
}

impl PhysicalExprAdapter for Adapter {
    fn rewrite(&self, expression: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        let adapted = self.stock.rewrite(expression)?;
        let mended = adapted.transform_up(|part| {
            let column = part.downcast_ref::<Column>();
            let field = column.and_then(|column| self.file.fields().get(column.index()));
            if !field.is_some_and(|field| is_affected(field, false)) {
                return Ok(Transformed::no(part));
            }
            let call = ScalarFunctionExpr::try_new(
                null_fields(),
                vec![part],
                &self.file,
                Arc::new(ConfigOptions::default()),
            )?;
            Ok(Transformed::yes(Arc::new(call) as _))
        });
        mended.data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::physical_expr::expressions::col;

    fn file(struct_is_nullable: bool, field_is_nullable: bool) -> SchemaRef {
        let inner = Field::new("a", DataType::Int32, field_is_nullable);
        let outer = DataType::Struct(vec![inner].into());
        Arc::new(Schema::new(vec![
            Field::new("id", DataType::Int32, false),
            Field::new("s", outer, struct_is_nullable),
        ]))
    }

    fn adapted(file: &SchemaRef, column: &str) -> String {
        let adapter = NullableFields.create(Arc::clone(file), Arc::clone(file));
        let column = col(column, file).unwrap();
        adapter.unwrap().rewrite(column).unwrap().to_string()
    }

    #[test]
    fn only_required_fields_of_optional_structs_are_mended() {
        assert_eq!(adapted(&file(true, false), "s"), "skep_null_fields(s@1)");
        assert_eq!(adapted(&file(true, false), "id"), "id@0");
        assert_eq!(adapted(&file(true, true), "s"), "s@1");
        assert_eq!(adapted(&file(false, false), "s"), "s@1");
    }
}
