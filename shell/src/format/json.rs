//! A result as one JSON array of objects, a row on each line; NULL is `null`, nested values are
//! nested.

use super::{Format, FormatError, ResultWriter};
use arrow::error::ArrowError;
use arrow::json::WriterBuilder;
use arrow::json::writer::{JsonFormat, Writer};
use arrow::record_batch::RecordBatch;
use std::io::Write;

/// `[`, rows separated by commas and line ends, `]`.
#[derive(Debug, Default)]
struct RowPerLine;

impl JsonFormat for RowPerLine {
    fn start_stream<W: Write>(&self, writer: &mut W) -> Result<(), ArrowError> {
        Ok(writer.write_all(b"[")?)
    }

    fn start_row<W: Write>(&self, writer: &mut W, is_first: bool) -> Result<(), ArrowError> {
        Ok(writer.write_all(if is_first { b"\n" } else { b",\n" })?)
    }

    fn end_stream<W: Write>(&self, writer: &mut W) -> Result<(), ArrowError> {
        Ok(writer.write_all(b"\n]\n")?)
    }
}

pub(super) struct JsonWriter {
    writer: Writer<Vec<u8>, RowPerLine>,
}

impl JsonWriter {
    pub(super) fn new() -> Self {
        let options = WriterBuilder::new().with_explicit_nulls(true);
        Self {
            writer: options.build(Vec::new()),
        }
    }

    fn hand_over(&mut self, out: &mut Vec<u8>) {
        out.append(self.writer.get_mut());
    }
}

impl ResultWriter for JsonWriter {
    fn rows(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), FormatError> {
        let written = self.writer.write(batch);
        self.hand_over(out);
        written.map_err(|source| FormatError::Batch {
            format: Format::Json,
            source,
        })
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), FormatError> {
        let written = self.writer.finish();
        self.hand_over(out);
        written.map_err(|source| FormatError::Batch {
            format: Format::Json,
            source,
        })
    }
}
