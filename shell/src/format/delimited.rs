//! CSV and TSV: a header, then a line per row.

use super::text;
use super::{FormatError, Look, ResultWriter, Target};
use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;

pub(super) struct DelimitedWriter {
    dialect: Dialect,
    names: Vec<String>,
    header_written: bool,
    /// Data may hold commands for a terminal, which a pipe must get unchanged and a terminal not.
    for_terminal: bool,
}

#[derive(Clone, Copy)]
enum Dialect {
    Csv,
    Tsv,
}

impl DelimitedWriter {
    pub(super) fn csv(schema: &Schema, look: &Look, target: Target) -> Self {
        Self::new(Dialect::Csv, schema, look, target)
    }

    pub(super) fn tsv(schema: &Schema, look: &Look, target: Target) -> Self {
        Self::new(Dialect::Tsv, schema, look, target)
    }

    fn new(dialect: Dialect, schema: &Schema, look: &Look, target: Target) -> Self {
        let names = schema
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .collect();
        Self {
            dialect,
            names,
            header_written: !look.header,
            for_terminal: target.is_terminal,
        }
    }

    fn header(&mut self, out: &mut Vec<u8>) {
        if self.header_written {
            return;
        }
        self.header_written = true;
        for (at, name) in self.names.iter().enumerate() {
            self.separator(at, out);
            self.value(name, out);
        }
        out.push(b'\n');
    }

    fn separator(&self, column: usize, out: &mut Vec<u8>) {
        if column > 0 {
            out.push(match self.dialect {
                Dialect::Csv => b',',
                Dialect::Tsv => b'\t',
            });
        }
    }

    fn value(&self, value: &str, out: &mut Vec<u8>) {
        let mut harmless = String::new();
        let value = if self.for_terminal {
            text::escape_into(value, true, &mut harmless);
            &harmless
        } else {
            value
        };
        match self.dialect {
            Dialect::Csv => csv_value(value, out),
            Dialect::Tsv => tsv_value(value, out),
        }
    }
}

impl ResultWriter for DelimitedWriter {
    fn rows(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), FormatError> {
        self.header(out);
        let columns = text::columns(batch, false)?;
        let mut value = String::new();
        for row in 0..batch.num_rows() {
            for (at, column) in columns.iter().enumerate() {
                self.separator(at, out);
                value.clear();
                match (column.write(row, &mut value)?, self.dialect) {
                    (true, _) => self.value(&value, out),
                    (false, Dialect::Csv) => {}
                    (false, Dialect::Tsv) => out.extend_from_slice(b"\\N"),
                }
            }
            out.push(b'\n');
        }
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), FormatError> {
        self.header(out);
        Ok(())
    }
}

/// Quoted where a reader could take it for something else; an empty text always, since nothing at
/// all is NULL.
fn csv_value(value: &str, out: &mut Vec<u8>) {
    let needs_quotes = value.is_empty()
        || value.contains(['"', ',', '\n', '\r'])
        || value.starts_with(' ')
        || value.ends_with(' ');
    if !needs_quotes {
        out.extend_from_slice(value.as_bytes());
        return;
    }
    out.push(b'"');
    for byte in value.bytes() {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}

fn tsv_value(value: &str, out: &mut Vec<u8>) {
    for byte in value.bytes() {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            other => out.push(other),
        }
    }
}
