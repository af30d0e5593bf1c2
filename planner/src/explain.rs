//! Shows plans to people and programs: stages, tasks and where they run, and after a run what each
//! operator did.
//!
//! A plan is first read into a tree of stages ([`model`]), which is then written as text or JSON.

mod metrics;
mod model;
#[cfg(test)]
mod tests;
mod text;

use datafusion::physical_plan::ExecutionPlan;
use model::StageView;
use std::sync::Arc;

/// Says where a task (stage, task) runs or would run; `None` where that is not known.
pub type Routes<'a> = &'a dyn Fn(usize, usize) -> Option<String>;

/// The plan as an indented text, one line per operator, the stage that returns the rows first.
pub fn render_text(plan: &Arc<dyn ExecutionPlan>, routes: Routes<'_>) -> String {
    text::render(&StageView::of(plan, routes, false))
}

/// What [`render_text`] shows, as JSON: a stage has `stage`, `tasks`, `partitions`, `runs_on`,
/// `operators` (in order, each with its `depth`) and `inputs`, the stages that it reads.
pub fn render_json(plan: &Arc<dyn ExecutionPlan>, routes: Routes<'_>) -> serde_json::Value {
    StageView::of(plan, routes, false).to_json()
}

/// A plan that has run, with what each operator did in all tasks and in the slowest and the fastest.
/// `plan` carries the metrics per task, as the library attaches them.
pub fn render_analyze_text(plan: &Arc<dyn ExecutionPlan>, routes: Routes<'_>) -> String {
    text::render(&StageView::of(plan, routes, true))
}

/// What [`render_analyze_text`] shows, as JSON: operators also have `rows`, `elapsed_compute_ns`,
/// `bytes_exchanged`, `spilled_bytes`, and `slowest_task` and `fastest_task` where there are several.
pub fn render_analyze_json(plan: &Arc<dyn ExecutionPlan>, routes: Routes<'_>) -> serde_json::Value {
    StageView::of(plan, routes, true).to_json()
}
