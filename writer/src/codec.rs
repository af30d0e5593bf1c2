//! The operator on its way to an executor.

use crate::exec::TableWriteExec;
use datafusion::common::internal_datafusion_err;
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::physical_plan::{PhysicalExtensionCodec, PhysicalProtoConverterExtension};
use std::sync::Arc;

/// Encodes and decodes [`TableWriteExec`].
#[derive(Clone, Copy, Debug, Default)]
pub struct WriteCodec;

impl PhysicalExtensionCodec for WriteCodec {
    fn try_decode(
        &self,
        buf: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        _ctx: &TaskContext,
        _proto_converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let spec = serde_json::from_slice(buf)
            .map_err(|error| internal_datafusion_err!("cannot read a write's plan: {error}"))?;
        match inputs {
            [input] => Ok(Arc::new(TableWriteExec::new(
                Arc::clone(input),
                Arc::new(spec),
            ))),
            _ => Err(internal_datafusion_err!("a write has one input")),
        }
    }

    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        buf: &mut Vec<u8>,
        _proto_converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        let write = node
            .downcast_ref::<TableWriteExec>()
            .ok_or_else(|| internal_datafusion_err!("{} cannot be sent", node.name()))?;
        serde_json::to_writer(buf, write.spec().as_ref())
            .map_err(|error| internal_datafusion_err!("cannot send a write's plan: {error}"))
    }
}
