//! Relations that DataFusion's planner does not know: lateral views, samples of tables, and summaries.

mod lateral_view;
mod summary;
mod table_sample;

use datafusion::error::Result;
use datafusion::logical_expr::LogicalPlan;
use datafusion::logical_expr::planner::{
    PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion::sql::sqlparser::ast::{Spanned, TableFactor};
use skep_runtime::error::to_datafusion;
use skep_sql::statement::{SUMMARY_ALIAS, position, unsupported};

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
                Ok(planned(lateral_view::plan(*table_with_joins, context)?))
            }
            TableFactor::Derived {
                subquery,
                alias: Some(alias),
                ..
            } if alias.name.value == SUMMARY_ALIAS => {
                Ok(planned(summary::plan(subquery, context)?))
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
                Ok(planned(table_sample::plan(whole, sample, context)?))
            }
            TableFactor::Derived {
                sample: Some(sample),
                lateral,
                subquery,
                alias,
            } => {
                let whole = TableFactor::Derived {
                    sample: None,
                    lateral,
                    subquery,
                    alias,
                };
                Ok(planned(table_sample::plan(whole, sample, context)?))
            }
            other => match not_supported(&other) {
                Some(name) => {
                    let at = position(other.span().start);
                    Err(to_datafusion(unsupported(name).at(at)))
                }
                None => Ok(RelationPlanning::Original(Box::new(other))),
            },
        }
    }
}

fn planned(plan: LogicalPlan) -> RelationPlanning {
    RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, None)))
}

/// What is called so that nobody plans.
fn not_supported(relation: &TableFactor) -> Option<&'static str> {
    Some(match relation {
        TableFactor::Pivot { .. } => "PIVOT",
        TableFactor::Unpivot { .. } => "UNPIVOT",
        TableFactor::MatchRecognize { .. } => "MATCH_RECOGNIZE",
        TableFactor::JsonTable { .. } => "JSON_TABLE",
        TableFactor::OpenJsonTable { .. } => "OPENJSON",
        TableFactor::XmlTable { .. } => "XMLTABLE",
        TableFactor::TableFunction { .. } => "TABLE (…) in FROM",
        TableFactor::SemanticView { .. } => "SEMANTIC_VIEW",
        _ => return None,
    })
}
