//! A scan of text files on its way to an executor.

use crate::source::{RowFormat, TextSource};
use datafusion::catalog::memory::DataSourceExec;
use datafusion::common::internal_datafusion_err;
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_datasource::file::FileSource;
use datafusion_proto::physical_plan::from_proto::{
    parse_protobuf_file_scan_config, parse_table_schema_from_proto,
};
use datafusion_proto::physical_plan::to_proto::serialize_file_scan_config;
use datafusion_proto::physical_plan::{
    PhysicalExtensionCodec, PhysicalPlanDecodeContext, PhysicalProtoConverterExtension,
};
use datafusion_proto::protobuf::FileScanExecConf;
use prost::Message;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Encodes and decodes scans of [`TextSource`].
#[derive(Clone, Copy, Debug, Default)]
pub struct TextScanCodec;

/// What the base library's message of a scan has no place for.
#[derive(Serialize, Deserialize)]
struct Details {
    format: RowFormat,
    reads_pieces: bool,
}

/// A scan: its details as JSON, then the base library's message.
#[derive(Clone, PartialEq, Message)]
struct TextScan {
    #[prost(bytes = "vec", tag = "1")]
    details: Vec<u8>,
    #[prost(message, optional, tag = "2")]
    scan: Option<FileScanExecConf>,
}

impl PhysicalExtensionCodec for TextScanCodec {
    fn try_decode(
        &self,
        buf: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        ctx: &TaskContext,
        proto_converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let malformed = |error: String| internal_datafusion_err!("cannot read a scan: {error}");
        if !inputs.is_empty() {
            return Err(malformed("it has inputs".to_owned()));
        }
        let message = TextScan::decode(buf).map_err(|error| malformed(error.to_string()))?;
        let details: Details = serde_json::from_slice(&message.details)
            .map_err(|error| malformed(error.to_string()))?;
        let scan = message
            .scan
            .ok_or_else(|| malformed("it is empty".to_owned()))?;
        let source = TextSource::from_parts(
            details.format,
            parse_table_schema_from_proto(&scan)?,
            details.reads_pieces,
        );
        let context = PhysicalPlanDecodeContext::new(ctx, self);
        let config =
            parse_protobuf_file_scan_config(&scan, &context, proto_converter, Arc::new(source))?;
        Ok(DataSourceExec::from_data_source(config))
    }

    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        buf: &mut Vec<u8>,
        proto_converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        let config = node
            .downcast_ref::<DataSourceExec>()
            .and_then(|scan| scan.data_source().downcast_ref::<FileScanConfig>());
        let source = config.and_then(|config| config.file_source().downcast_ref::<TextSource>());
        let (Some(config), Some(source)) = (config, source) else {
            return Err(internal_datafusion_err!("{} cannot be sent", node.name()));
        };
        let details = Details {
            format: source.format().clone(),
            reads_pieces: source.supports_repartitioning(),
        };
        let message = TextScan {
            details: serde_json::to_vec(&details)
                .map_err(|error| DataFusionError::External(Box::new(error)))?,
            scan: Some(serialize_file_scan_config(config, self, proto_converter)?),
        };
        message
            .encode(buf)
            .map_err(|error| DataFusionError::External(Box::new(error)))
    }
}
