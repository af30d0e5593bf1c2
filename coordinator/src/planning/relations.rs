//! Relations that DataFusion's planner does not know: lateral views and samples of tables.

mod lateral_view;
mod table_sample;

use datafusion::error::Result;
use datafusion::logical_expr::planner::{
    PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion::sql::sqlparser::ast::TableFactor;

/// Plans them.
#[derive(Debug)]
pub struct HiveRelations;

impl RelationPlanner for HiveRelations {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        match relation {
            TableFactor::NestedJoin {
                table_with_joins,
                alias: None,
            } if lateral_view::is_lateral_view(&table_with_joins) => {
                let plan = lateral_view::plan(*table_with_joins, context)?;
                let planned = PlannedRelation::new(plan, None);
                Ok(RelationPlanning::Planned(Box::new(planned)))
            }
            TableFactor::Table {
                sample: Some(sample),
                name,
                alias,
                args,
                with_hints,
                version,
                with_ordinality,
                partitions,
                json_path,
                index_hints,
            } => {
                let whole = TableFactor::Table {
                    sample: None,
                    name,
                    alias: alias.clone(),
                    args,
                    with_hints,
                    version,
                    with_ordinality,
                    partitions,
                    json_path,
                    index_hints,
                };
                let plan = table_sample::plan(whole, sample, context)?;
                let planned = PlannedRelation::new(plan, None);
                Ok(RelationPlanning::Planned(Box::new(planned)))
            }
            other => Ok(RelationPlanning::Original(Box::new(other))),
        }
    }
}
