//! A result as JSON: one array of objects with a row on each line, or one object per line. NULL is
//! `null`, nested values are nested.

use super::text::is_harmful;
use super::{Format, FormatError, ResultWriter, Target};
use arrow::error::ArrowError;
use arrow::json::WriterBuilder;
use arrow::json::writer::{JsonFormat, LineDelimited, Writer};
use arrow::record_batch::RecordBatch;
use std::io::Write;

/// `[`, rows separated by commas and line ends, `]`.
#[derive(Debug, Default)]
pub(super) struct RowPerLine;

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

pub(super) struct JsonWriter<F: JsonFormat> {
    format: Format,
    writer: Writer<Vec<u8>, F>,
    for_terminal: bool,
}

impl JsonWriter<RowPerLine> {
    pub(super) fn array(target: Target) -> Self {
        Self::new(Format::Json, target)
    }
}

impl JsonWriter<LineDelimited> {
    pub(super) fn lines(target: Target) -> Self {
        Self::new(Format::Ndjson, target)
    }
}

impl<F: JsonFormat> JsonWriter<F> {
    fn new(format: Format, target: Target) -> Self {
        let options = WriterBuilder::new().with_explicit_nulls(true);
        Self {
            format,
            writer: options.build(Vec::new()),
            for_terminal: target.is_terminal,
        }
    }

    fn hand_over(
        &mut self,
        written: Result<(), ArrowError>,
        out: &mut Vec<u8>,
    ) -> Result<(), FormatError> {
        let json = self.writer.get_mut();
        if self.for_terminal {
            harmless(json, out);
            json.clear();
        } else {
            out.append(json);
        }
        written.map_err(|source| FormatError::batch(self.format, source))
    }
}

/// JSON escapes the control characters of ASCII by itself, but not the others.
fn harmless(json: &[u8], out: &mut Vec<u8>) {
    for character in String::from_utf8_lossy(json).chars() {
        let mut utf8 = [0; 4];
        if is_harmful(character) && character != '\n' {
            // All of them are within the first 65,536. Writing into memory cannot fail.
            let _ = write!(out, "\\u{:04x}", u32::from(character));
        } else {
            out.extend_from_slice(character.encode_utf8(&mut utf8).as_bytes());
        }
    }
}

impl<F: JsonFormat + Send> ResultWriter for JsonWriter<F> {
    fn rows(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), FormatError> {
        let written = self.writer.write(batch);
        self.hand_over(written, out)
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), FormatError> {
        let written = self.writer.finish();
        self.hand_over(written, out)
    }
}
