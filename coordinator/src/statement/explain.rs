//! `EXPLAIN` as rows.

use super::ExplainFormat;
use arrow::array::StringArray;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use skep_planner::{PlannedQuery, PruningSummary};
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
        (None, ExplainFormat::Text) => with_scans(planned, &planned.explain_text()),
        (None, ExplainFormat::Json) => pretty(&json_with_scans(planned, planned.explain_json())),
        (Some(rows), ExplainFormat::Text) => {
            let plan = planned.explain_analyze_text().await?;
            format!("{rows} rows returned\n{}", with_scans(planned, &plan))
        }
        (Some(rows), ExplainFormat::Json) => {
            let plan = planned.explain_analyze_json().await?;
            let shown = serde_json::json!({ "rows_returned": rows, "plan": plan });
            pretty(&json_with_scans(planned, shown))
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

/// The plan, and below it what its scans read of what there is.
fn with_scans(planned: &PlannedQuery, plan: &str) -> String {
    let scans = planned.scans().iter().map(PruningSummary::to_text);
    let lines: Vec<String> = [plan.trim_end().to_owned()]
        .into_iter()
        .chain(scans)
        .collect();
    lines.join("\n")
}

fn json_with_scans(planned: &PlannedQuery, mut plan: serde_json::Value) -> serde_json::Value {
    if let Some(plan) = plan.as_object_mut() {
        let scans = planned
            .scans()
            .iter()
            .map(PruningSummary::to_json)
            .collect();
        plan.insert("scans".to_owned(), serde_json::Value::Array(scans));
    }
    plan
}

fn pretty(json: &serde_json::Value) -> String {
    format!("{json:#}")
}
