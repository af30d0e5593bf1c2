//! Keeps scans from leaving out rows whose numbers are none.
//!
//! To DataFusion NaN is larger than every other number, or smaller where its sign is set. The statistics in
//! Parquet files do not speak of it. What a filter on floating-point numbers would leave out by these
//! statistics may thus have rows of the result, and is read: the filter itself is applied above the scan.

use datafusion::datasource::physical_plan::{FileSource, ParquetSource};
use datafusion::physical_expr::expressions::lit;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr::{PhysicalExpr, conjunction, split_conjunction};
use std::sync::Arc;

/// The source without filters on floating-point columns, where these filters only prune.
pub(crate) fn without_float_pruning(source: &Arc<dyn FileSource>) -> Arc<dyn FileSource> {
    let pruned = source.downcast_ref::<ParquetSource>().and_then(keep_others);
    pruned.unwrap_or_else(|| Arc::clone(source))
}

/// `None` where nothing is to be changed.
fn keep_others(source: &ParquetSource) -> Option<Arc<dyn FileSource>> {
    if source.table_parquet_options().global.pushdown_filters {
        // The scan applies the filter, and nobody above it does.
        return None;
    }
    let filter = source.filter()?;
    let schema = source.table_schema().table_schema();
    let is_of_floats = |part: &Arc<dyn PhysicalExpr>| {
        collect_columns(part).iter().any(|column| {
            let field = schema.field_with_name(column.name());
            field.is_ok_and(|field| field.data_type().is_floating())
        })
    };
    let parts = split_conjunction(&filter);
    let kept: Vec<Arc<dyn PhysicalExpr>> = parts
        .iter()
        .filter(|part| !is_of_floats(part))
        .map(|part| Arc::clone(part))
        .collect();
    (kept.len() < parts.len()).then(|| {
        let filter = match kept.is_empty() {
            true => lit(true),
            false => conjunction(kept),
        };
        Arc::new(source.with_predicate(filter)) as Arc<dyn FileSource>
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::datatypes::{DataType, Field, Schema};
    use datafusion::logical_expr::Operator;
    use datafusion::physical_expr::expressions::{Column, binary};
    use datafusion_datasource::table_schema::TableSchemaBuilder;

    fn schema() -> Schema {
        Schema::new(vec![
            Field::new("i", DataType::Int32, true),
            Field::new("d", DataType::Float64, true),
        ])
    }

    fn above(column: &str, bound: datafusion::scalar::ScalarValue) -> Arc<dyn PhysicalExpr> {
        let schema = schema();
        let index = schema.index_of(column).unwrap();
        let column = Arc::new(Column::new(column, index));
        binary(column, Operator::Gt, lit(bound), &schema).unwrap()
    }

    fn filter_of(filter: Arc<dyn PhysicalExpr>) -> String {
        let schema = TableSchemaBuilder::from(&Arc::new(schema())).build();
        let source = ParquetSource::new(schema).with_predicate(filter);
        let source: Arc<dyn FileSource> = Arc::new(source);
        let kept = without_float_pruning(&source).filter();
        kept.unwrap().to_string()
    }

    #[test]
    fn only_filters_on_floating_point_numbers_go() {
        let (on_int, on_double) = (above("i", 1_i32.into()), above("d", 2.0_f64.into()));
        assert_eq!(filter_of(Arc::clone(&on_int)), "i@0 > 1");
        assert_eq!(filter_of(Arc::clone(&on_double)), "true");
        let both = conjunction([on_double, on_int]);
        assert_eq!(filter_of(both), "i@0 > 1");
    }
}
