//! A bulk scan on its way to an executor.

use super::{BulkScanExec, FileList, FileShare};
use arrow::record_batch::RecordBatch;
use arrow_ipc::CompressionType;
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};
use datafusion::common::internal_datafusion_err;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::physical_plan::{
    PhysicalExtensionCodec, PhysicalPlanDecodeContext, PhysicalProtoConverterExtension,
};
use datafusion_proto::protobuf::PhysicalPlanNode;
use prost::Message;
use std::sync::Arc;

/// Encodes a [`BulkScanExec`], and decodes it as an ordinary scan.
#[derive(Clone, Copy, Debug, Default)]
pub struct BulkScanCodec;

#[derive(Clone, PartialEq, prost::Message)]
struct BulkScan {
    /// The scan without its files.
    #[prost(message, optional, tag = "1")]
    template: Option<PhysicalPlanNode>,
    /// How many files each partition reads.
    #[prost(uint64, repeated, tag = "2")]
    counts: Vec<u64>,
    /// The files of all partitions, one after the other, and the values of the table's partitions: Arrow's
    /// stream format.
    #[prost(bytes = "vec", repeated, tag = "3")]
    lists: Vec<Vec<u8>>,
}

impl PhysicalExtensionCodec for BulkScanCodec {
    fn try_decode(
        &self,
        buf: &[u8],
        _inputs: &[Arc<dyn ExecutionPlan>],
        context: &TaskContext,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let unreadable =
            |error| internal_datafusion_err!("cannot read a scan of many files: {error}");
        let scan = BulkScan::decode(buf).map_err(unreadable)?;
        let (Some(template), [files, partitions]) = (&scan.template, scan.lists.as_slice()) else {
            return Err(internal_datafusion_err!(
                "a scan of many files lacks a part"
            ));
        };
        let context = PhysicalPlanDecodeContext::new(context, self);
        let template = converter.proto_to_execution_plan(template, &context)?;
        let list = FileList::from_parts(read(files)?, read(partitions)?)?;
        let shares = FileShare::scatter(list, &scan.counts)?;
        BulkScanExec::new(template, shares).expand()
    }

    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        buf: &mut Vec<u8>,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        let scan = node
            .downcast_ref::<BulkScanExec>()
            .ok_or_else(|| internal_datafusion_err!("{} cannot be sent", node.name()))?;
        let (list, counts) = FileShare::gather(&scan.shares)?;
        let [files, partitions] = list.parts();
        let encoded = BulkScan {
            template: Some(converter.execution_plan_to_proto(&scan.template, self)?),
            counts,
            lists: vec![write(files)?, write(partitions)?],
        };
        encoded
            .encode(buf)
            .map_err(|error| DataFusionError::External(Box::new(error)))
    }
}

fn write(batch: &RecordBatch) -> Result<Vec<u8>> {
    let options =
        IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME))?;
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), &batch.schema(), options)?;
    writer.write(batch)?;
    Ok(writer.into_inner()?)
}

fn read(bytes: &[u8]) -> Result<RecordBatch> {
    let mut batches = StreamReader::try_new(bytes, None)?;
    let batch = batches.next();
    batch
        .transpose()?
        .ok_or_else(|| internal_datafusion_err!("a list of files is missing"))
}
