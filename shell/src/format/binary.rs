//! Files for other programs: Arrow IPC and Parquet. Both are written front to back, so that a pipe
//! will do; a Parquet file holds one row group in memory.

use super::{Format, FormatError, ResultWriter};
use arrow::datatypes::SchemaRef;
use arrow::ipc::writer::FileWriter;
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// How many rows a row group has, and how many bytes of encoded rows it holds before it is written.
const ROW_GROUP_ROWS: usize = 256 << 10;
const ROW_GROUP_BYTES: usize = 16 << 20;

/// What a file's writer has written and nobody has fetched yet.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    fn hand_over(&self, out: &mut Vec<u8>) {
        // A vector is whole even where somebody panicked while holding it.
        let mut bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        out.append(&mut bytes);
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        written.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(super) struct ArrowFileWriter {
    writer: FileWriter<Written>,
    written: Written,
}

impl ArrowFileWriter {
    pub(super) fn new(schema: &SchemaRef) -> Result<Self, FormatError> {
        let written = Written::default();
        let writer = FileWriter::try_new(written.clone(), schema)
            .map_err(|source| FormatError::batch(Format::Arrow, source))?;
        Ok(Self { writer, written })
    }
}

impl ResultWriter for ArrowFileWriter {
    fn rows(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), FormatError> {
        let outcome = self.writer.write(batch);
        self.written.hand_over(out);
        outcome.map_err(|source| FormatError::batch(Format::Arrow, source))
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), FormatError> {
        let outcome = self.writer.finish();
        self.written.hand_over(out);
        outcome.map_err(|source| FormatError::batch(Format::Arrow, source))
    }
}

pub(super) struct ParquetWriter {
    /// `None` once the file is complete.
    writer: Option<ArrowWriter<Written>>,
    written: Written,
}

impl ParquetWriter {
    pub(super) fn new(schema: &SchemaRef) -> Result<Self, FormatError> {
        let written = Written::default();
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
            .build();
        let writer = ArrowWriter::try_new(written.clone(), Arc::clone(schema), Some(properties))
            .map_err(|source| FormatError::batch(Format::Parquet, source))?;
        Ok(Self {
            writer: Some(writer),
            written,
        })
    }
}

impl ResultWriter for ParquetWriter {
    fn rows(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), FormatError> {
        let Some(writer) = &mut self.writer else {
            return Ok(());
        };
        let outcome = writer.write(batch);
        self.written.hand_over(out);
        outcome.map_err(|source| FormatError::batch(Format::Parquet, source))
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), FormatError> {
        let Some(writer) = self.writer.take() else {
            return Ok(());
        };
        let outcome = writer.close().map(|_| ());
        self.written.hand_over(out);
        outcome.map_err(|source| FormatError::batch(Format::Parquet, source))
    }
}
