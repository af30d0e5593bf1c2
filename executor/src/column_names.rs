//! Finds the columns of Parquet files whatever the case of their names, as SQL does.
//!
//! One table may have files in which a column is `ID`, and others in which it is `id`.

use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr_adapter::{
    DefaultPhysicalExprAdapterFactory, PhysicalExprAdapter, PhysicalExprAdapterFactory,
};
use std::sync::Arc;

/// Adapts expressions on a table's columns to a file's.
#[derive(Debug)]
pub(crate) struct AnyCase;

impl PhysicalExprAdapterFactory for AnyCase {
    fn create(
        &self,
        logical_file_schema: SchemaRef,
        physical_file_schema: SchemaRef,
    ) -> Result<Arc<dyn PhysicalExprAdapter>> {
        let Some(respelled) = respelled(&logical_file_schema, &physical_file_schema) else {
            return DefaultPhysicalExprAdapterFactory
                .create(logical_file_schema, physical_file_schema);
        };
        let inner =
            DefaultPhysicalExprAdapterFactory.create(logical_file_schema, Arc::new(respelled))?;
        Ok(Arc::new(Spelling {
            inner,
            file: physical_file_schema,
        }))
    }
}

/// The file's schema as the table spells its names; `None` where they are the same already.
fn respelled(table: &Schema, file: &Schema) -> Option<Schema> {
    let mut is_changed = false;
    let fields = file.fields().iter().map(|field| {
        let name = field.name();
        if table.index_of(name).is_ok() {
            return Arc::clone(field);
        }
        let lower = name.to_lowercase();
        let is_same = |wanted: &&Arc<Field>| wanted.name().to_lowercase() == lower;
        match table.fields().iter().find(is_same) {
            // A column that is spelled alike comes before one that is not.
            Some(wanted) if file.index_of(wanted.name()).is_err() => {
                is_changed = true;
                Arc::new(field.as_ref().clone().with_name(wanted.name()))
            }
            _ => Arc::clone(field),
        }
    });
    let fields: Vec<_> = fields.collect();
    is_changed.then(|| Schema::new_with_metadata(fields, file.metadata().clone()))
}

/// Gives columns the names that they have in the file.
#[derive(Debug)]
struct Spelling {
    inner: Arc<dyn PhysicalExprAdapter>,
    file: SchemaRef,
}

impl PhysicalExprAdapter for Spelling {
    fn rewrite(&self, expr: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        let adapted = self.inner.rewrite(expr)?;
        adapted
            .transform(|node| {
                let Some(column) = node.downcast_ref::<Column>() else {
                    return Ok(Transformed::no(node));
                };
                let field = self.file.fields().get(column.index());
                Ok(match field {
                    Some(field) if field.name() != column.name() => {
                        let column = Column::new(field.name(), column.index());
                        Transformed::yes(Arc::new(column) as Arc<dyn PhysicalExpr>)
                    }
                    _ => Transformed::no(node),
                })
            })
            .data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::datatypes::DataType;

    fn schema(fields: &[(&str, DataType)]) -> SchemaRef {
        let field =
            |(name, data_type): &(&str, DataType)| Field::new(*name, data_type.clone(), true);
        Arc::new(Schema::new(fields.iter().map(field).collect::<Vec<_>>()))
    }

    fn adapted(table: &SchemaRef, file: &SchemaRef, column: &str) -> String {
        let adapter = AnyCase.create(Arc::clone(table), Arc::clone(file)).unwrap();
        let index = table.index_of(column).unwrap();
        let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(column, index));
        adapter.rewrite(column).unwrap().to_string()
    }

    #[test]
    fn columns_are_found_in_any_case() {
        let table = schema(&[("id", DataType::Int64), ("name", DataType::Utf8)]);
        let file = schema(&[("NAME", DataType::Utf8), ("ID", DataType::Int64)]);
        assert_eq!(adapted(&table, &file, "id"), "ID@1");
        assert_eq!(adapted(&table, &file, "name"), "NAME@0");
        let narrower = schema(&[("Id", DataType::Int32)]);
        assert!(adapted(&table, &narrower, "id").contains("Id@0"));
        assert_eq!(adapted(&table, &narrower, "name"), "NULL");
        let both = schema(&[("ID", DataType::Int64), ("id", DataType::Int64)]);
        assert_eq!(adapted(&table, &both, "id"), "id@1");
    }
}
