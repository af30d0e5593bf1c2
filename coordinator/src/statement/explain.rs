//! `EXPLAIN` as rows.

use super::ExplainFormat;
use crate::planning::PlannedQuery;
use arrow::array::StringArray;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use skep_protocol::QueryError;
use std::sync::Arc;

/// The schema of every `EXPLAIN`.
pub(crate) fn schema() -> SchemaRef {
    let fields = vec![
        Field::new("plan_type", DataType::Utf8, true),
        Field::new("plan", DataType::Utf8, true),
    ];
    Arc::new(Schema::new(fields))
}

/// The plan as rows: with statistics where the query was run and returned `rows` rows.
///
/// # Errors
/// `Network` where the statistics do not arrive.
pub(crate) async fn rows(
    planned: &PlannedQuery,
    format: ExplainFormat,
    logical: Option<String>,
    rows: Option<u64>,
) -> Result<RecordBatch, QueryError> {
    let plan = match (rows, format) {
        (None, ExplainFormat::Text) => planned.explain_text(),
        (None, ExplainFormat::Json) => pretty(&planned.explain_json()),
        (Some(rows), ExplainFormat::Text) => {
            format!(
                "{rows} rows returned\n{}",
                planned.explain_analyze_text().await?
            )
        }
        (Some(rows), ExplainFormat::Json) => {
            let plan = planned.explain_analyze_json().await?;
            pretty(&serde_json::json!({ "rows_returned": rows, "plan": plan }))
        }
    };
    let mut types = Vec::new();
    let mut plans = Vec::new();
    if let Some(logical) = logical {
        types.push("logical_plan");
        plans.push(logical);
    }
    types.push(match rows {
        Some(_) => "plan_with_metrics",
        None => "distributed_plan",
    });
    plans.push(plan);
    let columns: Vec<arrow::array::ArrayRef> = vec![
        Arc::new(StringArray::from(types)),
        Arc::new(StringArray::from(plans)),
    ];
    RecordBatch::try_new(schema(), columns)
        .map_err(|error| QueryError::internal(format!("cannot show the plan: {error}")))
}

fn pretty(json: &serde_json::Value) -> String {
    format!("{json:#}")
}
