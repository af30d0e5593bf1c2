//! One line per value under a line per row, for rows that are too wide for a table.

use super::text::{self, NULL};
use super::{FormatError, ResultWriter};
use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;
use std::io::Write;

/// The line above a row is at least this long, so that rows are told apart at a glance.
const RULE_WIDTH: usize = 40;

pub(super) struct VerticalWriter {
    names: Vec<String>,
    name_width: usize,
    row: u64,
}

impl VerticalWriter {
    pub(super) fn new(schema: &Schema) -> Self {
        let names: Vec<String> = schema
            .fields()
            .iter()
            .map(|field| {
                let mut name = String::new();
                text::escape_into(field.name(), false, &mut name);
                name
            })
            .collect();
        let name_width = names
            .iter()
            .map(|name| text::width(name))
            .max()
            .unwrap_or(0);
        Self {
            names,
            name_width,
            row: 0,
        }
    }

    fn value(&self, column: usize, value: &str, out: &mut Vec<u8>) {
        let mut name = self.names[column].as_str();
        for line in value.trim_end_matches('\n').split('\n') {
            let padding = self.name_width - text::width(name);
            // Writing into memory cannot fail.
            let _ = writeln!(out, "{name}{:padding$} | {line}", "");
            name = "";
        }
    }
}

impl ResultWriter for VerticalWriter {
    fn rows(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), FormatError> {
        let columns = text::columns(batch, true)?;
        let (mut value, mut escaped) = (String::new(), String::new());
        for at in 0..batch.num_rows() {
            self.row += 1;
            let title = format!("-[ ROW {} ]", self.row);
            let _ = writeln!(out, "{title:-<RULE_WIDTH$}");
            for (index, column) in columns.iter().enumerate() {
                value.clear();
                escaped.clear();
                if column.write(at, &mut value)? {
                    text::escape_into(&value, true, &mut escaped);
                } else {
                    escaped.push_str(NULL);
                }
                self.value(index, &escaped, out);
            }
        }
        Ok(())
    }

    fn end(&mut self, _out: &mut Vec<u8>) -> Result<(), FormatError> {
        Ok(())
    }
}
