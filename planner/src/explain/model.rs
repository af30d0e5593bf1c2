//! A plan as a tree of stages, each with its operators.

use super::Routes;
use super::metrics::Measured;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, displayable};
use datafusion_distributed::{
    DistributedExec, DistributedLeafExec, NetworkBoundaryExt, NetworkBroadcastExec,
    NetworkShuffleExec, Stage,
};
use serde_json::{Value, json};
use std::sync::Arc;

/// A stage: what its tasks run, and the stages that they read from.
pub(super) struct StageView {
    /// The library's number; `None` for the head, which runs on the coordinator.
    pub number: Option<usize>,
    pub tasks: usize,
    pub partitions: usize,
    /// Where each task runs, as far as known.
    pub runs_on: Vec<Option<String>>,
    pub operators: Vec<OperatorView>,
    pub inputs: Vec<StageView>,
    /// The stage as a whole, where it has run.
    pub measured: Option<Measured>,
}

/// An operator of a stage.
pub(super) struct OperatorView {
    pub depth: usize,
    pub text: String,
    pub reads: Option<Read>,
    pub measured: Option<Measured>,
}

/// An operator that reads another stage.
pub(super) struct Read {
    pub stage: usize,
    pub how: &'static str,
}

impl StageView {
    /// Reads `plan`, with its metrics where it has run.
    pub(super) fn of(plan: &Arc<dyn ExecutionPlan>, routes: Routes<'_>, measured: bool) -> Self {
        let head = match plan.downcast_ref::<DistributedExec>() {
            Some(distributed) => distributed.children().first().map_or(plan, |head| *head),
            None => plan,
        };
        let reader = Reader { routes, measured };
        reader.stage(None, 1, head)
    }

    /// As documented at [`super::render_json`].
    pub(super) fn to_json(&self) -> Value {
        let mut stage = json!({
            "stage": self.number,
            "tasks": self.tasks,
            "partitions": self.partitions,
            "runs_on": self.runs_on,
            "operators": self.operators.iter().map(OperatorView::to_json).collect::<Vec<_>>(),
            "inputs": self.inputs.iter().map(Self::to_json).collect::<Vec<_>>(),
        });
        if let Some(measured) = &self.measured {
            measured.add_to(&mut stage);
        }
        stage
    }

    /// All stages, this one first, then each input with its own inputs.
    pub(super) fn flattened(&self) -> Vec<(usize, &Self)> {
        let mut all = vec![(0, self)];
        for input in &self.inputs {
            all.extend(
                input
                    .flattened()
                    .into_iter()
                    .map(|(depth, stage)| (depth + 1, stage)),
            );
        }
        all
    }
}

impl OperatorView {
    fn to_json(&self) -> Value {
        let mut operator = json!({ "depth": self.depth, "operator": self.text });
        if let Some(read) = &self.reads {
            operator["reads_stage"] = json!(read.stage);
            operator["exchange"] = json!(read.how);
        }
        if let Some(measured) = &self.measured {
            measured.add_to(&mut operator);
        }
        operator
    }
}

struct Reader<'a> {
    routes: Routes<'a>,
    measured: bool,
}

impl Reader<'_> {
    fn stage(
        &self,
        number: Option<usize>,
        tasks: usize,
        plan: &Arc<dyn ExecutionPlan>,
    ) -> StageView {
        let mut stage = StageView {
            number,
            tasks,
            partitions: plan.output_partitioning().partition_count(),
            runs_on: match number {
                Some(number) => (0..tasks).map(|task| (self.routes)(number, task)).collect(),
                None => vec![Some("the coordinator".to_owned())],
            },
            operators: vec![],
            inputs: vec![],
            measured: None,
        };
        self.operators(plan, 0, &mut stage);
        if self.measured {
            stage.measured = Measured::total(
                stage
                    .operators
                    .iter()
                    .map(|operator| operator.measured.as_ref()),
            );
        }
        stage
    }

    fn operators(&self, node: &Arc<dyn ExecutionPlan>, depth: usize, stage: &mut StageView) {
        let measured = if self.measured {
            Measured::of(node)
        } else {
            None
        };
        let boundary = node
            .as_network_boundary()
            .map(|boundary| boundary.input_stage());
        stage.operators.push(OperatorView {
            depth,
            text: operator_text(node, boundary),
            reads: boundary.map(|input| Read {
                stage: input.num(),
                how: exchange_name(node),
            }),
            measured,
        });
        match boundary {
            Some(Stage::Local(input)) => {
                let input = self.stage(Some(input.num), input.tasks, &input.plan);
                stage.inputs.push(input);
            }
            Some(Stage::Remote(_)) => {}
            None => {
                for child in node.children() {
                    self.operators(child, depth + 1, stage);
                }
            }
        }
    }
}

fn exchange_name(node: &Arc<dyn ExecutionPlan>) -> &'static str {
    if node.is::<NetworkShuffleExec>() {
        "shuffle"
    } else if node.is::<NetworkBroadcastExec>() {
        "broadcast"
    } else {
        "gather"
    }
}

fn operator_text(node: &Arc<dyn ExecutionPlan>, boundary: Option<&Stage>) -> String {
    if let Some(input) = boundary {
        return match exchange_name(node) {
            "shuffle" => format!("Shuffle: rows of stage {}, by key", input.num()),
            "broadcast" => format!(
                "Broadcast: all rows of stage {}, in every task",
                input.num()
            ),
            _ => format!("Gather: rows of stage {}, task after task", input.num()),
        };
    }
    if let Some(leaf) = node.downcast_ref::<DistributedLeafExec>() {
        let shares = leaf.variants().len();
        let scan = one_line(leaf.original());
        return match shares {
            1 => scan,
            _ => format!("{scan} (split over {shares} tasks)"),
        };
    }
    one_line(node)
}

fn one_line(node: &Arc<dyn ExecutionPlan>) -> String {
    displayable(node.as_ref())
        .one_line()
        .to_string()
        .trim_end()
        .to_owned()
}
