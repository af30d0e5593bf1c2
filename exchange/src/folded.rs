//! Plans that are nested deeper than protocol buffers may be.
//!
//! A message is read 100 deep at most, which 23 joins within each other reach, or some 40 calls. So what lies
//! deeper than [`LEVELS_MAX`] operators or expressions is encoded as a message of its own and stands in the
//! outer one as bytes. Plans that are not deep are encoded as the base library does it.

use datafusion::arrow::datatypes::Schema;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_distributed::DistributedCodec;
use datafusion_proto::physical_plan::from_proto::parse_physical_expr_with_converter;
use datafusion_proto::physical_plan::to_proto::serialize_physical_expr_with_converter;
use datafusion_proto::physical_plan::{
    PhysicalExtensionCodec, PhysicalPlanDecodeContext, PhysicalPlanNodeExt,
    PhysicalProtoConverterExtension,
};
use datafusion_proto::protobuf::physical_expr_node::ExprType;
use datafusion_proto::protobuf::physical_plan_node::PhysicalPlanType;
use datafusion_proto::protobuf::{
    PhysicalExprNode, PhysicalExtensionExprNode, PhysicalExtensionNode, PhysicalPlanNode,
};
use prost::Message;
use skep_protocol::{ErrorCode, QueryError};
use skep_runtime::error::to_datafusion;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

/// How many operators and expressions one message may hold within each other. Each takes up to four messages.
const LEVELS_MAX: usize = 12;

/// How many messages may be folded into each other. The threads that read them have stacks for it.
const FOLDS_MAX: usize = 300;

/// Precedes what is folded. No message begins with a zero.
const MARK: &[u8] = b"\0skep-folded\0";

/// `plan` as bytes.
///
/// # Errors
/// Those of the codecs, and `Unsupported` where it is nested too deep.
pub fn encode_plan(plan: &Arc<dyn ExecutionPlan>, context: &TaskContext) -> Result<Vec<u8>> {
    let codec = DistributedCodec::new_combined_with_user(context.session_config());
    let folding = Folding::default();
    let message = folding.execution_plan_to_proto(plan, &codec)?;
    let encoded = message.encode_to_vec();
    Ok(match folding.has_folded.get() {
        true => [MARK, &encoded].concat(),
        false => encoded,
    })
}

/// Whether a plan was folded, so that [`decode_plan`] is needed to read it.
pub fn is_folded(encoded: &[u8]) -> bool {
    encoded.starts_with(MARK)
}

/// The plan that was encoded.
///
/// # Errors
/// Those of the codecs, and `Unsupported` where it is nested too deep.
pub fn decode_plan(encoded: &[u8], context: &TaskContext) -> Result<Arc<dyn ExecutionPlan>> {
    let codec = DistributedCodec::new_combined_with_user(context.session_config());
    let message = encoded.strip_prefix(MARK).unwrap_or(encoded);
    let message = PhysicalPlanNode::decode(message).map_err(unreadable)?;
    let context = PhysicalPlanDecodeContext::new(context, &codec);
    Folding::default().proto_to_execution_plan(&message, &context)
}

/// Types are not folded: they are said to be too deep.
fn unreadable(error: prost::DecodeError) -> DataFusionError {
    let text = error.to_string();
    match text.contains("recursion limit") {
        true => to_datafusion(QueryError::new(
            ErrorCode::Unsupported,
            "the query is nested too deep to be sent to an executor: a type in it has too many levels",
        )),
        false => DataFusionError::Execution(format!("cannot read a plan: {text}")),
    }
}

/// What was folded, where a node is nothing but that.
fn folded(bytes: &[u8]) -> Option<&[u8]> {
    bytes.strip_prefix(MARK)
}

/// Folds and unfolds messages on their way between plans and bytes.
#[derive(Default)]
struct Folding {
    /// How deep the message is that is being made.
    level: Cell<usize>,
    /// In how many messages that one is folded.
    folds: Cell<usize>,
    has_folded: Cell<bool>,
    /// Expressions that are shared by several operators, by their id.
    shared: RefCell<HashMap<u64, Arc<dyn PhysicalExpr>>>,
}

impl Folding {
    /// Makes one level of a message with `make`; whether it has to be folded is the other value.
    fn level<T>(&self, make: impl FnOnce() -> Result<T>) -> Result<(T, bool)> {
        let level = self.level.get();
        if level < LEVELS_MAX {
            self.level.set(level + 1);
            let made = make();
            self.level.set(level);
            return Ok((made?, false));
        }
        self.level.set(1);
        let made = self.fold(make);
        self.level.set(level);
        self.has_folded.set(true);
        Ok((made?, true))
    }

    fn fold<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let folds = self.folds.get();
        if folds >= FOLDS_MAX {
            return Err(to_datafusion(QueryError::new(
                ErrorCode::Unsupported,
                format!(
                    "the query is nested too deep to be sent to an executor: more than {} operators \
                     and expressions within each other",
                    FOLDS_MAX * LEVELS_MAX
                ),
            )));
        }
        self.folds.set(folds + 1);
        let done = work();
        self.folds.set(folds);
        done
    }
}

impl PhysicalProtoConverterExtension for Folding {
    fn proto_to_execution_plan(
        &self,
        message: &PhysicalPlanNode,
        context: &PhysicalPlanDecodeContext<'_>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if let Some(PhysicalPlanType::Extension(extension)) = &message.physical_plan_type
            && let Some(inner) = folded(&extension.node)
        {
            let inner = PhysicalPlanNode::decode(inner).map_err(unreadable)?;
            return self.fold(|| self.proto_to_execution_plan(&inner, context));
        }
        message.try_into_physical_plan_with_context(context, self)
    }

    fn execution_plan_to_proto(
        &self,
        plan: &Arc<dyn ExecutionPlan>,
        codec: &dyn PhysicalExtensionCodec,
    ) -> Result<PhysicalPlanNode> {
        let (message, must_fold) = self.level(|| {
            PhysicalPlanNode::try_from_physical_plan_with_converter(Arc::clone(plan), codec, self)
        })?;
        Ok(match must_fold {
            true => PhysicalPlanNode {
                physical_plan_type: Some(PhysicalPlanType::Extension(PhysicalExtensionNode {
                    node: [MARK, &message.encode_to_vec()].concat(),
                    inputs: Vec::new(),
                })),
            },
            false => message,
        })
    }

    fn proto_to_physical_expr(
        &self,
        message: &PhysicalExprNode,
        schema: &Schema,
        context: &PhysicalPlanDecodeContext<'_>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        if let Some(ExprType::Extension(extension)) = &message.expr_type
            && let Some(inner) = folded(&extension.expr)
        {
            let inner = PhysicalExprNode::decode(inner).map_err(unreadable)?;
            return self.fold(|| self.proto_to_physical_expr(&inner, schema, context));
        }
        let expression = parse_physical_expr_with_converter(message, schema, context, self)?;
        let Some(id) = message.expr_id else {
            return Ok(expression);
        };
        let known = self.shared.borrow().get(&id).cloned();
        match known {
            // Its state is that of the first one, its columns are those of its place.
            Some(known) => {
                let columns = expression.children().into_iter().cloned().collect();
                known.with_new_children(columns)
            }
            None => {
                self.shared.borrow_mut().insert(id, Arc::clone(&expression));
                Ok(expression)
            }
        }
    }

    fn physical_expr_to_proto(
        &self,
        expression: &Arc<dyn PhysicalExpr>,
        codec: &dyn PhysicalExtensionCodec,
    ) -> Result<PhysicalExprNode> {
        let (message, must_fold) =
            self.level(|| serialize_physical_expr_with_converter(expression, codec, self))?;
        Ok(match must_fold {
            true => PhysicalExprNode {
                expr_id: None,
                expr_type: Some(ExprType::Extension(PhysicalExtensionExprNode {
                    expr: [MARK, &message.encode_to_vec()].concat(),
                    inputs: Vec::new(),
                })),
            },
            false => message,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::datatypes::{DataType, Field};
    use datafusion::logical_expr::Operator;
    use datafusion::physical_expr::expressions::{
        BinaryExpr, DynamicFilterPhysicalExpr, col, is_null, lit, not,
    };
    use datafusion::physical_plan::displayable;
    use datafusion::physical_plan::empty::EmptyExec;
    use datafusion::physical_plan::filter::FilterExec;
    use datafusion::prelude::SessionContext;

    fn empty() -> Arc<dyn ExecutionPlan> {
        let fields = vec![Field::new("a", DataType::Int32, true)];
        Arc::new(EmptyExec::new(Arc::new(Schema::new(fields))))
    }

    fn shown(plan: &Arc<dyn ExecutionPlan>) -> String {
        displayable(plan.as_ref()).indent(true).to_string()
    }

    fn round_trip(plan: &Arc<dyn ExecutionPlan>) -> (Vec<u8>, Arc<dyn ExecutionPlan>) {
        let context = SessionContext::new().task_ctx();
        let encoded = encode_plan(plan, &context).unwrap();
        let decoded = decode_plan(&encoded, &context).unwrap();
        (encoded, decoded)
    }

    fn filters(count: usize) -> Arc<dyn ExecutionPlan> {
        let filter = |input: Arc<dyn ExecutionPlan>, number: usize| -> Arc<dyn ExecutionPlan> {
            let column = col("a", &input.schema()).unwrap();
            let condition = BinaryExpr::new(column, Operator::Lt, lit(number as i32));
            Arc::new(FilterExec::try_new(Arc::new(condition), input).unwrap())
        };
        (0..count).fold(empty(), filter)
    }

    #[test]
    fn what_is_not_deep_is_not_folded() {
        let (encoded, decoded) = round_trip(&filters(5));
        assert!(!is_folded(&encoded));
        assert_eq!(shown(&decoded), shown(&filters(5)));
    }

    #[test]
    fn deep_plans_and_expressions_arrive() {
        let run = || {
            let plan = filters(700);
            let (encoded, decoded) = round_trip(&plan);
            assert!(is_folded(&encoded));
            assert_eq!(shown(&decoded), shown(&plan));

            let mut condition = is_null(col("a", &empty().schema()).unwrap()).unwrap();
            for _ in 0..1200 {
                condition = not(condition).unwrap();
            }
            let plan = FilterExec::try_new(condition, filters(3)).unwrap();
            let plan: Arc<dyn ExecutionPlan> = Arc::new(plan);
            assert_eq!(shown(&round_trip(&plan).1), shown(&plan));
        };
        let thread = std::thread::Builder::new().stack_size(64 << 20);
        thread.spawn(run).unwrap().join().unwrap();
    }

    #[test]
    fn what_is_deeper_than_stacks_is_refused() {
        let run = || {
            let context = SessionContext::new().task_ctx();
            let plan = filters(FOLDS_MAX * LEVELS_MAX + LEVELS_MAX);
            let error = encode_plan(&plan, &context).unwrap_err().to_string();
            assert!(error.contains("nested too deep"), "{error}");
        };
        let thread = std::thread::Builder::new().stack_size(128 << 20);
        thread.spawn(run).unwrap().join().unwrap();
    }

    #[test]
    fn expressions_stay_shared() {
        let columns = vec![col("a", &empty().schema()).unwrap()];
        let filter = Arc::new(DynamicFilterPhysicalExpr::new(columns, lit(true)));
        let mut plan = empty();
        plan = Arc::new(FilterExec::try_new(Arc::clone(&filter) as _, plan).unwrap());
        for _ in 0..40 {
            plan = Arc::new(FilterExec::try_new(lit(true), plan).unwrap());
        }
        plan = Arc::new(FilterExec::try_new(filter, plan).unwrap());
        let (encoded, decoded) = round_trip(&plan);
        assert!(is_folded(&encoded));
        let dynamic = |plan: &Arc<dyn ExecutionPlan>| {
            let filter = plan.downcast_ref::<FilterExec>().unwrap();
            Arc::clone(filter.predicate())
        };
        let upper = dynamic(&decoded);
        let mut lowest = decoded;
        while !lowest.children()[0].is::<EmptyExec>() {
            lowest = Arc::clone(lowest.children()[0]);
        }
        let upper = upper.downcast_ref::<DynamicFilterPhysicalExpr>().unwrap();
        upper.update(lit(false)).unwrap();
        let lower = dynamic(&lowest);
        let lower = lower.downcast_ref::<DynamicFilterPhysicalExpr>().unwrap();
        assert_eq!(lower.current().unwrap().to_string(), "false");
    }
}
