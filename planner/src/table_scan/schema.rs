//! A table's columns, as its files have them and as queries see them.

use super::values::scan_type;
use datafusion::arrow::datatypes::{Field, FieldRef, Schema, SchemaRef};
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{Result, internal_err};
use datafusion::datasource::listing::helpers::expr_applicable_for_cols;
use datafusion::datasource::physical_plan::FileSource;
use datafusion::datasource::table_schema::{TableSchema, TableSchemaBuilder};
use datafusion::logical_expr::Expr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::projection::{ProjectionExpr, ProjectionExprs};
use skep_catalog::model::{ColumnId, TableDefinition};
use skep_runtime::functions::nullable;
use std::sync::Arc;

/// The columns of a table. All schemas have them in the same order: those in the files, then those of
/// the partitions.
#[derive(Debug)]
pub(super) struct ScanSchema {
    /// As queries see them.
    pub visible: SchemaRef,
    /// Those of the partitions alone.
    pub partition: SchemaRef,
    /// What the catalog calls those in the files.
    pub column_ids: Vec<ColumnId>,
    /// Those in the files, by the names that they have there.
    file: SchemaRef,
    /// Whether a name in the files differs from the one that queries use.
    has_other_names: bool,
}

impl ScanSchema {
    pub(super) fn new(definition: &TableDefinition, uses_views: bool) -> Self {
        let columns = &definition.columns;
        let field = |name: &str, column: &skep_catalog::model::Column| {
            // What a struct holds may be NULL with it, whatever a file says.
            let data_type = nullable(&scan_type(&column.data_type, uses_views));
            Arc::new(Field::new(name, data_type, column.nullable))
        };
        let file: Vec<FieldRef> = columns
            .iter()
            .map(|column| field(&column.source_name, column))
            .collect();
        let partition: Vec<FieldRef> = definition
            .partition_columns
            .iter()
            .map(|column| {
                let data_type = scan_type(&column.data_type, uses_views);
                Arc::new(Field::new(&column.name, data_type, true))
            })
            .collect();
        let visible: Vec<FieldRef> = columns
            .iter()
            .map(|column| field(&column.name, column))
            .chain(partition.iter().cloned())
            .collect();
        Self {
            visible: Arc::new(Schema::new(visible)),
            partition: Arc::new(Schema::new(partition)),
            column_ids: columns.iter().map(|column| column.id).collect(),
            file: Arc::new(Schema::new(file)),
            has_other_names: columns
                .iter()
                .any(|column| column.source_name != column.name),
        }
    }

    /// The columns as the files' reader knows them.
    pub(super) fn scanned(&self) -> TableSchema {
        TableSchemaBuilder::from(&self.file)
            .with_table_partition_cols(self.partition.fields().iter().cloned().collect::<Vec<_>>())
            .build()
    }

    /// Has `source` produce the columns of `projection`, by the names that queries use.
    pub(super) fn project(
        &self,
        source: Arc<dyn FileSource>,
        projection: Option<&[usize]>,
    ) -> Result<Arc<dyn FileSource>> {
        if projection.is_none() && !self.has_other_names {
            return Ok(source);
        }
        let scanned = self.scanned();
        let all: Vec<usize> = (0..self.visible.fields().len()).collect();
        let columns: Vec<ProjectionExpr> = projection
            .unwrap_or(&all)
            .iter()
            .map(|index| {
                let name = scanned.table_schema().field(*index).name();
                let column = Arc::new(Column::new(name, *index));
                ProjectionExpr::new(column, self.visible.field(*index).name().clone())
            })
            .collect();
        match source.try_pushdown_projection(&ProjectionExprs::new(columns))? {
            Some(projected) => Ok(projected),
            None => internal_err!("{} files take no projection", source.file_type()),
        }
    }

    /// Whether the filter's outcome depends on nothing but the values of partition columns, so that
    /// choosing partitions is all that it does.
    pub(super) fn is_partition_filter(&self, filter: &Expr) -> bool {
        let names: Vec<&str> = self
            .partition
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect();
        !names.is_empty() && expr_applicable_for_cols(&names, filter) && !depends_on_outside(filter)
    }
}

/// Whether something in the expression has no value while a query is planned.
fn depends_on_outside(filter: &Expr) -> bool {
    let has_no_value = |expr: &Expr| {
        matches!(
            expr,
            Expr::ScalarSubquery(_)
                | Expr::Exists(_)
                | Expr::InSubquery(_)
                | Expr::SetComparison(_)
                | Expr::OuterReferenceColumn(_, _)
                | Expr::ScalarVariable(_, _)
        )
    };
    // The walk itself never fails.
    filter.exists(|expr| Ok(has_no_value(expr))).unwrap_or(true)
}
