//! Whether a plan arrives at an executor as it was sent.
//!
//! Messages have no place for some of what operators hold. A plan is compared with what would be made of it on the
//! other side, by everything that the two print of themselves. What is made anew on every node is left out:
//! measurements, and what follows from the rest.

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::union::UnionExec;
use datafusion_distributed::DistributedCodec;
use datafusion_proto::bytes::{
    physical_plan_from_bytes_with_proto_converter, physical_plan_to_bytes_with_proto_converter,
};
use datafusion_proto::physical_plan::DeduplicatingProtoConverter;
use std::fmt;
use std::sync::Arc;

/// What is printed and may differ: it is measured, derived from the rest, or counted by each process.
const IGNORED: &[&str] = &[
    "cache",
    // Whether a window without keys may be distributed by them.
    "can_repartition",
    "common_sort_prefix",
    "expression_id",
    // Whether rows come in the order that an aggregate wants: otherwise it sorts them.
    "is_input_pre_ordered",
    // Made of the branches of a CASE, in the order of a hash map.
    "lookup",
    "metrics",
    "metrics_set",
    // Follows from expressions, which say it more exactly than what a plan was made for.
    "nullable",
    "properties",
    "remapped_children",
    "state_watch",
];

/// What may differ in one structure alone: of an aggregate, the columns that it was planned for, which are not those
/// that it has; and of a window function, whether it is reversed, where only those are sent that need not know
/// (`functions/window_values.rs`).
const IGNORED_WITHIN: &[(&str, &str)] = &[
    ("AggregateFunctionExpr {", "schema"),
    ("WindowUDFExpr {", "is_reversed"),
];

/// How much of the two is shown around the first difference.
const SHOWN_LINES: usize = 3;

/// The first difference between a plan and what arrives of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What was sent.
    pub sent: String,
    /// What arrives in its place.
    pub arrived: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sent '{}', arrived '{}'", self.sent, self.arrived)
    }
}

/// Sends a stage's plan to itself, and says where the two differ.
///
/// # Errors
/// Where the plan cannot be sent or read at all.
pub fn difference(
    plan: &Arc<dyn ExecutionPlan>,
    context: &TaskContext,
) -> Result<Option<Difference>> {
    let codec = DistributedCodec::new_combined_with_user(context.session_config());
    let converter = DeduplicatingProtoConverter::default();
    let bytes = physical_plan_to_bytes_with_proto_converter(Arc::clone(plan), &codec, &converter)?;
    let converter = DeduplicatingProtoConverter::default();
    let arrived =
        physical_plan_from_bytes_with_proto_converter(&bytes, context, &codec, &converter)?;
    Ok(first_difference(
        &printed(rebuilt(Arc::clone(plan))?.as_ref()),
        &printed(arrived.as_ref()),
    ))
}

/// The plan with unions made anew, which puts projections above inputs of another nullability.
fn rebuilt(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let rebuilt = plan.transform_up(|node| match node.downcast_ref::<UnionExec>() {
        Some(union) => Ok(Transformed::yes(UnionExec::try_new(
            union.inputs().clone(),
        )?)),
        None => Ok(Transformed::no(node)),
    });
    rebuilt.data()
}

/// What a plan prints of itself, line by line, without what may differ.
fn printed(plan: &dyn ExecutionPlan) -> Vec<String> {
    let text = format!("{plan:#?}");
    let mut lines = Vec::new();
    let mut ignored: Option<usize> = None;
    // The structures that a line is in: how far each is indented, and what may differ in it.
    let mut within: Vec<(usize, Option<&str>)> = Vec::new();
    for line in text.lines() {
        let shown = line.trim();
        let indentation = line.len() - line.trim_start().len();
        match ignored {
            Some(block) if indentation > block => continue,
            // The line that closes the block.
            Some(_) => {
                ignored = None;
                if shown.starts_with(['}', ']', ')']) {
                    continue;
                }
            }
            None => {}
        }
        within.retain(|(outer, _)| *outer < indentation);
        let also_ignored = within.last().and_then(|(_, name)| *name);
        let name = shown.split(':').next().unwrap_or_default();
        if IGNORED.contains(&name) || also_ignored == Some(name) {
            if shown.ends_with(['{', '[', '(']) {
                ignored = Some(indentation);
            }
            continue;
        }
        if shown.ends_with(['{', '[', '(']) {
            let mut structures = IGNORED_WITHIN.iter();
            let structure = structures.find(|(structure, _)| shown.contains(structure));
            within.push((indentation, structure.map(|(_, name)| *name)));
        }
        lines.push(line.to_owned());
    }
    lines
}

fn first_difference(sent: &[String], arrived: &[String]) -> Option<Difference> {
    if sent == arrived {
        return None;
    }
    let same = sent.iter().zip(arrived);
    let position = same.take_while(|(one, other)| one == other).count();
    let shown = |lines: &[String]| {
        let from = position.saturating_sub(SHOWN_LINES).min(lines.len());
        let to = (position + SHOWN_LINES).min(lines.len());
        let lines = lines.get(from..to).unwrap_or_default().iter();
        lines.map(|line| line.trim()).collect::<Vec<_>>().join(" ")
    };
    Some(Difference {
        sent: shown(sent),
        arrived: shown(arrived),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::datatypes::{DataType, Field, Schema};
    use datafusion::physical_expr::expressions::{cast, col};
    use datafusion::physical_plan::empty::EmptyExec;
    use datafusion::physical_plan::filter::FilterExec;
    use datafusion::physical_plan::limit::LocalLimitExec;

    fn empty() -> Arc<dyn ExecutionPlan> {
        let field = Field::new("b", DataType::Boolean, true);
        Arc::new(EmptyExec::new(Arc::new(Schema::new(vec![field]))))
    }

    #[test]
    fn what_is_sent_whole_arrives() {
        let input = empty();
        let condition = col("b", &input.schema()).unwrap();
        let condition = cast(condition, &input.schema(), DataType::Boolean).unwrap();
        let filter = FilterExec::try_new(condition, input).unwrap();
        let plan: Arc<dyn ExecutionPlan> = Arc::new(LocalLimitExec::new(Arc::new(filter), 7));
        let found = difference(&plan, &TaskContext::default()).unwrap();
        assert_eq!(found, None);
    }

    #[test]
    fn what_is_lost_is_found() {
        let rows = (1 << 32) + 7;
        let plan: Arc<dyn ExecutionPlan> = Arc::new(LocalLimitExec::new(empty(), rows));
        let found = difference(&plan, &TaskContext::default()).unwrap().unwrap();
        assert!(found.sent.contains("fetch: 4294967303"), "{found}");
        assert!(found.arrived.contains("fetch: 7"), "{found}");
    }
}
