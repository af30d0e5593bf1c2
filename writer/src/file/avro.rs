//! Avro object container files.

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use arrow_avro::compression::CompressionCodec;
use arrow_avro::writer::format::AvroOcfFormat;
use arrow_avro::writer::{Writer, WriterBuilder};
use datafusion::error::{DataFusionError, Result};
use parking_lot::Mutex;
use std::io::{self, Write};
use std::sync::Arc;

/// Where the encoder leaves bytes until they are taken.
#[derive(Clone, Default)]
struct Outbox(Arc<Mutex<Vec<u8>>>);

impl Write for Outbox {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Encodes rows.
pub(super) struct AvroEncoder {
    writer: Writer<Outbox, AvroOcfFormat>,
    outbox: Outbox,
}

impl AvroEncoder {
    /// An encoder of rows with `schema`, whose header lies ready.
    ///
    /// # Errors
    /// Where Avro has no such type.
    pub(super) fn new(schema: &SchemaRef) -> Result<Self> {
        let outbox = Outbox::default();
        let writer = WriterBuilder::new(schema.as_ref().clone())
            .with_compression(Some(CompressionCodec::Snappy))
            .build::<_, AvroOcfFormat>(outbox.clone())
            .map_err(failed)?;
        Ok(Self { writer, outbox })
    }

    /// The bytes of a block with `batch`, and of whatever had to come before.
    pub(super) fn encode(&mut self, batch: &RecordBatch) -> Result<Vec<u8>> {
        self.writer.write(batch).map_err(failed)?;
        Ok(std::mem::take(&mut *self.outbox.0.lock()))
    }
}

fn failed(error: arrow_avro::errors::AvroError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
