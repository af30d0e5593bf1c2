//! Makes batches of the bytes of a file, in whatever pieces they come.

use crate::bad_value::bad_value;
use crate::column::ColumnBuilder;
use crate::field::Parts;
use crate::format::TextFormat;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion_datasource::decoder::Decoder;
use skep_runtime::error::from_datafusion;
use std::sync::Arc;

/// How long a line may be, in bytes: one that never ends is not text.
const LINE_BYTES_MAX: usize = 256 * 1024 * 1024;

/// How many bytes of lines a batch is made of at most, but for the last one.
const BATCH_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Reads the lines of one file.
#[derive(Debug)]
pub(crate) struct LineDecoder {
    format: Arc<TextFormat>,
    /// The columns of the batches.
    schema: SchemaRef,
    columns: Vec<ColumnBuilder>,
    /// For every field of a line, the column that is made of it.
    wanted: Vec<Option<usize>>,
    batch_rows_max: usize,
    header_lines_left: u32,
    /// The beginning of a line whose end has not come yet.
    open_line: Vec<u8>,
    rows: usize,
    bytes: usize,
}

impl LineDecoder {
    /// Reads the fields `indices` of lines that have the columns of `file_schema`. `skips_header` is
    /// for the beginning of a file.
    ///
    /// # Errors
    /// `Unsupported` where text files cannot hold a type.
    pub(crate) fn new(
        format: Arc<TextFormat>,
        file_schema: &SchemaRef,
        indices: &[usize],
        batch_rows_max: usize,
        skips_header: bool,
    ) -> Result<Self, ArrowError> {
        let schema = Arc::new(file_schema.project(indices)?);
        let columns = schema.fields().iter();
        let columns = columns.map(|field| ColumnBuilder::new(field.data_type()));
        let mut wanted = vec![None; indices.iter().map(|index| index + 1).max().unwrap_or(0)];
        for (column, index) in indices.iter().enumerate() {
            wanted[*index] = Some(column);
        }
        Ok(Self {
            columns: columns.collect::<Result<_, _>>()?,
            header_lines_left: if skips_header { format.header_lines } else { 0 },
            format,
            schema,
            wanted,
            batch_rows_max: batch_rows_max.max(1),
            open_line: Vec::new(),
            rows: 0,
            bytes: 0,
        })
    }

    fn is_full(&self) -> bool {
        self.rows >= self.batch_rows_max || self.bytes >= BATCH_BYTES_MAX
    }

    fn add_line(&mut self, line: &[u8]) -> Result<(), ArrowError> {
        if self.header_lines_left > 0 {
            self.header_lines_left -= 1;
            return Ok(());
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let format = Arc::clone(&self.format);
        let mut fields = Parts::new(line, format.delimiter(0), format.escape);
        for place in 0..self.wanted.len() {
            let field = fields.next();
            let Some(column) = self.wanted[place] else {
                continue;
            };
            let added = match field {
                Some(field) => self.columns[column].add(field, &format, 1),
                None => self.columns[column].add_null(),
            };
            added.map_err(|error| self.in_column(column, error))?;
        }
        self.rows += 1;
        self.bytes += line.len();
        Ok(())
    }

    /// The error with the column that it is about.
    fn in_column(&self, column: usize, error: ArrowError) -> ArrowError {
        let mut found = from_datafusion(&error.into());
        let name = self.schema.field(column).name();
        found.message = format!("column '{name}': {}", found.message);
        ArrowError::ExternalError(Box::new(found))
    }
}

impl Decoder for LineDecoder {
    fn decode(&mut self, buf: &[u8]) -> Result<usize, ArrowError> {
        // Nothing comes after an empty piece: what is open is the last line.
        if buf.is_empty() {
            if !self.open_line.is_empty() {
                let line = std::mem::take(&mut self.open_line);
                self.add_line(&line)?;
            }
            return Ok(0);
        }
        let mut from = 0;
        while !self.is_full() && from < buf.len() {
            let rest = &buf[from..];
            let Some(end) = memchr::memchr(b'\n', rest) else {
                if self.open_line.len() + rest.len() > LINE_BYTES_MAX {
                    let text = format!("a line is longer than {LINE_BYTES_MAX} bytes");
                    return Err(bad_value(text));
                }
                self.open_line.extend_from_slice(rest);
                return Ok(buf.len());
            };
            match self.open_line.is_empty() {
                true => self.add_line(&rest[..end])?,
                false => {
                    let mut line = std::mem::take(&mut self.open_line);
                    line.extend_from_slice(&rest[..end]);
                    self.add_line(&line)?;
                    line.clear();
                    self.open_line = line;
                }
            }
            from += end + 1;
        }
        Ok(from)
    }

    fn flush(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        if self.rows == 0 {
            return Ok(None);
        }
        let rows = std::mem::take(&mut self.rows);
        self.bytes = 0;
        let mut columns = Vec::with_capacity(self.columns.len());
        for place in 0..self.columns.len() {
            let column = self.columns[place].finish();
            columns.push(column.map_err(|error| self.in_column(place, error))?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let schema = Arc::clone(&self.schema);
        RecordBatch::try_new_with_options(schema, columns, &options).map(Some)
    }

    fn can_flush_early(&self) -> bool {
        self.is_full()
    }
}

#[cfg(test)]
mod tests;
