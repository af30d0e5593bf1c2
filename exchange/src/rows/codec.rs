//! The leaf on its way to an executor.

use super::CoordinatorRowsExec;
use arrow_flight::{IpcMessage, SchemaAsIpc};
use arrow_ipc::writer::IpcWriteOptions;
use datafusion::common::internal_datafusion_err;
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::physical_plan::{PhysicalExtensionCodec, PhysicalProtoConverterExtension};
use prost::Message;
use skep_protocol::proto::RowsLeaf;
use std::sync::Arc;

/// Encodes and decodes [`CoordinatorRowsExec`].
#[derive(Clone, Copy, Debug, Default)]
pub struct RowsCodec;

impl PhysicalExtensionCodec for RowsCodec {
    fn try_decode(
        &self,
        buf: &[u8],
        _inputs: &[Arc<dyn ExecutionPlan>],
        _ctx: &TaskContext,
        _proto_converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let malformed = |what: String| internal_datafusion_err!("cannot read a leaf: {what}");
        let leaf = RowsLeaf::decode(buf).map_err(|error| malformed(error.to_string()))?;
        let ticket = leaf
            .ticket
            .ok_or_else(|| malformed("no ticket".to_owned()))?;
        let schema = arrow::datatypes::Schema::try_from(IpcMessage(leaf.schema))?;
        let projection = leaf
            .projection
            .iter()
            .map(|index| *index as usize)
            .collect();
        let partitions = leaf.partitions as usize;
        let exec = CoordinatorRowsExec::new(Arc::new(schema), projection, partitions, ticket)?;
        Ok(Arc::new(exec))
    }

    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        buf: &mut Vec<u8>,
        _proto_converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        let Some(leaf) = node.downcast_ref::<CoordinatorRowsExec>() else {
            return Err(internal_datafusion_err!("{} cannot be sent", node.name()));
        };
        let options = IpcWriteOptions::default();
        let IpcMessage(schema) = SchemaAsIpc::new(leaf.rows_schema(), &options).try_into()?;
        let projection = leaf.projection().iter().map(|index| *index as u32);
        let message = RowsLeaf {
            ticket: Some(leaf.ticket().clone()),
            schema,
            partitions: leaf.partitions() as u32,
            projection: projection.collect(),
        };
        buf.extend(message.encode_to_vec());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::{DataType, Field, Schema};
    use datafusion_proto::physical_plan::DefaultPhysicalProtoConverter;
    use skep_protocol::proto::RowsTicket;

    #[test]
    fn a_leaf_arrives_as_it_was_sent() {
        let fields = vec![
            Field::new("a", DataType::Int64, true),
            Field::new("b", DataType::Utf8, true),
        ];
        let ticket = RowsTicket {
            query_id: "q".into(),
            signature: vec![1, 2].into(),
            attempt: 3,
        };
        let schema = Arc::new(Schema::new(fields));
        let sent = CoordinatorRowsExec::new(schema, vec![1], 3, ticket).unwrap();
        let converter = DefaultPhysicalProtoConverter {};
        let mut bytes = Vec::new();
        RowsCodec
            .try_encode(Arc::new(sent.clone()), &mut bytes, &converter)
            .unwrap();
        let context = TaskContext::default();
        let found = RowsCodec
            .try_decode(&bytes, &[], &context, &converter)
            .unwrap();
        let found = found.downcast_ref::<CoordinatorRowsExec>().unwrap();
        assert_eq!(found.schema(), sent.schema());
        assert_eq!(found.schema().field(0).name(), "b");
        assert_eq!(found.ticket(), sent.ticket());
        assert_eq!(found.partitions(), 3);
    }
}
